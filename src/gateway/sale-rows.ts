import type { ClientBase, Pool } from 'pg';
import type { KeptAnswer } from './answers.js';

/** How long a gateway may be silent before it counts as dead, in milliseconds. */
const DEAD_AFTER_MS = 8_000;

/** How far the call of a sale has come. `lost`: its process died, and nobody knows what the upstream did. */
export type CallState = 'none' | 'calling' | 'answered' | 'failed' | 'lost';

/** How far the charge of a sale has come. `unknown`: the facilitator did not say, and the chain will. */
export type ChargeState = 'none' | 'settling' | 'unknown' | 'settled' | 'refused';

/** The terms of a sale, which never change. */
export interface SaleTerms {
  readonly treasuryId: string;
  readonly id: string;
  /** CAIP-2. */
  readonly network: string;
  /** Token, payer and payee: checksummed. */
  readonly asset: string;
  readonly payer: string;
  readonly payTo: string;
  readonly nonce: string;
  readonly credentialHash: string;
  readonly requestHash: string;
  readonly operation: string;
  /** Method and path, without the query, which may hold a secret. */
  readonly resource: string;
  readonly currency: string;
  /** Atomic units. */
  readonly amount: bigint;
  /** Unix seconds. */
  readonly validBefore: bigint;
  /** `free`: one of the payer's free requests, which is never settled. */
  readonly settle: 'after' | 'before' | 'first_byte' | 'free';
  readonly configHash: string;
}

/** A sale as stored. */
export interface Sale extends SaleTerms {
  readonly call: CallState;
  readonly charge: ChargeState;
  readonly statusCode: number | null;
  readonly transaction: string | null;
  readonly reason: string | null;
  /** The request to the facilitator, sealed. */
  readonly sealedPayment: string | null;
  readonly process: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  /** Whether the process that works on it was seen lately. */
  readonly isAlive: boolean;
}

/** The members by which a credential is one: what the token's contract takes once. */
export interface CredentialKey {
  readonly network: string;
  readonly payer: string;
  readonly nonce: string;
}

/** SQL: whether the process of the sale `alias` was seen lately. */
function isSeen(alias: string): string {
  return `EXISTS (SELECT FROM gateway_processes p WHERE p.treasury_id = ${alias}.treasury_id AND p.id = ${alias}.process
    AND p.seen_at > now() - interval '${DEAD_AFTER_MS} milliseconds')`;
}

const COLUMNS = `s.treasury_id AS "treasuryId", s.id, s.network, s.asset, s.payer, s.pay_to AS "payTo", s.nonce,
  s.credential_hash AS "credentialHash", s.request_hash AS "requestHash", s.operation, s.resource, s.currency,
  s.amount, s.valid_before AS "validBefore", s.settle, s.config_hash AS "configHash", s.call, s.charge,
  s.status_code AS "statusCode", s.transaction, s.reason, s.sealed_payment AS "sealedPayment", s.process,
  s.created_at AS "createdAt", s.ended_at AS "endedAt",
  ${isSeen('s')} AS "isAlive"`;

type Row = Omit<Sale, 'amount' | 'validBefore'> & { amount: string; validBefore: string };

const saleOf = (row: Row): Sale => ({
  ...row,
  amount: BigInt(row.amount),
  validBefore: BigInt(row.validBefore),
});

/** The sale of a credential, on whichever token of its network. */
export async function findSale(pool: Pool, key: CredentialKey): Promise<Sale | undefined> {
  const { rows } = await pool.query<Row>(
    `SELECT ${COLUMNS} FROM gateway_sales s WHERE s.network = $1 AND s.payer = $2 AND s.nonce = $3
     ORDER BY s.id LIMIT 1`,
    [key.network, key.payer, key.nonce],
  );
  return rows[0] && saleOf(rows[0]);
}

/** A sale by its id. */
export async function readSale(
  pool: Pool,
  treasuryId: string,
  id: string,
): Promise<Sale | undefined> {
  const { rows } = await pool.query<Row>(
    `SELECT ${COLUMNS} FROM gateway_sales s WHERE s.treasury_id = $1 AND s.id = $2`,
    [treasuryId, id],
  );
  return rows[0] && saleOf(rows[0]);
}

/** The work on a sale that begins. */
export interface SaleWork {
  /** The request to the facilitator, sealed. */
  readonly sealedPayment: string;
  /** The process that works on it. */
  readonly process: string;
}

/**
 * Reserves a credential: from here on it is this sale's, in every replica.
 *
 * @returns the sale, or undefined when another one has it.
 */
export async function insertSale(
  tx: ClientBase | Pool,
  terms: SaleTerms,
  { sealedPayment, process }: SaleWork,
): Promise<Sale | undefined> {
  // The charge comes first, or the call does; either is begun with the row.
  const [call, charge] = terms.settle === 'before' ? ['none', 'settling'] : ['calling', 'none'];
  const { rows } = await tx.query<Row>(
    `INSERT INTO gateway_sales AS s (treasury_id, id, network, asset, payer, pay_to, nonce, credential_hash, request_hash,
       operation, resource, currency, amount, valid_before, settle, config_hash, call, charge, sealed_payment, process,
       created_at)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, now()
     WHERE NOT EXISTS (SELECT FROM gateway_sales WHERE network = $3 AND payer = $5 AND nonce = $7)
     ON CONFLICT (network, asset, payer, nonce) DO NOTHING RETURNING ${COLUMNS}`,
    [
      terms.treasuryId,
      terms.id,
      terms.network,
      terms.asset,
      terms.payer,
      terms.payTo,
      terms.nonce,
      terms.credentialHash,
      terms.requestHash,
      terms.operation,
      terms.resource,
      terms.currency,
      terms.amount.toString(),
      terms.validBefore.toString(),
      terms.settle,
      terms.configHash,
      call,
      charge,
      // A payment that is never settled is not kept.
      terms.settle === 'free' ? null : sealedPayment,
      process,
    ],
  );
  return rows[0] && saleOf(rows[0]);
}

/** A change of a sale's state. What is left out stays. */
export interface SaleChange {
  readonly call?: CallState;
  readonly charge?: ChargeState;
  readonly statusCode?: number;
  readonly transaction?: string;
  readonly reason?: string;
  /** The process that works on it from now on. */
  readonly process?: string;
  /** When an unknown charge is looked at again, in milliseconds from now. */
  readonly nextTryMs?: number;
}

/** The state that a sale must be in for a change to happen. */
export interface SaleGuard {
  readonly call: CallState;
  readonly charge: ChargeState;
  /** The process that must be working on it; undefined for any. */
  readonly process?: string;
}

/**
 * Changes a sale's state, if it is still in the state that the change starts from: a process that was taken for dead
 * changes nothing any more.
 *
 * @param kept - the answer that is kept with the change.
 * @returns the sale, or undefined when it was in another state: then nothing is kept either.
 */
export async function changeSale(
  tx: ClientBase | Pool,
  { treasuryId, id }: Pick<Sale, 'treasuryId' | 'id'>,
  from: SaleGuard,
  to: SaleChange,
  kept?: KeptAnswer,
): Promise<Sale | undefined> {
  const call = to.call ?? from.call;
  const charge = to.charge ?? from.charge;
  const { rows } = await tx.query<Row>(
    `WITH changed AS (UPDATE gateway_sales s SET call = $6, charge = $7, status_code = coalesce($8, s.status_code),
       transaction = coalesce($9, s.transaction), reason = coalesce($10, s.reason), process = coalesce($11, s.process),
       next_try_at = now() + $12::double precision * interval '1 millisecond',
       ended_at = CASE WHEN $13 THEN now() END,
       sealed_payment = CASE WHEN $13 OR $7 = 'settled' THEN NULL ELSE s.sealed_payment END
     WHERE s.treasury_id = $1 AND s.id = $2 AND s.call = $3 AND s.charge = $4 AND ($5::text IS NULL OR s.process = $5)
     RETURNING s.*),
     kept AS (INSERT INTO gateway_answers (treasury_id, sale_id, sealed, expires_at)
       SELECT treasury_id, id, $14::bytea, now() + $15 * interval '1 second' FROM changed WHERE $14::bytea IS NOT NULL)
     SELECT ${COLUMNS} FROM changed s`,
    [
      treasuryId,
      id,
      from.call,
      from.charge,
      from.process ?? null,
      call,
      charge,
      to.statusCode ?? null,
      to.transaction ?? null,
      to.reason?.slice(0, 300) ?? null,
      to.process ?? null,
      to.nextTryMs ?? null,
      hasEnded(call, charge),
      kept?.sealed ?? null,
      kept?.seconds ?? 0,
    ],
  );
  return rows[0] && saleOf(rows[0]);
}

/** Whether nothing of a sale is under way any more. */
function hasEnded(call: CallState, charge: ChargeState): boolean {
  if (charge === 'refused') return true;
  const isCallOver = call === 'failed' || call === 'lost';
  return (
    // Answered and not charged is a free request: any other answer is held until it is charged for.
    (charge === 'none' || charge === 'settled') && (isCallOver || call === 'answered')
  );
}

/** Sales that a process has left in the middle of a step, oldest first. */
export async function leftSales(pool: Pool, treasuryId: string, limit: number): Promise<Sale[]> {
  const { rows } = await pool.query<Row>(
    `SELECT ${COLUMNS} FROM gateway_sales s WHERE s.treasury_id = $1 AND s.ended_at IS NULL
       AND (s.call = 'calling' OR s.charge = 'settling') AND NOT ${isSeen('s')}
     ORDER BY s.created_at LIMIT $2`,
    [treasuryId, limit],
  );
  return rows.map(saleOf);
}

/**
 * Sales that are charged for, and whose payer did not come back for the call: those of this process that nothing works on, and
 * those of processes that died.
 *
 * @param seconds - how long a payer has, from when the sale was made.
 * @param working - ids of the sales that this process works on.
 */
export async function unclaimedPaid(
  pool: Pool,
  treasuryId: string,
  { process, working, seconds }: OwnWork & { readonly seconds: number },
  limit: number,
): Promise<Sale[]> {
  const { rows } = await pool.query<Row>(
    `SELECT ${COLUMNS} FROM gateway_sales s WHERE s.treasury_id = $1 AND s.ended_at IS NULL
       AND s.call = 'none' AND s.charge = 'settled' AND s.created_at < now() - $2 * interval '1 second'
       AND (s.process = $4 OR NOT ${isSeen('s')}) AND NOT s.id = ANY ($5::text[])
     ORDER BY s.created_at LIMIT $3`,
    [treasuryId, seconds, limit, process, [...working]],
  );
  return rows.map(saleOf);
}

/** A process, and what it works on. */
interface OwnWork {
  readonly process: string;
  readonly working: ReadonlySet<string>;
}

/** How long whoever claims an unknown charge has it, in milliseconds: longer than a settlement takes. */
const CLAIM_MS = 120_000;

/** Takes the unknown charges that are due: nobody else gets them for a while. */
export async function claimUnknown(
  pool: Pool,
  treasuryId: string,
  process: string,
  limit: number,
): Promise<Sale[]> {
  const { rows } = await pool.query<Row>(
    `UPDATE gateway_sales s SET process = $2, next_try_at = now() + interval '${CLAIM_MS} milliseconds'
     WHERE s.treasury_id = $1 AND s.id IN (
       SELECT c.id FROM gateway_sales c WHERE c.treasury_id = $1 AND c.ended_at IS NULL AND c.charge = 'unknown'
         AND (c.next_try_at <= now() OR NOT ${isSeen('c')})
       ORDER BY c.next_try_at LIMIT $3 FOR UPDATE SKIP LOCKED)
     RETURNING ${COLUMNS}`,
    [treasuryId, process, limit],
  );
  return rows.map(saleOf);
}

/**
 * Lets go of the sales of this process that nothing works on: an error left them.
 *
 * @param working - ids of the sales that something works on, as they are when this looks: a sale is among them before its
 *   row is there.
 */
export async function disown(
  pool: Pool,
  treasuryId: string,
  process: string,
  working: ReadonlySet<string>,
): Promise<void> {
  const { rows } = await pool.query<{ id: string }>(
    `SELECT id FROM gateway_sales WHERE treasury_id = $1 AND process = $2 AND ended_at IS NULL
       AND (call = 'calling' OR charge = 'settling')`,
    [treasuryId, process],
  );
  const left = rows.map(({ id }) => id).filter((id) => !working.has(id));
  if (left.length === 0) return;
  await pool.query(
    `UPDATE gateway_sales SET process = '' WHERE treasury_id = $1 AND process = $2 AND ended_at IS NULL
       AND (call = 'calling' OR charge = 'settling') AND id = ANY ($3::text[])`,
    [treasuryId, process, left],
  );
}

/** Says that a process is alive, and forgets those that died long ago. */
export async function noteAlive(pool: Pool, treasuryId: string, process: string): Promise<void> {
  await pool.query(
    `INSERT INTO gateway_processes (treasury_id, id, seen_at) VALUES ($1, $2, now())
     ON CONFLICT (treasury_id, id) DO UPDATE SET seen_at = now()`,
    [treasuryId, process],
  );
  await pool.query(
    `DELETE FROM gateway_processes WHERE treasury_id = $1 AND seen_at < now() - interval '1 hour'`,
    [treasuryId],
  );
}

/** Says that a process has ended: what it left is taken over at once. */
export async function noteEnd(pool: Pool, treasuryId: string, process: string): Promise<void> {
  await pool.query('DELETE FROM gateway_processes WHERE treasury_id = $1 AND id = $2', [
    treasuryId,
    process,
  ]);
}
