import { setTimeout as delay } from 'node:timers/promises';
import { drained } from '../check.js';
import { type Fault, inTime, since } from '../fault.js';
import { fill } from '../servers.js';
import { allReady } from '../supervised.js';

const RECOVERED_SECONDS = 60;
const PATIENCE_MS = 150_000;
const STAYS_MS = 1_000;

const WAYS = ['tables', 'log'] as const;

/** No room is left under Postgres, neither for tables nor for its log. */
export const diskFull: Fault = {
  name: 'disk-full',
  what: 'disk full under Postgres for some seconds: no room for tables; none for its log, at which it ends',
  pass: 'no header without a committed row; recovered in 60 s once there is room',
  runs: 10,
  shortRuns: 1,
  smallDisk: true,
  async inject({ stack, random, run }) {
    const { postgres } = stack;
    if (!postgres.smallDisk) throw new Error('Postgres is on no small disk');
    const way = WAYS[(run + 1) % WAYS.length] ?? 'log';
    const empty = await fill(postgres.smallDisk);
    try {
      // Each switch needs a new segment of the log: without room for one, Postgres panics.
      for (let n = 0; way === 'log' && n < 12 && postgres.isUp(); n += 1) {
        const switched = stack.db.query('SELECT pg_switch_wal()').then(
          () => true,
          () => false,
        );
        if (!(await switched)) break;
        await delay(100);
      }
      await delay(random.between(2_000, 5_000));
    } finally {
      await empty();
    }
    const over = performance.now();
    if (!postgres.isUp()) {
      await postgres.end('SIGKILL');
      await stack.restartPostgres();
    }
    await allReady(stack.processes, PATIENCE_MS);
    const recoverySeconds = since(over) + (await drained(stack, STAYS_MS, PATIENCE_MS));
    return {
      kind: way,
      recoverySeconds,
      failures: inTime('recovering', recoverySeconds, RECOVERED_SECONDS),
    };
  },
};
