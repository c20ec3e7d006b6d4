import type { Address } from 'viem';
import type { Chain } from './chain.js';
import type { Tally } from './report.js';
import type { Question, Snapshot } from './snapshot.js';

/** I7, the rows: what a wallet holds back is what is open on it, and within its final balance. */
export const WALLETS: readonly Question[] = [
  {
    what: 'it holds back exactly its open payments',
    sql: `SELECT coalesce(b.wallet_id, s.wallet_id) AS id,
        format('%s of %s: reserved %s, due %s', coalesce(b.network, s.network), coalesce(b.asset, s.asset),
          coalesce(b.reserved::text, 'nothing'), coalesce(s.reserved, 0)) AS detail
      FROM wallet_balances b FULL JOIN (
        SELECT treasury_id, wallet_id, network, asset, sum(amount) AS reserved FROM payments
        WHERE status = 'authorized' GROUP BY treasury_id, wallet_id, network, asset) s
        ON s.treasury_id = b.treasury_id AND s.wallet_id = b.wallet_id AND s.network = b.network AND s.asset = b.asset
      WHERE coalesce(b.reserved, 0) <> coalesce(s.reserved, 0)`,
  },
  {
    what: 'it holds back no more than its final balance, unless money left it another way',
    sql: `SELECT wallet_id AS id, format('%s of %s: reserved %s, balance %s', network, asset, reserved, balance) AS detail
      FROM wallet_balances WHERE reserved < 0 OR reserved > balance`,
  },
  {
    what: 'a payment stands for every spend of a wallet, or an admin has explained it',
    sql: `SELECT s.transaction AS id, format('%s of %s from %s to %s on %s, %s since %s; explain it with: npx bursar adopt',
        s.amount, s.asset, w.address, coalesce(s.pay_to, 'nobody'), s.network, s.status, s.seen_at) AS detail
      FROM outside_spends s JOIN wallets w ON w.treasury_id = s.treasury_id AND w.id = s.wallet_id
      WHERE s.status IN ('seen', 'final')`,
  },
  {
    what: 'it is held exactly while a spend of it is unexplained',
    sql: `SELECT b.wallet_id AS id, format('%s of %s: held since %s, %s unexplained', b.network, b.asset,
        coalesce(b.held_since::text, 'never'), u.spends) AS detail
      FROM wallet_balances b CROSS JOIN LATERAL (SELECT count(*) AS spends FROM outside_spends s
        WHERE s.treasury_id = b.treasury_id AND s.wallet_id = b.wallet_id AND s.status IN ('seen', 'final')) u
      WHERE (b.held_since IS NULL) <> (u.spends = 0)`,
  },
  {
    what: 'it pays from a wallet of its treasury, by that address',
    sql: `SELECT p.id, format('payer %s, wallet %s', p.payer, coalesce(w.address, 'unknown')) AS detail
      FROM payments p LEFT JOIN wallets w ON w.treasury_id = p.treasury_id AND w.id = p.wallet_id
      WHERE p.nonce IS NOT NULL AND w.address IS DISTINCT FROM p.payer`,
  },
];

/** Rows that I7 looks at. */
export const WALLETS_COUNTS = {
  wallets: 'SELECT count(*) FROM wallets',
  balances: 'SELECT count(*) FROM wallet_balances',
  'outside spends': 'SELECT count(*) FROM outside_spends',
  'open payments': `SELECT count(*) FROM payments WHERE status = 'authorized'`,
} as const;

/** I7, the chain: a balance is what the chain says of the block it was read at. */
export async function checkBalances(
  snapshot: Snapshot,
  tally: Tally,
  chain: Chain,
  blockNumber: bigint,
): Promise<void> {
  // In the middle of a catch-up balances are not of the cursor's block: they are compared when it is over.
  const rows = await snapshot.rows<{
    wallet_id: string;
    address: Address;
    asset: Address;
    balance: string;
  }>(
    `SELECT b.wallet_id, w.address, b.asset, b.balance
     FROM wallet_balances b JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
     WHERE b.network = $1 AND b.block_number = $2 ORDER BY b.treasury_id, b.wallet_id, b.asset`,
    [chain.network, blockNumber.toString()],
  );
  const balances = await chain.balances(rows, blockNumber);
  rows.forEach(({ wallet_id, asset, balance }, place) => {
    if (balances[place] === BigInt(balance)) return;
    tally.broken({
      id: wallet_id,
      what: 'its balance is what the chain says of that block',
      detail: `${chain.network} of ${asset}: ${balance}, at block ${blockNumber} the chain has ${balances[place] ?? 'no answer'}`,
    });
  });
  tally.count('balances on chain', rows.length);
}
