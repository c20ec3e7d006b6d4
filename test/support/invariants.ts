import type { Pool, PoolClient } from 'pg';
import { Replay } from '../../src/audit/replay.js';
import { rpc } from './rpc.js';

/**
 * The invariants of docs/architecture.md as plain SQL over one snapshot, without a line of the
 * service's own code. Each query returns a row for everything that is wrong.
 */
const CHECKS: Readonly<Record<string, string>> = {
  'I1: a grant is within its budget and its count': `
    SELECT id, budget, reserved, spent, allocated, payments, max_payments FROM grants
    WHERE reserved < 0 OR spent < 0 OR allocated < 0 OR reserved + spent + allocated > budget
      OR payments < 0 OR payments > max_payments OR open_payments < 0 OR open_payments > payments`,
  'I1: a window has taken exactly what the payments of its last period come to': `
    SELECT g.id, w.terms, u.taken, due.amount, due.payments FROM grants g
    CROSS JOIN LATERAL jsonb_array_elements(g.windows) WITH ORDINALITY AS w (terms, place)
    CROSS JOIN LATERAL (SELECT coalesce(g.window_usage -> (w.place - 1)::int,
      '{"period": 0, "amount": "0", "payments": 0}') AS taken) u
    CROSS JOIN LATERAL (
      SELECT coalesce(sum(p.amount), 0) AS amount, count(p.id) AS payments
      FROM payments p JOIN grants o ON o.treasury_id = p.treasury_id AND o.id = p.grant_id
      WHERE o.treasury_id = g.treasury_id AND g.id = ANY (o.path)
        AND p.status IN ('authorized', 'settled', 'cancelled')
        AND floor(extract(epoch FROM p.authorized_at - g.starts_at) / (w.terms ->> 'seconds')::numeric)
          >= (u.taken ->> 'period')::numeric) due
    WHERE (u.taken ->> 'amount')::numeric <> due.amount
      OR (u.taken ->> 'payments')::numeric <> due.payments
      OR due.amount > (w.terms ->> 'amount')::numeric
      OR due.payments > (w.terms ->> 'payments')::numeric`,
  'I2: a grant counts exactly the payments of its subtree': `
    WITH due AS (
      SELECT p.treasury_id, a.id,
        coalesce(sum(p.amount) FILTER (WHERE p.status = 'authorized'), 0) AS reserved,
        coalesce(sum(p.paid) FILTER (WHERE p.status = 'settled'), 0) AS spent,
        count(*) FILTER (WHERE p.status = 'authorized') AS open,
        count(*) FILTER (WHERE p.status IN ('authorized', 'settled', 'cancelled')) AS payments
      FROM payments p JOIN grants o ON o.treasury_id = p.treasury_id AND o.id = p.grant_id
      CROSS JOIN LATERAL unnest(o.path) AS a (id) GROUP BY 1, 2)
    SELECT g.id, g.reserved, due.reserved AS due_reserved, g.spent, due.spent AS due_spent,
      g.payments, due.payments AS due_payments, g.open_payments, due.open AS due_open
    FROM grants g LEFT JOIN due ON due.treasury_id = g.treasury_id AND due.id = g.id
    WHERE g.reserved <> coalesce(due.reserved, 0) OR g.spent <> coalesce(due.spent, 0)
      OR g.payments <> coalesce(due.payments, 0) OR g.open_payments <> coalesce(due.open, 0)`,
  'I2: a grant has set aside exactly what the carve-outs next below it may still take': `
    WITH due AS (
      SELECT c.treasury_id, a.id, sum(c.budget - c.reserved - c.spent) AS allocated
      FROM grants c CROSS JOIN LATERAL unnest(c.path) WITH ORDINALITY AS a (id, place)
      WHERE c.funding = 'reserved' AND c.parent_id IS NOT NULL AND c.returned_at IS NULL
        AND a.place <= c.depth AND NOT EXISTS (
          SELECT FROM unnest(c.path) WITH ORDINALITY AS b (id, place)
          JOIN grants m ON m.treasury_id = c.treasury_id AND m.id = b.id
          WHERE b.place > a.place AND b.place <= c.depth AND m.funding = 'reserved')
      GROUP BY 1, 2)
    SELECT g.id, g.allocated, due.allocated AS due
    FROM grants g LEFT JOIN due ON due.treasury_id = g.treasury_id AND due.id = g.id
    WHERE g.allocated <> coalesce(due.allocated, 0)`,
  'I2: a carve-out was given back only after it had ended': `
    SELECT g.id, g.returned_at, g.expires_at, g.payments, g.max_payments FROM grants g
    WHERE g.returned_at < g.expires_at AND g.payments IS DISTINCT FROM g.max_payments
      AND g.spent < g.budget AND NOT EXISTS (
        SELECT FROM unnest(g.path) AS b (id)
        JOIN grants a ON a.treasury_id = g.treasury_id AND a.id = b.id WHERE a.status = 'revoked')`,
  'I2: a grant that no revocation has ended counts those below it that are as alive': `
    WITH living AS (
      SELECT o.treasury_id, o.id, o.path, o.alive, o.counted_out_at FROM grants o WHERE NOT EXISTS (
        SELECT FROM unnest(o.path) AS b (id)
        JOIN grants a ON a.treasury_id = o.treasury_id AND a.id = b.id WHERE a.status = 'revoked')),
    due AS (
      SELECT l.treasury_id, a.id, count(*) FILTER (WHERE l.counted_out_at IS NULL) AS alive
      FROM living l CROSS JOIN LATERAL unnest(l.path) AS a (id) GROUP BY 1, 2)
    SELECT l.id, l.alive, due.alive AS due
    FROM living l JOIN due ON due.treasury_id = l.treasury_id AND due.id = l.id
    WHERE l.alive <> due.alive`,
  'I2: a grant counts the payments of its subtree that wait': `
    SELECT g.id, g.waiting FROM grants g WHERE g.waiting <> (
      SELECT count(*) FROM payments p JOIN grants o ON o.treasury_id = p.treasury_id AND o.id = p.grant_id
      WHERE p.status = 'pending_approval' AND g.id = ANY (o.path))`,
  'I2: a treasury counts what its roots do': `
    SELECT u.*, d.* FROM treasury_usage u CROSS JOIN LATERAL (
      SELECT coalesce(sum(g.alive), 0) AS alive_due, coalesce(sum(g.waiting), 0) AS waiting_due,
        coalesce(sum(g.open_payments), 0) AS open_due
      FROM grants g WHERE g.treasury_id = u.treasury_id AND g.parent_id IS NULL) d
    WHERE u.alive <> d.alive_due OR u.waiting <> d.waiting_due OR u.open_payments <> d.open_due`,
  'I3: a key, a nonce and a decision belong to one payment': `
    SELECT 'key' AS what, grant_id || ' ' || idempotency_key AS value FROM payments
      GROUP BY 2 HAVING count(*) > 1
    UNION ALL
    SELECT 'nonce', nonce FROM payments WHERE nonce IS NOT NULL GROUP BY nonce HAVING count(*) > 1
    UNION ALL
    SELECT 'decision', id FROM payments p
      WHERE nonce <> '0x' || encode(sha256(convert_to(decision, 'UTF8')), 'hex')
        AND NOT EXISTS (SELECT FROM outside_spends s WHERE s.payment_id = p.id AND s.nonce = p.nonce)`,
  'I5: nothing is reserved after the revocation of an ancestor': `
    SELECT p.id, a.id AS revoked FROM payments p
    JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
    JOIN grants a ON a.treasury_id = p.treasury_id AND a.id = ANY (g.path) AND a.status = 'revoked'
    JOIN events r ON r.treasury_id = p.treasury_id AND r.grant_id = a.id AND r.kind = 'grant.revoked'
    JOIN events e ON e.treasury_id = p.treasury_id AND e.payment_id = p.id
      AND e.kind = 'payment.authorized'
    WHERE p.created_at > a.revoked_at OR e.seq > r.seq`,
  'I7: a wallet holds exactly its open payments, and no more than it has': `
    SELECT b.wallet_id, b.balance, b.reserved, s.reserved AS due
    FROM wallet_balances b CROSS JOIN LATERAL (
      SELECT coalesce(sum(p.amount), 0) AS reserved FROM payments p
      WHERE p.treasury_id = b.treasury_id AND p.wallet_id = b.wallet_id AND p.network = b.network
        AND p.asset = b.asset AND p.status = 'authorized') s
    WHERE b.reserved <> s.reserved OR b.reserved > b.balance`,
  'I8: every state of a payment was told in exactly one event': `
    SELECT p.id, p.status, told.kinds FROM payments p CROSS JOIN LATERAL (
      SELECT array_agg(replace(e.kind, 'payment.adopted', 'payment.authorized') ORDER BY e.seq) AS kinds FROM (
        SELECT *, lag(kind) OVER (ORDER BY seq) AS before FROM events
        WHERE treasury_id = p.treasury_id AND payment_id = p.id) e
      -- A second approval replaces the first.
      WHERE NOT (e.kind = 'payment.approved' AND e.before IS NOT DISTINCT FROM 'payment.approved') AND e.treasury_id = p.treasury_id AND e.payment_id = p.id AND e.kind NOT IN
        ('wallet.spend_adopted', 'payment.refused', 'payment.seen', 'payment.sighting_withdrawn', 'payment.cancel_requested')) told
    WHERE told.kinds IS DISTINCT FROM
      CASE WHEN p.approval_from_above IS NULL THEN ARRAY[]::text[]
        ELSE ARRAY['payment.pending', 'approval.needed'] END
      || CASE WHEN p.approved_at IS NULL THEN ARRAY[]::text[] ELSE ARRAY['payment.approved'] END
      || CASE WHEN p.nonce IS NULL THEN ARRAY[]::text[] ELSE ARRAY['payment.authorized'] END
      || CASE WHEN p.status IN ('pending_approval', 'authorized') THEN ARRAY[]::text[] ELSE ARRAY['payment.' || p.status] END`,
  'I6: a payment is released only after its end by the database, too': `
    SELECT id, valid_before, ended_at FROM payments
    WHERE status = 'released' AND extract(epoch FROM ended_at) < valid_before`,
  'I9: nothing stays open longer than 60 s after a final block and the database are past its validBefore': `
    SELECT p.id, p.valid_before, c.block_time FROM payments p
    JOIN chain_cursors c ON c.network = p.network
    WHERE p.status = 'authorized'
      AND p.valid_before + 60 < least(c.block_time, extract(epoch FROM now()))`,
};

/** The topics of the events that end an authorization, by EIP-3009, and of EIP-20's Transfer. */
const TOPIC = {
  used: '0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5',
  canceled: '0x1cdd46ff242716cdaa72d159d339a485b3438398348d68f09d7c8c0a59353d81',
  transfer: '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef',
} as const;
/** The selector of `authorizationState(address,bytes32)`. */
const AUTHORIZATION_STATE = '0xe94a0102';

interface RawLog {
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
}

/**
 * I6, asked of the chain itself, past every line of the service: a settled payment has its exact
 * transfer, a cancelled one its AuthorizationCanceled, a released one a nonce that is still unused after
 * its end. One line for everything that is wrong.
 */
export async function brokenOnChain(db: Pool, rpcUrl: string): Promise<string[]> {
  const { rows } = await db.query<{
    id: string;
    status: string;
    transaction: string | null;
    asset: string;
    payer: string;
    pay_to: string;
    amount: string;
    nonce: string;
    valid_before: string;
  }>(`SELECT * FROM payments WHERE status IN ('settled', 'released', 'cancelled')`);
  const word = (hex: string) => hex.slice(2).toLowerCase().padStart(64, '0');
  const broken: string[] = [];
  const head = await rpc<{ timestamp: string }>(rpcUrl, 'eth_getBlockByNumber', ['latest', false]);
  for (const payment of rows) {
    const { asset, payer, pay_to: payTo, nonce } = payment;
    if (payment.status === 'released') {
      const data = `${AUTHORIZATION_STATE}${word(payer)}${word(nonce)}`;
      const state = await rpc<string>(rpcUrl, 'eth_call', [{ to: asset, data }, 'latest']);
      if (BigInt(state) !== 0n) broken.push(`I6: ${payment.id} is released, its nonce spent`);
      if (BigInt(head.timestamp) < BigInt(payment.valid_before)) {
        broken.push(`I6: ${payment.id} is released before its end`);
      }
      continue;
    }
    const receipt = await rpc<{ logs: RawLog[] } | null>(rpcUrl, 'eth_getTransactionReceipt', [
      payment.transaction,
    ]);
    const has = (topics: string[], data: string) =>
      receipt?.logs.some(
        (log) =>
          log.address.toLowerCase() === asset.toLowerCase() &&
          topics.every((topic, n) => log.topics[n] === topic) &&
          log.data === data,
      );
    const ended = payment.status === 'settled' ? TOPIC.used : TOPIC.canceled;
    if (!has([ended, `0x${word(payer)}`, nonce], '0x')) {
      broken.push(`I6: ${payment.id} is ${payment.status}, and its transaction does not say so`);
    }
    const value = `0x${BigInt(payment.amount).toString(16).padStart(64, '0')}`;
    const transfer = [TOPIC.transfer, `0x${word(payer)}`, `0x${word(payTo)}`];
    if (payment.status === 'settled' && !has(transfer, value)) {
      broken.push(`I6: ${payment.id} is settled without its transfer`);
    }
  }
  return broken;
}

/** Everything in a database that breaks an invariant: one line each, none when all is well. */
export async function brokenInvariants(db: Pool): Promise<string[]> {
  const client = await db.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const broken: string[] = [];
    for (const [name, sql] of Object.entries(CHECKS)) {
      const { rows } = await client.query(sql);
      for (const row of rows) broken.push(`${name}: ${JSON.stringify(row)}`);
    }
    broken.push(...(await contradictions(client)));
    await client.query('COMMIT');
    return broken;
  } finally {
    client.release(true);
  }
}

/** Claims that the log, replayed in its order, does not bear out, and every grant with other counters there. */
async function contradictions(client: PoolClient): Promise<string[]> {
  // Some suites put grants into the database past the service: such a log cannot be replayed.
  const { rowCount: untold } = await client.query(
    `SELECT 1 FROM grants g WHERE NOT EXISTS (
       SELECT 1 FROM events e WHERE e.treasury_id = g.treasury_id AND e.grant_id = g.id
         AND e.kind IN ('grant.minted', 'grant.delegated')) LIMIT 1`,
  );
  if (untold) return [];
  const { rows: events } = await client.query<{ treasury_id: string; record: string }>(
    'SELECT treasury_id, record FROM log_events ORDER BY leaf_index NULLS LAST, seq',
  );
  const replays = new Map<string, Replay>();
  for (const { treasury_id, record } of events) {
    const replay = replays.get(treasury_id) ?? new Replay();
    replays.set(treasury_id, replay);
    try {
      replay.apply(JSON.parse(record));
    } catch (error) {
      return [`I8: the log contradicts itself: ${(error as Error).message}`];
    }
  }
  const { rows: grants } = await client.query(
    'SELECT treasury_id, id, reserved, spent, allocated, payments FROM grants',
  );
  return grants.flatMap(({ treasury_id, id, ...stored }) => {
    const told = replays.get(treasury_id)?.grant(id);
    const same = COUNTERS.every((name) => String(told?.[name] ?? 0) === String(stored[name]));
    return same ? [] : [`I8: the log comes to other counters of ${id}: ${JSON.stringify(stored)}`];
  });
}

const COUNTERS = ['reserved', 'spent', 'allocated', 'payments'] as const;
