import type { BlockHead, Chain } from './chain.js';
import { type EndedPayment, type HeldPayments, NONCES_AT_ONCE } from './held-payments.js';
import type { Tally } from './report.js';
import type { Snapshot } from './snapshot.js';

/** Released payments: their nonces at the newest final block, and the time of the block that released them. */
export async function checkReleased(
  snapshot: Snapshot,
  tally: Tally,
  chain: Chain,
  held: HeldPayments,
  final: BlockHead,
  late: ReadonlySet<string>,
): Promise<void> {
  const what =
    'a payment is released only when a final block and the database are past its end and its nonce unused';
  for await (const page of snapshot.fetch<EndedPayment>(held.released)) {
    for (let start = 0; start < page.length; start += NONCES_AT_ONCE) {
      const some = page.slice(start, start + NONCES_AT_ONCE);
      const numbers = [...new Set(some.map(({ block_number }) => block_number))]
        .map(BigInt)
        .filter((number) => number <= final.number);
      const blocks = new Map(
        (await Promise.all(numbers.map((number) => chain.block(number)))).map((block) => [
          block.number,
          block,
        ]),
      );
      const spent = await chain.spent(some, final.number);
      some.forEach(({ id, valid_before, block_number, ended }, place) => {
        const block = blocks.get(BigInt(block_number));
        const detail =
          spent[place] && !late.has(id)
            ? 'its nonce is spent'
            : !block
              ? `block ${block_number} is not final`
              : block.time < BigInt(valid_before)
                ? `block ${block_number} is of ${block.time}, and it is valid until ${valid_before}`
                : BigInt(ended) < BigInt(valid_before)
                  ? `it ended at ${ended} by the database, and it is valid until ${valid_before}`
                  : undefined;
        if (detail !== undefined) tally.broken({ id, what, detail });
      });
      tally.count('released', some.length);
    }
  }
}
