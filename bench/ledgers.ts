// Two ledgers that write payments without HTTP: the group commit itself, and the plain design that it replaces. In a
// process of its own, on the database of a shape that is not being paid from meanwhile.

import { loadConfig } from '../src/config/config.js';
import { Database } from '../src/database/database.js';
import type { PrismaClient } from '../src/database/generated/client.js';
import { canonicalJson, sha256Hex } from '../src/domain/canonical.js';
import { nonceOf } from '../src/domain/payment.js';
import { Problem } from '../src/domain/problem.js';
import { parseResource } from '../src/domain/scope.js';
import { newId } from '../src/ids.js';
import { Ledger } from '../src/ledger/ledger.js';
import type { ReservationOrder } from '../src/ledger/order.js';
import { readWalletKeys } from '../src/secrets.js';
import type { Signer } from '../src/treasury/signer.js';
import { signerOf } from '../src/treasury/signer-of.js';
import { exactTypedData } from '../src/x402/exact.js';
import { answerOrders } from './helper.js';
import type { LedgerOrder } from './protocol.js';
import { type Sample, sample } from './sample.js';

const config = loadConfig(process.env);
const database = new Database(config.databaseUrl ?? '', {
  maxConnections: config.databaseConnections,
  // Payments that wait for a hot row are measured, not sent away.
  connectionTimeoutMs: 60_000,
  statementTimeoutMs: 60_000,
});
const signer = signerOf(await readWalletKeys(config));
const { addresses } = await signer.wallets({ position: 0, name: 'main' });
const ledger = new Ledger(database, config.batches, config.bounds);
let used = 0;

answerOrders<LedgerOrder, Sample>(async (order) => {
  const { rows } = await database.pool.query<{ id: string }>('SELECT id FROM treasuries');
  const treasuryId = rows[0]?.id ?? '';
  const once =
    order.design === 'group commit'
      ? () => reserve(treasuryId, order)
      : () => payPlainly(database.prisma, signer, treasuryId, order);
  return sample(order.seconds, order.clients, once);
});

function nextKey(): string {
  used += 1;
  return `bench-${process.pid}-${used}`;
}

function nextGrant({ grantIds }: LedgerOrder): string {
  return grantIds[used % grantIds.length] ?? '';
}

async function reserve(treasuryId: string, order: LedgerOrder): Promise<void> {
  const { outcome } = await ledger.reserve(reservationOrder(treasuryId, order));
  if (outcome !== 'reserved') throw new Error(`a payment was ${outcome}`);
}

/** Orders as the service makes them of a request, parsed and hashed beforehand. */
function reservationOrder(treasuryId: string, order: LedgerOrder): ReservationOrder {
  const { requirement, url } = order;
  const resource = parseResource(url);
  if (!resource) throw new Error(`${url} is no resource`);
  const amount = BigInt(requirement.amount);
  const offers = [
    {
      ...requirement,
      index: 0,
      amount,
      json: JSON.stringify(requirement),
      hash: hashOf(requirement),
      declaredResource: url,
      echo: { resourceJson: JSON.stringify({ url }), extensionsJson: undefined },
    },
  ];
  return {
    treasuryId,
    grantId: nextGrant(order),
    tokenGeneration: 1,
    keyThumbprint: undefined,
    idempotencyKey: nextKey(),
    unusable: () => [],
    unpayable: () => new Problem('unavailable', 'its option is payable'),
    matchable: () => offers,
    options: () => [
      {
        index: 0,
        scheme: requirement.scheme,
        network: requirement.network,
        asset: requirement.asset,
        currency: 'USDC',
        amount,
        payTo: requirement.payTo,
        maxTimeoutSeconds: requirement.maxTimeoutSeconds,
        isUpfront: false,
        resources: [resource],
      },
    ],
    signable: addresses,
    x402Version: 2,
    offers,
    request: { method: 'GET', url },
    memo: undefined,
    maxAmount: undefined,
    option: undefined,
    requestId: 'bench',
    maxValiditySeconds: config.maxValiditySeconds,
    approvalSeconds: config.approvalSeconds,
    twoPerson: false,
  };
}

function hashOf(requirement: LedgerOrder['requirement']): string {
  return sha256Hex(canonicalJson(requirement));
}

interface LockedGrant {
  id: string;
  status: string;
  expires_at: Date;
  left: string;
}

/**
 * One payment as it would be written without the group commit: an interactive transaction of Prisma's that
 * locks the chain and a wallet, checks, counts, inserts the payment and its event, and commits; then
 * the signature. As few statements as it takes.
 */
async function payPlainly(
  prisma: PrismaClient,
  signer: Signer,
  treasuryId: string,
  order: LedgerOrder,
): Promise<void> {
  const { requirement, url } = order;
  const grantId = nextGrant(order);
  const idempotencyKey = nextKey();
  const amount = BigInt(requirement.amount);
  const position = used % addresses.length;
  const network = config.networks.find((each) => each.network === requirement.network);
  const asset = network?.assets.find((each) => each.address === requirement.asset);
  if (!network || !asset) throw new Error('the token is not registered');
  const authorized = await prisma.$transaction(
    async (tx) => {
      const chain = await tx.$queryRaw<LockedGrant[]>`
        SELECT id, status, expires_at, (budget - reserved - spent - allocated)::text AS left FROM grants
        WHERE treasury_id = ${treasuryId}
          AND id IN (SELECT unnest(path) FROM grants WHERE treasury_id = ${treasuryId} AND id = ${grantId})
        ORDER BY id FOR NO KEY UPDATE`;
      const [wallet] = await tx.$queryRaw<
        { id: string; address: string; free: string; now: Date }[]
      >`
        SELECT w.id, w.address, (b.balance - b.reserved)::text AS free,
          date_trunc('milliseconds', clock_timestamp()) AS now
        FROM wallet_balances b JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
        WHERE b.treasury_id = ${treasuryId} AND w.position = ${position}
          AND b.network = ${network.network} AND b.asset = ${asset.address}
        FOR NO KEY UPDATE OF b`;
      const earlier = await tx.payment.findUnique({
        where: { treasuryId_grantId_idempotencyKey: { treasuryId, grantId, idempotencyKey } },
      });
      if (!wallet || earlier) throw new Error('no wallet, or paid before');
      const { now } = wallet;
      for (const grant of chain) {
        if (grant.status !== 'active' || grant.expires_at <= now || BigInt(grant.left) < amount) {
          throw new Error(`grant ${grant.id} refuses`);
        }
      }
      if (BigInt(wallet.free) < amount) throw new Error('the wallet is empty');
      const id = newId('pay');
      const validBefore =
        BigInt(Math.floor(now.getTime() / 1000)) + BigInt(config.maxValiditySeconds);
      const { json: decision, nonce } = nonceOf({
        version: 'bursar.decision.v1',
        paymentId: id,
        treasuryId,
        grants: chain.map((grant) => grant.id),
        request: { method: 'GET', url },
        resource: url,
        x402Version: 2,
        option: '0',
        left: [],
        requirementHash: sha256Hex(canonicalJson(requirement)),
        network: network.network,
        asset: asset.address,
        from: wallet.address,
        to: requirement.payTo,
        value: requirement.amount,
        validAfter: '0',
        validBefore: validBefore.toString(),
        decidedAt: now.toISOString(),
      });
      await tx.grant.updateMany({
        where: { treasuryId, id: { in: chain.map((grant) => grant.id) } },
        data: {
          reserved: { increment: requirement.amount },
          payments: { increment: 1 },
          openPayments: { increment: 1 },
        },
      });
      await tx.walletBalance.updateMany({
        where: { treasuryId, walletId: wallet.id, network: network.network, asset: asset.address },
        data: { reserved: { increment: requirement.amount } },
      });
      await tx.payment.createMany({
        data: [
          {
            treasuryId,
            id,
            grantId,
            idempotencyKey,
            status: 'authorized',
            currency: 'USDC',
            amount: requirement.amount,
            network: network.network,
            scheme: requirement.scheme,
            x402Version: 2,
            asset: asset.address,
            payTo: requirement.payTo,
            walletId: wallet.id,
            payer: wallet.address,
            nonce,
            validAfter: 0n,
            validBefore,
            requirement: JSON.stringify(requirement),
            declaredResource: url,
            requestMethod: 'GET',
            requestUrl: url,
            decision,
            authorizedAt: now,
            createdAt: now,
          },
        ],
      });
      const eventId = newId('evt');
      await tx.event.createMany({
        data: [
          {
            treasuryId,
            id: eventId,
            kind: 'payment.authorized',
            actor: `grant:${grantId}`,
            grantId,
            paymentId: id,
            record: canonicalJson({
              version: 'bursar.event.v1',
              id: eventId,
              treasuryId,
              kind: 'payment.authorized',
              actor: `grant:${grantId}`,
              at: now.toISOString(),
              grantId,
              paymentId: id,
              requestId: 'bench',
              reason: null,
              data: { decision: JSON.parse(decision), nonce, currency: 'USDC' },
            }),
            createdAt: now,
          },
        ],
      });
      return { id, from: wallet.address, validBefore, nonce };
    },
    { maxWait: 60_000, timeout: 60_000 },
  );
  await signer.sign(
    authorized.from,
    exactTypedData(
      {
        ...authorized,
        x402Version: 2,
        chainId: network.chainId,
        to: requirement.payTo,
        value: amount,
        validAfter: 0n,
        requirementJson: JSON.stringify(requirement),
        resourceJson: undefined,
        extensionsJson: undefined,
      },
      asset,
    ),
  );
}
