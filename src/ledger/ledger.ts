import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import { effectiveStatus, remaining } from '../domain/grant.js';
import { currencyOf } from '../domain/money.js';
import { nonceOf } from '../domain/payment.js';
import {
  type Decision,
  type Denial,
  decide,
  lifeDenial,
  type PaymentOption,
  preferredWallets,
  type WalletSnapshot,
} from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { newId } from '../ids.js';
import { appendEvents, type NewEvent } from './events.js';
import { databaseNow, type GrantRecord, lockChain } from './grant-rows.js';
import {
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from './payment-rows.js';
import { boundRefusals } from './refusals.js';

/** One payment to decide, reserve and record. */
export interface ReservationOrder {
  readonly treasuryId: string;
  readonly grantId: string;
  readonly idempotencyKey: string;
  /** SHA-256 of the request's canonical body: the same key with another one is an error. */
  readonly requestHash: string;
  /**
   * The ways the seller offers to be paid that can be paid now; the ledger selects one. Never empty.
   * Asked only for a new payment: what was signed once is answered again whatever has changed since.
   *
   * @throws Problem why none can.
   */
  readonly options: () => readonly PaymentOption[];
  /** The addresses the signer has keys for: no other wallet may be selected. */
  readonly signable: readonly string[];
  readonly x402Version: 1 | 2;
  /** What the header echoes and the record keeps of each option, by its index in `accepts`. */
  readonly offers: ReadonlyMap<number, { json: string; resource: string | undefined }>;
  readonly resourceJson: string | undefined;
  readonly extensionsJson: string | undefined;
  readonly request: { readonly method: string; readonly url: string };
  readonly memo: string | undefined;
  readonly requestId: string;
  readonly maxValiditySeconds: number;
}

/** What became of an order. */
export type Reservation =
  | {
      readonly outcome: 'reserved' | 'replayed';
      readonly payment: PaymentRecord;
      /** What the grant could still spend, ancestors included; atomic units. */
      readonly remaining: bigint;
    }
  | { readonly outcome: 'refused'; readonly denial: Denial };

/**
 * The one door to money. A reservation is decided and written in one transaction, under the locks of
 * every grant of the chain and of the wallets, before anything is signed.
 *
 * Locks are always taken in this order, so that no two transactions wait for each other: existing
 * payments, then grants by id, then wallet balances by wallet, network and asset.
 */
export class Ledger {
  constructor(private readonly database: Database) {}

  /**
   * Decides an order and, when it is allowed, reserves its amount on every grant of the chain and on
   * the wallet. A refusal is recorded too. An order with a key that was used before returns the
   * payment made then.
   *
   * @throws Problem `not_found` for an unknown grant, `idempotency_mismatch` when the key was used
   *   for another body.
   */
  reserve(order: ReservationOrder): Promise<Reservation> {
    return this.database.transaction(async (tx) => {
      const chain = await lockChain(tx, order.treasuryId, order.grantId);
      const [root] = chain;
      const grant = chain.at(-1);
      if (!grant || !root) throw new Problem('not_found', `no grant ${order.grantId}`);

      // Behind the grant's lock: of two requests with one key, the second sees the first's payment.
      const earlier = await findByKey(tx, order);
      const now = await databaseNow(tx);
      if (earlier) return replay(earlier, order, chain, now);

      const options = order.options().filter(({ currency }) => currency === grant.currency);
      if (options.length === 0) {
        throw new Problem(
          'asset_not_supported',
          `the seller takes no ${grant.currency}, which is what grant ${grant.id} is kept in`,
        );
      }
      const wallets = await lockWallets(tx, order, options);
      const decision = decide(
        chain,
        preferredWallets(wallets, root.id),
        options,
        currencyOf(grant.currency),
        now,
        order.maxValiditySeconds,
      );
      if (decision.outcome === 'deny') {
        const refused = [refusedEvent(order, options, decision.denial)];
        await appendEvents(tx, now, await boundRefusals(tx, now, refused));
        return { outcome: 'refused', denial: decision.denial };
      }
      const payment = await record(tx, order, chain, decision, now);
      const charged = chain.map((each) => ({
        ...each,
        reserved: each.reserved + payment.amount,
        payments: each.payments + 1,
      }));
      return { outcome: 'reserved', payment, remaining: remaining(charged, now) };
    });
  }
}

async function findByKey(
  tx: ClientBase,
  order: ReservationOrder,
): Promise<PaymentRecord | undefined> {
  const { rows } = await tx.query<PaymentRow>(
    `SELECT ${PAYMENT_COLUMNS} FROM payments p
     WHERE p.treasury_id = $1 AND p.grant_id = $2 AND p.idempotency_key = $3`,
    [order.treasuryId, order.grantId, order.idempotencyKey],
  );
  return rows[0] && toPaymentRecord(rows[0]);
}

function replay(
  payment: PaymentRecord,
  order: ReservationOrder,
  chain: readonly GrantRecord[],
  now: Date,
): Reservation {
  if (payment.requestHash !== order.requestHash) {
    throw new Problem(
      'idempotency_mismatch',
      'this Idempotency-Key was used for a payment with another body; use a new key for a new payment',
    );
  }
  // Whether the signature of an open payment ever reached the agent is unknown. After a revocation
  // it is not handed out again: what was never delivered must stay so.
  const status = effectiveStatus(chain, now);
  if (payment.status === 'authorized' && (status === 'revoked' || status === 'suspended')) {
    const denial = lifeDenial(chain, now);
    if (denial) return { outcome: 'refused', denial };
  }
  return { outcome: 'replayed', payment, remaining: remaining(chain, now) };
}

async function lockWallets(
  tx: ClientBase,
  order: ReservationOrder,
  options: readonly PaymentOption[],
): Promise<WalletSnapshot[]> {
  const { rows } = await tx.query<{
    id: string;
    address: string;
    network: string;
    asset: string;
    balance: string;
    reserved: string;
  }>(
    `SELECT b.wallet_id AS id, w.address, b.network, b.asset, b.balance, b.reserved
     FROM wallet_balances b JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
     WHERE b.treasury_id = $1 AND w.status = 'active' AND w.address = ANY ($4::text[])
       AND (b.network, b.asset) IN (SELECT * FROM unnest($2::text[], $3::text[]))
     ORDER BY b.wallet_id, b.network, b.asset FOR NO KEY UPDATE OF b`,
    [
      order.treasuryId,
      options.map(({ network }) => network),
      options.map(({ asset }) => asset),
      order.signable,
    ],
  );
  return rows.map((row) => ({
    ...row,
    balance: BigInt(row.balance),
    reserved: BigInt(row.reserved),
  }));
}

async function record(
  tx: ClientBase,
  order: ReservationOrder,
  chain: readonly GrantRecord[],
  { option, wallet, validBefore }: Extract<Decision, { outcome: 'allow' }>,
  now: Date,
): Promise<PaymentRecord> {
  const offer = order.offers.get(option.index);
  if (!offer) throw new Error(`option ${option.index} was selected but not offered`);
  const id = newId('pay');
  // "0" as the published v2 client sends it: a seller's or facilitator's clock that runs behind must
  // not refuse a payment that is good now.
  const validAfter = 0n;
  const { json: decision, nonce } = nonceOf({
    version: 'bursar.decision.v1',
    paymentId: id,
    treasuryId: order.treasuryId,
    grants: chain.map((grant) => grant.id),
    request: order.request,
    x402Version: order.x402Version,
    requirementHash: sha256Hex(canonicalJson(JSON.parse(offer.json))),
    network: option.network,
    asset: option.asset,
    from: wallet.address,
    to: option.payTo,
    value: option.amount.toString(),
    validAfter: validAfter.toString(),
    validBefore: validBefore.toString(),
    decidedAt: now.toISOString(),
  });

  await tx.query(
    `UPDATE grants SET reserved = reserved + $3::numeric, payments = payments + 1
     WHERE treasury_id = $1 AND id = ANY ($2::text[])`,
    [order.treasuryId, chain.map((grant) => grant.id), option.amount.toString()],
  );
  await tx.query(
    `UPDATE wallet_balances SET reserved = reserved + $5::numeric
     WHERE treasury_id = $1 AND wallet_id = $2 AND network = $3 AND asset = $4`,
    [order.treasuryId, wallet.id, option.network, option.asset, option.amount.toString()],
  );
  const { rows } = await tx.query<PaymentRow>(
    `INSERT INTO payments AS p (treasury_id, id, grant_id, idempotency_key, request_hash, status,
       currency, amount, network, scheme, x402_version, asset, pay_to, wallet_id, payer, nonce,
       valid_after, valid_before, requirement, resource_echo, extensions_echo, resource,
       request_method, request_url, memo, decision, created_at)
     VALUES ($1, $2, $3, $4, $5, 'authorized', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
       $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)
     RETURNING ${PAYMENT_COLUMNS}`,
    [
      order.treasuryId,
      id,
      order.grantId,
      order.idempotencyKey,
      order.requestHash,
      option.currency,
      option.amount.toString(),
      option.network,
      option.scheme,
      order.x402Version,
      option.asset,
      option.payTo,
      wallet.id,
      wallet.address,
      nonce,
      validAfter.toString(),
      validBefore.toString(),
      offer.json,
      order.resourceJson ?? null,
      order.extensionsJson ?? null,
      offer.resource ?? order.request.url,
      order.request.method,
      order.request.url,
      order.memo ?? null,
      decision,
      now,
    ],
  );
  const row = rows[0];
  if (!row) throw new Error('the payment was not written');
  await appendEvents(tx, now, [
    {
      treasuryId: order.treasuryId,
      kind: 'payment.authorized',
      actor: `grant:${order.grantId}`,
      grantId: order.grantId,
      paymentId: id,
      requestId: order.requestId,
      data: { decision: JSON.parse(decision), nonce, currency: option.currency },
    },
  ]);
  return toPaymentRecord(row);
}

function refusedEvent(
  order: ReservationOrder,
  options: readonly PaymentOption[],
  denial: Denial,
): NewEvent {
  return {
    treasuryId: order.treasuryId,
    kind: 'payment.refused',
    actor: `grant:${order.grantId}`,
    grantId: order.grantId,
    requestId: order.requestId,
    reason: denial.code,
    data: {
      code: denial.code,
      detail: denial.detail,
      refusedBy: denial.grantId ?? null,
      limit: denial.limit ?? null,
      remaining: denial.remaining ?? null,
      request: order.request,
      options: options.map((option) => ({
        network: option.network,
        asset: option.asset,
        payTo: option.payTo,
        value: option.amount.toString(),
      })),
    },
  };
}
