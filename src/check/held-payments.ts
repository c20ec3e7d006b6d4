import type { Address, Hex } from 'viem';
import type { Snapshot } from './snapshot.js';

/** How many nonces are asked for at once. */
export const NONCES_AT_ONCE = 500;

/** Payment that has ended. */
export interface EndedPayment {
  readonly id: string;
  readonly status: 'settled' | 'cancelled' | 'released';
  readonly asset: Address;
  readonly payer: Address;
  readonly pay_to: Address;
  /** Amount moved, in atomic units. */
  readonly paid: string;
  readonly nonce: Hex;
  readonly valid_before: string;
  readonly transaction: Hex | null;
  readonly block_number: string;
  /** Unix seconds, by the database. */
  readonly ended: string;
}

/** The ended payments of one network, kept by the server in the order of their blocks. */
export interface HeldPayments {
  readonly onChain: string;
  readonly released: string;
  readonly assets: readonly Address[];
  readonly wallets: readonly Address[];
  /** Unix seconds: no payment was made before. */
  readonly since: bigint | undefined;
}

/** Has the server keep what `checkSettlement` reads, so that the snapshot need not wait for a chain. */
export async function holdPayments(snapshot: Snapshot, network: string): Promise<HeldPayments> {
  const columns = `id, status, asset, payer, pay_to, paid, nonce, valid_before, transaction, block_number,
    floor(extract(epoch FROM ended_at))::bigint AS ended`;
  const of = `network = '${network}'`;
  const [found] = await snapshot.rows<{
    assets: Address[] | null;
    wallets: Address[] | null;
    since: string | null;
  }>(
    `SELECT
       (SELECT array_agg(DISTINCT asset) FROM wallet_balances WHERE ${of}) AS assets,
       (SELECT array_agg(DISTINCT w.address) FROM wallet_balances b
        JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id WHERE b.${of}) AS wallets,
       (SELECT floor(extract(epoch FROM min(authorized_at)))::bigint FROM payments WHERE ${of}) AS since`,
  );
  return {
    onChain: await snapshot.hold(
      `SELECT ${columns} FROM payments WHERE ${of} AND status IN ('settled', 'cancelled') ORDER BY block_number, id`,
    ),
    released: await snapshot.hold(
      `SELECT ${columns} FROM payments WHERE ${of} AND status = 'released' ORDER BY block_number, id`,
    ),
    assets: found?.assets ?? [],
    wallets: found?.wallets ?? [],
    since: found?.since ? BigInt(found.since) : undefined,
  };
}
