/** Chance that can be had again: the same seed makes the same choices. */
export interface Random {
  /** From 0 to below 1. */
  next(): number;
  /** A whole number from 0 to below `bound`. */
  below(bound: number): number;
  /** From `from` to below `to`. */
  between(from: number, to: number): number;
  pick<T>(list: readonly T[]): T;
  /** True so often. */
  chance(share: number): boolean;
}

/** Chance by Mulberry32, for a seed and what it is for: each use has a sequence of its own. */
export function random(seed: number, purpose: string): Random {
  let state = seed >>> 0;
  for (const char of purpose) state = (Math.imul(state ^ char.charCodeAt(0), 0x9e3779b1) + 1) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    below: (bound) => Math.floor(next() * bound),
    between: (from, to) => from + next() * (to - from),
    pick<T>(list: readonly T[]): T {
      const found = list[Math.floor(next() * list.length)];
      if (found === undefined) throw new Error('nothing to pick from');
      return found;
    },
    chance: (share) => next() < share,
  };
}
