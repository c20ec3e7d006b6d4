import { POLICY_DENIALS } from './problem.js';

/** Suspends a grant by itself when its subtree is refused so often in such a time. */
export interface Breaker {
  /** From 1 to {@link MAX_BREAKER_REFUSALS}. */
  readonly refusals: number;
  readonly seconds: number;
}

/** The most refusals that a breaker may count. */
export const MAX_BREAKER_REFUSALS = 100;

/** The longest time that a breaker may count over, in seconds. */
export const MAX_BREAKER_SECONDS = 86_400;

/** How events and rows name whoever suspends a grant that trips. */
export const BREAKER_ACTOR = 'system:breaker';

/** The denials that a breaker counts: by limits and scope. The end of a grant and an empty treasury are not the agent's doing. */
const COUNTED: ReadonlySet<string> = new Set(POLICY_DENIALS);

/** Whether a breaker counts a denial. */
export function isCountedByBreakers(code: string): boolean {
  return COUNTED.has(code);
}

/** A refusal as a breaker remembers it. */
export interface CountedRefusal {
  readonly at: Date;
}

/**
 * Counts one more refusal.
 *
 * @param before - the refusals counted so far, oldest first.
 * @returns the refusals that still matter, and whether this one trips the breaker: the last `refusals` of them lie
 *   within `seconds`.
 */
export function countRefusal<T extends CountedRefusal>(
  before: readonly T[],
  refusal: T,
  { refusals, seconds }: Breaker,
): { readonly counted: T[]; readonly trips: boolean } {
  const since = refusal.at.getTime() - seconds * 1000;
  const counted = [...before, refusal].slice(-refusals).filter(({ at }) => at.getTime() >= since);
  return { counted, trips: counted.length === refusals };
}

/** Whether a breaker lets more happen than its parent's. */
export function isWiderBreaker(child: Breaker | undefined, parent: Breaker): boolean {
  return child === undefined || child.refusals > parent.refusals || child.seconds < parent.seconds;
}
