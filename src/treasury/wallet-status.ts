import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { appendEvents } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';

/** Status of a wallet: pays, settles what is open, or nothing any more. */
export const WALLET_STATUSES = ['active', 'draining', 'retired'] as const;
/** See {@link WALLET_STATUSES}. */
export type WalletStatus = (typeof WALLET_STATUSES)[number];

/** Author and reason of a change of status. */
export interface StatusChange {
  actor: string;
  /** Those the caller may see; undefined for all. */
  treasuries?: readonly string[] | undefined;
  requestId?: string | undefined;
  reason?: string | undefined;
}

/**
 * Sets a wallet's status. An active wallet pays; a draining one pays no more and settles what is open;
 * a retired one is done for good, and its key may be destroyed.
 *
 * @throws Problem `not_found`; `invalid_transition` for a retired wallet, and for retiring one that is
 *   not draining or still has open payments.
 */
export async function changeWalletStatus(
  database: Database,
  walletId: string,
  status: WalletStatus,
  by: StatusChange,
): Promise<void> {
  const { treasuries, ...who } = by;
  await database.transaction(async (tx) => {
    const { rows } = await tx.query<{
      treasury_id: string;
      address: string;
      status: WalletStatus;
    }>('SELECT treasury_id, address, status FROM wallets WHERE id = $1 FOR NO KEY UPDATE', [
      walletId,
    ]);
    const wallet = rows[0];
    if (!wallet || treasuries?.includes(wallet.treasury_id) === false)
      throw new Problem('not_found', `no wallet ${walletId.slice(0, 64)}`);
    if (wallet.status === status) return;
    await refuseTransition(tx, walletId, wallet.status, status);
    await tx.query('UPDATE wallets SET status = $2 WHERE id = $1', [walletId, status]);
    await appendEvents(tx, await databaseNow(tx), [
      {
        treasuryId: wallet.treasury_id,
        kind: `wallet.${status}`,
        ...who,
        data: { walletId, address: wallet.address, from: wallet.status, to: status },
      },
    ]);
  });
}

async function refuseTransition(
  tx: ClientBase,
  walletId: string,
  from: WalletStatus,
  to: WalletStatus,
): Promise<void> {
  if (from === 'retired') {
    throw new Problem('invalid_transition', `wallet ${walletId} is retired for good`);
  }
  if (to !== 'retired') return;
  if (from !== 'draining') {
    throw new Problem('invalid_transition', `wallet ${walletId} is ${from}; set it draining first`);
  }
  // Payments in the making read the status under these locks: none is open after they are taken.
  const { rows } = await tx.query<{ reserved: string }>(
    `SELECT reserved FROM wallet_balances WHERE wallet_id = $1
     ORDER BY treasury_id, wallet_id, network, asset FOR NO KEY UPDATE`,
    [walletId],
  );
  if (rows.some(({ reserved }) => BigInt(reserved) > 0n)) {
    throw new Problem(
      'invalid_transition',
      `wallet ${walletId} still has open payments; retire it once they have ended`,
    );
  }
}
