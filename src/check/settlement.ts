import pg from 'pg';
import { type Address, getAddress, type Hex } from 'viem';
import { type BlockHead, type Chain, shortly, type TokenLog } from './chain.js';
import type { Tally } from './report.js';
import type { Snapshot } from './snapshot.js';

/** How many blocks one log query covers, and how many queries are under way at once. */
const BLOCKS_PER_QUERY = 2_000n;
const QUERIES_AT_ONCE = 4;

/** How many nonces are asked for at once. */
const NONCES_AT_ONCE = 500;

/** How far the database's clock and the chain's may be apart, in seconds. */
const CLOCK_TOLERANCE_SECONDS = 600;

interface Ended {
  readonly id: string;
  readonly status: 'settled' | 'cancelled' | 'released';
  readonly asset: Address;
  readonly payer: Address;
  readonly pay_to: Address;
  readonly amount: string;
  readonly nonce: Hex;
  readonly valid_before: string;
  readonly transaction: Hex | null;
  readonly block_number: string;
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

/** Has the server keep what {@link checkSettlement} reads, so that the snapshot need not wait for a chain. */
export async function holdPayments(snapshot: Snapshot, network: string): Promise<HeldPayments> {
  const columns =
    'id, status, asset, payer, pay_to, amount, nonce, valid_before, transaction, block_number';
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

/**
 * I6: a payment is settled, or cancelled, exactly when a final block shows it; released only when a final
 * block is past its validBefore and its nonce is unused there. And the other way round: every
 * authorization that a final block shows as used is of a payment.
 *
 * @param final - the newest final block; nothing later is looked at.
 */
export async function checkSettlement(
  snapshot: Snapshot,
  tally: Tally,
  chain: Chain,
  held: HeldPayments,
  final: BlockHead,
  progress: (what: string) => void,
): Promise<void> {
  const first =
    held.since === undefined
      ? final.number + 1n
      : await chain.firstBlockSince(held.since - BigInt(CLOCK_TOLERANCE_SECONDS), final.number);
  const payments = new Rows(snapshot.fetch<Ended>(held.onChain));
  const late = new Set<string>();
  const miss = async (payment: Ended, why: string) => {
    if (!(await isElsewhere(chain, payment, final))) missing(tally, payment, why);
  };
  for (const payment of await payments.upTo(first - 1n)) {
    await miss(payment, 'is before any payment');
  }
  for await (const { to, logs } of scan(chain, held, first, final.number)) {
    const shown = new Shown(logs);
    for (const payment of await payments.upTo(to)) {
      tally.count(payment.status, 1);
      const wrong = shown.take(payment);
      if (wrong) await miss(payment, wrong);
    }
    await explainRest(snapshot, tally, chain.network, shown.rest(), late);
    progress(`I6: ${chain.network}, block ${to} of ${final.number}`);
  }
  for (const payment of await payments.upTo(undefined)) await miss(payment, 'is not final');
  await checkReleased(snapshot, tally, chain, held, final, late);
}

function missing(tally: Tally, { id, status, block_number }: Ended, why: string): void {
  tally.broken({
    id,
    what: `a payment is ${status} only as a final block shows it`,
    detail: `block ${block_number} ${why}`,
  });
}

/**
 * Whether a payment's transaction stands in another final block than it did when it was read: after a
 * reorganisation deeper than the finality, which is told of by the service and ends nothing wrongly.
 */
async function isElsewhere(chain: Chain, payment: Ended, final: BlockHead): Promise<boolean> {
  if (payment.transaction === null) return false;
  const logs = await chain.logsOf(payment.transaction);
  const areFinal = logs.every(({ blockNumber }) => blockNumber <= final.number);
  return areFinal && new Shown(logs).take(payment) === undefined;
}

/** The logs of a range of blocks, in order, a few queries ahead. */
async function* scan(chain: Chain, { assets, wallets }: HeldPayments, first: bigint, last: bigint) {
  const own = new Set(wallets.map((wallet) => wallet.toLowerCase()));
  const ask = async (from: bigint) => {
    const to = from + BLOCKS_PER_QUERY - 1n < last ? from + BLOCKS_PER_QUERY - 1n : last;
    const logs = await chain.logs(assets, wallets, from, to);
    return { to, logs: logs.filter((log) => own.has(ownerOf(log).toLowerCase())) };
  };
  const asked: ReturnType<typeof ask>[] = [];
  let next = first;
  while (asked.length > 0 || next <= last) {
    for (; asked.length < QUERIES_AT_ONCE && next <= last; next += BLOCKS_PER_QUERY) {
      const answer = ask(next);
      // Awaited in its turn; until then a failure is nobody's yet.
      answer.catch(() => {});
      asked.push(answer);
    }
    const answer = await asked.shift();
    if (answer) yield answer;
  }
}

function ownerOf(log: TokenLog): string {
  return log.eventName === 'Transfer' ? log.args.from : log.args.authorizer;
}

/** What the logs of some blocks show; each log stands for one payment. */
class Shown {
  readonly #ends = new Map<string, Exclude<TokenLog, { eventName: 'Transfer' }>>();
  readonly #transfers = new Map<string, number>();

  constructor(logs: readonly TokenLog[]) {
    for (const log of logs) {
      if (log.eventName === 'Transfer') {
        const { from, to, value } = log.args;
        const key = transferKey(log.transactionHash, log.address, from, to, value);
        this.#transfers.set(key, (this.#transfers.get(key) ?? 0) + 1);
      } else {
        this.#ends.set(endKey(log.address, log.args.authorizer, log.args.nonce), log);
      }
    }
  }

  /** Takes what stands for a payment. @returns what is wrong, if anything is. */
  take(payment: Ended): string | undefined {
    const { status, asset, payer, pay_to, amount, nonce, transaction } = payment;
    const key = endKey(asset, payer, nonce);
    const log = this.#ends.get(key);
    const wanted = status === 'settled' ? 'AuthorizationUsed' : 'AuthorizationCanceled';
    if (!log) return `has no ${wanted} of its nonce`;
    this.#ends.delete(key);
    if (log.eventName !== wanted) return `has ${log.eventName} of its nonce`;
    if (log.transactionHash !== transaction)
      return `shows it in ${log.transactionHash}, not ${transaction}`;
    if (status !== 'settled') return undefined;
    const transfer = transferKey(log.transactionHash, asset, payer, pay_to, BigInt(amount));
    const left = this.#transfers.get(transfer) ?? 0;
    if (left === 0)
      return `has no transfer of ${amount} from ${payer} to ${pay_to} in ${transaction}`;
    this.#transfers.set(transfer, left - 1);
    return undefined;
  }

  /** The used and cancelled authorizations that no payment took. */
  rest() {
    return [...this.#ends.values()];
  }
}

function endKey(asset: string, payer: string, nonce: string): string {
  return `${asset} ${payer} ${nonce}`.toLowerCase();
}

function transferKey(hash: string, asset: string, from: string, to: string, value: bigint): string {
  return `${hash} ${asset} ${from} ${to} ${value}`.toLowerCase();
}

/**
 * Looks for the payments of authorizations that no ended payment of the snapshot stands for. Asked of the
 * database as it is now: payments that were made or ended meanwhile are as good.
 *
 * @param late - gets the ids of released payments whose cancellation was mined after their release: it moved
 *   nothing, and their nonces were unused as long as it mattered.
 */
async function explainRest(
  snapshot: Snapshot,
  tally: Tally,
  network: string,
  logs: ReturnType<Shown['rest']>,
  late: Set<string>,
): Promise<void> {
  for (let start = 0; start < logs.length; start += NONCES_AT_ONCE) {
    const some = logs.slice(start, start + NONCES_AT_ONCE);
    const rows = await snapshot.rows<{
      id: string;
      status: string;
      block_number: string | null;
      key: string;
    }>(
      `SELECT id, status, block_number, lower(concat_ws(' ', asset, payer, nonce)) AS key FROM payments
       WHERE network = $1 AND (asset, payer, nonce) IN (SELECT * FROM unnest($2::text[], $3::text[], $4::text[]))`,
      [
        network,
        // As the rows have it; a log's own is in lower case.
        some.map(({ address }) => getAddress(address)),
        some.map(({ args }) => args.authorizer),
        some.map(({ args }) => args.nonce),
      ],
    );
    const known = new Map(rows.map((row) => [row.key, row]));
    for (const { eventName, address, args, transactionHash, blockNumber } of some) {
      const found = known.get(endKey(address, args.authorizer, args.nonce));
      const end = eventName === 'AuthorizationUsed' ? 'settled' : 'cancelled';
      if (!found) {
        tally.broken({
          id: transactionHash,
          what: 'every authorization of a wallet on chain is a payment',
          detail: `${eventName} of ${args.authorizer} with nonce ${args.nonce}, which no payment has`,
        });
        continue;
      }
      if (
        found.status === 'released' &&
        end === 'cancelled' &&
        blockNumber > BigInt(found.block_number ?? blockNumber)
      ) {
        tally.count('cancelled after the release', 1);
        late.add(found.id);
        continue;
      }
      // One that is still open is not read yet; I9 says when that takes too long.
      tally.count('not read yet', 1);
      if (found.status === 'authorized' || found.status === end) continue;
      tally.broken({
        id: found.id,
        what: `a payment whose nonce is spent is ${end}`,
        detail: `it is ${found.status}, and ${transactionHash} has ${eventName} of it`,
      });
    }
  }
}

/** Released payments: their nonces at the newest final block, and the time of the block that released them. */
async function checkReleased(
  snapshot: Snapshot,
  tally: Tally,
  chain: Chain,
  held: HeldPayments,
  final: BlockHead,
  late: ReadonlySet<string>,
): Promise<void> {
  const what = 'a payment is released only when a final block is past its end and its nonce unused';
  for await (const page of snapshot.fetch<Ended>(held.released)) {
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
      some.forEach(({ id, valid_before, block_number }, place) => {
        const block = blocks.get(BigInt(block_number));
        const detail =
          spent[place] && !late.has(id)
            ? 'its nonce is spent'
            : !block
              ? `block ${block_number} is not final`
              : block.time < BigInt(valid_before)
                ? `block ${block_number} is of ${block.time}, and it is valid until ${valid_before}`
                : undefined;
        if (detail !== undefined) tally.broken({ id, what, detail });
      });
      tally.count('released', some.length);
    }
  }
}

/** Rows in the order of their blocks, a page at a time. */
class Rows {
  #page: Ended[] = [];
  #at = 0;
  #isOver = false;

  constructor(private readonly pages: AsyncGenerator<Ended[]>) {}

  /** Those up to a block, or all that are left. */
  async upTo(block: bigint | undefined): Promise<Ended[]> {
    const found: Ended[] = [];
    while (true) {
      const row = await this.peek();
      if (!row || (block !== undefined && BigInt(row.block_number) > block)) return found;
      found.push(row);
      this.#at += 1;
    }
  }

  private async peek(): Promise<Ended | undefined> {
    while (this.#at >= this.#page.length && !this.#isOver) {
      const { done, value } = await this.pages.next();
      this.#isOver = done === true;
      this.#page = done ? [] : value;
      this.#at = 0;
    }
    return this.#page[this.#at];
  }
}

/** Runs a part that asks a chain; what the chain does not answer is told as not checked. */
export async function asking(
  tally: Tally,
  network: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof pg.DatabaseError) throw error;
    tally.skip(`${network}: ${shortly(error)}`);
  }
}
