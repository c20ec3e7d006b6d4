import type { ClientBase } from 'pg';
import type { PaymentStatus } from '../domain/payment.js';
import { joined, plainTexts } from './plain-texts.js';

/** Members that a signature covers beside the terms: fixed when a payment is authorized. */
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

/** Approval that a payment waits for, or waited for. */
export interface PaymentApproval {
  /** Only who stands above this grant may approve. */
  readonly fromAbove: string;
  /** When it was approved; undefined while nobody has. */
  readonly approvedAt: Date | undefined;
  /** Until when it may be approved or, once it is, collected by the agent. */
  readonly lapsesAt: Date;
}

/** A payment as stored. Everything its signature covers was fixed before it was signed. */
export interface PaymentRecord {
  readonly treasuryId: string;
  readonly id: string;
  readonly grantId: string;
  readonly idempotencyKey: string;
  readonly status: PaymentStatus;
  readonly currency: string;
  /** Amount signed, in atomic units. */
  readonly amount: bigint;
  /** Amount that the chain moved of it, in atomic units; 0 unless it is settled. */
  readonly paid: bigint;
  readonly network: string;
  readonly scheme: string;
  readonly x402Version: number;
  readonly asset: string;
  readonly payTo: string;
  readonly requirement: string;
  readonly resourceEcho: string | undefined;
  readonly extensionsEcho: string | undefined;
  /** The resource as the seller declares it; undefined where it declares none. */
  readonly declaredResource: string | undefined;
  /** Whether that one names another public host than the request. */
  readonly resourceMismatch: boolean;
  readonly requestMethod: string;
  readonly requestUrl: string;
  /** The host of that URL, as `URL.hostname` has it; undefined for an adopted payment, whose request is lost. */
  readonly host: string | undefined;
  readonly memo: string | undefined;
  /** Undefined while it waits for an approval, and when it was rejected. */
  readonly authorization: PaymentAuthorization | undefined;
  readonly approval: PaymentApproval | undefined;
  /** Approver, and the reason. */
  readonly decidedBy: string | undefined;
  readonly decidedReason: string | undefined;
  /** When somebody asked the chain to take the signature back; undefined where nobody did. */
  readonly cancelRequestedAt: Date | undefined;
  readonly transaction: string | undefined;
  readonly createdAt: Date;
  readonly endedAt: Date | undefined;
  /** Trace that it was asked for in; written with a new payment, and read by the settlement alone. */
  readonly traceparent?: string | undefined;
}

/** The columns {@link toPaymentRecord} reads, of a table aliased `p`. */
export const PAYMENT_COLUMNS = `p.treasury_id, p.id, p.grant_id, p.idempotency_key, p.status, p.currency, p.amount, p.paid, p.network, p.scheme, p.x402_version, p.asset, p.pay_to, p.wallet_id,
  p.payer, p.nonce, p.valid_after, p.valid_before, p.decision, p.authorized_at, p.requirement,
  p.resource_echo, p.extensions_echo, p.declared_resource, p.resource_mismatch, p.request_method,
  p.request_url, p.host, p.memo, p.approval_from_above, p.approved_at, p.approval_lapses_at, p.decided_by,
  p.decided_reason, p.transaction, p.created_at, p.ended_at,
  (SELECT c.requested_at FROM cancellations c WHERE c.treasury_id = p.treasury_id AND c.payment_id = p.id)
    AS cancel_requested_at`;

/** One row of {@link PAYMENT_COLUMNS}. NUMERIC and BIGINT come as text. */
export interface PaymentRow {
  treasury_id: string;
  id: string;
  grant_id: string;
  idempotency_key: string;
  status: PaymentStatus;
  currency: string;
  amount: string;
  paid: string;
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
  declared_resource: string | null;
  resource_mismatch: boolean;
  request_method: string;
  request_url: string;
  host: string | null;
  memo: string | null;
  approval_from_above: string | null;
  approved_at: Date | null;
  approval_lapses_at: Date | null;
  decided_by: string | null;
  decided_reason: string | null;
  cancel_requested_at: Date | null;
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
    status: row.status,
    currency: row.currency,
    amount: BigInt(row.amount),
    paid: BigInt(row.paid),
    network: row.network,
    scheme: row.scheme,
    x402Version: row.x402_version,
    asset: row.asset,
    payTo: row.pay_to,
    requirement: row.requirement,
    resourceEcho: row.resource_echo ?? undefined,
    extensionsEcho: row.extensions_echo ?? undefined,
    declaredResource: row.declared_resource ?? undefined,
    resourceMismatch: row.resource_mismatch,
    requestMethod: row.request_method,
    requestUrl: row.request_url,
    host: row.host ?? undefined,
    memo: row.memo ?? undefined,
    authorization: toAuthorization(row),
    approval: toApproval(row),
    decidedBy: row.decided_by ?? undefined,
    decidedReason: row.decided_reason ?? undefined,
    cancelRequestedAt: row.cancel_requested_at ?? undefined,
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
  const { approval_from_above, approved_at, approval_lapses_at } = row;
  if (approval_from_above === null || approval_lapses_at === null) {
    return undefined;
  }
  return {
    fromAbove: approval_from_above,
    approvedAt: approved_at ?? undefined,
    lapsesAt: approval_lapses_at,
  };
}

/** How one column of a new payment is filled: its SQL type, and its value as the driver sends it. */
type FilledColumn = readonly [
  column: string,
  type: string,
  value: (payment: PaymentRecord) => unknown,
];

const COLUMNS: readonly FilledColumn[] = [
  ['id', 'plain', (payment) => payment.id],
  ['grant_id', 'plain', (payment) => payment.grantId],
  ['idempotency_key', 'text', (payment) => payment.idempotencyKey],
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
  ['declared_resource', 'text', (payment) => payment.declaredResource ?? null],
  ['resource_mismatch', 'boolean', (payment) => payment.resourceMismatch],
  ['request_method', 'text', (payment) => payment.requestMethod],
  ['request_url', 'text', (payment) => payment.requestUrl],
  ['host', 'text', (payment) => payment.host ?? null],
  ['memo', 'text', (payment) => payment.memo ?? null],
  ['wallet_id', 'plain', ({ authorization }) => authorization?.walletId],
  ['payer', 'plain', ({ authorization }) => authorization?.payer],
  ['nonce', 'plain', ({ authorization }) => authorization?.nonce],
  ['valid_after', 'bigint', ({ authorization }) => authorization?.validAfter.toString() ?? null],
  ['valid_before', 'bigint', ({ authorization }) => authorization?.validBefore.toString() ?? null],
  ['decision', 'plain', ({ authorization }) => authorization?.decision],
  ['authorized_at', 'timestamptz', ({ authorization }) => authorization?.authorizedAt ?? null],
  ['approval_from_above', 'plain', ({ approval }) => approval?.fromAbove],
  ['approval_lapses_at', 'timestamptz', ({ approval }) => approval?.lapsesAt ?? null],
  ['traceparent', 'plain', (payment) => payment.traceparent],
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

/**
 * Writes what the hand-over made of payments that waited, which are locked: what their signatures cover, and
 * the entry and echoes of the 402 they were collected with.
 */
export async function writeHandedOver(
  tx: ClientBase,
  treasuryId: string,
  payments: readonly PaymentRecord[],
): Promise<void> {
  for (const { id, authorization, ...payment } of payments) {
    if (!authorization) throw new Error(`payment ${id} is not authorized`);
    const { walletId, payer, nonce, validAfter, validBefore, decision, authorizedAt } =
      authorization;
    await tx.query(
      `UPDATE payments SET status = 'authorized', wallet_id = $3, payer = $4, nonce = $5, valid_after = $6,
         valid_before = $7, decision = $8, authorized_at = $9, x402_version = $10, requirement = $11,
         resource_echo = $12, extensions_echo = $13, declared_resource = $14, resource_mismatch = $15
       WHERE treasury_id = $1 AND id = $2`,
      [
        treasuryId,
        id,
        walletId,
        payer,
        nonce,
        validAfter.toString(),
        validBefore.toString(),
        decision,
        authorizedAt,
        payment.x402Version,
        payment.requirement,
        payment.resourceEcho ?? null,
        payment.extensionsEcho ?? null,
        payment.declaredResource ?? null,
        payment.resourceMismatch,
      ],
    );
  }
}
