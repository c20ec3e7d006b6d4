import type { Grant, GrantRequest, GrantTree, Page, Payment, SpendItem } from '@bursar/sdk';
import { useQuery } from '@tanstack/react-query';
import {
  type Answer,
  type AuditEvent,
  bursar,
  call,
  type Delivery,
  type PolicyReplay,
  type RevocationPreview,
  readGrant,
  type Summary,
  type Treasury,
  type Wallet,
  type Webhook,
} from './api.js';
import { useLive } from './live.js';
import { useMay } from './session.js';
import type { Proof } from './verify.js';

/** The most items that one request of a list gives. */
const PAGE = 200;

/** The treasuries that the caller sees; none for a holder. */
export function useTreasuries() {
  const isOn = useMay()('see-treasury');
  return useLive(
    ['treasuries'],
    async (signal) => {
      const query = { limit: PAGE };
      return (await call<Page<Treasury>>('GET', '/v1/treasuries', { query, signal })).items;
    },
    { isOn },
  );
}

/** Totals of the main treasury; nothing for a holder. */
export function useSummary() {
  const isOn = useMay()('see-treasury');
  return useLive(['summary'], (signal) => call<Summary>('GET', '/v1/summary', { signal }), {
    isOn,
  });
}

/** Wallets of all treasuries that the caller sees. */
export function useWallets() {
  const isOn = useMay()('see-treasury');
  return useLive(
    ['wallets'],
    (signal) => {
      const query = { limit: PAGE };
      return call<Answer<'/v1/wallets'> & Page<Wallet>>('GET', '/v1/wallets', { query, signal });
    },
    { isOn, everyMs: 5_000 },
  );
}

/** Whether somebody typed the whole id of a grant. */
export function isGrantId(text: string): boolean {
  return /^grt_[0-9a-z]{26}$/.test(text);
}

/** One grant. */
export function useGrant(id: string) {
  return useLive(['grant', id], () => readGrant(id));
}

/** The grants from the root down to one, as far as the caller may see them. */
export function useChain(grant: Grant | undefined) {
  return useLive(
    ['chain', grant?.id],
    async () => {
      const chain: Grant[] = [];
      for (let next = grant?.parentId ?? null; next !== null; ) {
        const above: Grant | undefined = await readGrant(next).catch(() => undefined);
        if (!above) break;
        chain.unshift(above);
        next = above.parentId;
      }
      return chain;
    },
    { isOn: grant !== undefined, everyMs: 5_000 },
  );
}

/** Filters of the list of grants. */
export interface GrantFilter {
  readonly status?: string;
  /** `name:value`. */
  readonly label?: string;
}

/** A page of grants, a parent before its children. */
export function readGrants(
  filter: GrantFilter,
  { cursor, signal }: { cursor?: string; signal?: AbortSignal } = {},
): Promise<Page<Grant>> {
  const query = { ...filter, limit: PAGE, ...(cursor ? { cursor } : {}) };
  return call('GET', '/v1/grants', { query, ...(signal ? { signal } : {}) });
}

/** A page of a grant and everything below it, with the totals of the whole tree. */
export function readTree(
  id: string,
  { cursor, signal }: { cursor?: string; signal?: AbortSignal } = {},
): Promise<GrantTree> {
  const query = { limit: PAGE, ...(cursor ? { cursor } : {}) };
  return call('GET', `/v1/grants/${id}/tree`, { query, ...(signal ? { signal } : {}) });
}

/** Count of what a revocation would stop, made by the server. */
export function useRevocation(id: string) {
  return useLive(['revocation', id], (signal) =>
    call<RevocationPreview>('GET', `/v1/grants/${id}/revocation`, { signal }),
  );
}

/** Outcome of other terms on a grant's payments of the last days. */
export function usePolicyReplay(id: string, change: object, { isOn }: { isOn: boolean }) {
  return useQuery({
    queryKey: ['replay', id, change],
    queryFn: ({ signal }) =>
      call<PolicyReplay>('POST', `/v1/grants/${id}/replay`, { body: change, signal }),
    enabled: isOn,
    // The past does not change: a new answer is worth it only after a change of the terms.
    staleTime: 60_000,
  });
}

/** Filters of the list of payments. */
export interface PaymentFilter {
  readonly treasuryId?: string;
  readonly grantId?: string;
  /** The holder of the paying grant. */
  readonly holder?: string;
  readonly network?: string;
  readonly status?: string;
  readonly idempotencyKey?: string;
  readonly payTo?: string;
  readonly host?: string;
  /** `name:value` of the paying grant. */
  readonly label?: string;
  readonly from?: string;
  readonly to?: string;
}

/** A page of payments, the newest first. */
export function readPayments(
  filter: PaymentFilter,
  { cursor, limit = PAGE, signal }: { cursor?: string; limit?: number; signal?: AbortSignal } = {},
): Promise<Page<Payment>> {
  const query = { ...filter, order: 'desc', limit, ...(cursor ? { cursor } : {}) };
  return call('GET', '/v1/payments', { query, ...(signal ? { signal } : {}) });
}

/** The newest payments. */
export function usePayments(filter: PaymentFilter, limit = PAGE) {
  return useLive(['payments', filter, limit], (signal) => readPayments(filter, { limit, signal }));
}

/** One payment, with its receipts. */
export function usePayment(id: string) {
  return useLive(['payment', id], () => bursar.payments.get(id));
}

/** Payments that wait for somebody's decision, the oldest first. */
export function useApprovals() {
  return useLive(['approvals'], async (signal) => {
    const query = { status: 'pending_approval', limit: PAGE };
    const { items } = await call<Page<Payment>>('GET', '/v1/payments', { query, signal });
    return items.filter(({ approval }) => !approval?.approvedAt);
  });
}

/** Raises that holders ask for. */
export function useRaises() {
  return useLive(['raises'], async (signal) => {
    const query = { status: 'pending', limit: PAGE };
    return (await call<Page<GrantRequest>>('GET', '/v1/grant-requests', { query, signal })).items;
  });
}

/** How many decisions wait. */
export function useInboxCount(): number {
  return (useApprovals().data?.length ?? 0) + (useRaises().data?.length ?? 0);
}

/** Filters of the audit log. */
export interface EventFilter {
  readonly grantId?: string;
  readonly paymentId?: string;
  readonly kind?: string;
  /** Code of refused payments. */
  readonly code?: string;
  readonly actor?: string;
  readonly from?: string;
  readonly to?: string;
}

/** A page of events, the newest first. */
export function readEvents(
  filter: EventFilter,
  { cursor, limit = 50, signal }: { cursor?: string; limit?: number; signal?: AbortSignal } = {},
): Promise<Page<AuditEvent>> {
  const query = { ...filter, limit, ...(cursor ? { cursor } : {}) };
  return call('GET', '/v1/audit/events', { query, ...(signal ? { signal } : {}) });
}

/** The newest events. */
export function useEvents(filter: EventFilter, limit = 50, isOn = true) {
  return useLive(['events', filter, limit], (signal) => readEvents(filter, { limit, signal }), {
    isOn,
  });
}

/** One event. */
export function useEvent(id: string) {
  return useLive(['event', id], () => readEvent(id), { everyMs: 10_000 });
}

/** The service shows single events by their proof, whose record is the event as it was sealed. */
async function readEvent(id: string): Promise<AuditEvent> {
  const proof = await call<Proof>('GET', `/v1/audit/events/${id}/proof`);
  const record = JSON.parse(proof.record) as Partial<AuditEvent> &
    Pick<AuditEvent, 'kind' | 'actor' | 'at' | 'data'>;
  const { grantId = null, paymentId = null, requestId = null, reason = null } = record;
  const { kind, actor, at, data } = record;
  const { treasuryId, leafIndex } = proof;
  return {
    id,
    treasuryId,
    kind,
    actor,
    at,
    grantId,
    paymentId,
    requestId,
    reason,
    data,
    leafIndex,
  };
}

/** Filters of a report of spend. */
export interface SpendFilter {
  readonly from?: string;
  readonly to?: string;
  readonly grantId?: string;
  readonly treasuryId?: string;
}

/** A report of spend: its first 1,000 groups, which are all of most reports. */
export function useSpend(by: readonly string[], filter: SpendFilter, isOn = true) {
  return useLive(
    ['spend', by, filter],
    async (signal) => {
      const query = { ...filter, groupBy: by.join(',') };
      const path = '/v1/reports/spend';
      const { items, nextCursor } = await call<Answer<typeof path>>('GET', path, { query, signal });
      return { items, isCut: nextCursor !== null };
    },
    { isOn, everyMs: 5_000 },
  );
}

/** How far back "spending now" looks, in milliseconds. */
const RECENT_MS = 600_000;

/** Spend of the last ten minutes by grant, with its root and its holder. */
export function useRecentSpend() {
  return useLive(['recent-spend'], async (signal) => {
    const query = {
      groupBy: 'root,grant,holder',
      from: new Date(Date.now() - RECENT_MS).toISOString(),
    };
    const path = '/v1/reports/spend';
    return (await call<Answer<typeof path>>('GET', path, { query, signal })).items;
  });
}

/** Counts of refused payments of the last 24 hours, by code. */
export function useRefusals() {
  return useLive(
    ['refusals'],
    (signal) => call<Answer<'/v1/reports/refusals'>>('GET', '/v1/reports/refusals', { signal }),
    { everyMs: 5_000 },
  );
}

/** How many grants of a report are called by their holder's name. */
const MOST_NAMED = 60;

/** Holders by grant. The holder of a grant never changes. */
const holderOf = new Map<string, string>();

/** Names of the grants of a report, as far as the caller may see them. */
export function useHolders(by: readonly string[], items: readonly Pick<SpendItem, 'group'>[]) {
  const dimensions = by.filter((each) => each === 'grant' || each === 'root');
  const ids = dimensions.flatMap((dimension) => items.map(({ group }) => group[dimension] ?? ''));
  const wanted = [...new Set(ids)].filter((id) => id !== '').slice(0, MOST_NAMED);
  useLive(
    ['holders', wanted],
    async () => {
      const unknown = wanted.filter((id) => !holderOf.has(id));
      const grants = await Promise.all(unknown.map((id) => readGrant(id).catch(() => undefined)));
      for (const grant of grants) if (grant) holderOf.set(grant.id, grant.holder);
      return wanted.map((id) => holderOf.get(id) ?? null);
    },
    { isOn: wanted.length > 0, everyMs: 60_000 },
  );
  return holderOf as ReadonlyMap<string, string>;
}

/** Names of the labels that the newest grants have. */
export function useLabelKeys(): readonly string[] {
  const { data } = useLive(
    ['label-keys'],
    async (signal) => {
      const { items } = await readGrants({}, { signal });
      return [...new Set(items.flatMap(({ labels }) => Object.keys(labels)))].sort();
    },
    { everyMs: 60_000 },
  );
  return data ?? [];
}

/** The most webhooks that are read. A treasury has a bound of its own. */
const MOST_WEBHOOKS = 1_000;

/** The webhooks that the caller may see, the newest first. */
export function useWebhooks() {
  return useLive(
    ['webhooks'],
    async (signal) => {
      const items: Webhook[] = [];
      let cursor: string | null | undefined;
      do {
        const query = { limit: PAGE, ...(cursor ? { cursor } : {}) };
        const page = await call<Page<Webhook>>('GET', '/v1/webhooks', { query, signal });
        items.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== null && items.length < MOST_WEBHOOKS);
      return items;
    },
    { everyMs: 5_000 },
  );
}

/** One webhook. */
export function useWebhook(id: string) {
  return useLive(
    ['webhook', id],
    async (signal) =>
      (await call<Answer<'/v1/webhooks/{id}'>>('GET', `/v1/webhooks/${id}`, { signal })).webhook,
    { everyMs: 5_000 },
  );
}

/** A page of the deliveries of a webhook, the newest first. */
export function readDeliveries(
  id: string,
  status: string,
  { cursor, signal }: { cursor?: string; signal?: AbortSignal } = {},
): Promise<Page<Delivery>> {
  const query = { limit: 50, status, cursor };
  return call('GET', `/v1/webhooks/${id}/deliveries`, { query, ...(signal ? { signal } : {}) });
}

/** How many of the newest trips are looked at. */
const MOST_TRIPS = 20;

/** A grant that its breaker suspended and nobody resumed. */
export interface Trip {
  readonly grant: Grant;
  readonly event: AuditEvent;
}

/** The grants that their breakers keep suspended. */
export function useTrips() {
  return useLive(
    ['trips'],
    async (signal) => {
      const filter = { kind: 'grant.tripped' };
      const { items } = await readEvents(filter, { limit: MOST_TRIPS, signal });
      const newest = new Map(items.toReversed().map((event) => [event.grantId, event]));
      const trips = await Promise.all([...newest.values()].map((each) => readTrip(each, signal)));
      return trips.filter((trip) => trip !== undefined);
    },
    { everyMs: 10_000 },
  );
}

/** A trip that still holds: a grant above may be what suspends it by now. */
async function readTrip(event: AuditEvent, signal: AbortSignal): Promise<Trip | undefined> {
  const { grantId, at } = event;
  const grant = grantId === null ? undefined : await readGrant(grantId).catch(() => undefined);
  if (grant?.status !== 'suspended') return undefined;
  const filter = { kind: 'grant.resumed', grantId: grant.id, from: at };
  // Those of the grants below are found too.
  const { items } = await readEvents(filter, { limit: PAGE, signal });
  return items.some((each) => each.grantId === grant.id) ? undefined : { grant, event };
}
