import { cancelOn, releaseOn, reserveOn } from './charge.js';
import { limitDenial, scopeDenial } from './denials.js';
import type { GrantSnapshot } from './grant.js';
import type { Currency } from './money.js';
import type { PaymentOption } from './payment-option.js';
import { approvalBy } from './policy.js';
import type { PolicyDenialCode } from './problem.js';

/** A payment of the past, as it was decided. */
export interface PastPayment
  extends Pick<PaymentOption, 'amount' | 'network' | 'payTo' | 'resources'> {
  readonly id: string;
  /** When it was decided. */
  readonly at: Date;
  /** When it stopped holding money without spending it; undefined where it is open, or settled. */
  readonly gaveBackAt: Date | undefined;
  /** Whether a payment that gave its money back still counts as one: a cancelled one does. */
  readonly staysCounted: boolean;
  /** Whether a carve-out below the grant had set its money aside: the grant's own budget does not bound it then. */
  readonly isSetAside: boolean;
  /** Whether an approval was given for it. */
  readonly wasApproved: boolean;
}

/** A payment that the replayed terms refuse. */
export interface RefusedPayment {
  readonly payment: PastPayment;
  readonly code: PolicyDenialCode;
  /** The bound that was hit: currency units, a count, or a list. */
  readonly limit: string | undefined;
  readonly detail: string;
}

/** A number of payments and what they come to, in atomic units. */
export interface Sum {
  payments: number;
  amount: bigint;
}

/** Outcome of a replay. */
export interface PolicyReplay {
  readonly allowed: Sum;
  /** Those of them that would have waited for an approval, and did not have one. */
  readonly waiting: Sum;
  readonly refused: Sum;
  readonly refusedBy: ReadonlyMap<PolicyDenialCode, Sum>;
  /** The first refused ones, oldest first. */
  readonly examples: readonly RefusedPayment[];
}

/** How many refused payments a replay shows. */
export const REPLAY_EXAMPLES = 20;

/** How many payments a replay decides in one step. */
export const REPLAYED_AT_ONCE = 1_000;

/**
 * Decides payments of the past anew under one grant's terms. A payment that is refused takes nothing from what is
 * left for later ones, and one that gave its money back gives it back at the same time.
 *
 * Only this grant's scope, limits and approvals are asked. Its status and times are not: the question is what the terms
 * would have done. It comes back after each {@link REPLAYED_AT_ONCE} payments, so that its caller can let others have their turn.
 *
 * @param grant - with the terms to try, and with its counters as they were before the first payment.
 * @param payments - in the order in which they were decided.
 * @param from - those decided before it only count: they are what fills the windows at the beginning.
 */
export function* replaySteps(
  grant: GrantSnapshot,
  payments: readonly PastPayment[],
  currency: Currency,
  from: Date,
): Generator<void, PolicyReplay> {
  const allowed = nothing();
  const waiting = nothing();
  const refused = nothing();
  const refusedBy = new Map<PolicyDenialCode, Sum>();
  const examples: RefusedPayment[] = [];
  const returns = payments
    .filter(({ gaveBackAt }) => gaveBackAt !== undefined)
    .sort((a, b) => Number(a.gaveBackAt) - Number(b.gaveBackAt));
  const taken = new Set<string>();
  let state = grant;
  let returned = 0;
  for (const [place, payment] of payments.entries()) {
    if (place % REPLAYED_AT_ONCE === 0) yield;
    while (Number(returns[returned]?.gaveBackAt) < Number(payment.at)) {
      const back = returns[returned++];
      if (back && taken.has(back.id)) state = withReturned(state, back);
    }
    if (payment.at >= from) {
      const denial = denialOf(state, payment, currency);
      if (denial) {
        add(refused, payment.amount);
        const { code, limit, detail } = denial;
        const sum = refusedBy.get(code) ?? nothing();
        refusedBy.set(code, sum);
        add(sum, payment.amount);
        if (examples.length < REPLAY_EXAMPLES) {
          examples.push({ payment, code, limit, detail });
        }
        continue;
      }
      add(allowed, payment.amount);
      // Payees are not asked about: which of them the grant knew then is not told.
      const asks = approvalBy({ ...state, approveNewPayees: false }, payment, () => true);
      if (asks && !payment.wasApproved) add(waiting, payment.amount);
    }
    taken.add(payment.id);
    state = withTaken(state, payment);
  }
  return { allowed, waiting, refused, refusedBy, examples };
}

function denialOf(grant: GrantSnapshot, payment: PastPayment, currency: Currency) {
  return (
    scopeDenial([grant], payment, currency) ??
    limitDenial(chainOf(grant, payment), payment, currency, payment.at)
  );
}

function withTaken(grant: GrantSnapshot, payment: PastPayment): GrantSnapshot {
  return reserveOn(chainOf(grant, payment), payment.amount, payment.at)[0] ?? grant;
}

function withReturned(grant: GrantSnapshot, payment: PastPayment): GrantSnapshot {
  const chain = chainOf(grant, payment);
  const after = payment.staysCounted
    ? cancelOn(chain, payment.amount)
    : releaseOn(chain, payment.amount, payment.at);
  return after[0] ?? grant;
}

/** The grant, and below it a carve-out that bounds nothing where one had set the payment's money aside. */
function chainOf(grant: GrantSnapshot, { amount, isSetAside }: PastPayment): GrantSnapshot[] {
  if (!isSetAside) return [grant];
  const unbounded = { maxPerPayment: undefined, maxPayments: undefined, windows: [] };
  const unused = { reserved: 0n, spent: 0n, allocated: 0n, windowUsage: [] };
  return [grant, { ...grant, ...unbounded, ...unused, funding: 'reserved', budget: amount }];
}

function nothing(): Sum {
  return { payments: 0, amount: 0n };
}

function add(sum: Sum, amount: bigint): void {
  sum.payments += 1;
  sum.amount += amount;
}
