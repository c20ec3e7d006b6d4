import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import { mnemonicToAccount } from 'viem/accounts';
import { startRpcProxy } from '../faults/rpc-proxy.js';
import { startChain } from '../sandbox/chain.js';
import { type CheckOptions, runCheck } from '../src/check/check.js';
import { checkCommand } from '../src/check/command.js';
import type { Report } from '../src/check/report.js';
import { cancelCall, cancelTypedData } from '../src/treasury/cancel-authorization.js';
import type { Minted, Paid } from './support/api.js';
import { STACK_MNEMONIC, startTestStack, type TestStack } from './support/bursar.js';
import { createCloneOf, type TestDatabase } from './support/database.js';
import { receiptOf, submit } from './support/on-chain.js';
import { ended, SHORT, settle } from './support/settle.js';
import { decodeHeader, order, orderV1 } from './support/terms.js';
import { until } from './support/until.js';

/** Books with something in every state, whose service has stopped; each test breaks a clone of them, and puts it back. */
let stack: TestStack;
let directory: string;
/** Every answer that a client got: what `--headers` takes. */
const received: Paid[] = [];
const grants: Record<
  'root' | 'agent' | 'carved' | 'paused' | 'revoked' | 'tripped' | 'cautious',
  Minted
> = Object.create(null);
const payments: Record<
  'settled' | 'v1' | 'released' | 'cancelled' | 'open' | 'resumed' | 'beforeEnd' | 'known',
  Paid
> = Object.create(null);
const ids = {
  waiting: '',
  rejected: '',
  approved: '',
  wallet: '',
  treasury: '',
  opening: '',
  committed: '',
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bursar-check-'));
  stack = await startTestStack();
  const { admin, chain } = stack;
  const windows = [{ seconds: 3600, amount: '5.00', payments: 100 }];
  grants.root = await admin.mint({ budget: '50.00', delegationDepth: 3, windows });
  const root = admin.as(grants.root.token);
  grants.agent = await root.mint({ budget: '5.00', maxPerPayment: '1.00', maxPayments: 50 });
  grants.carved = await root.mint({ budget: '2.00', funding: 'reserved' });
  grants.paused = await root.mint({ budget: '1.00' });
  grants.revoked = await root.mint({ budget: '1.00', funding: 'reserved' });
  const asking = await root.mint({ budget: '1.00', approvalAbove: '0.001' });
  const breaker = { refusals: 2, seconds: 600 };
  grants.tripped = await root.mint({ budget: '1.00', maxPerPayment: '0.001', breaker });
  grants.cautious = await root.mint({ budget: '0.02', approveNewPayees: true });
  const agent = admin.as(grants.agent.token);
  const pay = async (by = agent, body: unknown = order(chain)) => {
    const paid = await by.paid(body);
    received.push(paid);
    return paid;
  };

  payments.released = await pay(agent, order(chain, SHORT));
  payments.cancelled = await pay(agent);
  const asked = await agent.post(`/v1/payments/${payments.cancelled.payment.id}/cancel`, {});
  expect(asked.status).toBe(202);
  payments.settled = await pay(admin.as(grants.carved.token));
  payments.v1 = await pay(agent, orderV1(chain));
  payments.beforeEnd = await pay(admin.as(grants.revoked.token));
  const life = (grant: Minted, what: string) =>
    admin.post(`/v1/grants/${grant.grant.id}/${what}`, {});
  await life(grants.revoked, 'revoke');
  await life(grants.paused, 'suspend');
  await life(grants.paused, 'resume');
  payments.resumed = await pay(admin.as(grants.paused.token));
  const wait = async (key: string) => {
    const answer = await admin.as(asking.token).pay<Paid>(order(chain), key);
    expect(answer.status).toBe(202);
    return answer.body.payment.id;
  };
  ids.waiting = await wait('waiting');
  ids.rejected = await wait('rejected');
  ids.approved = await wait('approved');
  await admin.post(`/v1/payments/${ids.rejected}/reject`, { reason: 'no' });
  await admin.post(`/v1/payments/${ids.approved}/approve`, { reason: 'yes' });
  await admin.as(asking.token).paid(order(chain), 'approved');
  // Refused, and the second refusal trips the breaker.
  for (const _ of [1, 2]) {
    expect((await admin.as(grants.tripped.token).pay(order(chain))).status).toBe(403);
  }
  // The first payment to the payee, which comes to half of the budget.
  const cautious = admin.as(grants.cautious.token);
  const first = await cautious.pay<Paid>(order(chain), 'first');
  await admin.post(`/v1/payments/${first.body.payment.id}/approve`, {});
  payments.known = await cautious.paid(order(chain), 'first');
  await settle(stack, payments.settled);
  await until('the cancellation is final', async () => {
    return (await admin.payment(payments.cancelled.payment.id)).status === 'cancelled';
  });
  await ended(stack, payments.released.payment.id, 'released');
  payments.open = await pay(agent);
  await until('every event is sealed', async () => {
    const { rows } = await stack.db.query('SELECT 1 FROM unsealed_events');
    return rows.length === 0;
  });
  await until('every ended payment is folded', async () => {
    const { rows } = await stack.db.query(
      'SELECT 1 FROM leaves l LEFT JOIN spend_cursors c USING (treasury_id) WHERE l.leaf_index >= coalesce(c.leaf_index, 0)',
    );
    return rows.length === 0;
  });
  const { rows } = await stack.db.query(
    'SELECT treasury_id, wallet_id FROM payments WHERE id = $1',
    [payments.open.payment.id],
  );
  ids.wallet = rows[0].wallet_id;
  ids.treasury = rows[0].treasury_id;
  const { rows: committed } = await stack.db.query(
    `SELECT c.id, o.id AS opening FROM events c JOIN events o ON o.kind = 'audit.opened'
       AND strpos(o.record, c.record::jsonb -> 'data' ->> 'ancestors') > 0
     WHERE c.payment_id = $1 AND c.kind = 'payment.authorized'`,
    [payments.open.payment.id],
  );
  ids.committed = committed[0].id;
  ids.opening = committed[0].opening;
  await stack.service.stop();
  await chain.pauseMining();
  // A database that anybody is connected to cannot be cloned.
  await stack.db.end();
  stack.db.end = async () => {};
}, 90_000);

afterAll(async () => {
  await stack?.stop();
  await rm(directory, { recursive: true, force: true });
});

const check = (databaseUrl: string, options: Partial<CheckOptions> = {}): Promise<Report> =>
  runCheck({
    databaseUrl,
    networks: [
      { network: stack.chain.network, rpcUrls: [stack.chain.rpcUrl], finality: { blocks: 2 } },
    ],
    headers: [],
    overdueSeconds: 60,
    show: 10,
    progress: () => {},
    ...options,
  });

async function headersFile(name: string, lines: readonly unknown[]): Promise<string> {
  const file = join(directory, name);
  await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return file;
}

/** Broken rules, as `I1 id`. */
const broken = ({ invariants }: Report) =>
  invariants.flatMap(({ id, offenders }) => offenders.map((offender) => `${id} ${offender.id}`));

describe('books that are in order', () => {
  it('pass, every invariant having looked at something', async () => {
    const headers = [await headersFile('good.ndjson', received)];
    const report = await check(stack.databaseUrl, { headers });
    expect(broken(report)).toEqual([]);
    expect(report.invariants.flatMap(({ unchecked }) => unchecked)).toEqual([]);
    expect(report).toMatchObject({ ok: true, exitCode: 0 });
    const checked = Object.fromEntries(report.invariants.map(({ id, checked }) => [id, checked]));
    expect(checked).toMatchObject({
      I1: { grants: 8, windows: expect.any(Number), payments: 9 },
      I2: { grants: 8, 'carve-outs': 2, payments: 8, 'sums of reports': expect.any(Number) },
      I3: { payments: 11, nonces: 9 },
      I4: { decisions: 9, headers: 7, signatures: 7 },
      I5: { payments: 9, 'revocations and pauses': 3 },
      I6: { settled: 1, cancelled: 1, released: 1 },
      I7: { wallets: 4, balances: 4, 'balances on chain': 4, 'open payments': 6 },
      I8: {
        payments: 11,
        grants: 8,
        'sealed records': expect.any(Number),
        checkpoints: expect.any(Number),
      },
      I9: { 'open payments': 6, 'waiting for an approval': 1, 'unsealed events': 0 },
    });
    for (const counts of Object.values(checked)) {
      expect(Math.max(...Object.values(counts))).toBeGreaterThan(0);
    }
  });
});

/** Lets a clone be written as nobody could: no trigger, no CHECK, no unique key. */
const UNGUARDED = `SET session_replication_role = replica;
  DO $$ DECLARE c record; BEGIN
    FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
      WHERE contype = 'c' AND connamespace = 'public'::regnamespace
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP;
  END $$;
  DROP INDEX payments_treasury_id_grant_id_idempotency_key_key, payments_nonce_payer_asset_network_key;`;

/** The tables that are broken, and put back as they were after each test. */
const TABLES = [
  'grants',
  'grant_actors',
  'payments',
  'outside_spends',
  'events',
  'leaves',
  'unsealed_events',
  'wallet_balances',
  'log_checkpoints',
  'treasury_usage',
  'known_payees',
  'spend_hours',
  'spend_series',
  'spend_cursors',
];

let clone: TestDatabase;
let vandal: pg.Client;

beforeAll(async () => {
  clone = await createCloneOf(stack.databaseUrl);
  vandal = new pg.Client({ connectionString: clone.url });
  await vandal.connect();
  await vandal.query(UNGUARDED);
  await vandal.query('CREATE SCHEMA kept');
  for (const table of TABLES) await vandal.query(`CREATE TABLE kept.${table} AS TABLE ${table}`);
});

afterAll(async () => {
  await vandal?.end();
  await clone?.drop();
});

/** Looks at the clone after some SQL, and undoes it. */
async function after<T>(sql: string, look: () => Promise<T>): Promise<T> {
  await vandal.query(sql);
  try {
    return await look();
  } finally {
    for (const table of TABLES) {
      await vandal.query(`DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM kept.${table}`);
    }
  }
}

const grant = (name: keyof typeof grants) => grants[name].grant.id;
const payment = (name: keyof typeof payments) => payments[name].payment.id;

/** Makes a record say that two-person mode held. */
const twoPerson = (kind: string) => `UPDATE events
  SET record = replace(record, '"twoPerson":false', '"twoPerson":true')
  WHERE payment_id = '${ids.approved}' AND kind = '${kind}'`;

/** A corruption of the books in SQL, and the id that must be named for it. */
const BREAKS: readonly (readonly [string, () => string, () => readonly string[]])[] = [
  [
    'a grant beyond its budget',
    () => `UPDATE grants SET budget = 1 WHERE id = '${grant('agent')}'`,
    () => [`I1 ${grant('agent')}`],
  ],
  [
    'a grant beyond its count',
    () => `UPDATE grants SET max_payments = 1 WHERE id = '${grant('agent')}'`,
    () => [`I1 ${grant('agent')}`],
  ],
  [
    'a window that took too much',
    () =>
      `UPDATE grants SET windows = '[{"seconds": 3600, "amount": "9999"}]' WHERE id = '${grant('root')}'`,
    () => [`I1 ${grant('root')}`],
  ],
  [
    'a payment larger than one may be',
    () => `UPDATE grants SET max_per_payment = 1 WHERE id = '${grant('carved')}'`,
    () => [`I1 ${payment('settled')}`],
  ],
  [
    'a payment that nobody approved',
    () => `UPDATE grants SET approval_above = 1 WHERE id = '${grant('paused')}'`,
    () => [`I1 ${payment('resumed')}`],
  ],
  [
    'a counter that forgets money',
    () => `UPDATE grants SET spent = 0 WHERE id = '${grant('root')}'`,
    () => [`I2 ${grant('root')}`],
  ],
  [
    'a carve-out that is not set aside',
    () => `UPDATE grants SET allocated = allocated - 1 WHERE id = '${grant('root')}'`,
    () => [`I2 ${grant('root')}`],
  ],
  [
    'a window that forgets a payment',
    () =>
      `UPDATE grants SET window_usage = jsonb_set(window_usage, '{0,payments}', '1') WHERE id = '${grant('root')}'`,
    () => [`I2 ${grant('root')}`],
  ],
  [
    'a grant that forgets what waits',
    () => `UPDATE grants SET waiting = 0 WHERE id = '${grant('root')}'`,
    () => [`I2 ${grant('root')}`],
  ],
  [
    'a treasury that forgets what is open',
    () => 'UPDATE treasury_usage SET open_payments = open_payments - 1',
    () => [`I2 ${ids.treasury}`],
  ],
  [
    'a sum of reports with more money than was settled',
    () => `UPDATE spend_hours SET amount = amount + 1 WHERE status = 'settled'`,
    () => [`I2 ${grant('carved')}`],
  ],
  [
    'a sum of reports that is gone',
    () => `DELETE FROM spend_hours WHERE status = 'settled'`,
    () => [`I2 ${grant('carved')}`],
  ],
  [
    'a sum of reports of another host',
    () =>
      `UPDATE spend_series SET host = 'elsewhere.example' WHERE grant_id = '${grant('carved')}'`,
    () => [`I2 ${grant('carved')}`],
  ],
  [
    'a sum of reports with more refusals than there were',
    () => `UPDATE spend_hours SET payments = payments + 1 WHERE status = 'refused'`,
    () => [`I2 ${grant('tripped')}`],
  ],
  [
    'a fold that is further than its log',
    () => 'UPDATE spend_cursors SET leaf_index = leaf_index + 1000',
    () => [`I2 ${ids.treasury}`],
  ],
  [
    'a trip by refusals that do not count',
    () => `UPDATE events SET record = replace(record, '"code":"per_payment_exceeded"', '"code":"grant_suspended"')
      WHERE grant_id = '${grant('tripped')}' AND kind = 'payment.refused'`,
    () => [`I1 ${grant('tripped')}`],
  ],
  [
    'a trip after fewer refusals than its breaker counts',
    () => `UPDATE events SET record = replace(record, '"since":"', '"since":"2')
      WHERE grant_id = '${grant('tripped')}' AND kind = 'grant.tripped'`,
    () => [`I1 ${grant('tripped')}`],
  ],
  [
    'a trip of a grant that has no breaker',
    () => `UPDATE events SET grant_id = '${grant('agent')}' WHERE kind = 'grant.tripped'`,
    () => [`I1 ${grant('agent')}`],
  ],
  [
    'a threshold that its grant had not come to',
    () => `UPDATE events SET record = replace(record, '"used":"10000"', '"used":"9999"')
      WHERE grant_id = '${grant('cautious')}' AND kind = 'grant.threshold'`,
    () => [`I1 ${grant('cautious')}`],
  ],
  [
    'a threshold of another budget',
    () => `UPDATE events SET record = replace(record, '"limit":"20000"', '"limit":"10000"')
      WHERE grant_id = '${grant('cautious')}' AND kind = 'grant.threshold'`,
    () => [`I1 ${grant('cautious')}`],
  ],
  [
    'a threshold that is told twice',
    () => `INSERT INTO events (treasury_id, id, seq, kind, actor, grant_id, record, created_at)
      SELECT treasury_id, id || 'x', seq + 1000000, kind, actor, grant_id, record, created_at FROM events
      WHERE grant_id = '${grant('cautious')}' AND kind = 'grant.threshold'`,
    () => [`I1 ${grant('cautious')}`],
  ],
  [
    'a payee that no approval made known',
    () => `INSERT INTO known_payees (treasury_id, since, grant_id, network, pay_to, payment_id)
      SELECT treasury_id, since, grant_id, network, '0x${'ee'.repeat(20)}', payment_id FROM known_payees`,
    () => [`I1 ${grant('cautious')}`],
  ],
  [
    'a payee that is forgotten',
    () => 'DELETE FROM known_payees',
    () => [`I1 ${grant('cautious')}`],
  ],
  [
    'a first payment to a payee that nobody approved',
    () => `UPDATE payments SET approval_from_above = NULL, approved_at = NULL, approval_lapses_at = NULL
      WHERE id = '${payment('known')}'`,
    () => [`I1 ${payment('known')}`],
  ],
  [
    'a commitment that nothing opens',
    () => `DELETE FROM events WHERE id = '${ids.opening}'`,
    () => [`I8 ${ids.committed}`],
  ],
  [
    'an opening that nothing commits to',
    () =>
      `UPDATE events SET record = replace(record, '"ancestors":"', '"ancestors":"0') WHERE id = '${ids.committed}'`,
    () => [`I8 ${ids.opening}`, `I8 ${ids.committed}`],
  ],
  [
    'an opening of other figures',
    () =>
      `UPDATE events SET record = replace(record, '"spent":"', '"spent":"1') WHERE id = '${ids.opening}'`,
    () => [`I8 ${ids.opening}`],
  ],
  [
    'a key used twice',
    () => `UPDATE payments SET idempotency_key = 'same' WHERE grant_id = '${grant('agent')}'`,
    () => [`I3 ${payment('released')}`],
  ],
  [
    'a nonce used twice',
    () => `UPDATE payments p SET payer = q.payer, wallet_id = q.wallet_id, nonce = q.nonce FROM payments q
      WHERE p.id = '${payment('open')}' AND q.id = '${payment('settled')}'`,
    () => [`I3 ${payment('settled')}`, `I3 ${payment('open')}`],
  ],
  [
    'a decision that was changed',
    () =>
      `UPDATE payments SET decision = replace(decision, 'GET', 'PUT') WHERE id = '${payment('open')}'`,
    () => [`I3 ${payment('open')}`, `I4 ${payment('open')}`],
  ],
  [
    'a payee that was not decided',
    () => `UPDATE payments SET pay_to = asset WHERE id = '${payment('open')}'`,
    () => [`I4 ${payment('open')}`],
  ],
  [
    'a payment that is gone',
    () => `DELETE FROM payments WHERE id = '${payment('settled')}'`,
    () => [`I4 ${payment('settled')}`],
  ],
  [
    'a payment after its grant was over',
    () =>
      `UPDATE grants SET expires_at = now() - interval '1 hour' WHERE id = '${grant('carved')}'`,
    () => [`I5 ${payment('settled')}`],
  ],
  [
    'a payment while an ancestor was suspended',
    () =>
      `UPDATE events SET kind = 'grant.nothing' WHERE grant_id = '${grant('paused')}' AND kind = 'grant.resumed'`,
    () => [`I5 ${payment('resumed')}`],
  ],
  [
    'a payment after the revocation',
    () =>
      `UPDATE events SET seq = -1 WHERE grant_id = '${grant('revoked')}' AND kind = 'grant.revoked'`,
    () => [`I5 ${payment('beforeEnd')}`],
  ],
  [
    'a spend that nobody explained, of a wallet that is not held',
    () => `INSERT INTO outside_spends (treasury_id, network, transaction, asset, place, wallet_id, amount, block_number,
        status, seen_at)
      SELECT treasury_id, network, '0x${'cd'.repeat(32)}', asset, 0, wallet_id, 1, 1, 'final', now() FROM payments
      WHERE id = '${payment('open')}'`,
    () => [`I7 0x${'cd'.repeat(32)}`, `I7 ${ids.wallet}`],
  ],
  [
    'an actor of a grant who is forgotten',
    () => `DELETE FROM grant_actors WHERE grant_id = '${grant('root')}'`,
    () => [`I5 ${grant('root')}`],
  ],
  [
    'an actor of a grant whom no event tells of',
    () => `INSERT INTO grant_actors SELECT treasury_id, id, 'admin:other', now() FROM grants
      WHERE id = '${grant('agent')}'`,
    () => [`I5 ${grant('agent')}`],
  ],
  [
    'an actor of a grant by a later time than his first act',
    () =>
      `UPDATE grant_actors SET since = since + interval '1 s' WHERE grant_id = '${grant('agent')}'`,
    () => [`I5 ${grant('agent')}`],
  ],
  [
    'an approval in two-person mode by whoever minted a grant of the chain',
    () => twoPerson('payment.approved'),
    () => [`I5 ${ids.approved}`],
  ],
  [
    'a hand-over in two-person mode of what such a person approved',
    () => twoPerson('payment.authorized'),
    () => [`I5 ${ids.approved}`],
  ],
  [
    'an approval in two-person mode by a holder',
    () => `${twoPerson('payment.approved')};
      UPDATE events SET actor = 'grant:other' WHERE payment_id = '${ids.approved}' AND kind = 'payment.approved'`,
    () => [`I5 ${ids.approved}`],
  ],
  [
    'a hand-over that names another approver',
    () => `UPDATE events SET record = replace(record, '"by":"admin:tester"', '"by":"admin:other"')
      WHERE payment_id = '${ids.approved}' AND kind = 'payment.authorized'`,
    () => [`I5 ${ids.approved}`],
  ],
  [
    'a settlement that the chain does not show',
    () => `UPDATE payments SET paid = paid + 1 WHERE id = '${payment('settled')}'`,
    () => [`I6 ${payment('settled')}`],
  ],
  [
    'a settlement in a transaction that is none',
    () =>
      `UPDATE payments SET transaction = '0x${'ab'.repeat(32)}' WHERE id = '${payment('settled')}'`,
    () => [`I6 ${payment('settled')}`],
  ],
  [
    'a cancellation that was none',
    () => `UPDATE payments SET status = 'settled' WHERE id = '${payment('cancelled')}'`,
    () => [`I6 ${payment('cancelled')}`],
  ],
  [
    'a release although the nonce is spent',
    () =>
      `UPDATE payments SET status = 'released', transaction = NULL WHERE id = '${payment('settled')}'`,
    () => [`I6 ${payment('settled')}`],
  ],
  [
    'a release before its time',
    () =>
      `UPDATE payments SET valid_before = valid_before + 3600 WHERE id = '${payment('released')}'`,
    () => [`I6 ${payment('released')}`],
  ],
  [
    'a release before its time by the database',
    () =>
      `UPDATE payments SET ended_at = to_timestamp(valid_before - 1) WHERE id = '${payment('released')}'`,
    () => [`I6 ${payment('released')}`],
  ],
  [
    'a wallet that holds back too little',
    () => `UPDATE wallet_balances SET reserved = reserved - 1 WHERE wallet_id = '${ids.wallet}'`,
    () => [`I7 ${ids.wallet}`],
  ],
  [
    'a balance that the chain does not have',
    () => `UPDATE wallet_balances SET balance = balance + 1 WHERE wallet_id = '${ids.wallet}'`,
    () => [`I7 ${ids.wallet}`],
  ],
  [
    'a wallet with less than is open',
    () => `UPDATE wallet_balances SET balance = reserved - 1 WHERE wallet_id = '${ids.wallet}'`,
    () => [`I7 ${ids.wallet}`],
  ],
  [
    'an end that was taken back',
    () => `UPDATE payments SET status = 'authorized', ended_at = NULL, transaction = NULL, block_number = NULL
      WHERE id = '${payment('settled')}'`,
    () => [`I8 ${payment('settled')}`],
  ],
  [
    'a grant that came back from its revocation',
    () => `UPDATE grants SET status = 'active', revoked_at = NULL WHERE id = '${grant('revoked')}'`,
    () => [`I8 ${grant('revoked')}`],
  ],
  [
    'an event that is gone',
    () => `DELETE FROM events WHERE payment_id = '${ids.rejected}' AND kind = 'payment.rejected'`,
    () => [`I8 ${ids.rejected}`, `I8 ${ids.treasury}`],
  ],
  [
    'an event that lost its place in the log',
    () => `DELETE FROM leaves l USING events e WHERE e.seq = l.seq AND e.id = '${ids.opening}'`,
    () => [`I8 ${ids.opening}`, `I8 ${ids.treasury}`],
  ],
  [
    'an event that waits for a second place',
    () =>
      `INSERT INTO unsealed_events SELECT treasury_id, seq FROM events WHERE id = '${ids.opening}'`,
    () => [`I8 ${ids.opening}`],
  ],
  [
    'a place that waits for an event that is gone',
    () => `INSERT INTO unsealed_events SELECT '${ids.treasury}', -7`,
    () => [`I8 number -7 of ${ids.treasury}`],
  ],
  [
    'a payment that stays open',
    () => `UPDATE payments SET valid_before = valid_before - 3600 WHERE id = '${payment('open')}'`,
    () => [`I9 ${payment('open')}`],
  ],
  [
    'an approval that never lapses',
    () =>
      `UPDATE payments SET approval_lapses_at = now() - interval '1 hour' WHERE id = '${ids.waiting}'`,
    () => [`I9 ${ids.waiting}`],
  ],
  [
    'a carve-out that is not given back',
    () =>
      `UPDATE grants SET expires_at = now() - interval '1 hour' WHERE id = '${grant('carved')}';
       UPDATE payments SET ended_at = now() - interval '1 hour' WHERE id = '${payment('settled')}'`,
    () => [`I9 ${grant('carved')}`],
  ],
];

describe('books that somebody broke', () => {
  it.each(BREAKS)('are found out: %s', async (_, sql, expected) => {
    const report = await after(sql(), () => check(clone.url));
    expect(broken(report)).toEqual(expect.arrayContaining([...expected()]));
    expect(report).toMatchObject({ ok: false, exitCode: 1 });
  });

  it('are found out where a record or a checkpoint was rewritten', async () => {
    const rewrite = `UPDATE events SET record = replace(record, '"reason":"no"', '"reason":"yes"')
      WHERE payment_id = '${ids.rejected}' AND kind = 'payment.rejected'`;
    const forge = `UPDATE log_checkpoints SET note = (SELECT note FROM log_checkpoints ORDER BY size LIMIT 1)
      WHERE size = (SELECT max(size) FROM log_checkpoints)`;
    const extra = `INSERT INTO log_checkpoints (treasury_id, size, note, previous)
      SELECT treasury_id, 1000000, note, max(size) OVER () FROM log_checkpoints LIMIT 1`;
    for (const sql of [rewrite, forge, extra]) {
      const report = await after(sql, () => check(clone.url));
      expect(broken(report)).toContainEqual(expect.stringMatching(`^I8 ${ids.treasury} at `));
      expect(broken(report).every((each) => each.startsWith('I8'))).toBe(true);
    }
  });

  it('are found out by the chain: money that no payment stands for', async () => {
    const { transaction } = await lastTransaction();
    const report = await after(`DELETE FROM payments WHERE id = '${payment('settled')}'`, () =>
      check(clone.url),
    );
    expect(broken(report)).toContain(`I6 ${transaction}`);
  });

  it('are no fault of a settlement that the ledger has not read yet', async () => {
    const unread = `UPDATE payments SET status = 'authorized', ended_at = NULL, transaction = NULL,
      block_number = NULL WHERE id = '${payment('settled')}'`;
    const report = await after(unread, () => check(clone.url));
    expect(report.invariants[5]).toMatchObject({
      id: 'I6',
      status: 'holds',
      checked: { cancelled: 1, released: 1, 'not read yet': 1 },
    });
  });

  it('are no fault of a reorganisation that put a settlement into another block', async () => {
    const moved = `UPDATE payments SET block_number = 1000000 WHERE id = '${payment('settled')}'`;
    // Its record has the block it was read in; the chain has it elsewhere, and that is no matter.
    expect(broken(await after(moved, () => check(clone.url)))).toEqual([
      `I8 ${payment('settled')}`,
    ]);
  });

  it('are no fault of a carve-out whose last payment has ended just now', async () => {
    const late = `UPDATE grants SET expires_at = now() - interval '1 hour' WHERE id = '${grant('carved')}';
      UPDATE payments SET ended_at = now() WHERE id = '${payment('settled')}'`;
    const found = broken(await after(late, () => check(clone.url)));
    // Which is so soon that it paid after its end.
    expect(found.filter((each) => !each.startsWith('I8'))).toEqual([`I5 ${payment('settled')}`]);
  });

  it('are told in full by count, and named up to a bound', async () => {
    const report = await after('UPDATE payments SET decision = decision || chr(32)', () =>
      check(clone.url, { show: 3 }),
    );
    const [, , third] = report.invariants;
    expect(third).toMatchObject({ id: 'I3', status: 'broken', violations: 9 });
    expect(third?.offenders).toHaveLength(3);
  });

  // The last: what is on chain is there to stay.
  it('are no fault of a cancellation that was mined after the release', async () => {
    const { chain } = stack;
    const { authorization } = decodeHeader(payments.released.header.value).payload;
    const { from, nonce } = authorization;
    const wallet = [0, 1, 2, 3, 4]
      .map((addressIndex) => mnemonicToAccount(STACK_MNEMONIC, { addressIndex }))
      .find(({ address }) => address === from);
    if (!wallet) throw new Error(`no wallet ${from}`);
    const chainId = Number(chain.network.split(':')[1]);
    const signature = await wallet.signTypedData(
      cancelTypedData(from, nonce, chainId, { ...chain.token, decimals: 6, currency: 'USDC' }),
    );
    const hash = await submit(chain, cancelCall(from, nonce, signature));
    await chain.mineBlocks(5);
    expect(await receiptOf(chain, hash)).toMatchObject({ status: '0x1' });

    const report = await check(stack.databaseUrl);
    expect(broken(report)).toEqual([]);
    expect(report.invariants[5]?.checked).toMatchObject({
      released: 1,
      'cancelled after the release': 1,
    });
    // One that was spent by then should never have been released.
    const late = `UPDATE payments SET block_number = block_number + 1000000 WHERE id = '${payment('released')}'`;
    expect(broken(await after(late, () => check(clone.url)))).toContain(
      `I6 ${payment('released')}`,
    );
  });
});

async function lastTransaction(): Promise<{ transaction: string }> {
  const client = new pg.Client({ connectionString: stack.databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query('SELECT transaction FROM payments WHERE id = $1', [
      payment('settled'),
    ]);
    return rows[0];
  } finally {
    await client.end();
  }
}

describe('headers that clients received', () => {
  const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');
  const changed = (change: (body: ReturnType<typeof decodeHeader>) => unknown) =>
    base64(change(structuredClone(decodeHeader(payments.open.header.value))));
  const authorized = (members: object) =>
    changed((body) => ({
      ...body,
      payload: { ...body.payload, authorization: { ...body.payload.authorization, ...members } },
    }));

  it('pass as bare text, as strings and as whole answers', async () => {
    const file = join(directory, 'forms.ndjson');
    const { value } = payments.open.header;
    await writeFile(
      file,
      `${value}\n${JSON.stringify(value)}\n${JSON.stringify({ header: value, paymentId: payment('open') })}\n\n`,
    );
    const report = await check(stack.databaseUrl, { headers: [file] });
    expect(report).toMatchObject({ ok: true });
    expect(report.invariants[3]?.checked).toMatchObject({ headers: 3, signatures: 1 });
  });

  it('are named by their line when nothing committed stands behind them', async () => {
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [authorized({ nonce: `0x${'ab'.repeat(32)}` }), /no payment has its nonce/],
      [authorized({ value: '10001' }), /its value is 10001, committed is 10000/],
      [authorized({ to: payments.open.payment.asset }), /its to is/],
      [authorized({ validBefore: '9999999999' }), /its validBefore is/],
      [
        changed((body) => ({
          ...body,
          accepted: { ...body.accepted, payTo: body.accepted?.asset },
        })),
        /its accepted\.payTo is/,
      ],
      [
        changed((body) => ({
          ...body,
          payload: {
            ...body.payload,
            signature: decodeHeader(payments.settled.header.value).payload.signature,
          },
        })),
        /signed by 0x/,
      ],
      [
        { header: payments.open.header, payment: { id: payment('settled') } },
        /it came with payment/,
      ],
      ['nonsense', /no base64 of a payment/],
    ];
    for (const [line, detail] of wrong) {
      const headers = [await headersFile('wrong.ndjson', [line])];
      const report = await check(stack.databaseUrl, { headers });
      expect(report.invariants[3]).toMatchObject({ id: 'I4', violations: 1 });
      const [offender] = report.invariants[3]?.offenders ?? [];
      expect(`${offender?.id} ${offender?.detail}`).toMatch(/wrong\.ndjson:1\b/);
      expect(offender?.detail).toMatch(detail);
    }
  });

  it('may wrap one signature in several entries of the same material terms', async () => {
    const { value } = payments.open.header;
    const rewrapped = changed((body) => ({
      ...body,
      accepted: { ...body.accepted, extra: { nonce: 'another' } },
    }));
    const { payload } = decodeHeader(value);
    const v1 = base64({ x402Version: 1, scheme: 'exact', network: 'base-sepolia', payload });
    const headers = [await headersFile('wrapped.ndjson', [value, rewrapped, v1, value])];
    const report = await check(stack.databaseUrl, { headers });
    expect(report).toMatchObject({ ok: true });
    expect(report.invariants[3]?.checked).toMatchObject({ headers: 4, signatures: 3 });
  });

  it('are found out when one payment has two signatures', async () => {
    const { value } = payments.open.header;
    const other = changed((body) => ({
      ...body,
      payload: {
        ...body.payload,
        signature: decodeHeader(payments.settled.header.value).payload.signature,
      },
    }));
    const headers = [await headersFile('two.ndjson', [value, other])];
    const report = await check(stack.databaseUrl, { headers });
    expect(report.invariants[3]?.offenders).toMatchObject([
      { id: payment('open'), detail: expect.stringContaining('another signature as well') },
    ]);
  });
});

describe('what cannot be checked', () => {
  const of = (report: Report) =>
    report.invariants.filter(({ status }) => status === 'unchecked').map(({ id }) => id);

  it('is said when no RPC is given for a network', async () => {
    const report = await check(stack.databaseUrl, { networks: [] });
    expect(of(report)).toEqual(['I6', 'I7', 'I9']);
    expect(report).toMatchObject({ ok: false, exitCode: 2 });
    expect(report.invariants[5]?.unchecked[0]).toMatch(`give --rpc ${stack.chain.network}=URL`);
  });

  it('is said when the RPC serves another chain of the same id', async () => {
    const other = await startChain();
    try {
      const { network } = stack.chain;
      await other.mineBlocks(200);
      const report = await check(stack.databaseUrl, {
        networks: [{ network, rpcUrls: [other.rpcUrl], finality: { blocks: 2 } }],
      });
      expect(of(report)).toEqual(['I6', 'I7']);
      expect(report.exitCode).toBe(2);
      expect(report.invariants[5]?.unchecked[0]).toMatch(/is it the same chain/);
    } finally {
      await other.stop();
    }
  });
});

describe('several RPCs', () => {
  const asked = (...rpcUrls: string[]) =>
    check(stack.databaseUrl, {
      networks: [{ network: stack.chain.network, rpcUrls, finality: { blocks: 2 } }],
      // The service has stopped: on a busy machine payments stay open for long.
      overdueSeconds: 3_600,
    });

  it('are all asked, and nothing is believed that one of them contradicts', async () => {
    const other = await startRpcProxy(stack.chain.rpcUrl);
    try {
      const agreed = await asked(stack.chain.rpcUrl, other.url);
      expect(agreed.invariants.flatMap(({ unchecked }) => unchecked)).toEqual([]);
      expect(broken(agreed)).toEqual([]);
      other.fault = ({ method }) => (method === 'eth_getLogs' ? { result: [] } : undefined);
      const report = await asked(stack.chain.rpcUrl, other.url);
      expect(report.exitCode).toBe(2);
      expect(report.invariants[5]?.unchecked[0]).toMatch(/contradict each other about the logs/);
    } finally {
      await other.stop();
    }
  });

  it('leave releases unchecked when one of them is away', async () => {
    const report = await asked('http://127.0.0.1:9', stack.chain.rpcUrl);
    expect(report.exitCode).toBe(2);
    for (const place of [5, 8]) {
      expect(report.invariants[place]?.unchecked[0]).toMatch(/127.0.0.1:9 does not answer/);
    }
  });
});

describe('bursar check', () => {
  async function run(...args: string[]) {
    const printed = { stdout: '', stderr: '' };
    const spies = (['stdout', 'stderr'] as const).map((stream) =>
      jest.spyOn(process[stream], 'write').mockImplementation((text) => {
        printed[stream] += String(text);
        return true;
      }),
    );
    try {
      return { code: await checkCommand(args, {}), ...printed };
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  }
  const options = () => [
    ...['--database-url', stack.databaseUrl],
    ...['--rpc', `${stack.chain.network}=${stack.chain.rpcUrl}`],
    ...['--finality', `${stack.chain.network}=2`],
  ];

  it('prints a line an invariant, and exits 0', async () => {
    const { code, stdout: printed, stderr } = await run(...options());
    expect({ code, printed, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toMatch(/^bursar: reads the database test_\w+ at 127\.0\.0\.1:\d+\n$/);
    for (let n = 1; n <= 9; n += 1) expect(printed).toMatch(new RegExp(`^✓ I${n} `, 'm'));
    expect(printed).toMatch(/^All of it holds \([0-9.]+ s\)\.$/m);
  });

  it('prints JSON in one line, and exits 1 naming who breaks what', async () => {
    const sql = `UPDATE grants SET spent = spent + 1 WHERE id = '${grant('root')}'`;
    const { code, stdout: printed } = await after(sql, () =>
      run(...options(), '--json', '--database-url', clone.url),
    );
    expect(code).toBe(1);
    expect(printed.trim().split('\n')).toHaveLength(1);
    expect(JSON.parse(printed)).toMatchObject({ ok: false, exitCode: 1 });
  });

  it.each([
    [['--database-url', 'postgres://127.0.0.1:1/none'], /the database cannot be checked/],
    [['--rpc', 'base=http://x'], /--rpc takes NETWORK=VALUE/],
    [['--overdue', 'soon'], /--overdue must be a time/],
    [['--headers', '/nowhere'], /there is no file/],
    [['--nonsense'], /--nonsense/],
  ])('exits 2 for what it cannot do: %j', async (args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stdout + stderr).toMatch(message);
  });
});
