import type pg from 'pg';
import { AUTHORITY } from '../src/check/authority.js';
import { IDENTITIES } from '../src/check/identities.js';
import { LIMITS } from '../src/check/limits.js';
import { forServer } from '../src/check/records.js';
import type { Question } from '../src/check/snapshot.js';
import { SUMS } from '../src/check/sums.js';
import { TRANSITIONS } from '../src/check/transitions.js';
import { WALLETS } from '../src/check/wallets.js';

/** The checker's questions that a benchmark could break, by invariant. */
const QUESTIONS: Readonly<Record<string, readonly Question[]>> = {
  I1: LIMITS,
  I2: SUMS,
  I3: IDENTITIES,
  I5: AUTHORITY,
  I7: WALLETS,
  I8: TRANSITIONS,
};

/** Ids that bulk-loading has break an invariant, as regular expressions. */
const LOADED: Readonly<Record<string, string>> = {
  // Loaded grants do not count to the bounds of their treasury, so that a benchmark may pass them.
  I2: '^trs_',
  // It has no decision that its nonce is the hash of, and no events.
  I3: '^pay_00000000',
  I8: '^(pay|grt)_00000000',
};

/** The highest id of a bulk-loaded payment; every id the service makes sorts above it. */
const LAST_LOADED_PAYMENT = 'pay_00000000zzzzzzzzzzzzzzzzzz';

/** How many offenders of an invariant are named. */
const NAMED = 5;

/**
 * Everything in a database that breaks an invariant: one line each, none when all is well.
 *
 * @param acknowledged - how many payments were answered with 201: each must be there, durable.
 */
export async function violations(db: pg.Pool, acknowledged: number): Promise<string[]> {
  const client = await db.connect();
  try {
    const fit = await forServer(client);
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const broken: string[] = [];
    for (const [invariant, questions] of Object.entries(QUESTIONS)) {
      const loaded = LOADED[invariant] ?? '^$';
      for (const { what, sql } of questions) {
        const { rows } = await client.query<{ id: string; detail: string }>(
          `SELECT q.id, q.detail FROM (${fit(sql)}) q WHERE q.id !~ $1`,
          [loaded],
        );
        const named = rows.slice(0, NAMED);
        for (const { id, detail } of named) broken.push(`${invariant}: ${what}: ${id} ${detail}`);
        if (rows.length > NAMED) broken.push(`${invariant}: and ${rows.length - NAMED} more`);
      }
    }
    const { rows } = await client.query<{ count: string }>(
      'SELECT count(*) FROM payments WHERE id > $1',
      [LAST_LOADED_PAYMENT],
    );
    const found = Number(rows[0]?.count);
    if (found < acknowledged) {
      broken.push(`${acknowledged} payments were answered, and only ${found} are there`);
    }
    await client.query('COMMIT');
    return broken;
  } finally {
    client.release(true);
  }
}
