import type { Agents } from './agents.js';
import { drained, violations } from './check.js';
import type { Fault, Injected } from './fault.js';
import { random } from './random.js';
import type { FaultPart } from './report.js';
import type { Stack } from './stack.js';
import { allReady } from './supervised.js';
import { add, noCounts } from './tally.js';
import { until } from './until.js';

/** How long everything may take to be well again after a run that failed, in milliseconds. */
const PATIENCE_MS = 180_000;

/** How long what is open may take to end when nobody pays any more: validity, finality and 60 s. */
const AT_REST_MS = 90_000;

/** Settings of a fault's runs. */
export interface Runs {
  readonly runs: number;
  readonly seed: number;
  readonly isShort: boolean;
  /** Lets everything come to rest after the last run, and checks once more. */
  readonly rests: boolean;
  readonly progress: (what: string) => void;
}

/** Injects a fault again and again under load: each time until it is over, and then the checker. */
export async function runFault(
  stack: Stack,
  agents: Agents,
  fault: Fault,
  { runs, seed, isShort, rests, progress }: Runs,
): Promise<FaultPart> {
  const began = performance.now();
  const counts = noCounts();
  const recoverySeconds: Record<string, number[]> = {};
  const failures: string[] = [];
  const broken: string[] = [];
  const chance = random(seed, fault.name);
  for (let run = 0; run < runs; run += 1) {
    const window = stack.tally.open();
    let injected: Injected | undefined;
    const wrong: string[] = [];
    try {
      injected = await fault.inject({ stack, agents, random: chance, run, isShort });
      wrong.push(...injected.failures);
    } catch (error) {
      wrong.push(error instanceof Error ? error.message : String(error));
      await heal(stack);
    }
    const ofRun = await window.close();
    add(counts, ofRun);
    if (injected) {
      const { kind } = injected;
      recoverySeconds[kind] = [...(recoverySeconds[kind] ?? []), injected.recoverySeconds];
    }
    const dropped = ofRun.failures.dropped ?? 0;
    if (fault.dropped !== undefined && dropped > fault.dropped) {
      wrong.push(`${dropped} requests were dropped`);
    }
    const over = performance.now();
    const found = await violations(stack, 'fresh');
    const checked = ((performance.now() - over) / 1_000).toFixed(1);
    broken.push(...found.map((each) => `run ${run + 1}: ${each}`));
    failures.push(
      ...wrong.map((each) => `run ${run + 1} (${injected?.kind ?? 'broken off'}): ${each}`),
    );
    const after = injected
      ? `${injected.kind}, well after ${injected.recoverySeconds.toFixed(1)} s`
      : '';
    const told = [...wrong, ...found].map((each) => `\n  ${each}`).join('');
    progress(`${fault.name} ${run + 1} of ${runs}: ${after}; checked in ${checked} s${told}`);
  }
  if (fault.answeredShare !== undefined) {
    const waited = counts.requests - counts.lost;
    const share = counts.answered / Math.max(1, waited);
    if (share < fault.answeredShare) {
      failures.push(`${(share * 100).toFixed(3)} % of ${waited} requests were answered`);
    }
  }
  if (rests) broken.push(...(await atRest(stack, agents)));
  return {
    name: fault.name,
    what: fault.what,
    pass: fault.pass,
    queues: stack.queues,
    seeds: [seed],
    runs,
    seconds: (performance.now() - began) / 1_000,
    counts,
    recoverySeconds,
    failures,
    violations: broken,
  };
}

/** Waits until nothing is open, sealed or waiting any more, and checks that: what is left then stays. */
export async function atRest(stack: Stack, agents: Agents): Promise<string[]> {
  await agents.pause();
  try {
    await until('every payment has ended', AT_REST_MS, async () => {
      const { rows } = await stack.db.query<{ open: number }>(
        `SELECT count(*)::int AS open FROM payments WHERE status = 'authorized'`,
      );
      if (rows[0]?.open === 0) return true;
      throw new Error(`${rows[0]?.open} are open`);
    });
    await drained(stack, 0, AT_REST_MS);
    return await violations(stack, 'all');
  } catch (error) {
    return [
      `I9: ${error instanceof Error ? error.message : error}`,
      ...(await violations(stack, 'all')),
    ];
  } finally {
    agents.resume();
  }
}

/** Takes back whatever a run that broke off may have left. */
async function heal(stack: Stack): Promise<void> {
  for (const each of stack.processes) {
    each.database.tap(undefined);
    each.database.delay(0);
    each.database.swallow(false);
    each.signal('SIGCONT');
  }
  for (const rpc of stack.rpcs) rpc.fault = undefined;
  stack.redis?.signal('SIGCONT');
  if (!stack.postgres.isUp()) await stack.restartPostgres();
  await allReady(stack.processes, PATIENCE_MS).catch(async (error: Error) => {
    const words = await Promise.all(stack.processes.map((each) => each.lastWords()));
    throw new Error(`${error.message}; the logs end:\n${words.join('\n')}`);
  });
}
