import { setTimeout as delay } from 'node:timers/promises';
import { type Fault, inTime, since } from '../fault.js';
import { allReady } from '../supervised.js';

const OUT_SECONDS = 15;
const PATIENCE_MS = 60_000;

/** A replica or a worker is told to stop, in the middle of it all. */
export const sigterm: Fault = {
  name: 'sigterm',
  what: 'SIGTERM under load, of an API (three of four) or a worker',
  pass: '0 dropped requests; out in 15 s with exit code 0 (the time is that until it is out)',
  runs: 50,
  shortRuns: 1,
  dropped: 0,
  async inject({ stack, random, run }) {
    const victim = random.pick(run % 4 === 3 ? stack.workers : stack.apis);
    await delay(random.between(0, 300));
    const end = victim.ended();
    const began = performance.now();
    victim.signal('SIGTERM');
    const { code, signal } = await end;
    const seconds = since(began);
    await allReady([victim], PATIENCE_MS);
    return {
      kind: victim.role,
      recoverySeconds: seconds,
      failures: [
        ...inTime('stopping', seconds, OUT_SECONDS),
        ...(code === 0 ? [] : [`it ended with ${signal ?? `code ${code}`}`]),
      ],
    };
  },
};
