import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 50;

/** Something awaited did not come in time. */
class InVain extends Error {
  override readonly name = 'InVain';
}

/**
 * Asks again and again until there is an answer. What the question throws counts as "not yet", since what
 * is asked is often down, and is told when the time is over.
 *
 * @param what - what is awaited, for the error.
 * @param condition - asked one call at a time; `undefined` and `false` mean "not yet".
 * @throws InVain naming `what` when the time is over.
 */
export async function until<T>(
  what: string,
  timeoutMs: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const answer = await condition();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      last = error;
    }
    await delay(POLL_MS);
  }
  const why = last instanceof Error ? ` (last: ${last.message.split('\n')[0]})` : '';
  throw new InVain(`waited ${(timeoutMs / 1_000).toFixed(0)} s in vain until ${what}${why}`);
}
