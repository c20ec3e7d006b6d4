import { Problem } from './problem.js';

interface BoundedGrant {
  readonly id: string;
  /** 0 of a root. */
  readonly depth: number;
}

/** How much one grant with all below it, one root with all below it, and one treasury may have of something. */
export interface Bound {
  readonly grant: number;
  readonly root: number;
  readonly treasury: number;
}

/** The things that callers can make, and how many of each. Delegating gives nobody more: a grant's tree counts to it. */
export interface Bounds {
  /** Grants that are neither revoked nor expired. */
  readonly alive: Bound;
  /** Payments that wait for an approval, or were approved and not collected. */
  readonly waiting: Bound;
  /** Payments that are signed and have not ended. */
  readonly open: Bound;
  /** Events of an hour that record no movement of money. */
  readonly events: Bound;
  /** Characters of grants and of such events, in an hour. */
  readonly bytes: Bound;
}

/** The numbers of bounded things that a treasury has. */
export interface TreasuryUsage {
  readonly alive: number;
  readonly waiting: number;
  readonly openPayments: number;
}

/** The place that is at its bound: a grant of the chain, or, without an id, the treasury. */
export interface Full {
  readonly grantId: string | undefined;
  readonly limit: number;
}

/** The bound of one grant of a tree: below a root, at most half of what the root has. */
export function boundOf({ grant, root }: Bound, depth: number): number {
  return depth === 0 ? root : Math.min(grant, Math.floor(root / 2));
}

/**
 * Finds what cannot take more: the topmost grant of a chain, or the treasury.
 *
 * @param chain - from the root down.
 */
export function fullIn<G extends BoundedGrant>(
  bound: Bound,
  chain: readonly G[],
  countOf: (grant: G) => number,
  ofTreasury: number,
  more = 1,
): Full | undefined {
  for (const grant of chain) {
    const limit = boundOf(bound, grant.depth);
    if (countOf(grant) + more > limit) return { grantId: grant.id, limit };
  }
  return ofTreasury + more > bound.treasury
    ? { grantId: undefined, limit: bound.treasury }
    : undefined;
}

/**
 * The refusal of what would pass a bound. The bound itself is told of the caller's own grant only.
 *
 * @param what - plural, such as `payments wait for an approval`.
 */
export function tooMany(
  { grantId, limit }: Full,
  what: string,
  ownGrantId: string | undefined,
  retryAfterSeconds: number,
): Problem {
  const isOwn = grantId !== undefined && grantId === ownGrantId;
  const where =
    grantId === undefined ? 'this treasury' : `grant ${grantId} with all grants below it`;
  return new Problem(
    'rate_limited',
    `too many ${what} in ${where}; ask again when there are fewer`,
    {
      ...(grantId === undefined ? {} : { grantId }),
      ...(isOwn ? { limit: String(limit), remaining: '0' } : {}),
      retryAfterSeconds,
    },
  );
}
