import type { AmendableTerms, GrantSnapshot } from './grant.js';
import { type Currency, formatAmount } from './money.js';
import { Problem } from './problem.js';

/** Terms that are asked for. A member that is left out stays as it is; null takes a limit away. */
export interface TermsChange {
  readonly budget?: bigint | undefined;
  readonly maxPerPayment?: bigint | null | undefined;
  readonly maxPayments?: number | null | undefined;
  readonly approvalAbove?: bigint | null | undefined;
  readonly expiresAt?: Date | undefined;
}

/** The terms of a grant after an amendment. */
export interface AmendedTerms {
  readonly terms: AmendableTerms;
  /** The names of the terms that differ from those before. */
  readonly changed: readonly (keyof AmendableTerms)[];
  /** Those of them that allow more than before. */
  readonly raised: readonly (keyof AmendableTerms)[];
}

const NAMES = ['budget', 'maxPerPayment', 'maxPayments', 'approvalAbove', 'expiresAt'] as const;

/**
 * Amends the terms of a grant. A raise stays within the parent's terms of this moment. A lowering looks at no
 * child: every ancestor still decides each payment.
 *
 * @param chain - locked, from the root down, the grant itself last.
 * @throws Problem `invalid_transition` when the grant or one above it has ended, `attenuation_violation` for a raise
 *   beyond the parent, `conflict` for a lowering below what is already used.
 */
export function amend(
  chain: readonly (GrantSnapshot & { readonly returnedAt: Date | undefined })[],
  change: TermsChange,
  currency: Currency,
  now: Date,
): AmendedTerms {
  const grant = chain.at(-1);
  if (!grant) throw new Error('a chain has at least its grant');
  refuseEnded(chain, now);
  const limit = <T>(asked: T | null | undefined, present: T | undefined) =>
    asked === undefined ? present : (asked ?? undefined);
  const terms: AmendableTerms = {
    budget: change.budget ?? grant.budget,
    maxPerPayment: limit(change.maxPerPayment, grant.maxPerPayment),
    maxPayments: limit(change.maxPayments, grant.maxPayments),
    approvalAbove: limit(change.approvalAbove, grant.approvalAbove),
    expiresAt: change.expiresAt ?? grant.expiresAt,
  };
  const raised = NAMES.filter((name) => exceeds(terms[name], grant[name]));
  const lowered = NAMES.filter((name) => exceeds(grant[name], terms[name]));
  const parent = chain.at(-2);
  const show = (value: bigint | number | Date | undefined) => shown(value, currency);
  if (parent) {
    const wider = raised.find((name) => exceeds(terms[name], parent[name]));
    if (wider) {
      throw new Problem(
        'attenuation_violation',
        `${wider} is wider than its parent's (${show(parent[wider])}); a child grant never allows more than its parent`,
        { field: wider, grantId: parent.id, limit: show(parent[wider]) },
      );
    }
  }
  for (const name of lowered) {
    const floor = floorOf(grant, name, now);
    if (floor === undefined || !exceeds(floor, terms[name])) continue;
    throw new Problem(
      'conflict',
      `${name} of grant ${grant.id} cannot be lowered below ${show(floor)}, which is used already`,
      { field: name, grantId: grant.id, limit: show(floor) },
    );
  }
  return { terms, changed: [...raised, ...lowered], raised };
}

/**
 * Requires that a change raises something and lowers nothing: what a raise request may ask for.
 *
 * @throws Problem `conflict`, or `invalid_transition` when the grant or one above it has ended.
 */
export function requireRaise(
  chain: readonly (GrantSnapshot & { readonly returnedAt: Date | undefined })[],
  change: { readonly budget: bigint; readonly expiresAt: Date | undefined },
  currency: Currency,
  now: Date,
): void {
  const grant = chain.at(-1);
  if (!grant) throw new Error('a chain has at least its grant');
  refuseEnded(chain, now);
  const { budget, expiresAt = grant.expiresAt } = change;
  const asked = { budget, expiresAt };
  const lowered = (['budget', 'expiresAt'] as const).find((name) => asked[name] < grant[name]);
  if (!lowered && (budget > grant.budget || expiresAt > grant.expiresAt)) return;
  const field = lowered ?? 'budget';
  const limit = shown(grant[field], currency);
  throw new Problem(
    'conflict',
    lowered
      ? `the request lowers ${field}, which is ${limit} now; ask for the whole ${field} that the grant should have`
      : `the request raises nothing: grant ${grant.id} has a budget of ${limit} until ${shown(grant.expiresAt, currency)}`,
    { field, grantId: grant.id, limit },
  );
}

/** Whether a limit allows more than another; an absent one allows everything. */
function exceeds<T extends bigint | number | Date>(a: T | undefined, b: T | undefined): boolean {
  return b !== undefined && (a === undefined || a > b);
}

/** The least value of a term: what the grant has used of it. */
function floorOf(
  { reserved, spent, allocated, payments, startsAt }: GrantSnapshot,
  name: keyof AmendableTerms,
  now: Date,
): bigint | number | Date | undefined {
  if (name === 'budget') return reserved + spent + allocated;
  if (name === 'maxPayments') return payments;
  if (name !== 'expiresAt') return undefined;
  // A grant ends after it starts.
  return startsAt >= now ? new Date(startsAt.getTime() + 1) : now;
}

function shown(value: bigint | number | Date | undefined, currency: Currency): string {
  if (typeof value === 'bigint') return formatAmount(value, currency);
  return value instanceof Date ? value.toISOString() : String(value ?? 'none');
}

function refuseEnded(
  chain: readonly (GrantSnapshot & { readonly returnedAt: Date | undefined })[],
  now: Date,
): void {
  for (const { id, status, expiresAt, returnedAt } of chain) {
    const end =
      status === 'revoked'
        ? 'is revoked'
        : now >= expiresAt
          ? `expired at ${expiresAt.toISOString()}`
          : returnedAt && 'has given its money back';
    if (!end) continue;
    throw new Problem(
      'invalid_transition',
      `grant ${id} ${end}, so that nothing of it or below it can be amended; mint a new grant`,
      { grantId: id },
    );
  }
}
