import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 25;
/** More than the service takes to find and mend a schedule that was lost (20 s), on a busy machine. */
const TIMEOUT_MS = 40_000;

/**
 * Asks again and again until there is an answer.
 *
 * @param what - what is awaited, for the error.
 * @param condition - asked one call at a time; `undefined`, `false` and `null` mean "not yet".
 * @throws Error naming `what` when the time is over.
 */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false | null> | T | undefined | false | null,
  timeoutMs = TIMEOUT_MS,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const answer = await condition();
    if (answer !== undefined && answer !== false && answer !== null) return answer;
    await delay(POLL_MS);
  }
  throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
}
