import type { Grant, GrantRequest, GrantTree, Page, Payment } from '@bursar/sdk';
import { useQuery } from '@tanstack/react-query';
import {
  type Answer,
  type AuditEvent,
  bursar,
  call,
  type PolicyReplay,
  type RevocationPreview,
  readGrant,
  type Summary,
  type Treasury,
  type Wallet,
} from './api.js';
import { useLive } from './live.js';
import { useMay } from './session.js';

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

/** A grant with everything below it, page by page up to `most`. */
export async function readTree(id: string, most: number): Promise<GrantTree> {
  let tree = await bursar.grants.tree(id, { limit: PAGE });
  const items = [...tree.items];
  while (tree.nextCursor !== null && items.length < most) {
    tree = await bursar.grants.tree(id, { limit: PAGE, cursor: tree.nextCursor });
    items.push(...tree.items);
  }
  return { ...tree, items };
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
  readonly grantId?: string;
  readonly status?: string;
  readonly idempotencyKey?: string;
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
