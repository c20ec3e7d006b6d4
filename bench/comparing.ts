import { type Chain } from '../sandbox/chain.js';
import { paymentRequired } from './grants.js';
import { type Helper, type Lab, startHelper } from './lab.js';
import { type Growth, load } from './loading.js';
import { type Measured, openPaying, type Paying } from './payments.js';
import { findGuardrails } from './peers.js';
import { cpuBetween, cpuOf, postgresPids } from './processes.js';
import type { LedgerOrder, SignerOrder } from './protocol.js';
import { quantile, type Sample } from './sample.js';

/** Clients at once in every comparison. */
export const CLIENTS = 50;

/** How often things that are compared take turns, and for how long. */
export interface Turns {
  readonly rounds: number;
  readonly seconds: number;
}

/** Things measured in turns: the machine's moods come and go, and the ratio within a turn stays. */
export interface Comparison {
  /** Payments a second, by name, one a round. */
  readonly perSecond: Readonly<Record<string, readonly number[]>>;
  /** CPU milliseconds a payment, of all processes but the clients', by name, one a round. */
  readonly cpuMs: Readonly<Record<string, readonly number[]>>;
  /** The median over the rounds of the first's payments a second, divided by each other's. */
  readonly timesFaster: Readonly<Record<string, number>>;
  /** The median over the rounds of the first's CPU a payment, divided by each other's. */
  readonly timesCpu: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
  /** Measurements that could not be made, and why. */
  readonly leftOut: readonly string[];
}

/** Rate and CPU of one thing in one round. */
export type Reading = Pick<Sample, 'perSecond' | 'cpuMs'>;

/**
 * The service beside what signs without keeping anything, and beside the plain design and the group commit's own
 * SQL, which keep without HTTP.
 */
export async function comparePeers(
  lab: Lab,
  turns: Turns,
  progress: (what: string) => void,
): Promise<Comparison> {
  const guardrails = await findGuardrails(progress);
  const paying = await openPaying(lab, 'hot-root', 'api');
  const signers: Helper<SignerOrder, Sample> = startHelper('signers');
  const ledgers: Helper<LedgerOrder, Sample> = startHelper('ledgers', paying.world.environment);
  const required = paymentRequired(lab.chain);
  const { seconds } = turns;
  const controlled = (payments: number) =>
    'path' in guardrails
      ? () =>
          signers.run({
            paymentRequired: required,
            seconds,
            controlled: { guardrails: guardrails.path, payments },
          })
      : undefined;
  const write = (design: LedgerOrder['design']) => async () => {
    const postgres = async () => cpuOf(await postgresPids(paying.world.db));
    const before = await postgres();
    const found = await ledgers.run(ledgerOrder(lab.chain, paying, design, seconds));
    const ofPostgres = (cpuBetween(before, await postgres()) * 1_000) / found.count;
    paying.wrote(found.count);
    return { perSecond: found.perSecond, cpuMs: found.cpuMs + ofPostgres };
  };
  try {
    return await takeTurns(
      turns,
      {
        bursar: () => serve(paying, seconds),
        '@x402/core in memory': () => signers.run({ paymentRequired: required, seconds }),
        'cdp-sdk, 3,000 payments kept': controlled(3_000),
        'cdp-sdk, 30,000 payments kept': controlled(30_000),
        'one Prisma transaction each': write('plain'),
        'group commit without HTTP': write('group commit'),
      },
      [paying],
      progress,
      'path' in guardrails ? [] : [guardrails.reason],
    );
  } finally {
    await signers.stop();
    await ledgers.stop();
    await paying.stop();
  }
}

/** The cost of depth: grants at depth 8 pay, and grants at depth 1. */
export async function compareDepths(
  lab: Lab,
  turns: Turns,
  progress: (what: string) => void,
): Promise<Comparison> {
  const deep = await openPaying(lab, 'depth-8', 'api');
  const flat = await openPaying(lab, 'hot-root', 'api');
  try {
    const readings = {
      'depth 8': () => serve(deep, turns.seconds),
      'depth 1': () => serve(flat, turns.seconds),
    };
    return await takeTurns(turns, readings, [deep, flat], progress);
  } finally {
    await deep.stop();
    await flat.stop();
  }
}

/** The cost of a history: an empty database, and one that was filled before. */
export async function compareGrowth(
  lab: Lab,
  growth: Growth,
  turns: Turns,
  progress: (what: string) => void,
): Promise<Comparison> {
  progress(`loading ${growth.grants} grants and ${growth.payments} payments`);
  const full = await openPaying(lab, 'hot-root', 'api', {
    prepare: ({ db }) => load(db, growth),
  });
  const empty = await openPaying(lab, 'hot-root', 'api');
  try {
    const readings = {
      full: () => serve(full, turns.seconds),
      empty: () => serve(empty, turns.seconds),
    };
    return await takeTurns(turns, readings, [full, empty], progress);
  } finally {
    await full.stop();
    await empty.stop();
  }
}

/** One reading of a world that pays. */
export async function serve(paying: Paying, seconds: number): Promise<Reading> {
  const found: Measured = await paying.load({ clients: CLIENTS, warmUpSeconds: 0.3, seconds });
  if (found.errors.length > 0) throw new Error(`payments were refused: ${found.errors[0]?.what}`);
  const { api, worker, postgres } = found.cpuMs;
  return { perSecond: found.perSecond, cpuMs: api + worker + postgres };
}

/** Rounds that are forgotten: until then code that has run seldom is still getting faster. */
const WARM_UP_ROUNDS = 3;

/**
 * Takes readings in turns.
 *
 * @param worlds - whose invariants must hold at the end.
 */
export async function takeTurns(
  { rounds }: Turns,
  readings: Readonly<Record<string, (() => Promise<Reading>) | undefined>>,
  worlds: readonly Paying[],
  progress: (what: string) => void,
  leftOut: readonly string[] = [],
): Promise<Comparison> {
  const perSecond: Record<string, number[]> = {};
  const cpuMs: Record<string, number[]> = {};
  for (let round = 1 - WARM_UP_ROUNDS; round <= rounds; round += 1) {
    for (const [name, read] of Object.entries(readings)) {
      if (!read) continue;
      const found = await read();
      if (round < 1) continue;
      progress(`  round ${round}, ${name}: ${found.perSecond.toFixed(0)}/s`);
      perSecond[name] = [...(perSecond[name] ?? []), found.perSecond];
      cpuMs[name] = [...(cpuMs[name] ?? []), found.cpuMs];
    }
  }
  const violations: string[] = [];
  for (const world of worlds) violations.push(...(await world.violations()));
  return {
    perSecond,
    cpuMs,
    timesFaster: ratios(perSecond),
    timesCpu: ratios(cpuMs),
    violations,
    leftOut,
  };
}

/** The median, over rounds, of the first's figure divided by each other's. */
function ratios(figures: Readonly<Record<string, readonly number[]>>): Record<string, number> {
  const [first = [], ...others] = Object.values(figures);
  const names = Object.keys(figures).slice(1);
  return Object.fromEntries(
    names.map((name, place) => {
      const rounds = first.map((figure, round) => figure / (others[place]?.[round] ?? Number.NaN));
      return [name, quantile(rounds, 0.5)];
    }),
  );
}

/** Order by which the grants of a shape pay without HTTP. */
export function ledgerOrder(
  chain: Chain,
  { grants }: Paying,
  design: LedgerOrder['design'],
  seconds: number,
): LedgerOrder {
  const { accepts, resource } = paymentRequired(chain);
  const [requirement] = accepts;
  if (!requirement) throw new Error('the seller accepts nothing');
  return {
    design,
    grantIds: grants.map(({ id }) => id),
    requirement,
    url: resource.url,
    clients: CLIENTS,
    seconds,
  };
}
