import { hash } from 'node:crypto';
import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import {
  declaredElsewhere,
  parseResource,
  type Resource,
  type Scope,
  scopeRefuses,
} from '../domain/scope.js';

/** What a record says that cannot be true together with those before it. One line. */
export class Contradiction extends Error {
  override readonly name = 'Contradiction';
}

/** An audit record, as far as its form was checked. */
export interface AuditRecord {
  readonly id: string;
  readonly treasuryId: string;
  readonly kind: string;
  readonly actor: string;
  readonly at: string;
  readonly grantId: string | null;
  readonly paymentId: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A payment as its decision has it, for comparing it with the chain. */
export interface ReplayedPayment {
  readonly paymentId: string;
  /** The grants that allowed it, from the root down. */
  readonly grants: readonly string[];
  readonly network: string;
  readonly asset: string;
  readonly from: string;
  readonly to: string;
  /** Atomic units. */
  readonly value: bigint;
  readonly nonce: string;
}

/** What became of a payment. */
export interface PaymentEnding {
  readonly payment: ReplayedPayment;
  readonly kind: 'payment.settled' | 'payment.released' | 'payment.cancelled';
  readonly transaction: string | null;
}

interface Window {
  readonly milliseconds: number;
  readonly amount: bigint | undefined;
  readonly payments: number | undefined;
  /** What the last period that saw a payment has taken. */
  period: number;
  taken: bigint;
  count: number;
}

interface Grant {
  readonly id: string;
  readonly path: readonly Grant[];
  readonly currency: string;
  readonly budget: bigint;
  readonly maxPerPayment: bigint | undefined;
  readonly maxPayments: number | undefined;
  readonly approvalAbove: bigint | undefined;
  readonly windows: readonly Window[];
  readonly scope: Scope;
  readonly startsAt: number;
  readonly expiresAt: number;
  /** Whether its budget was set aside on the grants above it. */
  readonly isCarveOut: boolean;
  status: 'active' | 'suspended' | 'revoked' | 'returned';
  reserved: bigint;
  spent: bigint;
  allocated: bigint;
  payments: number;
}

interface OpenPayment extends ReplayedPayment {
  readonly grant: Grant;
  readonly decidedAt: number;
}

/**
 * Does everything again that a log tells of, and finds what could not have happened: money beyond a
 * budget, a count or a window, a payment by a grant that is unknown, ended or out of scope, a nonce
 * that is not its decision's hash, an end without a beginning. It shares no code with the ledger.
 *
 * Records are taken in the order of the log. Events of one grant or payment stand in it as they
 * happened, because each was written under the lock of what it changed; nothing is concluded from the
 * order of others.
 */
export class Replay {
  readonly #grants = new Map<string, Grant>();
  readonly #wallets = new Set<string>();
  readonly #open = new Map<string, OpenPayment>();
  readonly #ended = new Set<string>();
  /** Payments that waited for an approval, and what became of it. */
  readonly #waited = new Map<string, string>();
  readonly #ids = new Set<string>();
  readonly #counts = new Map<string, number>();
  readonly #unknown = new Set<string>();

  /** How many records of each kind there were. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** The kinds that were not replayed, because this version does not know them. */
  get unknownKinds(): readonly string[] {
    return [...this.#unknown].sort();
  }

  /** The payments that are signed and have no end yet. */
  get open(): ReadonlyMap<string, ReplayedPayment> {
    return this.#open;
  }

  /** The wallets the treasury had. */
  get wallets(): ReadonlySet<string> {
    return this.#wallets;
  }

  /** What of a grant the log comes to; for tests and curious readers. Atomic units. */
  grant(id: string): Pick<Grant, 'reserved' | 'spent' | 'allocated' | 'payments'> | undefined {
    return this.#grants.get(id);
  }

  /**
   * Takes the next record.
   *
   * @returns the end of a payment, when the record is one.
   * @throws Contradiction
   */
  apply(record: AuditRecord): PaymentEnding | undefined {
    if (this.#ids.has(record.id)) throw new Contradiction(`event ${record.id} is there twice`);
    this.#ids.add(record.id);
    this.#counts.set(record.kind, (this.#counts.get(record.kind) ?? 0) + 1);
    switch (record.kind) {
      case 'wallet.added':
        this.#wallets.add(text(record.data.address, 'address'));
        return;
      case 'grant.minted':
      case 'grant.delegated':
        return this.minted(record);
      case 'grant.suspended':
      case 'grant.resumed':
      case 'grant.revoked':
        return this.lived(record);
      case 'grant.returned':
        return this.returned(record);
      case 'payment.pending':
      case 'payment.approved':
      case 'payment.rejected':
        return this.waited(record);
      case 'payment.authorized':
        return this.authorized(record);
      case 'payment.settled':
      case 'payment.released':
      case 'payment.cancelled':
        return this.ended(record, record.kind);
      default:
        if (!WITHOUT_EFFECT.has(record.kind)) this.#unknown.add(record.kind);
    }
  }

  private minted({ grantId, kind, data }: AuditRecord): undefined {
    const id = text(grantId, 'grantId');
    if (this.#grants.has(id)) throw new Contradiction(`grant ${id} is minted a second time`);
    const isChild = kind === 'grant.delegated';
    if (isChild !== (data.parentId !== null)) {
      throw new Contradiction(
        `grant ${id} is ${isChild ? 'delegated without' : 'minted with'} a parent`,
      );
    }
    const parent = isChild ? this.known(data.parentId) : undefined;
    const ancestors = parent?.path ?? [];
    for (const each of ancestors) requireStatus(each, ['active', 'returned'], `delegates ${id}`);
    const grant: Omit<Grant, 'path'> & { path: Grant[] } = {
      id,
      path: [],
      currency: text(data.currency, 'currency'),
      budget: amount(data.budget, 'budget'),
      maxPerPayment: optionalAmount(data.maxPerPayment, 'maxPerPayment'),
      maxPayments: optionalCount(data.maxPayments, 'maxPayments'),
      approvalAbove: optionalAmount(data.approvalAbove, 'approvalAbove'),
      windows: windows(data.windows),
      scope: scope(data.scope),
      startsAt: time(data.startsAt, 'startsAt'),
      expiresAt: time(data.expiresAt, 'expiresAt'),
      isCarveOut: parent !== undefined && data.funding === 'reserved',
      status: 'active',
      reserved: 0n,
      spent: 0n,
      allocated: 0n,
      payments: 0,
    };
    if (parent && grant.currency !== parent.currency) {
      throw new Contradiction(`grant ${id} is kept in another currency than its parent`);
    }
    grant.path.push(...ancestors, grant);
    this.#grants.set(id, grant);
    if (!grant.isCarveOut) return;
    for (const each of bearing(ancestors)) {
      each.allocated += grant.budget;
      requireBudget(each, `grant ${id} is set aside`);
    }
  }

  private lived({ grantId, kind }: AuditRecord): undefined {
    const grant = this.known(grantId);
    if (kind === 'grant.revoked') {
      if (grant.status === 'revoked') throw new Contradiction(`grant ${grant.id} is revoked twice`);
      // What was given back stays so: a returned carve-out may be revoked, and pays no more either way.
      if (grant.status !== 'returned') grant.status = 'revoked';
    } else if (grant.status === 'revoked') {
      throw new Contradiction(`grant ${grant.id} is ${kind.slice(6)} after its revocation`);
    } else if (grant.status !== 'returned') {
      grant.status = kind === 'grant.suspended' ? 'suspended' : 'active';
    }
  }

  private returned({ grantId, data }: AuditRecord): undefined {
    const grant = this.known(grantId);
    const returned = amount(data.amount, 'amount');
    if (!grant.isCarveOut || grant.status === 'returned') {
      throw new Contradiction(`grant ${grant.id} returns money that is not set aside for it`);
    }
    if (grant.reserved !== 0n || returned > grant.budget - grant.spent) {
      throw new Contradiction(`grant ${grant.id} returns ${returned}, more than is left of it`);
    }
    const to = bearing(grant.path.slice(0, -1));
    if (JSON.stringify(data.to) !== JSON.stringify(to.map(({ id }) => id))) {
      throw new Contradiction(`grant ${grant.id} returns money to others than set it aside`);
    }
    for (const each of to) {
      each.allocated -= returned;
      if (each.allocated < 0n) throw new Contradiction(`grant ${each.id} gets back too much`);
    }
    grant.status = 'returned';
  }

  private waited({ paymentId, kind }: AuditRecord): undefined {
    const id = text(paymentId, 'paymentId');
    const before = this.#waited.get(id);
    const isFirst = kind === 'payment.pending';
    // Until it is handed over, an approval may be given anew or taken back.
    const isWaiting = before === 'payment.pending' || before === 'payment.approved';
    if (isFirst ? before !== undefined || this.isKnown(id) : !isWaiting) {
      throw new Contradiction(`payment ${id}: ${kind} after ${before ?? 'nothing'}`);
    }
    this.#waited.set(id, kind);
  }

  private authorized(record: AuditRecord): undefined {
    const { data } = record;
    const id = text(record.paymentId, 'paymentId');
    if (this.isKnown(id)) throw new Contradiction(`payment ${id} is authorized a second time`);
    const decision = object(data.decision, 'decision');
    const nonce = text(data.nonce, 'nonce');
    if (!isNonceOf(nonce, decision)) {
      throw new Contradiction(`payment ${id}: its nonce is not the hash of its decision`);
    }
    const grant = this.known(record.grantId);
    const grants = grant.path.map((each) => each.id);
    if (
      decision.paymentId !== id ||
      decision.treasuryId !== record.treasuryId ||
      JSON.stringify(decision.grants) !== JSON.stringify(grants)
    ) {
      throw new Contradiction(`payment ${id}: its decision is about another payment or chain`);
    }
    if (data.currency !== grant.currency) {
      throw new Contradiction(`payment ${id} is in another currency than grant ${grant.id}`);
    }
    const payment: OpenPayment = {
      paymentId: id,
      grants,
      network: text(decision.network, 'decision.network'),
      asset: text(decision.asset, 'decision.asset'),
      from: text(decision.from, 'decision.from'),
      to: text(decision.to, 'decision.to'),
      value: amount(decision.value, 'decision.value'),
      nonce,
      grant,
      decidedAt: time(decision.decidedAt, 'decision.decidedAt'),
    };
    if (!this.#wallets.has(payment.from)) {
      throw new Contradiction(`payment ${id} is from ${payment.from}, which is no wallet here`);
    }
    this.requireApproval(payment);
    requireClaims(data.chain, grant.path, id);
    const validBefore = amount(decision.validBefore, 'decision.validBefore');
    for (const each of grant.path) requireAllowed(each, payment, decision, validBefore);
    this.charge(payment);
    this.#open.set(id, payment);
  }

  private requireApproval({ paymentId, value, grant }: OpenPayment): void {
    const waited = this.#waited.get(paymentId);
    const asks = grant.path.find(
      ({ approvalAbove }) => approvalAbove !== undefined && value > approvalAbove,
    );
    if (waited === undefined ? asks !== undefined : waited !== 'payment.approved') {
      throw new Contradiction(
        `payment ${paymentId} is authorized without the approval that ${asks ? `grant ${asks.id} asks for` : 'it waited for'}`,
      );
    }
    this.#waited.delete(paymentId);
  }

  private charge(payment: OpenPayment): void {
    const { path } = payment.grant;
    const bears = new Set(bearing(path));
    for (const grant of path) {
      grant.reserved += payment.value;
      grant.payments += 1;
      // What is above a carve-out has set the money aside already.
      if (!bears.has(grant)) grant.allocated -= payment.value;
      if (grant.allocated < 0n) {
        throw new Contradiction(
          `payment ${payment.paymentId} spends more than grant ${grant.id} has set aside`,
        );
      }
      requireBudget(grant, `payment ${payment.paymentId}`);
      if (grant.maxPayments !== undefined && grant.payments > grant.maxPayments) {
        throw new Contradiction(
          `payment ${payment.paymentId} is number ${grant.payments} of grant ${grant.id}, which may make ${grant.maxPayments}`,
        );
      }
      for (const window of grant.windows) takeFrom(window, grant, payment);
    }
  }

  private ended(record: AuditRecord, kind: PaymentEnding['kind']): PaymentEnding {
    const id = text(record.paymentId, 'paymentId');
    const payment = this.#open.get(id);
    if (!payment) {
      const why = this.#ended.has(id) ? 'ends a second time' : 'ends and was never authorized';
      throw new Contradiction(`payment ${id} ${why}`);
    }
    const { grant, value, ...told } = payment;
    if (record.grantId !== grant.id || amount(record.data.value, 'value') !== value) {
      throw new Contradiction(`payment ${id} ends with another grant or amount than it began with`);
    }
    const isSettled = kind === 'payment.settled';
    const bears = new Set(bearing(grant.path));
    for (const each of grant.path) {
      each.reserved -= value;
      if (isSettled) {
        each.spent += value;
        continue;
      }
      each.payments -= 1;
      if (!bears.has(each)) each.allocated += value;
      for (const window of each.windows) {
        if (window.period !== periodOf(window, each, payment.decidedAt)) continue;
        window.taken -= value;
        window.count -= 1;
      }
    }
    this.#open.delete(id);
    this.#ended.add(id);
    const { transaction } = record.data;
    if (isSettled && typeof transaction !== 'string') {
      throw new Contradiction(`payment ${id} is settled by no transaction`);
    }
    return {
      payment: { ...told, value },
      kind,
      transaction: typeof transaction === 'string' ? transaction : null,
    };
  }

  private isKnown(paymentId: string): boolean {
    return this.#open.has(paymentId) || this.#ended.has(paymentId);
  }

  private known(id: unknown): Grant {
    const grant = this.#grants.get(text(id, 'grantId'));
    if (!grant) throw new Contradiction(`grant ${String(id)} was never minted`);
    return grant;
  }
}

/**
 * Whether a nonce is the hash of a decision's canonical JSON. A member of a canonical record is canonical
 * as it stands, but for names that look like numbers, which an object does not keep in their place.
 */
function isNonceOf(nonce: string, decision: unknown): boolean {
  return (
    nonce === `0x${hash('sha256', JSON.stringify(decision))}` ||
    nonce === `0x${sha256Hex(canonicalJson(decision))}`
  );
}

/** Kinds that move no money and no authority. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'admin.signed_in',
  'treasury.created',
  'grant.token_reissued',
  'payment.refused',
  'payment.refused_more',
  'payment.seen',
  'payment.receipt',
  'wallet.code_seen',
  'wallet.code_gone',
  'grant.token_revoked',
  'key.created',
  'key.retired',
  'admin.token_minted',
  'admin.token_revoked',
]);

/**
 * The grants of a chain that bear a payment of its last one themselves: the deepest carve-out and all
 * below it, or the whole chain.
 */
function bearing(chain: readonly Grant[]): readonly Grant[] {
  for (let at = chain.length - 1; at > 0; at -= 1) {
    if (chain[at]?.isCarveOut) return chain.slice(at);
  }
  return chain;
}

function requireBudget(grant: Grant, what: string): void {
  const { reserved, spent, allocated, budget } = grant;
  if (reserved + spent + allocated <= budget) return;
  throw new Contradiction(
    `${what} overspends grant ${grant.id}: ${reserved} reserved, ${spent} spent and ${allocated} set aside of ${budget}`,
  );
}

function requireStatus(grant: Grant, allowed: readonly Grant['status'][], what: string): void {
  if (allowed.includes(grant.status)) return;
  throw new Contradiction(`grant ${grant.id} ${what}, but is ${grant.status}`);
}

/** That one grant of the chain allowed the payment, its counters aside. */
function requireAllowed(
  grant: Grant,
  payment: OpenPayment,
  decision: Readonly<Record<string, unknown>>,
  validBefore: bigint,
): void {
  const { paymentId, value, decidedAt } = payment;
  requireStatus(grant, ['active'], `pays ${paymentId}`);
  if (decidedAt < grant.startsAt || decidedAt >= grant.expiresAt) {
    throw new Contradiction(`payment ${paymentId} is outside the life of grant ${grant.id}`);
  }
  if (validBefore * 1000n > BigInt(grant.expiresAt)) {
    throw new Contradiction(`payment ${paymentId} stays valid longer than grant ${grant.id} lives`);
  }
  if (grant.maxPerPayment !== undefined && value > grant.maxPerPayment) {
    throw new Contradiction(
      `payment ${paymentId} of ${value} is more than the ${grant.maxPerPayment} grant ${grant.id} allows at once`,
    );
  }
  const resources = grant.scope.resources ? resourcesOf(decision, paymentId) : [];
  const { network, to: payTo } = payment;
  const refused = scopeRefuses(grant.scope, { network, payTo, resources });
  if (refused) {
    throw new Contradiction(
      `payment ${paymentId} is outside the scope (${refused}) of grant ${grant.id}`,
    );
  }
}

/** What of a decision must be in scope: the URL that was asked, and a declared one of another public host. */
function resourcesOf(decision: Readonly<Record<string, unknown>>, paymentId: string): Resource[] {
  const request = object(decision.request, 'decision.request');
  const asked = parseResource(text(request.url, 'decision.request.url'));
  if (!asked) throw new Contradiction(`payment ${paymentId} is for no URL`);
  const declared = typeof decision.resource === 'string' ? decision.resource : undefined;
  const elsewhere = declaredElsewhere(declared, asked);
  return elsewhere ? [asked, elsewhere] : [asked];
}

/** That the grants were, before the payment, what its record says they were. */
function requireClaims(claims: unknown, path: readonly Grant[], paymentId: string): void {
  // Records of before this member was written have none.
  if (claims === undefined) return;
  if (!Array.isArray(claims) || claims.length !== path.length) {
    throw new Contradiction(`payment ${paymentId}: its record tells of another chain`);
  }
  for (const [at, grant] of path.entries()) {
    const claim = object(claims[at], 'chain');
    const told = { ...claim, payments: String(claim.payments) } as Record<string, unknown>;
    for (const member of ['id', 'budget', 'reserved', 'spent', 'allocated', 'payments'] as const) {
      if (told[member] === String(grant[member])) continue;
      throw new Contradiction(
        `payment ${paymentId}: its record says ${member} ${String(told[member])} of grant ${grant.id}, and the log comes to ${String(grant[member])}`,
      );
    }
  }
}

function takeFrom(
  window: Window,
  grant: Grant,
  { paymentId, value, decidedAt }: OpenPayment,
): void {
  const period = periodOf(window, grant, decidedAt);
  // A clock that was set back opens no period anew: the later one goes on counting.
  if (period > window.period) Object.assign(window, { period, taken: 0n, count: 0 });
  window.taken += value;
  window.count += 1;
  const isOver =
    (window.amount !== undefined && window.taken > window.amount) ||
    (window.payments !== undefined && window.count > window.payments);
  if (!isOver) return;
  throw new Contradiction(
    `payment ${paymentId} overruns a window of grant ${grant.id}: ${window.taken} in ${window.count} payments within ${window.milliseconds / 1000} s`,
  );
}

/** Periods follow one another from the grant's start. */
function periodOf({ milliseconds }: Window, { startsAt }: Grant, at: number): number {
  return Math.max(0, Math.floor((at - startsAt) / milliseconds));
}

function windows(value: unknown): Window[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Contradiction('windows is not a list');
  return value.map((each) => {
    const { seconds, ...bounds } = object(each, 'windows');
    return {
      milliseconds: (optionalCount(seconds, 'windows.seconds') || Number.NaN) * 1000,
      amount: optionalAmount(bounds.amount, 'windows.amount'),
      payments: optionalCount(bounds.payments, 'windows.payments'),
      period: 0,
      taken: 0n,
      count: 0,
    };
  });
}

function scope(value: unknown): Scope {
  const lists = Object.entries(object(value, 'scope')).map(([name, list]) => {
    if (!Array.isArray(list) || list.some((each) => typeof each !== 'string')) {
      throw new Contradiction(`scope.${name} is not a list of texts`);
    }
    return [name, list as string[]];
  });
  return Object.fromEntries(lists) as Scope;
}

function object(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new Contradiction(`${name} is not an object`);
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new Contradiction(`${name} is not a text`);
}

function amount(value: unknown, name: string): bigint {
  if (typeof value === 'string' && /^(0|[1-9][0-9]{0,77})$/.test(value)) return BigInt(value);
  throw new Contradiction(`${name} is not an amount`);
}

function optionalAmount(value: unknown, name: string): bigint | undefined {
  return value === undefined || value === null ? undefined : amount(value, name);
}

function optionalCount(value: unknown, name: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new Contradiction(`${name} is not a number`);
}

function time(value: unknown, name: string): number {
  const at = Date.parse(text(value, name));
  if (!Number.isNaN(at)) return at;
  throw new Contradiction(`${name} is not a time`);
}
