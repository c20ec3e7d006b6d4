import type { ClientBase } from 'pg';
import type { Network } from '../domain/network.js';

/** Writes a row of funds for each token that a wallet has none for. */
export async function addFunds(
  tx: ClientBase,
  { treasuryId, address }: { readonly treasuryId: string; readonly address: string },
  networks: readonly Network[],
): Promise<void> {
  const rows = networks.flatMap(({ network, assets }) =>
    assets.map((asset) => ({ network, asset })),
  );
  await tx.query(
    // Code is the wallet's, not the token's: a new token's row starts with what the others say. So is a hold.
    `INSERT INTO wallet_balances (treasury_id, wallet_id, network, asset, code, code_block, code_seen_at, held_since)
     SELECT w.treasury_id, w.id, n.network, n.asset, s.code, s.code_block, s.code_seen_at, (
       SELECT min(o.seen_at) FROM outside_spends o
       WHERE o.treasury_id = w.treasury_id AND o.wallet_id = w.id AND o.status IN ('seen', 'final'))
     FROM wallets w CROSS JOIN unnest($3::text[], $4::text[]) AS n (network, asset)
     LEFT JOIN LATERAL (
       SELECT b.code, b.code_block, b.code_seen_at FROM wallet_balances b
       WHERE b.treasury_id = w.treasury_id AND b.wallet_id = w.id AND b.network = n.network
         AND b.code IS NOT NULL ORDER BY b.code_block DESC LIMIT 1) s ON true
     WHERE w.treasury_id = $1 AND w.address = $2
     ON CONFLICT DO NOTHING`,
    [
      treasuryId,
      address,
      rows.map(({ network }) => network),
      rows.map(({ asset }) => asset.address),
    ],
  );
}
