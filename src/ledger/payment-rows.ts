import type { PaymentStatus } from '../domain/payment.js';

/** A payment as stored. Everything its signature covers was fixed before it was signed. */
export interface PaymentRecord {
  readonly treasuryId: string;
  readonly id: string;
  readonly grantId: string;
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
  readonly walletId: string;
  /** The wallet's address. */
  readonly payer: string;
  readonly nonce: string;
  /** Unix seconds. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly requirement: string;
  readonly resourceEcho: string | undefined;
  readonly extensionsEcho: string | undefined;
  readonly resource: string;
  readonly memo: string | undefined;
  readonly transaction: string | undefined;
  readonly createdAt: Date;
  readonly endedAt: Date | undefined;
}

/** The columns {@link toPaymentRecord} reads, of a table aliased `p`. */
export const PAYMENT_COLUMNS = `p.treasury_id, p.id, p.grant_id, p.request_hash, p.status, p.currency,
  p.amount, p.network, p.scheme, p.x402_version, p.asset, p.pay_to, p.wallet_id, p.payer, p.nonce,
  p.valid_after, p.valid_before, p.requirement, p.resource_echo, p.extensions_echo, p.resource,
  p.memo, p.transaction, p.created_at, p.ended_at`;

/** One row of {@link PAYMENT_COLUMNS}. NUMERIC and BIGINT come as text. */
export interface PaymentRow {
  treasury_id: string;
  id: string;
  grant_id: string;
  request_hash: string;
  status: PaymentStatus;
  currency: string;
  amount: string;
  network: string;
  scheme: string;
  x402_version: number;
  asset: string;
  pay_to: string;
  wallet_id: string;
  payer: string;
  nonce: string;
  valid_after: string;
  valid_before: string;
  requirement: string;
  resource_echo: string | null;
  extensions_echo: string | null;
  resource: string;
  memo: string | null;
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
    requestHash: row.request_hash,
    status: row.status,
    currency: row.currency,
    amount: BigInt(row.amount),
    network: row.network,
    scheme: row.scheme,
    x402Version: row.x402_version,
    asset: row.asset,
    payTo: row.pay_to,
    walletId: row.wallet_id,
    payer: row.payer,
    nonce: row.nonce,
    validAfter: BigInt(row.valid_after),
    validBefore: BigInt(row.valid_before),
    requirement: row.requirement,
    resourceEcho: row.resource_echo ?? undefined,
    extensionsEcho: row.extensions_echo ?? undefined,
    resource: row.resource,
    memo: row.memo ?? undefined,
    transaction: row.transaction ?? undefined,
    createdAt: row.created_at,
    endedAt: row.ended_at ?? undefined,
  };
}
