import { AUTHORITY, AUTHORITY_COUNTS } from './authority.js';
import { BLOCKS, checkBlocks, checkDecimals } from './blocks.js';
import { type BlockHead, Chain, type NetworkChoice, shortly } from './chain.js';
import { checkColumns } from './columns.js';
import { DECISIONS, DECISIONS_COUNTS } from './decisions.js';
import { EVENT_ROWS } from './event-rows.js';
import { checkHeaders } from './headers.js';
import { type HeldPayments, holdPayments } from './held-payments.js';
import { IDENTITIES, IDENTITIES_COUNTS } from './identities.js';
import { LIMITS, LIMITS_COUNTS } from './limits.js';
import { checkLogs } from './log.js';
import { checkOpenings, OPENINGS } from './openings.js';
import { OVERDUE_COUNTS, overdue } from './overdue.js';
import { PAYMENT_ROWS } from './payment-rows.js';
import { type AskedNetwork, type Report, Tally } from './report.js';
import { REPORT_SUMS, REPORT_SUMS_COUNTS } from './report-sums.js';
import { checkSales, holdSales, SALES, SALES_COUNTS } from './sales.js';
import { asking, checkSettlement } from './settlement.js';
import { type Question, Snapshot } from './snapshot.js';
import { SUMS, SUMS_COUNTS } from './sums.js';
import { GRANT_TERMS } from './terms.js';
import { TRANSITIONS, TRANSITIONS_COUNTS } from './transitions.js';
import { TREASURY_ROWS } from './treasury-rows.js';
import { TWO_PERSON, TWO_PERSON_COUNTS } from './two-person.js';
import { checkBalances, WALLETS, WALLETS_COUNTS } from './wallets.js';

/** How long an RPC that lags behind what the ledger has read is waited for. */
const LAG_MS = 30_000;

/** I8, the columns: a row is what the records of it say. */
const ROWS = [...GRANT_TERMS, ...PAYMENT_ROWS, ...EVENT_ROWS, ...TREASURY_ROWS];

/** Subject and settings of a check. */
export interface CheckOptions {
  readonly databaseUrl: string;
  /** Those that may be asked; of them, those are that the database has payments on. */
  readonly networks: readonly NetworkChoice[];
  /** Files of headers that clients received, a line each. */
  readonly headers: readonly string[];
  /** Delay that I9 allows, in seconds. */
  readonly overdueSeconds: number;
  /** How many offenders are named of each invariant, about. */
  readonly show: number;
  /** Hears of long work, a few words each time. */
  readonly progress: (what: string) => void;
}

/** A network the database has payments on, and its chain or why it cannot be asked. */
type NetworkChain =
  | { readonly network: string; readonly chain: Chain; readonly final: BlockHead | undefined }
  | { readonly network: string; readonly failure: string };

type Tallies = ReturnType<typeof openTallies>;
type ReachableNetwork = Extract<NetworkChain, { readonly chain: Chain }>;
type Cursor = { readonly number: bigint; readonly hash: string };

/** Subject of one check, and what it has found so far. */
interface CheckRun {
  readonly snapshot: Snapshot;
  readonly tallies: Tallies;
  readonly chains: readonly ReachableNetwork[];
  /** The last block of each network that is in the ledger. */
  readonly cursors: ReadonlyMap<string, Cursor>;
  readonly options: CheckOptions;
}

/**
 * Tests the invariants I1 to I9 of docs/architecture.md from outside, by plain SQL and RPC reads. It
 * changes nothing, takes no lock that anybody waits for, and sees the database as it was at one moment.
 *
 * @throws Error with one line when the database or a file cannot be read at all.
 */
export async function runCheck(options: CheckOptions): Promise<Report> {
  const began = performance.now();
  const { show, progress, headers } = options;
  const tallies = openTallies(show);
  const snapshot = await Snapshot.open(options.databaseUrl, show);
  try {
    progress('asking the chains');
    const asked = await askNetworks(snapshot, options.networks);
    const at = await snapshot.take();
    skipUnreachable(tallies, asked);
    const chains = asked.flatMap((each) => ('chain' in each ? [each] : []));
    const run = { snapshot, tallies, chains, cursors: await readCursors(snapshot), options };
    // First what a node may soon forget: balances at the block the ledger has read to.
    await checkAtCursors(run);
    await checkInSql(run);
    const held = await holdForChains(run);
    // From here on the server is free of the snapshot: chains may take their time.
    await snapshot.close();
    await checkEnds(run, held);
    const { I4 } = tallies;
    const byNetwork = new Map(chains.map(({ chain }) => [chain.network, chain]));
    await I4.timed(() => checkHeaders(snapshot, I4, headers, byNetwork, progress));
    return report(Object.values(tallies), asked, at, began);
  } finally {
    await snapshot.end().catch(() => {});
  }
}

function openTallies(show: number) {
  const tallyOf = (id: string, title: string) => new Tally(id, title, show);
  return {
    I1: tallyOf('I1', 'limits hold'),
    I2: tallyOf('I2', 'counters equal sums'),
    I3: tallyOf('I3', 'keys, nonces, digests unique'),
    I4: tallyOf('I4', 'headers are committed'),
    I5: tallyOf('I5', 'nothing after an end'),
    I6: tallyOf('I6', 'ended as the chain says'),
    I7: tallyOf('I7', 'wallets cover what is open'),
    I8: tallyOf('I8', 'rows as told, log whole'),
    I9: tallyOf('I9', 'nothing stays open'),
  } as const;
}

/** Leaves out what only an RPC that does not answer could say. */
function skipUnreachable({ I6, I7, I9 }: Tallies, asked: readonly NetworkChain[]): void {
  for (const each of asked) {
    if ('failure' in each) {
      for (const tally of [I6, I7, I9]) tally.skip(each.failure);
      continue;
    }
    // A release is right only if it is so at every RPC: what one that is missing would say is not known.
    for (const why of each.chain.missing) {
      for (const tally of [I6, I9]) tally.skip(`${each.network}: ${why}`);
    }
  }
}

/** Compares balances and blocks with the chains, at the blocks that the ledger has read to. */
async function checkAtCursors({ snapshot, tallies, chains, cursors }: CheckRun): Promise<void> {
  const { I6, I7 } = tallies;
  for (const { chain } of chains) {
    const cursor = cursors.get(chain.network);
    await I7.timed(() =>
      asking(I7, chain.network, async () => {
        if (!cursor) throw new Error('the ledger has not read it yet');
        await requireSameChain(chain, cursor);
        await checkBalances(snapshot, I7, chain, cursor.number);
        await checkDecimals(snapshot, I7, chain);
      }),
    );
    await I6.timed(() =>
      asking(I6, chain.network, async () => {
        // The rest of I6 tells of another chain.
        if (cursor && (await chain.block(cursor.number)).hash === cursor.hash) {
          await checkBlocks(snapshot, I6, chain);
        }
      }),
    );
  }
}

/** Asks the database alone: rows, sums, identities, and the log. */
async function checkInSql({ snapshot, tallies, chains, options }: CheckRun): Promise<void> {
  const { I1, I2, I3, I4, I5, I6, I7, I8, I9 } = tallies;
  const { progress, overdueSeconds } = options;
  const finals = chains.flatMap(({ network, final }) =>
    final ? [{ network, time: final.time }] : [],
  );
  const inSql: readonly [Tally, readonly Question[], Readonly<Record<string, string>>][] = [
    [I1, LIMITS, LIMITS_COUNTS],
    [I2, SUMS, SUMS_COUNTS],
    [I2, REPORT_SUMS, REPORT_SUMS_COUNTS],
    [I3, IDENTITIES, IDENTITIES_COUNTS],
    [I4, DECISIONS, DECISIONS_COUNTS],
    [I5, AUTHORITY, AUTHORITY_COUNTS],
    [I5, TWO_PERSON, TWO_PERSON_COUNTS],
    [I6, BLOCKS, {}],
    [I7, WALLETS, WALLETS_COUNTS],
    [I8, [...TRANSITIONS, ...ROWS], TRANSITIONS_COUNTS],
    [I8, SALES, SALES_COUNTS],
    [I9, overdue(finals, overdueSeconds), OVERDUE_COUNTS],
  ];
  for (const [tally, questions, counts] of inSql) {
    progress(`${tally.id}: ${tally.title}`);
    await tally.timed(async () => {
      await snapshot.count(tally, counts);
      await snapshot.ask(tally, questions);
    });
  }
  await I8.timed(() => checkColumns(snapshot, I8));
  await I8.timed(async () => {
    await checkLogs(snapshot, I8, progress);
    await snapshot.ask(I8, OPENINGS);
    await checkOpenings(snapshot, I8);
  });
}

/** Rows of one network that are compared with its chain after the snapshot has ended. */
interface HeldRows {
  readonly payments: HeldPayments;
  readonly sales: string;
}

async function holdForChains({
  snapshot,
  tallies: { I6 },
  chains,
}: CheckRun): Promise<Map<string, HeldRows>> {
  const held = new Map<string, HeldRows>();
  for (const { network } of chains) {
    const payments = await I6.timed(() => holdPayments(snapshot, network));
    const sales = await I6.timed(() => holdSales(snapshot, network));
    held.set(network, { payments, sales });
  }
  return held;
}

/** Compares the ends of payments and sales with the chains. */
async function checkEnds(
  { snapshot, tallies: { I6 }, chains, cursors, options: { progress } }: CheckRun,
  held: ReadonlyMap<string, HeldRows>,
): Promise<void> {
  for (const { chain } of chains) {
    const rows = held.get(chain.network);
    const cursor = cursors.get(chain.network);
    await I6.timed(() =>
      asking(I6, chain.network, async () => {
        if (!rows || !cursor) throw new Error('the ledger has not read it yet');
        await requireSameChain(chain, cursor);
        const final = await finalSince(chain, cursor.number, progress);
        await checkSettlement(snapshot, I6, chain, rows.payments, final, progress);
        await checkSales(snapshot, I6, chain, rows.sales, final);
      }),
    );
  }
}

/** Opens the networks that payments or balances are on, and reads their newest final blocks. */
async function askNetworks(
  snapshot: Snapshot,
  choices: readonly NetworkChoice[],
): Promise<NetworkChain[]> {
  const used = await snapshot.rows<{ network: string }>(
    `SELECT DISTINCT network FROM (
       SELECT network FROM wallet_balances UNION ALL SELECT network FROM payments) n ORDER BY network`,
  );
  return Promise.all(
    used.map(async ({ network }): Promise<NetworkChain> => {
      const choice = choices.find((each) => each.network === network);
      if (!choice) {
        return { network, failure: `${network}: no RPC is given; give --rpc ${network}=URL` };
      }
      try {
        const chain = await Chain.open(choice);
        return { network, chain, final: await chain.final() };
      } catch (error) {
        return { network, failure: shortly(error) };
      }
    }),
  );
}

/** The last block of each network that is in the ledger. */
async function readCursors(snapshot: Snapshot): Promise<Map<string, Cursor>> {
  const rows = await snapshot.rows<{ network: string; block_number: string; block_hash: string }>(
    'SELECT network, block_number, block_hash FROM chain_cursors',
  );
  return new Map(
    rows.map(({ network, block_number, block_hash }) => [
      network,
      { number: BigInt(block_number), hash: block_hash },
    ]),
  );
}

/** @throws Error when the chain has another block than the ledger has read: nothing it says counts. */
async function requireSameChain(chain: Chain, cursor: Cursor): Promise<void> {
  const { hash } = await chain.block(cursor.number);
  if (hash === cursor.hash) return;
  throw new Error(
    `${chain.origin} has block ${hash} at ${cursor.number}, where the ledger has read ${cursor.hash}: is it the same chain?`,
  );
}

/** The newest final block, once it is as new as what the ledger has read. */
async function finalSince(
  chain: Chain,
  cursor: bigint,
  progress: (what: string) => void,
): Promise<BlockHead> {
  const deadline = performance.now() + LAG_MS;
  while (true) {
    const final = await chain.final();
    if (final && final.number >= cursor) return final;
    if (performance.now() > deadline) {
      throw new Error(
        `${chain.origin} has block ${final?.number ?? 'none'} as its newest final one, and the ledger has read up to ${cursor}; is --finality what the service has?`,
      );
    }
    progress(`${chain.network}: waiting for block ${cursor} to be final`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function report(
  tallies: readonly Tally[],
  asked: readonly NetworkChain[],
  at: Date,
  began: number,
): Report {
  const invariants = tallies.map((each) => each.finding());
  const has = (status: string) => invariants.some((each) => each.status === status);
  const exitCode = has('broken') ? 1 : has('unchecked') ? 2 : 0;
  return {
    ok: exitCode === 0,
    exitCode,
    at: at.toISOString(),
    seconds: Math.round(performance.now() - began) / 1000,
    networks: asked.map(
      (each): AskedNetwork =>
        'failure' in each
          ? { network: each.network, rpc: 'none', final: null }
          : {
              network: each.network,
              rpc: each.chain.origin,
              final: each.final
                ? { number: each.final.number.toString(), time: each.final.time.toString() }
                : null,
            },
    ),
    invariants,
  };
}
