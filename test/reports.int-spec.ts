import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import type { Caller } from '../src/access/caller.js';
import { Tally } from '../src/check/report.js';
import { REPORT_SUMS } from '../src/check/report-sums.js';
import { Snapshot } from '../src/check/snapshot.js';
import { Database } from '../src/database/database.js';
import { currencyOf, formatAmount, parseAmount } from '../src/domain/money.js';
import { type SpendItem, spendQuery } from '../src/reports/reports.dto.js';
import { ReportsService } from '../src/reports/reports.service.js';
import { SpendFold } from '../src/reports/spend-fold.js';
import { spans } from '../src/reports/spend-query.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { untilWaiting } from './support/locks.js';
import { rowsRead } from './support/rows-read.js';
import { GRANTS, type ModelPayment, NETWORKS, SpendLedger } from './support/spend-ledger.js';

const START = Date.parse('2026-11-20T21:30:00.000Z');
const MINUTE = 60_000;
const RUNS = Number(process.env.BURSAR_REPORT_RUNS ?? 12);

let test: TestDatabase;
let db: pg.Pool;
let database: Database;
let reports: ReportsService;
let fold: SpendFold;
let snapshot: Snapshot;
let treasuryCount = 0;

beforeAll(async () => {
  test = await createTestDatabase();
  db = new pg.Pool({ connectionString: test.url, max: 2 });
  database = new Database(test.url, { maxConnections: 3 });
  reports = new ReportsService(database);
  fold = new SpendFold(database);
  snapshot = await Snapshot.open(test.url, 10);
});

afterAll(async () => {
  await snapshot?.end();
  await database?.close();
  await db?.end();
  await test?.drop();
});

const auditorOf = (treasuryId: string): Caller => ({
  kind: 'admin',
  name: 'a',
  role: 'auditor',
  treasuries: [treasuryId],
  actor: 'admin:a',
});

const holderOf = (treasuryId: string, grantId: string): Caller => ({
  kind: 'holder',
  treasuryId,
  grantId,
  tokenGeneration: 1,
  keyThumbprint: undefined,
  actor: `grant:${grantId}`,
});

interface Asked {
  readonly groupBy: string[];
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** Reads as the holder of this grant. */
  readonly reader: string | undefined;
  /** Asks for the tree below this grant. */
  readonly tree: string | undefined;
}

/** Sums up the model: the report that is due. */
function expected(ledger: SpendLedger, asked: Asked): SpendItem[] {
  const usdc = currencyOf('USDC');
  const groups = new Map<string, { group: SpendItem['group']; sums: Record<string, bigint> }>();
  const isIn = (grant: string, at: number) =>
    (asked.from === undefined || at >= asked.from) &&
    (asked.to === undefined || at <= asked.to) &&
    [asked.reader, asked.tree].every((each) => !each || GRANTS[grant]?.path.includes(each));
  const add = (
    fact: {
      grant: string;
      at: number;
      payTo?: string | undefined;
      host?: string | undefined;
      network?: string | undefined;
      status: string;
    },
    figures: Record<string, bigint>,
  ) => {
    if (!isIn(fact.grant, fact.at)) return;
    const grant = GRANTS[fact.grant];
    const at = new Date(fact.at).toISOString();
    const read = (name: string): string | null => {
      if (name.startsWith('label:')) return grant?.labels[name.slice(6)] ?? null;
      return (
        {
          day: at.slice(0, 10),
          hour: `${at.slice(0, 13)}:00:00Z`,
          grant: ledger.grantId(fact.grant),
          root: ledger.grantId(grant?.path[0] ?? ''),
          holder: grant?.holder,
          payTo: fact.payTo,
          host: fact.host,
          network: fact.network,
          status: fact.status,
        }[name] ?? null
      );
    };
    const group = Object.fromEntries(asked.groupBy.map((name) => [name, read(name)]));
    const key = JSON.stringify(asked.groupBy.map((name) => group[name]));
    const entry = groups.get(key) ?? { group, sums: {} };
    groups.set(key, entry);
    for (const [name, by] of Object.entries(figures)) {
      entry.sums[name] = (entry.sums[name] ?? 0n) + by;
    }
  };
  const FIGURE: Record<string, string> = {
    settled: 'settled',
    authorized: 'open',
    released: 'released',
    cancelled: 'released',
  };
  for (const payment of ledger.payments) {
    // The ledger's payments settle for half of what was signed.
    const amount = payment.status === 'settled' ? payment.amount / 2n : payment.amount;
    add(payment, { payments: 1n, [FIGURE[payment.status] ?? 'none']: amount });
  }
  for (const refusal of ledger.refusals) {
    add({ ...refusal, status: 'refused' }, { refused: BigInt(refusal.count) });
  }
  const items = [...groups.values()].map(({ group, sums }) => ({
    group,
    currency: 'USDC',
    payments: Number(sums.payments ?? 0n),
    settled: formatAmount(sums.settled ?? 0n, usdc),
    open: formatAmount(sums.open ?? 0n, usdc),
    released: formatAmount(sums.released ?? 0n, usdc),
    refused: Number(sums.refused ?? 0n),
  }));
  const keyOf = ({ group }: SpendItem) =>
    asked.groupBy.map((name) => (group[name] === null ? '1' : `0${group[name]}`));
  const bytes = (text: string) => Buffer.from(text);
  return items.sort((a, b) => {
    const [left, right] = [keyOf(a), keyOf(b)];
    const place = left.findIndex((each, index) => each !== right[index]);
    return place < 0 ? 0 : Buffer.compare(bytes(left[place] ?? ''), bytes(right[place] ?? ''));
  });
}

/** The whole report, page by page. */
async function report(ledger: SpendLedger, asked: Asked, limit: number): Promise<SpendItem[]> {
  const { treasuryId } = ledger;
  const caller =
    asked.reader === undefined
      ? auditorOf(treasuryId)
      : holderOf(treasuryId, ledger.grantId(asked.reader));
  const items: SpendItem[] = [];
  let cursor: string | null = null;
  do {
    const query = spendQuery.parse({
      groupBy: asked.groupBy.join(','),
      limit: String(limit),
      ...(asked.from === undefined ? {} : { from: new Date(asked.from).toISOString() }),
      ...(asked.to === undefined ? {} : { to: new Date(asked.to).toISOString() }),
      ...(asked.tree === undefined ? {} : { grantId: ledger.grantId(asked.tree) }),
      ...(cursor === null ? {} : { cursor }),
    });
    const page = await reports.spend(caller, query);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return items;
}

/** Sums of a report over all its groups, in atomic units. */
function totalsOf(items: readonly SpendItem[]) {
  const usdc = currencyOf('USDC');
  const sum = (name: 'settled' | 'open' | 'released') =>
    items.reduce((total, item) => total + parseAmount(item[name], usdc, name), 0n).toString();
  const payments = items.reduce((total, item) => total + item.payments, 0);
  return { payments, settled: sum('settled'), open: sum('open'), released: sum('released') };
}

/** The same sums as the rows of the payments have them. */
async function totalsOfLedger({ treasuryId }: SpendLedger) {
  const { rows } = await db.query(
    `SELECT count(*)::int AS payments, coalesce(sum(paid), 0)::text AS settled,
       coalesce(sum(amount) FILTER (WHERE status = 'authorized'), 0)::text AS open,
       coalesce(sum(amount) FILTER (WHERE status IN ('released', 'cancelled')), 0)::text AS released
     FROM payments WHERE treasury_id = $1`,
    [treasuryId],
  );
  return rows[0];
}

/** Groups that the payments of a case fall into. */
const groupsOf = ({ payments }: SpendLedger) =>
  new Set(
    payments.map(({ grant, payTo, host, network, at }) =>
      [grant, payTo, host, network, Math.floor(at / 3_600_000)].join(' '),
    ),
  );

/** Differences that the checker finds between the sums and the payments. */
async function foundByCheck() {
  const tally = new Tally('I2', 'sums', 10);
  await snapshot.take();
  await snapshot.ask(tally, REPORT_SUMS);
  await snapshot.close();
  return tally.finding().offenders;
}

const DIMENSIONS = ['day', 'hour', 'grant', 'root', 'holder', 'payTo', 'host', 'network', 'status'];
const minutes = fc.integer({ min: 0, max: 7 * 60 });
const grant = fc.constantFrom(...Object.keys(GRANTS));
const payTo = fc.constantFrom('0xAa', '0xbB');
const host = fc.constantFrom('a.example', 'b.example');
const network = fc.constantFrom(...NETWORKS);
const pay = fc.record({
  do: fc.constant('pay' as const),
  ...{ grant, payTo, host, network, minutes },
  amount: fc.oneof(fc.bigInt(0n, 5n), fc.bigInt(0n, 10n ** 24n)),
  how: fc.constantFrom('signed', 'signed', 'waiting', 'waiting', 'adopted'),
});
const act = fc.oneof(
  { weight: 5, arbitrary: pay },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('move' as const), pick: fc.nat(), to: fc.nat(2) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('refuse' as const),
      ...{ grant, payTo, host, network, minutes },
      count: fc.constantFrom(1, 1, 7),
      isMixed: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('seal' as const),
      most: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fold' as const) }) },
);
const asked: fc.Arbitrary<Asked> = fc.record({
  groupBy: fc.uniqueArray(fc.constantFrom(...DIMENSIONS, 'label:task', 'label:empty'), {
    maxLength: 3,
  }),
  from: fc.option(
    minutes.map((each) => START + each * MINUTE),
    { nil: undefined },
  ),
  to: fc.option(
    minutes.map((each) => START + each * MINUTE),
    { nil: undefined },
  ),
  reader: fc.option(fc.constantFrom('grt_a', 'grt_b'), { nil: undefined, freq: 1 }),
  tree: fc.option(fc.constantFrom('grt_b', 'grt_c'), { nil: undefined, freq: 1 }),
});

type Act = typeof act extends fc.Arbitrary<infer Value> ? Value : never;

/** Acts with a payment of every grant among them, in any order. */
const acts: fc.Arbitrary<Act[]> = fc
  .tuple(
    fc.tuple(
      ...Object.keys(GRANTS).map((each) => pay.map((made): Act => ({ ...made, grant: each }))),
    ),
    fc.array(act, { minLength: 5, maxLength: 36 }),
  )
  .chain(([some, others]) => {
    const all = [...some, ...others];
    return fc.shuffledSubarray(all, { minLength: all.length });
  });

async function perform(ledger: SpendLedger, step: Act) {
  const at = START + ('minutes' in step ? step.minutes : 0) * MINUTE;
  if (step.do === 'pay') {
    const { grant, payTo, host, network, amount, how } = step;
    const payment = { grant, payTo, host, network, amount, at };
    if (how === 'adopted') await ledger.adopt(payment);
    else await ledger.pay(payment, how === 'waiting');
  } else if (step.do === 'move') {
    const open = ledger.payments.filter(({ status }) =>
      /^(pending_approval|authorized)$/.test(status),
    );
    const payment: ModelPayment | undefined = open[step.pick % Math.max(1, open.length)];
    if (!payment) return;
    const next =
      payment.status === 'pending_approval'
        ? ['authorized', 'authorized', 'rejected']
        : ['settled', 'released', 'cancelled'];
    await ledger.move(payment, next[step.to] ?? 'settled', START);
  } else if (step.do === 'refuse') {
    const { grant, payTo, host, network, count, isMixed } = step;
    const options = [
      { payTo, network },
      { payTo: isMixed ? '0xcC' : payTo, network },
    ];
    await ledger.refuse(
      count > 1
        ? { grant, at, count, payTo: undefined, host: undefined, network: undefined }
        : { grant, at, count, payTo: isMixed ? undefined : payTo, host, network },
      options,
    );
  } else if (step.do === 'seal') {
    await ledger.seal(step.most);
  } else {
    await fold.foldAll();
  }
}

const ALL_TIME = { from: undefined, to: undefined, reader: undefined, tree: undefined };

const payBy = (how: 'signed' | 'waiting' | 'adopted', minutes: number): Act => ({
  ...{ do: 'pay', grant: 'grt_a', minutes, amount: 5n, how },
  ...{ payTo: '0xAa', host: 'a.example', network: 'eip155:1' },
});
const moveTo = (to: number): Act => ({ do: 'move', pick: 0, to });
const SEAL: Act = { do: 'seal', most: 9 };
const FOLD: Act = { do: 'fold' };

const refuse = (count: 1 | 7): Act => ({
  ...{ do: 'refuse', grant: 'grt_a', minutes: 20, count, isMixed: false },
  ...{ payTo: '0xAa', host: 'a.example', network: 'eip155:1' },
});

/** A payment of each status that there is, by every way to it, and refusals. */
const EVERY_STATUS: readonly Act[] = [
  ...[0, 1, 2].flatMap((to) => [payBy('signed', 20 * to), moveTo(to)]),
  ...[payBy('waiting', 60), moveTo(2)],
  ...[payBy('waiting', 80), moveTo(0), moveTo(0)],
  payBy('adopted', 100),
  ...[payBy('signed', 120), payBy('waiting', 140)],
  ...[refuse(1), refuse(7)],
];

/** Every status: with nothing sealed, with all of it folded, and with each event on its own side of the fold. */
const EVERY_STATUS_FOLDED: readonly Act[][] = [
  [...EVERY_STATUS],
  [...EVERY_STATUS, SEAL, SEAL, FOLD],
  [...EVERY_STATUS, SEAL],
  EVERY_STATUS.flatMap((step) => [step, SEAL, FOLD]),
  EVERY_STATUS.flatMap((step, place) => [step, SEAL, ...(place % 2 === 0 ? [FOLD] : [])]),
];

const askedOf = (steps: Act[]): [Act[], Asked[], number] => [
  steps,
  [
    { ...ALL_TIME, groupBy: ['status', 'hour'] },
    // The edges have some of the payments, and the whole hours the others.
    { ...ALL_TIME, groupBy: ['status'], from: START + 10 * MINUTE },
    { ...ALL_TIME, groupBy: ['status'], to: START + 110 * MINUTE },
    {
      ...ALL_TIME,
      groupBy: ['status'],
      from: START - 30 * MINUTE,
      to: START + 29 * MINUTE + 59_999,
    },
  ],
  4,
];

describe('a report of spend', () => {
  it('says what the ledger has, to the atomic unit, however much of it is sealed and folded', async () => {
    await fc.assert(
      fc.asyncProperty(
        acts,
        fc.array(asked, { minLength: 4, maxLength: 4 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, questions, limit) => {
          treasuryCount += 1;
          const ledger = new SpendLedger(db, `trs_r${treasuryCount}`);
          await ledger.open();
          for (const [place, step] of steps.entries()) {
            await perform(ledger, step);
            if (place % 13 === 12) {
              const question = questions[place % questions.length] as Asked;
              if (!isBackwards(question)) {
                expect(await report(ledger, question, 1000)).toEqual(expected(ledger, question));
              }
              expect(await foundByCheck()).toEqual([]);
            }
          }
          // A case of one group would pass with any grouping.
          expect(groupsOf(ledger).size).toBeGreaterThanOrEqual(3);
          const due = await totalsOfLedger(ledger);
          for (const groupBy of [[], ['grant', 'payTo', 'hour'], ['status', 'host', 'network']]) {
            const items = await report(ledger, { ...ALL_TIME, groupBy }, 1000);
            expect({ groupBy, ...totalsOf(items) }).toEqual({ groupBy, ...due });
            if (groupBy.includes('grant')) expect(items.length).toBeGreaterThanOrEqual(3);
          }
          expect(await foundByCheck()).toEqual([]);
          for (const question of questions.filter((each) => !isBackwards(each))) {
            expect(await report(ledger, question, limit)).toEqual(expected(ledger, question));
          }
        },
      ),
      // Every status is there at least once, whatever the others are.
      {
        numRuns: RUNS + EVERY_STATUS_FOLDED.length,
        examples: EVERY_STATUS_FOLDED.map(askedOf),
      },
    );
  }, 300_000);

  it('folds an event once, by however many workers', async () => {
    treasuryCount += 1;
    const ledger = new SpendLedger(db, `trs_r${treasuryCount}`);
    await ledger.open();
    const pay = async (times: number, sealed: number) => {
      for (let place = 0; place < times; place++) {
        const payment = await ledger.pay(
          { grant: 'grt_b', payTo: '0xAa', host: 'a', network: 'eip155:1', amount: 7n, at: START },
          false,
        );
        await ledger.move(payment, 'settled', START);
        if (place % 3 === 0) await ledger.seal(sealed);
      }
    };
    await pay(15, 4);
    await Promise.all([fold.foldAll(), fold.foldAll(), fold.foldAll()]);
    await pay(15, 4);
    // Two that begin at once: whoever is second reads where to go on once the first has ended.
    const holder = await db.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM spend_cursors WHERE treasury_id = $1 FOR NO KEY UPDATE', [
      ledger.treasuryId,
    ]);
    const folds = Promise.all([fold.foldAll(), fold.foldAll()]);
    await untilWaiting(db, 2);
    await holder.query('ROLLBACK');
    holder.release();
    await folds;
    expect(await report(ledger, { ...ALL_TIME, groupBy: [] }, 10)).toMatchObject([
      { payments: 30, settled: '0.00009' },
    ]);
    const { rows } = await db.query(
      'SELECT sum(payments) AS payments FROM spend_hours WHERE treasury_id = $1',
      [ledger.treasuryId],
    );
    expect(rows[0]?.payments).toBe('19');
  });

  it('says nothing of other treasuries', async () => {
    const everything = spendQuery.parse({});
    await expect(reports.spend(auditorOf('trs_none'), everything)).resolves.toEqual({
      items: [],
      nextCursor: null,
    });
  });
});

/** How many payments are summed up; by hand, with the times: `BURSAR_REPORT_PAYMENTS=1000000 npm test -- reports.int`. */
const MANY = Number(process.env.BURSAR_REPORT_PAYMENTS ?? 20_000);

describe('a report over many payments', () => {
  it('reads sums instead of payments, whatever it is grouped by', async () => {
    const ledger = new SpendLedger(db, 'trs_many');
    await ledger.open();
    // Payments are as dense as a million over 60 days, of 40 payees at 20 hosts, one in a hundred not settled yet.
    await db.query(
      `INSERT INTO payments (treasury_id, id, grant_id, idempotency_key, status, currency, amount, paid, network, scheme,
         x402_version, asset, pay_to, wallet_id, payer, nonce, valid_after, valid_before, requirement, request_method,
         request_url, host, decision, authorized_at, created_at, ended_at, transaction, block_number)
       SELECT 'trs_many', 'pay_many' || n, (ARRAY['grt_a', 'grt_b', 'grt_c', 'grt_d'])[1 + n % 4] || '_many', n,
         CASE WHEN n % 100 = 0 THEN 'authorized' ELSE 'settled' END, 'USDC', n,
         CASE WHEN n % 100 = 0 THEN 0 ELSE n END, 'eip155:8453', 'exact', 2, '0x02',
         '0x' || n % 40, 'wal_trs_many', '0x', '0x' || lpad(to_hex(n), 64, '0'), 0, 10, repeat('r', 400), 'GET',
         'https://x/', 'h' || n % 20, repeat('d', 700), now(), at, CASE WHEN n % 100 > 0 THEN at END,
         CASE WHEN n % 100 > 0 THEN '0x' || lpad(to_hex(n), 64, '0') END, CASE WHEN n % 100 > 0 THEN 1 END
       FROM generate_series(1, ${MANY}) n, LATERAL (SELECT timestamptz '2026-09-01' + n * interval '5.184 seconds' AS at) t`,
    );
    await db.query(
      `INSERT INTO events (treasury_id, id, kind, actor, grant_id, payment_id, record, created_at)
       SELECT treasury_id, 'evt_' || k || id, CASE k WHEN 0 THEN 'payment.authorized' ELSE 'payment.settled' END, 'x',
         grant_id, id, '{"data":{}}', created_at
       FROM payments, generate_series(0, 1) k WHERE treasury_id = 'trs_many' AND (k = 0 OR status = 'settled')
       ORDER BY k, created_at`,
    );
    // Postgres takes the queue of sealing for full: it changes faster than statistics do.
    await db.query('ANALYZE unsealed_events');
    await ledger.seal(2 * MANY);
    await db.query('ANALYZE payments; ANALYZE events; ANALYZE leaves');
    const began = performance.now();
    await fold.foldAll();
    await db.query('ANALYZE spend_hours; ANALYZE spend_series');
    const { rows: kept } = await db.query<{ sums: number; series: number }>(
      `SELECT (SELECT count(*)::int FROM spend_hours WHERE treasury_id = 'trs_many') AS sums,
         (SELECT count(*)::int FROM spend_series WHERE treasury_id = 'trs_many') AS series`,
    );
    const { sums = 0, series = 0 } = kept[0] ?? {};
    const stillOpen = Math.floor(MANY / 100);
    const figures = [`folded in ${Math.round(performance.now() - began)} ms`];
    for (const groupBy of [
      '',
      'day,holder',
      'hour,payTo,host',
      'grant,status',
      'label:task,network',
    ]) {
      const query = spendQuery.parse({ groupBy });
      const { answer, rows, blocks } = await rowsRead(
        db,
        (sql) => sql.includes('spend_hours'),
        () => reports.spend(auditorOf('trs_many'), query),
        pg.Client.prototype,
      );
      // An index may be read before its rows, and each sum looks up its series.
      expect(rows).toBeLessThan(2 * (sums + series + stillOpen) + 100);
      expect(rows).toBeGreaterThanOrEqual(sums + stillOpen);
      const asked = performance.now();
      await reports.spend(auditorOf('trs_many'), query);
      figures.push(
        `${groupBy}: ${Math.round(performance.now() - asked)} ms, ${rows} rows, ${blocks} blocks, ${answer.items.length} groups`,
      );
    }
    // A worker asks every two seconds whether there is something to fold: that must not read the log.
    const idle = await rowsRead(
      db,
      () => true,
      () => fold.foldAll(),
    );
    expect(idle.rows).toBeLessThan(100);
    if (MANY > 20_000) process.stderr.write(`${figures.join('\n')}\n`);
    const [all] = (await reports.spend(auditorOf('trs_many'), spendQuery.parse({}))).items;
    const sum = (BigInt(MANY) * (BigInt(MANY) + 1n)) / 2n;
    const hundredths = BigInt(stillOpen);
    const open = (100n * hundredths * (hundredths + 1n)) / 2n;
    const usdc = currencyOf('USDC');
    expect(all).toMatchObject({
      payments: MANY,
      open: formatAmount(open, usdc),
      settled: formatAmount(sum - open, usdc),
    });
  }, 900_000);
});

describe('the span of a report', () => {
  it.each([
    ['all time', undefined, undefined, { from: undefined, until: undefined }, []],
    ['part of an hour', 10, 20, undefined, [[10, 20]]],
    ['the end of an hour and the next', 50, 120, { from: 60, until: 120 }, [[50, 60]]],
    ['whole hours', 60, 120, { from: 60, until: 120 }, []],
    ['parts of two hours', 50, 70, { from: 60, until: 60 }, [[50, 70]]],
    ['everything until then', undefined, 70, { from: undefined, until: 60 }, [[60, 70]]],
  ])('is %s', (what, from, until, whole, edges) => {
    const minutesOf = (span: { from: number | undefined; until: number | undefined }) =>
      [span.from, span.until].map((each) => each && each / MINUTE);
    const found = spans({
      from: from === undefined ? undefined : from * MINUTE,
      until: until === undefined ? undefined : until * MINUTE,
    });
    expect(found.edges.map(minutesOf)).toEqual(edges);
    if (what === 'parts of two hours') expect(found.whole).toBeUndefined();
    else expect(found.whole && minutesOf(found.whole)).toEqual(whole && [whole.from, whole.until]);
  });
});

function isBackwards({ from, to }: Asked): boolean {
  return from !== undefined && to !== undefined && from > to;
}
