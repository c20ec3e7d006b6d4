import type { ClientBase } from 'pg';
import type { PaymentStatus } from '../domain/payment.js';
import { joined, plainTexts } from './plain-texts.js';

/** What a signature covers beside the terms: fixed when a payment is authorized. */
export interface PaymentAuthorization {
  readonly walletId: string;
  /** The wallet's address. */
  readonly payer: string;
  readonly nonce: string;
  /** Unix seconds. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  /** The canonical decision record; the nonce is its SHA-256. */
  readonly decision: string;
  /** When it was decided, by the database; it counts to the windows of this instant. */
  readonly authorizedAt: Date;
}

/** What a payment waits for, or waited for. */
export interface PaymentApproval {
  /** Only who stands above this grant may approve. */
  readonly fromAbove: string;
  /** The request's canonical body, to decide again; undefined once that was done. */
  readonly body: string | undefined;
  readonly lapsesAt: Date;
}

/** A payment as stored. Everything its signature covers was fixed before it was signed. */
export interface PaymentRecord {
  readonly treasuryId: string;
  readonly id: string;
  readonly grantId: string;
  readonly idempotencyKey: string;
  readonly requestHash: string;
  readonly status: PaymentStatus;
  readonly currency: string;
  /** Atomic units. */
  readonly amount: bigint;
  readonly network: string;
  readonly scheme: string;
  readonly x402Version: number;
  readonly asset: string;
  readonly payTo: string;
  readonly requirement: string;
  readonly resourceEcho: string | undefined;
  readonly extensionsEcho: string | undefined;
  readonly resource: string;
  readonly requestMethod: string;
  readonly requestUrl: string;
  readonly memo: string | undefined;
  /** Undefined while it waits for an approval, and when it was rejected. */
  readonly authorization: PaymentAuthorization | undefined;
  readonly approval: PaymentApproval | undefined;
  /** Who approved or rejected it, and why. */
  readonly decidedBy: string | undefined;
  readonly decidedReason: string | undefined;
  readonly transaction: string | undefined;
  readonly createdAt: Date;
  readonly endedAt: Date | undefined;
}

/** The columns {@link toPaymentRecord} reads, of a table aliased `p`. */
export const PAYMENT_COLUMNS = `p.treasury_id, p.id, p.grant_id, p.idempotency_key, p.request_hash,
  p.status, p.currency, p.amount, p.network, p.scheme, p.x402_version, p.asset, p.pay_to, p.wallet_id,
  p.payer, p.nonce, p.valid_after, p.valid_before, p.decision, p.authorized_at, p.requirement,
  p.resource_echo, p.extensions_echo, p.resource, p.request_method, p.request_url, p.memo,
  p.approval_from_above, p.approval_body, p.approval_lapses_at, p.decided_by, p.decided_reason,
  p.transaction, p.created_at, p.ended_at`;

/** One row of {@link PAYMENT_COLUMNS}. NUMERIC and BIGINT come as text. */
export interface PaymentRow {
  treasury_id: string;
  id: string;
  grant_id: string;
  idempotency_key: string;
  request_hash: string;
  status: PaymentStatus;
  currency: string;
  amount: string;
  network: string;
  scheme: string;
  x402_version: number;
  asset: string;
  pay_to: string;
  wallet_id: string | null;
  payer: string | null;
  nonce: string | null;
  valid_after: string | null;
  valid_before: string | null;
  decision: string | null;
  authorized_at: Date | null;
  requirement: string;
  resource_echo: string | null;
  extensions_echo: string | null;
  resource: string;
  request_method: string;
  request_url: string;
  memo: string | null;
  approval_from_above: string | null;
  approval_body: string | null;
  approval_lapses_at: Date | null;
  decided_by: string | null;
  decided_reason: string | null;
  transaction: string | null;
  created_at: Date;
  ended_at: Date | null;
}

/** Reads one row of {@link PAYMENT_COLUMNS}. */
export function toPaymentRecord(row: PaymentRow): PaymentRecord {
  return {
    treasuryId: row.treasury_id,
    id: row.id,
    grantId: row.grant_id,
    idempotencyKey: row.idempotency_key,
    requestHash: row.request_hash,
    status: row.status,
    currency: row.currency,
    amount: BigInt(row.amount),
    network: row.network,
    scheme: row.scheme,
    x402Version: row.x402_version,
    asset: row.asset,
    payTo: row.pay_to,
    requirement: row.requirement,
    resourceEcho: row.resource_echo ?? undefined,
    extensionsEcho: row.extensions_echo ?? undefined,
    resource: row.resource,
    requestMethod: row.request_method,
    requestUrl: row.request_url,
    memo: row.memo ?? undefined,
    authorization: toAuthorization(row),
    approval: toApproval(row),
    decidedBy: row.decided_by ?? undefined,
    decidedReason: row.decided_reason ?? undefined,
    transaction: row.transaction ?? undefined,
    createdAt: row.created_at,
    endedAt: row.ended_at ?? undefined,
  };
}

/** All of it is there, or none: the CHECK `payments_signable`. */
function toAuthorization(row: PaymentRow): PaymentAuthorization | undefined {
  const { wallet_id, payer, nonce, valid_after, valid_before, decision, authorized_at } = row;
  if (
    wallet_id === null ||
    payer === null ||
    nonce === null ||
    valid_after === null ||
    valid_before === null ||
    decision === null ||
    authorized_at === null
  ) {
    return undefined;
  }
  return {
    walletId: wallet_id,
    payer,
    nonce,
    validAfter: BigInt(valid_after),
    validBefore: BigInt(valid_before),
    decision,
    authorizedAt: authorized_at,
  };
}

function toApproval(row: PaymentRow): PaymentApproval | undefined {
  const { approval_from_above, approval_body, approval_lapses_at } = row;
  if (approval_from_above === null || approval_lapses_at === null) {
    return undefined;
  }
  return {
    fromAbove: approval_from_above,
    body: approval_body ?? undefined,
    lapsesAt: approval_lapses_at,
  };
}

/** How one column of a new payment is filled: its SQL type, and its value as the driver sends it. */
type Filled = readonly [column: string, type: string, value: (payment: PaymentRecord) => unknown];

const COLUMNS: readonly Filled[] = [
  ['id', 'plain', (payment) => payment.id],
  ['grant_id', 'plain', (payment) => payment.grantId],
  ['idempotency_key', 'text', (payment) => payment.idempotencyKey],
  ['request_hash', 'plain', (payment) => payment.requestHash],
  ['status', 'plain', (payment) => payment.status],
  ['currency', 'plain', (payment) => payment.currency],
  ['amount', 'numeric', (payment) => payment.amount.toString()],
  ['network', 'plain', (payment) => payment.network],
  ['scheme', 'plain', (payment) => payment.scheme],
  ['x402_version', 'int', (payment) => payment.x402Version],
  ['asset', 'plain', (payment) => payment.asset],
  ['pay_to', 'plain', (payment) => payment.payTo],
  ['requirement', 'plain', (payment) => payment.requirement],
  ['resource_echo', 'plain', (payment) => payment.resourceEcho],
  ['extensions_echo', 'plain', (payment) => payment.extensionsEcho],
  ['resource', 'text', (payment) => payment.resource],
  ['request_method', 'text', (payment) => payment.requestMethod],
  ['request_url', 'text', (payment) => payment.requestUrl],
  ['memo', 'text', (payment) => payment.memo ?? null],
  ['wallet_id', 'plain', ({ authorization }) => authorization?.walletId],
  ['payer', 'plain', ({ authorization }) => authorization?.payer],
  ['nonce', 'plain', ({ authorization }) => authorization?.nonce],
  ['valid_after', 'bigint', ({ authorization }) => authorization?.validAfter.toString() ?? null],
  ['valid_before', 'bigint', ({ authorization }) => authorization?.validBefore.toString() ?? null],
  ['decision', 'plain', ({ authorization }) => authorization?.decision],
  ['authorized_at', 'timestamptz', ({ authorization }) => authorization?.authorizedAt ?? null],
  ['approval_from_above', 'plain', ({ approval }) => approval?.fromAbove],
  ['approval_body', 'plain', ({ approval }) => approval?.body],
  ['approval_lapses_at', 'timestamptz', ({ approval }) => approval?.lapsesAt ?? null],
];

/** Writes new payments, all of one treasury and one instant. */
export const NEW_PAYMENTS = {
  sql: `INSERT INTO payments (treasury_id, created_at, ${COLUMNS.map(([column]) => column).join(', ')})
    SELECT $1::text, $2::timestamptz, * FROM unnest(${COLUMNS.map(([, type], index) =>
      type === 'plain' ? plainTexts(`$${index + 3}`) : `$${index + 3}::${type}[]`,
    ).join(', ')})`,
  values: (treasuryId: string, at: Date, payments: readonly PaymentRecord[]) => [
    treasuryId,
    at,
    ...COLUMNS.map(([, type, value]) => {
      const values = payments.map(value);
      return type === 'plain' ? joined(values as (string | undefined)[]) : values;
    }),
  ],
};

/** Writes what an approval made of a payment that waited: what its signature will cover. */
export async function authorizePending(
  tx: ClientBase,
  { treasuryId, id, decidedBy, decidedReason, authorization }: PaymentRecord,
): Promise<void> {
  if (!authorization) throw new Error(`payment ${id} is not authorized`);
  const { walletId, payer, nonce, validAfter, validBefore, decision, authorizedAt } = authorization;
  await tx.query(
    `UPDATE payments SET status = 'authorized', approval_body = NULL, decided_by = $3,
       decided_reason = $4, wallet_id = $5, payer = $6, nonce = $7, valid_after = $8,
       valid_before = $9, decision = $10, authorized_at = $11
     WHERE treasury_id = $1 AND id = $2`,
    [
      treasuryId,
      id,
      decidedBy,
      decidedReason ?? null,
      walletId,
      payer,
      nonce,
      validAfter.toString(),
      validBefore.toString(),
      decision,
      authorizedAt,
    ],
  );
}
