import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds between two questions: a tenth of what was waited by then, within these. Asking costs this machine time. */
const POLL_MS = { least: 25, most: 250 };
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
  const began = performance.now();
  let waited = 0;
  while (waited < timeoutMs) {
    const answer = await condition();
    if (answer !== undefined && answer !== false && answer !== null) return answer;
    await delay(Math.min(POLL_MS.most, Math.max(POLL_MS.least, waited / 10)));
    waited = performance.now() - began;
  }
  throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
}
