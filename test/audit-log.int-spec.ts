import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { Caller } from '../src/access/caller.js';
import { MasterSecret } from '../src/access/master-secret.js';
import type { EventsQuery } from '../src/audit/audit.dto.js';
import { AuditService } from '../src/audit/audit.service.js';
import { EventFeed } from '../src/audit/event-feed.js';
import { LogKeys } from '../src/audit/log-keys.js';
import { rangeHashes, readTiles } from '../src/audit/log-rows.js';
import { Sealer } from '../src/audit/sealer.js';
import { edgeTiles, tileOf } from '../src/audit/tiles.js';
import { Database } from '../src/database/database.js';
import { completeNodes, consistencyRanges, inclusionRanges } from '../src/domain/merkle.js';
import { isSignedBy, parseNote } from '../src/domain/note.js';
import { appendEvents, type NewEvent } from '../src/ledger/events.js';
import { boundRefusals, overdueRefusals } from '../src/ledger/refusals.js';
import { mainTreasury } from '../src/ledger/service-events.js';
import { EventCounts } from '../src/outbox/event-counts.js';
import type { Wallets } from '../src/treasury/wallets.js';
import { BOUNDS } from './support/bounds.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { headOf, rootOf } from './support/log.js';
import { rowsRead } from './support/rows-read.js';

/** How many events are sealed for the figure; by hand: `BURSAR_SEAL_EVENTS=100000 npm test -- audit-log`. */
const EVENTS = Number(process.env.BURSAR_SEAL_EVENTS ?? 5_000);

const NOW = new Date('2026-11-21T10:00:00.000Z');

let test: TestDatabase;
let database: Database;
let keys: LogKeys;
let sealer: Sealer;
let treasuryId: string;

beforeEach(async () => {
  test = await createTestDatabase();
  database = new Database(test.url, { statementTimeoutMs: 120_000 });
  keys = new LogKeys(new MasterSecret('a secret of more than thirty-two characters'));
  sealer = new Sealer(database, keys, new EventFeed(database), new EventCounts());
  treasuryId = await database.transaction(mainTreasury);
});
afterEach(async () => {
  await database.close();
  await test.drop();
});

/** The service's own sessions own nothing: whoever changes a table does it beside them. */
async function asOwner(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: test.url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function event(number: number, members: Partial<NewEvent> = {}): NewEvent {
  return {
    treasuryId,
    kind: 'grant.token_reissued',
    actor: 'admin:tester',
    data: { number },
    ...members,
  };
}

async function write(count: number, from = 0): Promise<void> {
  for (let start = from; start < from + count; start += 5_000) {
    const end = Math.min(start + 5_000, from + count);
    const events = Array.from({ length: end - start }, (_, at) => event(start + at));
    await database.transaction((tx) => appendEvents(tx, NOW, events));
  }
}

async function leaves(): Promise<string[]> {
  const { rows } = await database.pool.query<{ record: string; leaf_index: string }>(
    'SELECT record, leaf_index FROM log_events WHERE leaf_index IS NOT NULL ORDER BY leaf_index',
  );
  expect(rows.map(({ leaf_index }) => Number(leaf_index))).toEqual(rows.map((_, at) => at));
  return rows.map(({ record }) => record);
}

async function notes(): Promise<string[]> {
  const { rows } = await database.pool.query<{ note: string }>(
    'SELECT note FROM log_checkpoints ORDER BY size',
  );
  return rows.map(({ note }) => note);
}

/** The whole log is sealed, and each checkpoint is of its beginning and signed by its one key. */
async function expectSealed(): Promise<string[]> {
  const records = await leaves();
  const { rows } = await database.pool.query('SELECT 1 FROM unsealed_events');
  expect(rows).toEqual([]);
  const key = await keys.find(database.pool, treasuryId);
  for (const note of await notes()) {
    const { size, root } = headOf(note);
    expect(root).toBe(rootOf(records.slice(0, size)));
    expect(key && isSignedBy(parseNote(note), key)).toBe(true);
  }
  expect(headOf((await notes()).at(-1) as string).size).toBe(records.length);
  return records;
}

describe('sealing', () => {
  it(`seals ${EVENTS} events in batches, each with a checkpoint`, async () => {
    await sealer.seal(treasuryId);
    await write(EVENTS);
    const started = performance.now();
    await sealer.seal(treasuryId);
    const seconds = (performance.now() - started) / 1000;
    if (process.env.BURSAR_SEAL_EVENTS) {
      process.stdout.write(
        `${EVENTS} events in ${seconds.toFixed(2)} s: ${Math.round(EVENTS / seconds)}/s\n`,
      );
    }
    expect(await leaves()).toHaveLength(EVENTS + 2);
    const newest = headOf((await notes()).at(-1) as string);
    expect(newest).toEqual({ size: EVENTS + 2, root: rootOf(await leaves()) });
  }, 300_000);

  it('has every root right while the log grows by one, over the edges of tiles', async () => {
    for (const count of [1, 1, 250, 1, 1, 1, 1, 300, 257]) {
      await write(count);
      await sealer.seal(treasuryId);
    }
    await expectSealed();
  });

  it('changes nothing when there is nothing to seal', async () => {
    await sealer.sweep();
    const before = await notes();
    await sealer.seal(treasuryId);
    await sealer.sweep();
    expect(await notes()).toEqual(before);
  });

  it('leaves nothing behind when it fails half way, and goes on after', async () => {
    await write(10);
    await sealer.seal(treasuryId);
    const before = await notes();
    await write(10, 10);
    await asOwner('ALTER TABLE log_checkpoints ADD CONSTRAINT broken CHECK (size < 15) NOT VALID');
    await expect(sealer.seal(treasuryId)).rejects.toThrow('broken');
    expect(await notes()).toEqual(before);
    expect(await leaves()).toHaveLength(headOf(before.at(-1) as string).size);
    await asOwner('ALTER TABLE log_checkpoints DROP CONSTRAINT broken');
    await sealer.seal(treasuryId);
    await expectSealed();
  });

  it('gives no place twice, however many seal at once', async () => {
    const sealAll = () => Promise.all(Array.from({ length: 6 }, () => sealer.seal(treasuryId)));
    await sealAll();
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([write(200, round * 200), sealAll()]);
    }
    await sealer.seal(treasuryId);
    await expectSealed();
  });

  it('keeps the leaves of a log from before there were checkpoints', async () => {
    await write(700);
    await database.pool.query(
      `WITH waiting AS (DELETE FROM unsealed_events RETURNING treasury_id, seq)
       INSERT INTO leaves (treasury_id, leaf_index, seq)
       SELECT treasury_id, row_number() OVER (ORDER BY seq) - 1, seq FROM waiting`,
    );
    const before = await leaves();
    await write(5, 700);
    await sealer.seal(treasuryId);
    expect((await expectSealed()).slice(0, before.length)).toEqual(before);
  });

  it('puts the earlier of two events behind one lock first, whoever commits when', async () => {
    await sealer.seal(treasuryId);
    const [early, late] = [await database.pool.connect(), await database.pool.connect()];
    try {
      // Two transactions that share nothing: the one that began later commits first.
      await early.query('BEGIN');
      await appendEvents(early, NOW, [event(1)]);
      await late.query('BEGIN');
      await appendEvents(late, NOW, [event(2)]);
      await late.query('COMMIT');
      await sealer.seal(treasuryId);
      // And one that waits for the first one's lock writes behind it.
      await early.query('SELECT pg_advisory_xact_lock(1)');
      await late.query('BEGIN');
      const waiting = late.query('SELECT pg_advisory_xact_lock(1)');
      await appendEvents(early, NOW, [event(3)]);
      await early.query('COMMIT');
      await waiting;
      await appendEvents(late, NOW, [event(4)]);
      await late.query('COMMIT');
    } finally {
      early.release();
      late.release();
    }
    await sealer.seal(treasuryId);
    const numbers = (await expectSealed()).map((line) => JSON.parse(line).data.number);
    expect(numbers.filter((number) => number !== undefined)).toEqual([2, 1, 3, 4]);
  });

  it('signs with a key that only the master secret opens', async () => {
    await sealer.seal(treasuryId);
    const other = new LogKeys(new MasterSecret('another secret of thirty-two characters'));
    const sealing = new Sealer(database, other, new EventFeed(database), new EventCounts());
    await write(1);
    await expect(sealing.seal(treasuryId)).rejects.toThrow(/BURSAR_MASTER_SECRET: does not open/);
    const { rows } = await database.pool.query('SELECT sealed_private FROM log_keys');
    expect(rows[0].sealed_private).not.toContain('PRIVATE KEY');
  });
});

describe('the tree as it is kept', () => {
  it('gives the hash of any range of leaves', async () => {
    await write(600);
    await sealer.seal(treasuryId);
    const records = await leaves();
    for (const [from, to] of [
      [0, 600],
      [256, 512],
      [512, 600],
      [128, 256],
      [599, 600],
    ] as const) {
      const [hash] = await rangeHashes(database.pool, treasuryId, [{ start: from, end: to }]);
      expect(hash?.toString('base64')).toBe(rootOf(records.slice(from, to)));
    }
    await expect(readTiles(database.pool, treasuryId, edgeTiles(70_000))).rejects.toThrow('lacks');
  });

  it('needs a handful of rows for a proof, however large the log is', () => {
    const tilesOf = (ranges: { start: number; end: number }[]) =>
      new Set(ranges.flatMap(completeNodes).map((node) => JSON.stringify(tileOf(node)))).size;
    const million = 1_000_000;
    for (const index of [0, 1, 255, 256, 65_535, 499_999, 777_777, 999_999]) {
      expect(tilesOf(inclusionRanges(index, million))).toBeLessThanOrEqual(6);
      expect(tilesOf(consistencyRanges(index, million))).toBeLessThanOrEqual(6);
    }
    expect(tilesOf(inclusionRanges(12_345, 1_000_000_000))).toBeLessThanOrEqual(8);
  });
});

describe('a log that is long', () => {
  const LONG = 20_000;

  const readOf = <T>(table: string, request: () => Promise<T>) => {
    const db = new pg.Pool({ connectionString: test.url });
    return rowsRead(db, (sql) => sql.includes(table), request).finally(() => db.end());
  };

  const audit = () => new AuditService(database, {} as Wallets, keys);
  const adminOf = (treasuries: string[] | undefined) =>
    ({ kind: 'admin', actor: 'admin:tester', roles: ['admin'], treasuries }) as unknown as Caller;

  it('is shown a page at a time by reading that page, to whoever sees its treasury', async () => {
    await write(LONG);
    await sealer.seal(treasuryId);
    // Autovacuum does the same once a table has grown.
    await asOwner('ANALYZE events');
    for (const caller of [adminOf(undefined), adminOf([treasuryId])]) {
      let cursor: string | undefined;
      for (const first of [LONG, LONG - 50, LONG - 100]) {
        // Not the making of the log's key, which sealing told of.
        const query = { limit: 50, cursor, kind: 'grant.token_reissued' } as EventsQuery;
        const page = await readOf('events', () => audit().events(caller, query));
        expect(page.answer.items.map(({ data }) => data.number)).toEqual(
          Array.from({ length: 50 }, (_, at) => first - 1 - at),
        );
        // Two rows an event, with its place in the log; one event more to see whether it is the last, the treasury, the cursor's.
        expect(page.rows).toBeGreaterThanOrEqual(102);
        expect(page.rows).toBeLessThan(110);
        cursor = page.answer.nextCursor ?? undefined;
      }
      const proof = await readOf('events', () => audit().proof(caller, cursor as string));
      expect(JSON.parse(proof.answer.record).data.number).toBe(LONG - 150);
      expect(proof.rows).toBeLessThan(5);
      await expect(audit().proof(adminOf([]), cursor as string)).rejects.toThrow('no event');
    }
  });

  it('is one list with the logs of other treasuries, in the order of writing', async () => {
    const other = 'trs_01k9zzzzzzzzzzzzzzzzzzzzzz';
    await asOwner(`INSERT INTO treasuries (id, name) VALUES ('${other}', 'other')`);
    for (let number = 0; number < 8; number += 1) {
      const change = event(number, { treasuryId: number % 3 === 0 ? other : treasuryId });
      await database.transaction((tx) => appendEvents(tx, NOW, [change]));
    }
    const listed = async (treasuries: string[] | undefined) => {
      const numbers: unknown[] = [];
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const query = { limit: 3, cursor } as EventsQuery;
        const page = await audit().events(adminOf(treasuries), query);
        numbers.push(...page.items.map(({ data }) => data.number));
        cursor = page.nextCursor;
      }
      return numbers;
    };
    expect(await listed(undefined)).toEqual([7, 6, 5, 4, 3, 2, 1, 0]);
    expect(await listed([treasuryId, other])).toEqual([7, 6, 5, 4, 3, 2, 1, 0]);
    expect(await listed([other])).toEqual([6, 3, 0]);
    expect(await listed([])).toEqual([]);
  });

  it('is sealed and proven by reading the tiles that are needed, and no others', async () => {
    await database.pool.query(
      `INSERT INTO log_tiles (treasury_id, level, index, hashes)
       SELECT $1, 0, n, decode(repeat('00', 32), 'hex') FROM generate_series(0, 599) n`,
      [treasuryId],
    );
    const places = [0, 17, 300, 599].map((index) => ({ level: 0, index }));
    const read = await readOf('log_tiles', () => readTiles(database.pool, treasuryId, places));
    expect(read.answer.map(({ index }) => index).sort((a, b) => a - b)).toEqual([0, 17, 300, 599]);
    expect(read.statements).toBe(1);
    // With the places themselves, which are scanned as well.
    expect(read.rows).toBeLessThanOrEqual(3 * places.length);
  });
});

describe('the bound on refusals', () => {
  const grantId = 'grt_01000000000000000000000000';
  const refusal = (reason = 'budget_exceeded') =>
    event(0, { kind: 'payment.refused', grantId, reason, data: { code: reason } });

  beforeEach(async () => {
    await database.pool.query(
      `INSERT INTO grants (treasury_id, id, root_id, path, depth, holder, currency, budget, scope,
         starts_at, expires_at, delegation_depth, funding, labels, minted_by, created_at)
       VALUES ($1, $2, $2, ARRAY[$2], 0, 'agent', 'USDC', 1, '{}', now(), now() + interval '1 day', 0,
         'shared', '{}', 'admin', now())`,
      [treasuryId, grantId],
    );
  });

  const refuse = (at: Date, ...events: NewEvent[]) =>
    database.transaction(async (tx) => {
      const bounded = await boundRefusals(tx, at, treasuryId, events, (id) => [id], BOUNDS);
      await appendEvents(tx, at, bounded);
      return bounded.map(({ kind, data }) => [kind, data.refusals]);
    });
  const later = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);
  const own = ['payment.refused', undefined];

  it('writes twenty of a kind in a minute, counts the rest, and tells how many they were', async () => {
    const flood = Array.from({ length: 50 }, () => refusal());
    expect(await refuse(NOW, ...flood)).toEqual(Array(20).fill(own));
    expect(await refuse(later(59), refusal())).toEqual([]);
    expect(await refuse(later(60), refusal())).toEqual([['payment.refused_more', '31'], own]);
    expect(await refuse(later(61), refusal())).toEqual([own]);
  });

  it('counts each reason by itself, and lets everything else through', async () => {
    await refuse(NOW, ...Array.from({ length: 20 }, () => refusal()));
    const mixed = [refusal(), event(1), refusal('payee_not_allowed')];
    expect(await refuse(NOW, ...mixed)).toEqual([['grant.token_reissued', undefined], own]);
  });

  it('holds over replicas that refuse at once', async () => {
    const written = await Promise.all(Array.from({ length: 60 }, () => refuse(NOW, refusal())));
    expect(written.flat()).toHaveLength(20);
    const told = await database.transaction((tx) => overdueRefusals(tx, later(60)));
    expect(told).toMatchObject([{ kind: 'payment.refused_more', data: { refusals: '40' } }]);
  });

  it('counts nothing of a transaction that fails', async () => {
    const failed = database.transaction(async (tx) => {
      await boundRefusals(
        tx,
        NOW,
        treasuryId,
        Array.from({ length: 30 }, () => refusal()),
        (id) => [id],
        BOUNDS,
      );
      throw new Error('undone');
    });
    await expect(failed).rejects.toThrow('undone');
    expect(await refuse(NOW, refusal())).toEqual([own]);
  });

  it('tells what was counted once, though no further refusal comes', async () => {
    await refuse(NOW, ...Array.from({ length: 25 }, () => refusal()));
    const sweep = (at: Date) => database.transaction((tx) => overdueRefusals(tx, at));
    expect(await sweep(later(59))).toEqual([]);
    const told = await Promise.all([sweep(later(60)), sweep(later(60))]);
    expect(told.flat()).toMatchObject([
      {
        kind: 'payment.refused_more',
        grantId,
        reason: 'budget_exceeded',
        data: { refusals: '5', from: NOW.toISOString(), to: NOW.toISOString() },
      },
    ]);
    const { rows } = await database.pool.query('SELECT 1 FROM refusal_tallies');
    expect(rows).toEqual([]);
  });

  it('does not wait for those that somebody is counting', async () => {
    await refuse(NOW, ...Array.from({ length: 25 }, () => refusal()));
    await refuse(NOW, ...Array.from({ length: 25 }, () => refusal('payee_not_allowed')));
    const told = await database.transaction(async (counting) => {
      await counting.query(
        `SELECT 1 FROM refusal_tallies WHERE code = 'budget_exceeded' FOR NO KEY UPDATE`,
      );
      return database.transaction(async (tx) => {
        await tx.query(`SET LOCAL lock_timeout = '2s'`);
        return overdueRefusals(tx, later(60));
      });
    });
    expect(told).toMatchObject([{ reason: 'payee_not_allowed', data: { refusals: '5' } }]);
  });

  it('tells nothing of a kind that kept within the bound', async () => {
    await refuse(NOW, refusal());
    expect(await database.transaction((tx) => overdueRefusals(tx, later(60)))).toEqual([]);
  });
});
