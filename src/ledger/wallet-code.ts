import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { appendEvents, type NewEvent } from './events.js';
import { databaseNow } from './grant-rows.js';

/** A wallet of one network, whose code was looked at. */
export interface WalletAddress {
  readonly treasuryId: string;
  readonly walletId: string;
  readonly address: string;
}

/** A wallet with code on its address. */
export interface WalletWithCode extends WalletAddress {
  /** The first bytes of the code, 31 at most: lowercase hex with `0x`. */
  readonly code: string;
}

/** The result of one look at the wallets of a network. */
export interface CodeReading {
  readonly network: string;
  /** The newest block looked at. */
  readonly head: bigint;
  /** Wallets with code in the newest block of at least one RPC. */
  readonly seen: readonly WalletWithCode[];
  /** Wallets without code in the newest and in the final block of every RPC. */
  readonly without: readonly WalletAddress[];
  /** The lowest of those final blocks; undefined when an RPC has none or did not answer. */
  readonly final: bigint | undefined;
}

/** The wallets whose state a look has changed. */
export interface CodeChanges {
  readonly seen: readonly WalletWithCode[];
  readonly gone: readonly WalletAddress[];
}

interface FundsRow {
  treasury_id: string;
  wallet_id: string;
  code: string | null;
  code_block: string | null;
}

/**
 * Writes which wallets of a network have code, with an event for each change, in one transaction.
 *
 * Code counts from the newest block of any RPC. It is gone only when a final block at or above the block
 * where it was last seen shows none: an RPC that lags behind cannot bring a wallet back.
 */
export function applyCode(database: Database, reading: CodeReading): Promise<CodeChanges> {
  const { network, head, final } = reading;
  return database.transaction(async (tx) => {
    const rows = await lockFunds(tx, network, [...reading.seen, ...reading.without]);
    const seen: WalletWithCode[] = [];
    for (const wallet of reading.seen) {
      if (rowsOf(rows, wallet).every(({ code }) => code !== wallet.code)) seen.push(wallet);
    }
    const gone = reading.without.filter((wallet) => {
      const blocks = rowsOf(rows, wallet).flatMap(({ code_block }) => code_block ?? []);
      return (
        final !== undefined && blocks.length > 0 && blocks.every((block) => BigInt(block) <= final)
      );
    });
    const now = await databaseNow(tx);
    await tx.query(
      `UPDATE wallet_balances b SET code = s.code,
         code_block = greatest(b.code_block, $2::bigint), code_seen_at = coalesce(b.code_seen_at, $3)
       FROM unnest($4::text[], $5::text[], $6::text[]) AS s (treasury_id, wallet_id, code)
       WHERE b.network = $1 AND b.treasury_id = s.treasury_id AND b.wallet_id = s.wallet_id`,
      [network, head.toString(), now, ...columns(reading.seen), reading.seen.map((w) => w.code)],
    );
    await tx.query(
      `UPDATE wallet_balances b SET code = NULL, code_block = NULL, code_seen_at = NULL
       FROM unnest($2::text[], $3::text[]) AS s (treasury_id, wallet_id)
       WHERE b.network = $1 AND b.treasury_id = s.treasury_id AND b.wallet_id = s.wallet_id`,
      [network, ...columns(gone)],
    );
    const event = (kind: NewEvent['kind'], wallet: WalletAddress, data: object): NewEvent => ({
      treasuryId: wallet.treasuryId,
      kind,
      actor: 'system:settlement',
      data: { walletId: wallet.walletId, address: wallet.address, network, ...data },
    });
    await appendEvents(tx, now, [
      ...seen.map((wallet) =>
        event('wallet.code_seen', wallet, { code: wallet.code, blockNumber: head.toString() }),
      ),
      ...gone.map((wallet) => event('wallet.code_gone', wallet, { blockNumber: String(final) })),
    ]);
    return { seen, gone };
  });
}

/** The rows of these wallets, locked in the order in which reservations lock them. */
async function lockFunds(
  tx: ClientBase,
  network: string,
  wallets: readonly WalletAddress[],
): Promise<FundsRow[]> {
  const { rows } = await tx.query<FundsRow>(
    `SELECT treasury_id, wallet_id, code, code_block FROM wallet_balances
     WHERE network = $1
       AND (treasury_id, wallet_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))
     ORDER BY treasury_id, wallet_id, network, asset FOR NO KEY UPDATE`,
    [network, ...columns(wallets)],
  );
  return rows;
}

function rowsOf(rows: readonly FundsRow[], { treasuryId, walletId }: WalletAddress): FundsRow[] {
  return rows.filter((row) => row.treasury_id === treasuryId && row.wallet_id === walletId);
}

function columns(wallets: readonly WalletAddress[]): [string[], string[]] {
  return [wallets.map(({ treasuryId }) => treasuryId), wallets.map(({ walletId }) => walletId)];
}
