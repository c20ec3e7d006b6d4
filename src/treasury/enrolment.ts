import type { ClientBase } from 'pg';
import { ConfigError } from '../config/config-error.js';
import type { Network } from '../domain/network.js';
import { newId } from '../ids.js';
import { appendEvents, type NewEvent } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { addFunds } from '../ledger/wallet-funds.js';
import type { SignerWallets } from './signer.js';

/** Members of a treasury by which its keys are found. */
export type KeyedTreasury = {
  readonly id: string;
  readonly name: string;
  readonly position: number;
};

/**
 * Writes the wallets that a signer has for a treasury, with a row of funds for each registered token. Idempotent.
 *
 * @throws ConfigError when the treasury uses other wallets than the signer's, or a wallet has another treasury.
 */
export async function enrolWallets(
  tx: ClientBase,
  treasury: KeyedTreasury,
  { addresses, isOrdered }: SignerWallets,
  networks: readonly Network[],
): Promise<void> {
  // One process enrols at a time: positions are given out in turn.
  await tx.query('SELECT 1 FROM treasuries WHERE id = $1 FOR NO KEY UPDATE', [treasury.id]);
  const now = await databaseNow(tx);
  const events: NewEvent[] = [];
  const { rows: known } = await tx.query<{ address: string; position: number; status: string }>(
    'SELECT address, position, status FROM wallets WHERE treasury_id = $1 ORDER BY position',
    [treasury.id],
  );
  // Keys of retired wallets may be destroyed. A treasury whose wallets are all retired takes any new ones.
  const inUse = known.filter(({ status }) => status !== 'retired');
  if (inUse.length > 0 && !known.some(({ address }) => addresses.includes(address))) {
    throw foreignKeys(treasury, isOrdered, addresses[0] ?? 'no wallet', 0, inUse[0]?.address);
  }
  let next = Math.max(-1, ...known.map(({ position }) => position)) + 1;
  for (const [place, address] of addresses.entries()) {
    const found = known.find((wallet) => wallet.address === address);
    const position = found?.position ?? (isOrdered ? place : next++);
    const other = known.find((wallet) => wallet.position === position);
    if (other && other.address !== address) {
      throw foreignKeys(treasury, isOrdered, address, position, other.address);
    }
    const wallet = { treasuryId: treasury.id, address, position };
    if (!found) await insertWallet(tx, now, events, wallet);
    await addFunds(tx, wallet, networks);
  }
  await appendEvents(tx, now, events);
}

interface EnrolledWallet {
  readonly treasuryId: string;
  readonly address: string;
  readonly position: number;
}

async function insertWallet(
  tx: ClientBase,
  now: Date,
  events: NewEvent[],
  { treasuryId, address, position }: EnrolledWallet,
): Promise<void> {
  const id = newId('wal');
  const made = await tx.query(
    `INSERT INTO wallets (treasury_id, id, address, position, created_at)
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (address) DO NOTHING`,
    [treasuryId, id, address, position, now],
  );
  if (made.rowCount === 0) {
    throw new ConfigError([
      `BURSAR_KEYSTORE: wallet ${address} belongs to another treasury already; a wallet has one treasury`,
    ]);
  }
  const data = { walletId: id, address, position };
  events.push({ treasuryId, kind: 'wallet.added', actor: 'system:treasury', data });
}

function foreignKeys(
  { name }: KeyedTreasury,
  isOrdered: boolean,
  given: string,
  position: number,
  known: string | undefined,
): ConfigError {
  return new ConfigError([
    isOrdered
      ? `BURSAR_WALLET_MNEMONIC: gives ${given} as wallet ${position}, but this database's treasury has ` +
        `${known ?? 'another'} there; give the phrase the treasury was made with`
      : `BURSAR_KEYSTORE: has the key of none of the wallets of treasury "${name}", such as ${known}; ` +
        'give the keystores the treasury was made with',
  ]);
}
