import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startTestStack, type TestStack } from './support/bursar.js';
import { metricsOf } from './support/metrics.js';
import { headOf } from './support/on-chain.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** More than are looked up at once, and many times more than one transaction ends. */
const PAYMENTS = 6_000;

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack({
    movableClock: true,
    environment: { BURSAR_MAX_VALIDITY_SECONDS: '60' },
    pollMs: 500,
  });
}, 60_000);
afterAll(() => stack?.stop());

/** Makes a payment many times over, each with a key and a nonce of its own. It is of 0, so only counts change. */
async function multiply(paymentId: string, times: number): Promise<void> {
  const { db } = stack;
  const { rows } = await db.query<{ column_name: string }>(
    `SELECT column_name FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = 'payments'`,
  );
  const own: Record<string, string> = {
    id: `p.id || '_' || n`,
    idempotency_key: `p.idempotency_key || '_' || n`,
    nonce: `'0x' || encode(sha256(convert_to(n::text, 'UTF8')), 'hex')`,
  };
  const names = rows.map(({ column_name: name }) => name);
  await db.query(
    `INSERT INTO payments (${names.join(', ')})
     SELECT ${names.map((name) => own[name] ?? `p.${name}`).join(', ')}
     FROM payments p, generate_series(1, $2::int) AS n WHERE p.id = $1`,
    [paymentId, times],
  );
  await db.query(
    `UPDATE grants SET payments = payments + $2, open_payments = open_payments + $2
     WHERE id = (SELECT grant_id FROM payments WHERE id = $1)`,
    [paymentId, times],
  );
}

const waiting = async () => {
  // Thousands of open payments are counted by it, which may take longer than it may on a busy machine.
  const text = await metricsOf(stack.service).catch(() => '');
  return Number(/^bursar_releases_waiting\{[^}]*\} (\d+)$/m.exec(text)?.[1]);
};

it('thousands of payments past their end are ended at one block, and hold up no other root', async () => {
  const { admin, chain, db } = stack;
  const many = await admin.mint({ budget: '1.00' });
  const first = await admin.as(many.token).paid(order(chain, { amount: '0' }));
  await multiply(first.payment.id, PAYMENTS);
  // Later than all of them, by age and by id.
  const others = await Promise.all([1, 2].map(() => admin.mint({ budget: '1.00' })));
  const later = await Promise.all(
    others.map(({ token }) => admin.as(token).paid(order(chain, { amount: '1000000' }))),
  );
  expect(await waiting()).toBe(0);
  // Nothing is released while the root is locked, so that the metric is read in time however fast a machine is.
  const holder = await db.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT 1 FROM grants WHERE id = $1 FOR UPDATE', [many.grant.id]);
  await stack.passTime(90);
  await chain.pauseMining();
  await chain.mineBlocks(4);
  const head = await headOf(chain);
  try {
    await until('some wait', async () => (await waiting()) > 0);
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
  for (const { payment } of later) {
    await until(
      'it is released',
      async () => (await admin.payment(payment.id)).status === 'released',
    );
  }
  const { rows: before } = await db.query<{ ended: number }>(
    `SELECT count(*)::int AS ended FROM payments WHERE grant_id = $1 AND status = 'released'
       AND ended_at < (SELECT max(ended_at) FROM payments WHERE id = ANY ($2::text[]))`,
    [many.grant.id, later.map(({ payment }) => payment.id)],
  );
  expect(before[0]?.ended).toBeLessThanOrEqual(1_000);
  await until('all are released', async () => (await waiting()) === 0, 90_000);
  const { rows: blocks } = await db.query(
    `SELECT block_number::int AS block, count(*)::int AS released FROM payments
     WHERE status = 'released' GROUP BY block_number`,
  );
  expect(blocks).toEqual([{ block: Number(head) - 2, released: PAYMENTS + 3 }]);
  expect(await admin.grant(many.grant.id)).toMatchObject({ reserved: '0.00', spent: '0.00' });
}, 180_000);
