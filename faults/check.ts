import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { FINALITY_BLOCKS, type Stack } from './stack.js';
import { until } from './until.js';

/** bin/bursar.mjs of this project. */
const BURSAR = fileURLToPath(new URL('../../bin/bursar.mjs', import.meta.url));

/** How long the checker may take, in milliseconds. */
const CHECK_TIMEOUT_MS = 600_000;

/** The members of the checker's answer that are read here. */
interface CheckAnswer {
  readonly error?: string;
  readonly invariants?: readonly {
    readonly id: string;
    readonly status: 'holds' | 'broken' | 'unchecked';
    readonly violations: number;
    readonly offenders: readonly {
      readonly id: string;
      readonly what: string;
      readonly detail: string;
    }[];
    readonly unchecked: readonly string[];
  }[];
}

/**
 * Everything that is wrong now: what the clients saw, and what `bursar check` finds in the database, on the
 * chain and in the clients' headers. One line each, none when all is well.
 *
 * @param headers - those that came since the last check, or all there are.
 */
export async function violations(stack: Stack, headers: 'fresh' | 'all'): Promise<string[]> {
  const { account } = stack;
  const seen = await account.check(stack.db);
  if (headers === 'all') return [...seen, ...(await bursarCheck(stack, account.file))];
  // Some may come meanwhile: they are of the next check.
  const file = account.takeFresh();
  return [...seen, ...(await bursarCheck(stack, file))];
}

async function bursarCheck({ postgres, chain }: Stack, headers: string): Promise<string[]> {
  const stdout = await run([
    ...['check', '--json', '--database-url', postgres.url],
    ...['--rpc', `${chain.network}=${chain.rpcUrl}`],
    ...['--finality', `${chain.network}=${FINALITY_BLOCKS}`],
    ...['--headers', headers],
  ]);
  const { invariants, error } = JSON.parse(stdout) as CheckAnswer;
  if (!invariants) return [`the checker failed: ${error}`];
  return invariants.flatMap(({ id, status, violations: count, offenders, unchecked }) => {
    if (status === 'holds') return [];
    const named = offenders.map(({ id: who, what, detail }) => `${id}: ${who} ${what} ${detail}`);
    const more = count > named.length ? [`${id}: and ${count - named.length} more`] : [];
    return [...named, ...more, ...unchecked.map((why) => `${id} was not checked: ${why}`)];
  });
}

function run(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME };
    const options = { env, timeout: CHECK_TIMEOUT_MS, maxBuffer: 1 << 26 };
    execFile(process.execPath, [BURSAR, ...args], options, (error, stdout, stderr) => {
      // It exits 1 for what is broken, and says what.
      if (stdout.trim() !== '') resolve(stdout);
      else reject(new Error(`the checker said nothing: ${stderr || error?.message}`));
    });
  });
}

/** Work is late when an event is not sealed after so many seconds… */
const EVENT_LATE_SECONDS = 5;
/** …or a payment open so many seconds after its end: finality, and some. */
const PAYMENT_LATE_SECONDS = 10;

/** How late the work behind the payments is, as words; undefined when it is not. */
async function lateness({ db }: Stack): Promise<string | undefined> {
  const { rows } = await db.query<{ event: number; payment: number }>(
    `SELECT (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)
         FROM unsealed_events JOIN events USING (treasury_id, seq))::float8 AS event,
       (SELECT coalesce(extract(epoch FROM clock_timestamp()) - min(valid_before), 0)
         FROM payments WHERE status = 'authorized')::float8 AS payment`,
  );
  const { event, payment } = rows[0] ?? { event: Number.NaN, payment: Number.NaN };
  if (event <= EVENT_LATE_SECONDS && payment <= PAYMENT_LATE_SECONDS) return undefined;
  return `an event waits for ${event.toFixed(0)} s, a payment is ${payment.toFixed(0)} s past its end`;
}

/**
 * Waits until the backlog is drained: nothing that workers do is late, and it stays so for a while.
 *
 * @returns after how many seconds nothing was late any more.
 */
export async function drained(stack: Stack, staysMs: number, withinMs: number): Promise<number> {
  const began = performance.now();
  let well = began;
  await until('what waited is sealed and settled', withinMs, async () => {
    try {
      const late = await lateness(stack);
      if (late !== undefined) throw new Error(late);
    } catch (error) {
      well = performance.now();
      throw error;
    }
    return performance.now() - well >= staysMs;
  });
  return (well - began) / 1_000;
}
