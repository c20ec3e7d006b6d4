import { describe, expect, it } from '@jest/globals';
import { RandomHistory } from '../../test/support/random-history.js';
import { Contradiction, Replay } from './replay.js';

/** How many random histories are tried; more by hand: `BURSAR_AUDIT_HISTORIES=10000 npm test -- impossible`. */
const HISTORIES = Number(process.env.BURSAR_AUDIT_HISTORIES ?? 100);
const PARTS = 4;
const SEED = Number(process.env.BURSAR_AUDIT_SEED ?? 1);

/** A history of up to 120 acts; the same for the same seed. */
function historyOf(seed: number): RandomHistory {
  const history = new RandomHistory(seed);
  for (let act = 0; act < 40 + (seed % 80); act += 1) history.act();
  return history;
}

function replayed(lines: readonly string[], seed: number): Replay {
  const replay = new Replay();
  lines.forEach((line, place) => {
    try {
      replay.apply(JSON.parse(line));
    } catch (error) {
      throw new Error(`seed ${seed}, record ${place}: ${error} of ${line}`);
    }
  });
  return replay;
}

describe('a random true history', () => {
  it(`is accepted, and refused with one impossible act at its end (${HISTORIES} of them)`, () => {
    const tried = new Map<string, number>();
    for (let seed = SEED; seed < SEED + HISTORIES; seed += 1) {
      // A part of them each time, so that all have their turn.
      const some = [...historyOf(seed).impossible().keys()].filter(
        (_, place) => (place + seed) % PARTS === 0,
      );
      for (const what of some) {
        tried.set(what, (tried.get(what) ?? 0) + 1);
        // Made anew: every act is told of as the next one.
        const history = historyOf(seed);
        const act = history.impossible().get(what);
        const replay = replayed(history.lines, seed);
        const line = act?.() ?? '';
        let found: unknown;
        try {
          replay.apply(JSON.parse(line));
        } catch (error) {
          found = error;
        }
        if (!(found instanceof Contradiction)) {
          throw new Error(`seed ${seed}: ${what} was accepted (${found}): ${line}`);
        }
      }
    }
    expect([...tried.keys()].length).toBeGreaterThanOrEqual(60);
  }, 300_000);
});
