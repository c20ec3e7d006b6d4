import pg from 'pg';
import { parseAddress } from '../evm.js';
import { type BlockHead, type Chain, shortly, type TokenLog } from './chain.js';
import { type EndedPayment, type HeldPayments, NONCES_AT_ONCE } from './held-payments.js';
import { checkReleased } from './released.js';
import type { Tally } from './report.js';
import type { Snapshot } from './snapshot.js';

/** How many blocks one log query covers, and how many queries are under way at once. */
const BLOCKS_PER_QUERY = 2_000n;
const QUERIES_AT_ONCE = 4;

/** How far the database's clock and the chain's may be apart, in seconds. */
const CLOCK_TOLERANCE_SECONDS = 600;

/**
 * I6: a payment is settled, or cancelled, exactly when a final block shows it; released only when a final
 * block is past its validBefore at every RPC, the database's clock is past it too, and its nonce is unused there. And the other way round: every
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
  const payments = new Rows(snapshot.fetch<EndedPayment>(held.onChain));
  const late = new Set<string>();
  const miss = async (payment: EndedPayment, why: string) => {
    if (!(await isElsewhere(chain, payment, final))) missing(tally, payment, why);
  };
  for (const payment of await payments.upTo(first - 1n)) {
    await miss(payment, 'is before any payment');
  }
  for await (const { to, logs } of scan(chain, held, first, final.number)) {
    const closings = new ClosingLogs(logs);
    for (const payment of await payments.upTo(to)) {
      tally.count(payment.status, 1);
      const wrong = closings.take(payment);
      if (wrong) await miss(payment, wrong);
    }
    await explainRest(snapshot, tally, chain.network, closings, late);
    progress(`I6: ${chain.network}, block ${to} of ${final.number}`);
  }
  for (const payment of await payments.upTo(undefined)) await miss(payment, 'is not final');
  await checkReleased(snapshot, tally, chain, held, final, late);
}

function missing(tally: Tally, { id, status, block_number }: EndedPayment, why: string): void {
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
async function isElsewhere(
  chain: Chain,
  payment: EndedPayment,
  final: BlockHead,
): Promise<boolean> {
  if (payment.transaction === null) return false;
  const logs = await chain.logsOf(payment.transaction);
  const areFinal = logs.every(({ blockNumber }) => blockNumber <= final.number);
  return areFinal && new ClosingLogs(logs).take(payment) === undefined;
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

/** The form that a transfer must have to stand for something. */
interface TransferTerms {
  readonly transaction: string;
  readonly asset: string;
  readonly payer: string;
  readonly pay_to: string;
  readonly amount: string;
}

type EndLog = Exclude<TokenLog, { eventName: 'Transfer' }>;
type TransferLog = Extract<TokenLog, { eventName: 'Transfer' }>;

/** Closings that the logs of some blocks show; each log stands for one payment. */
class ClosingLogs {
  readonly #ends = new Map<string, EndLog>();
  readonly #transfers = new Map<string, TransferLog[]>();

  constructor(logs: readonly TokenLog[]) {
    for (const log of logs) {
      if (log.eventName === 'Transfer') {
        const { from, to, value } = log.args;
        const key = transferKey(log.transactionHash, log.address, from, to, value);
        this.#transfers.set(key, [...(this.#transfers.get(key) ?? []), log]);
      } else {
        this.#ends.set(endKey(log.address, log.args.authorizer, log.args.nonce), log);
      }
    }
  }

  /** Takes what stands for a payment. @returns what is wrong, if anything is. */
  take(payment: EndedPayment): string | undefined {
    const { status, asset, payer, pay_to, paid: amount, nonce, transaction } = payment;
    const key = endKey(asset, payer, nonce);
    const log = this.#ends.get(key);
    const wanted = status === 'settled' ? 'AuthorizationUsed' : 'AuthorizationCanceled';
    if (!log) return `has no ${wanted} of its nonce`;
    this.#ends.delete(key);
    if (log.eventName !== wanted) return `has ${log.eventName} of its nonce`;
    if (log.transactionHash !== transaction)
      return `shows it in ${log.transactionHash}, not ${transaction}`;
    if (status !== 'settled') return undefined;
    if (!this.takeTransfer({ transaction: log.transactionHash, asset, payer, pay_to, amount }))
      return `has no transfer of ${amount} from ${payer} to ${pay_to} in ${transaction}`;
    return undefined;
  }

  /** Takes a transfer of these terms. @returns whether there was one. */
  takeTransfer(terms: TransferTerms): boolean {
    const { transaction, asset, payer, pay_to, amount } = terms;
    const found = this.#transfers.get(
      transferKey(transaction, asset, payer, pay_to, BigInt(amount)),
    );
    return found?.pop() !== undefined;
  }

  /** The transfers out of wallets that nothing took. Of 0 anybody can have a token log one. */
  transfers() {
    return [...this.#transfers.values()].flat().filter(({ args }) => args.value > 0n);
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
  closings: ClosingLogs,
  late: Set<string>,
): Promise<void> {
  const logs = closings.rest();
  const adopted = await takeAdopted(snapshot, tally, network, closings);
  const told = new Set<string>();
  for (let start = 0; start < logs.length; start += NONCES_AT_ONCE) {
    const some = logs.slice(start, start + NONCES_AT_ONCE);
    const known = await paymentsOf(snapshot, network, some);
    for (const { eventName, address, args, transactionHash, blockNumber } of some) {
      const found = known.get(endKey(address, args.authorizer, args.nonce));
      const end = eventName === 'AuthorizationUsed' ? 'settled' : 'cancelled';
      if (!found) {
        if (adopted.has(`${transactionHash} ${args.nonce}`)) continue;
        told.add(transactionHash);
        tally.broken({
          id: transactionHash,
          what: 'every authorization of a wallet on chain is a payment',
          detail: `${eventName} of ${args.authorizer} with nonce ${args.nonce}, which no payment has`,
        });
        continue;
      }
      const { pay_to, amount } = found;
      const payer = args.authorizer;
      closings.takeTransfer({
        transaction: transactionHash,
        asset: address,
        payer,
        pay_to,
        amount,
      });
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
  refuseTransfers(tally, closings, told);
}

/** Finds the payments of authorizations, by {@link endKey}. */
async function paymentsOf(snapshot: Snapshot, network: string, logs: readonly EndLog[]) {
  const rows = await snapshot.rows<{
    id: string;
    status: string;
    block_number: string | null;
    pay_to: string;
    amount: string;
    key: string;
  }>(
    `SELECT id, status, block_number, pay_to, CASE WHEN status = 'settled' THEN paid ELSE amount END AS amount, lower(concat_ws(' ', asset, payer, nonce)) AS key FROM payments
     WHERE network = $1 AND (asset, payer, nonce) IN (SELECT * FROM unnest($2::text[], $3::text[], $4::text[]))`,
    [
      network,
      // Spelled as in the rows; a log's own is in lower case.
      logs.map(({ address }) => parseAddress(address) ?? address),
      logs.map(({ args }) => args.authorizer),
      logs.map(({ args }) => args.nonce),
    ],
  );
  return new Map(rows.map((row) => [row.key, row]));
}

/**
 * Reports the transfers that nothing stands for.
 *
 * @param told - transactions that were reported already.
 */
function refuseTransfers(tally: Tally, closings: ClosingLogs, told: ReadonlySet<string>): void {
  for (const { transactionHash, address, args } of closings.transfers()) {
    if (told.has(transactionHash)) continue;
    tally.broken({
      id: transactionHash,
      what: 'every transfer out of a wallet is a payment, or an admin has explained it',
      detail: `${args.value} of ${address} from ${args.from} to ${args.to}`,
    });
  }
}

/** Takes the transfers of spends that an admin has explained. @returns their authorizations, as `transaction nonce`. */
async function takeAdopted(
  snapshot: Snapshot,
  tally: Tally,
  network: string,
  closings: ClosingLogs,
): Promise<Set<string>> {
  const transactions = [...closings.rest(), ...closings.transfers()].map(
    (log) => log.transactionHash,
  );
  const rows =
    transactions.length === 0
      ? []
      : await snapshot.rows<TransferTerms & { pay_to: string | null; nonce: string | null }>(
          `SELECT s.transaction, s.asset, w.address AS payer, s.pay_to, s.amount, s.nonce
           FROM outside_spends s JOIN wallets w ON w.treasury_id = s.treasury_id AND w.id = s.wallet_id
           WHERE s.network = $1 AND s.status = 'adopted' AND s.payment_id IS NULL AND s.transaction = ANY ($2::text[])`,
          [network, [...new Set(transactions)]],
        );
  for (const row of rows) if (row.pay_to !== null) closings.takeTransfer(row);
  tally.count('outside spends', rows.length);
  return new Set(rows.map(({ transaction, nonce }) => `${transaction} ${nonce}`));
}

/** Rows in the order of their blocks, a page at a time. */
class Rows {
  #page: EndedPayment[] = [];
  #at = 0;
  #isOver = false;

  constructor(private readonly pages: AsyncGenerator<EndedPayment[]>) {}

  /** Those up to a block, or all that are left. */
  async upTo(block: bigint | undefined): Promise<EndedPayment[]> {
    const found: EndedPayment[] = [];
    while (true) {
      const row = await this.peek();
      if (!row || (block !== undefined && BigInt(row.block_number) > block)) return found;
      found.push(row);
      this.#at += 1;
    }
  }

  private async peek(): Promise<EndedPayment | undefined> {
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
