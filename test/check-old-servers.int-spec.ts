import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { AUTHORITY } from '../src/check/authority.js';
import { EVENT_ROWS } from '../src/check/event-rows.js';
import { PAYMENT_ROWS } from '../src/check/payment-rows.js';
import { forServer, parsed } from '../src/check/records.js';
import { GRANT_TERMS } from '../src/check/terms.js';
import { TRANSITIONS } from '../src/check/transitions.js';
import { TREASURY_ROWS } from '../src/check/treasury-rows.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';

// Postgres 15, Debian's, has no `IS JSON`. What the checker asks of it instead works on any version, so it is tried here on this one.

let test: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  test = await createTestDatabase();
  client = new pg.Client({ connectionString: test.url });
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await test?.drop();
});

describe('on a Postgres before 16 the checker', () => {
  it.each([
    ['a record', '{"a":{"b":1}}', { a: { b: 1 } }],
    ['a garbled one', '{"a":', null],
    ['none', null, null],
  ])('reads %s', async (_what, record, expected) => {
    const fit = await forServer(client, 150_012);
    const sql = fit(`SELECT ${parsed('r.record')} AS d FROM (SELECT $1::text AS record) r`);
    expect(sql).not.toContain('IS JSON');
    expect((await client.query(sql, [record])).rows).toEqual([{ d: expected }]);
  });

  it('asks every question without what that lacks', async () => {
    const fit = await forServer(client, 150_012);
    const questions = [
      ...[...AUTHORITY, ...EVENT_ROWS, ...PAYMENT_ROWS, ...GRANT_TERMS],
      ...[...TRANSITIONS, ...TREASURY_ROWS],
    ].map(({ sql }) => sql);
    expect(questions.some((sql) => sql.includes('IS JSON'))).toBe(true);
    for (const sql of questions.map(fit)) {
      expect(sql).not.toContain('IS JSON');
      await client.query(sql);
    }
  });

  it('asks as it stands where it need not', async () => {
    const fit = await forServer(client, 160_000);
    expect(fit(`SELECT ${parsed('record')} FROM events`)).toContain('IS JSON');
  });
});
