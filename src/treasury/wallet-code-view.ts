import type { Database } from '../database/database.js';
import { parseAddress } from '../evm.js';

/** An EIP-7702 delegation designator: 0xef0100, then the address of the delegate. */
const DESIGNATOR = /^0xef0100([0-9a-f]{40})$/;

/** The contract that code on a wallet delegates to (EIP-7702); undefined for other code. */
export function delegateOf(code: string): string | undefined {
  const [, address] = DESIGNATOR.exec(code) ?? [];
  return parseAddress(`0x${address}`);
}

/** Code as a sentence names it: `code (a delegation to 0x...)`. */
export function describeCode(code: string): string {
  const delegate = delegateOf(code);
  return delegate === undefined ? 'code' : `code (a delegation to ${delegate}, EIP-7702)`;
}

/** A wallet with code on a network. */
export interface WalletCodeRow {
  readonly treasury: string;
  readonly address: string;
  readonly network: string;
  readonly code: string;
}

/** The wallets with code of a treasury on a network. */
export interface WalletCodeCounts {
  /** The treasury's name. */
  readonly treasury: string;
  readonly network: string;
  /** Wallets with code, of those that are not retired. */
  readonly withCode: number;
  /** True when there are active wallets and all of them have code. */
  readonly isBlocked: boolean;
}

/** Counts the wallets with code, of every treasury and network that has a wallet. */
export async function countWalletsWithCode(
  database: Database,
  networks: readonly string[],
): Promise<WalletCodeCounts[]> {
  const { rows } = await database.pool.query<WalletCodeCounts>(
    `SELECT t.name AS treasury, b.network,
       count(DISTINCT w.id) FILTER (WHERE b.code IS NOT NULL)::int AS "withCode",
       coalesce(bool_and(b.code IS NOT NULL) FILTER (WHERE w.status = 'active'), false) AS "isBlocked"
     FROM wallet_balances b
     JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
     JOIN treasuries t ON t.id = b.treasury_id
     WHERE w.status <> 'retired' AND b.network = ANY ($1::text[])
     GROUP BY t.name, b.network ORDER BY t.name, b.network`,
    [networks],
  );
  return rows;
}

/** Lists the wallets with code, of those that are not retired. */
export async function listWalletsWithCode(
  database: Database,
  networks: readonly string[],
  limit: number,
): Promise<WalletCodeRow[]> {
  const { rows } = await database.pool.query<WalletCodeRow>(
    `SELECT t.name AS treasury, w.address, b.network, min(b.code) AS code
     FROM wallet_balances b
     JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
     JOIN treasuries t ON t.id = b.treasury_id
     WHERE b.code IS NOT NULL AND w.status <> 'retired' AND b.network = ANY ($1::text[])
     GROUP BY t.name, w.address, b.network ORDER BY t.name, b.network, w.address LIMIT $2`,
    [networks, limit],
  );
  return rows;
}
