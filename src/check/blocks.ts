import type { Address } from 'viem';
import type { Chain } from './chain.js';
import type { Tally } from './report.js';
import type { Question, Snapshot } from './snapshot.js';

/** I6, the rows: what was read last is among the blocks that are remembered, and none of them is past it. */
export const BLOCKS: readonly Question[] = [
  {
    what: 'the block that was read last is remembered as it was read',
    sql: `SELECT k.network AS id, format('block %s, %s of %s', k.block_number, k.block_hash, k.block_time) AS detail
      FROM chain_cursors k LEFT JOIN chain_blocks b ON b.network = k.network AND b.number = k.block_number
        AND b.hash = k.block_hash AND b.time = k.block_time
      WHERE b.network IS NULL`,
  },
  {
    what: 'no block is remembered that was not read',
    sql: `SELECT b.network AS id, format('block %s', b.number) AS detail
      FROM chain_blocks b LEFT JOIN chain_cursors k ON k.network = b.network
      WHERE k.network IS NULL OR b.number > k.block_number`,
  },
  {
    what: 'what is paid on a network is read from it',
    sql: `SELECT DISTINCT n.network AS id, 'it was never read' AS detail
      FROM (SELECT network FROM payments WHERE status IN ('settled', 'released', 'cancelled')) n
      LEFT JOIN chain_cursors k ON k.network = n.network WHERE k.network IS NULL`,
  },
];

/** I6, the chain: the blocks that are remembered are the chain's. */
export async function checkBlocks(snapshot: Snapshot, tally: Tally, chain: Chain): Promise<void> {
  const rows = await snapshot.rows<{ number: string; hash: string; time: string }>(
    'SELECT number, hash, time FROM chain_blocks WHERE network = $1 ORDER BY number',
    [chain.network],
  );
  const blocks = await Promise.all(rows.map(({ number }) => chain.block(BigInt(number))));
  rows.forEach(({ number, hash, time }, place) => {
    const block = blocks[place];
    if (block?.hash === hash && block.time === BigInt(time)) return;
    tally.broken({
      id: chain.network,
      what: 'a block that was read is the chain’s',
      detail: `block ${number} was ${hash} of ${time}, the chain has ${block?.hash} of ${block?.time}`,
    });
  });
  tally.count('remembered blocks', rows.length);
}

/** I7, the chain: amounts are kept in the decimals of the token they are paid in. */
export async function checkDecimals(snapshot: Snapshot, tally: Tally, chain: Chain): Promise<void> {
  const rows = await snapshot.rows<{ asset: Address; currency: string; decimals: number | null }>(
    `SELECT DISTINCT p.asset, p.currency, c.decimals FROM payments p LEFT JOIN currencies c ON c.code = p.currency
     WHERE p.network = $1`,
    [chain.network],
  );
  for (const { asset, currency, decimals } of rows) {
    const due = await chain.decimals(asset);
    if (due === decimals) continue;
    tally.broken({
      id: asset,
      what: 'amounts are kept in the decimals of their token',
      detail: `${currency} has ${decimals ?? 'no'} decimals here, the token on ${chain.network} has ${due}`,
    });
  }
}
