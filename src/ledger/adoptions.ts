import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { canonicalJson } from '../domain/canonical.js';
import { reserveOn, settleOn } from '../domain/charge.js';
import { currencyOf } from '../domain/money.js';
import type { Asset } from '../domain/network.js';
import { decide } from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { newId } from '../ids.js';
import { returnAfterEnd, writeReturns } from './carve-outs.js';
import { appendEvents, type NewEvent } from './events.js';
import { databaseNow, type GrantRecord, lockChain, writeCounters } from './grant-rows.js';
import { writeKnownPayees } from './known-payees.js';
import {
  type Explanation,
  explainSpends,
  finalSpends,
  type OutsideSpend,
} from './outside-spends.js';
import { NEW_PAYMENTS, type PaymentRecord } from './payment-rows.js';
import { tellCrossings } from './thresholds.js';

/** `version` of what stands for the decision of an adopted payment, which is lost. */
const ADOPTION_VERSION = 'bursar.adoption.v1';

/** Terms that every adopted payment is taken to have had. */
const ADOPTED = { scheme: 'exact', validSeconds: 60 } as const;

/** The purchase that a spend was made for. */
export interface Adoption extends Explanation {
  readonly grantId: string;
  readonly idempotencyKey: string;
  /** A registered token, by network and address. */
  readonly assetOf: (network: string, asset: string) => Asset | undefined;
}

/**
 * Writes an outside spend into the books as the payment of a grant's key, which the database has lost: settled, and
 * charged to the grant and all above it. The key answers that payment from then on.
 *
 * It is decided like any payment, by the limits, the scope and the life of the grants as they are now. What they do not
 * allow can only be explained as an outside spend.
 *
 * @returns the payment's id.
 * @throws Problem as {@link finalSpends}; `not_found` for the grant; `idempotency_mismatch` when the key has a payment;
 *   `asset_not_supported`; `invalid_transition` when the transaction is not one authorization, or the grant does not
 *   allow it.
 */
export function adoptAsPayment(
  database: Database,
  transaction: string,
  adoption: Adoption,
): Promise<string> {
  const { grantId } = adoption;
  return database.transaction(async (tx) => {
    const treasuryId = await treasuryOf(tx, grantId);
    const chain = await lockChain(tx, treasuryId, grantId);
    const spends = await finalSpends(tx, transaction);
    const [spend] = spends;
    if (!spend || spends.length > 1 || spend.nonce === undefined || spend.payTo === undefined) {
      throw new Problem(
        'invalid_transition',
        `transaction ${transaction} is not one authorization with its transfer; leave --grant and --key out`,
      );
    }
    if (spend.treasuryId !== treasuryId) {
      throw new Problem('not_found', `grant ${grantId} is of another treasury than the wallet`);
    }
    await refuseUsedKey(tx, treasuryId, adoption);
    const now = await databaseNow(tx);
    const payment = paymentOf(spend, chain, adoption, now);
    const { amount } = spend;
    await tx.query(NEW_PAYMENTS.sql, NEW_PAYMENTS.values(treasuryId, now, [payment]));
    await tx.query(
      `UPDATE payments SET status = 'settled', paid = amount, transaction = $3, block_number = $4, ended_at = $5
       WHERE treasury_id = $1 AND id = $2`,
      [treasuryId, payment.id, transaction, spend.blockNumber.toString(), now],
    );
    const reserved = reserveOn(chain, amount, now);
    const grants = new Map(
      settleOn(reserved, { held: amount, paid: amount, decidedAt: now }).map((grant) => [
        grant.id,
        grant,
      ]),
    );
    const returns = returnAfterEnd(grants, now);
    await writeCounters(tx, treasuryId, [...grants.values()]);
    const { network, payTo } = payment;
    const learning = chain.filter(({ approveNewPayees }) => approveNewPayees);
    await writeKnownPayees(
      tx,
      treasuryId,
      now,
      learning.map(({ id }) => ({ grantId: id, network, payTo, paymentId: payment.id })),
    );
    await appendEvents(tx, now, eventsOf(payment, spend, adoption));
    await tellCrossings(tx, now, chain, reserved, { paymentId: payment.id });
    await writeReturns(tx, treasuryId, returns, now);
    const explained = await explainSpends(tx, spends, adoption, { id: payment.id, grantId });
    if (explained.length !== 1) {
      throw new Problem('invalid_transition', `transaction ${transaction} was explained meanwhile`);
    }
    return payment.id;
  });
}

function eventsOf(
  { id: paymentId, currency, authorization }: PaymentRecord,
  { treasuryId, network, transaction, blockNumber, amount, nonce }: OutsideSpend,
  { grantId, actor, reason }: Adoption,
): NewEvent[] {
  const ofIt = { treasuryId, actor, grantId, paymentId };
  const decision = JSON.parse(authorization?.decision ?? '{}') as unknown;
  return [
    { ...ofIt, kind: 'payment.adopted', reason, data: { currency, decision, nonce } },
    {
      ...ofIt,
      actor: 'system:settlement',
      kind: 'payment.settled',
      data: {
        currency,
        value: amount.toString(),
        network,
        transaction,
        blockNumber: blockNumber.toString(),
        paid: amount.toString(),
      },
    },
  ];
}

async function treasuryOf(tx: ClientBase, grantId: string): Promise<string> {
  const { rows } = await tx.query<{ treasury_id: string }>(
    'SELECT treasury_id FROM grants WHERE id = $1',
    [grantId],
  );
  if (!rows[0]) throw new Problem('not_found', `no grant ${grantId}`);
  return rows[0].treasury_id;
}

async function refuseUsedKey(
  tx: ClientBase,
  treasuryId: string,
  { grantId, idempotencyKey }: Adoption,
): Promise<void> {
  const { rows } = await tx.query<{ id: string }>(
    'SELECT id FROM payments WHERE treasury_id = $1 AND grant_id = $2 AND idempotency_key = $3',
    [treasuryId, grantId, idempotencyKey],
  );
  if (!rows[0]) return;
  throw new Problem(
    'idempotency_mismatch',
    `this key of grant ${grantId} has payment ${rows[0].id} already`,
  );
}

/** @throws Problem when the grants do not allow such a payment now. */
function paymentOf(
  spend: OutsideSpend,
  chain: readonly GrantRecord[],
  { grantId, idempotencyKey, assetOf }: Adoption,
  now: Date,
): PaymentRecord {
  const { network, amount, treasuryId, payTo = '' } = spend;
  const asset = assetOf(network, spend.asset);
  if (!asset || asset.currency !== chain.at(-1)?.currency) {
    throw new Problem(
      'asset_not_supported',
      `grant ${grantId} is kept in ${chain.at(-1)?.currency}, and ${spend.asset} of ${network} is ${asset?.currency ?? 'not registered'}`,
    );
  }
  requireAllowed(spend, chain, asset.currency, now);
  const id = newId('pay');
  const { name, version } = asset;
  const { validSeconds: maxTimeoutSeconds, scheme } = ADOPTED;
  return {
    treasuryId,
    id,
    grantId,
    idempotencyKey,
    status: 'authorized',
    currency: asset.currency,
    amount,
    paid: 0n,
    network,
    scheme,
    x402Version: 2,
    asset: spend.asset,
    payTo,
    requirement: JSON.stringify({
      scheme,
      network,
      amount: amount.toString(),
      asset: spend.asset,
      payTo,
      maxTimeoutSeconds,
      extra: { name, version },
    }),
    resourceEcho: undefined,
    extensionsEcho: undefined,
    declaredResource: undefined,
    resourceMismatch: false,
    // Lost as well: its key answers whatever request has its terms, see reservations.ts.
    requestMethod: '',
    requestUrl: '',
    host: undefined,
    memo: undefined,
    authorization: authorizationOf(id, spend, chain, now),
    approval: undefined,
    decidedBy: undefined,
    decidedReason: undefined,
    cancelRequestedAt: undefined,
    transaction: undefined,
    createdAt: now,
    endedAt: undefined,
  };
}

/** @throws Problem when the limits, the scope or the life of the grants refuse such a payment. */
function requireAllowed(
  { network, asset, amount, walletId, address, payTo = '' }: OutsideSpend,
  chain: readonly GrantRecord[],
  currency: string,
  now: Date,
): void {
  const { validSeconds, scheme } = ADOPTED;
  const { outcome, ...decided } = decide({
    chain,
    wallets: [{ id: walletId, address, network, asset, balance: amount, reserved: 0n }],
    options: [
      {
        index: 0,
        scheme,
        network,
        asset,
        currency,
        amount,
        payTo,
        maxTimeoutSeconds: validSeconds,
        isUpfront: false,
        resources: [],
      },
    ],
    currency: currencyOf(currency),
    now,
    maxValiditySeconds: validSeconds,
    maxAmount: undefined,
  });
  if (outcome === 'allow') return;
  const why = 'denial' in decided ? decided.denial.detail : 'a grant above it asks for an approval';
  throw new Problem(
    'invalid_transition',
    `grant ${chain.at(-1)?.id} does not allow such a payment now: ${why}; leave --grant and --key out`,
  );
}

/** The authorization, with a decision that stands for the one that is lost. */
function authorizationOf(
  paymentId: string,
  spend: OutsideSpend,
  chain: readonly GrantRecord[],
  now: Date,
): NonNullable<PaymentRecord['authorization']> {
  // The first one's validity is lost with its decision. This one is over, so what is signed for it is worth nothing.
  const validBefore = BigInt(Math.floor(now.getTime() / 1000));
  const decision = canonicalJson({
    asset: spend.asset,
    decidedAt: now.toISOString(),
    from: spend.address,
    grants: chain.map((grant) => grant.id),
    network: spend.network,
    paymentId,
    to: spend.payTo ?? '',
    transaction: spend.transaction,
    treasuryId: spend.treasuryId,
    validAfter: '0',
    validBefore: validBefore.toString(),
    value: spend.amount.toString(),
    version: ADOPTION_VERSION,
  });
  return {
    walletId: spend.walletId,
    payer: spend.address,
    nonce: spend.nonce ?? '',
    validAfter: 0n,
    validBefore,
    decision,
    authorizedAt: now,
  };
}
