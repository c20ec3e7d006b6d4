import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { type Hex, keccak256, type PublicClient } from 'viem';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import type { Asset, Network } from '../domain/network.js';
import type { JobPayload } from '../outbox/jobs.js';
import { OnJob } from '../outbox/on-job.js';
import { Queues } from '../outbox/queues.js';
import { cancelCall, cancelTypedData } from '../treasury/cancel-authorization.js';
import { GasAccount } from '../treasury/gas-account.js';
import { canCancel, describeLack, GasFundsReader } from '../treasury/gas-funds.js';
import { Networks } from '../treasury/networks.js';
import { shortMessage } from '../treasury/rpc-client.js';
import { Wallets } from '../treasury/wallets.js';

/** How often cancellations are looked at, in milliseconds: signatures live a minute or two. */
const EVERY_MS = 1_000;

/** How many cancellations are begun in one go. */
const BEGUN_AT_ONCE = 32;

/** How many nonces one payment may take before a person must look: more is a token that plays tricks. */
const NONCES_PER_PAYMENT = 3;

/** The gas a cancellation may take at most; USDC takes about 60,000. */
const MAX_GAS = 300_000n;

/** Raise that a replacement must bid, in thousandths: nodes ask for a tenth more. */
const BUMP = 1_125n;

interface OpenCancellation {
  readonly treasury_id: string;
  readonly payment_id: string;
  readonly asset: string;
  readonly payer: string;
  readonly payment_nonce: string;
}

interface GasRow extends OpenCancellation {
  readonly nonce: string;
  readonly status: string;
  readonly is_void: boolean;
  readonly gas_limit: string;
  readonly max_fee: string;
  readonly max_priority_fee: string;
  readonly attempts: number;
  readonly payment_status: string;
  readonly is_stuck: boolean;
}

const GAS_COLUMNS = `t.treasury_id, t.payment_id, t.nonce, t.status, t.is_void, t.gas_limit, t.max_fee,
  t.max_priority_fee, t.attempts, p.asset, p.payer, p.nonce AS payment_nonce, p.status AS payment_status`;

/**
 * Sends the cancellations that were asked for, from the gas account. It decides nothing: a payment
 * ends `cancelled` when settlement finds its AuthorizationCanceled final, and `settled` when the
 * transfer was faster.
 *
 * One row a nonce, written before anything is signed with it: that row, the payment's and the keys give
 * the transaction's bytes, so any worker can send it again at any time. A nonce is only ever replaced
 * by a higher bid, up to a bound; what is no longer needed is replaced by a transaction that does
 * nothing, so that the nonces behind it are not held up.
 */
@Injectable()
export class Canceller implements OnModuleInit {
  readonly #log = new Logger('cancel');
  /** Complaints that stand, so that each is told once. */
  readonly #complaints = new Map<string, string>();

  constructor(
    private readonly networks: Networks,
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly wallets: Wallets,
    private readonly gas: GasAccount,
    private readonly gasFunds: GasFundsReader,
    @Inject(CONFIG) private readonly config: Pick<Config, 'gasMaxFee' | 'gasStuckMs'>,
  ) {}

  onModuleInit(): void {
    for (const { network } of this.networks.all()) {
      this.queues.schedule(
        `cancel-${network.replace(':', '-')}`,
        'cancel.send',
        { network },
        EVERY_MS,
      );
    }
  }

  @OnJob('cancel.send')
  onSend({ network }: JobPayload<'cancel.send'>): Promise<void> {
    return this.run(network);
  }

  /** Moves a network's cancellations on by one step. Safe to run twice at once. */
  async run(name: string): Promise<void> {
    const network = this.networks.find(name);
    const client = this.networks.client(name);
    const sender = this.gas.address;
    if (!network || !client) return;
    await this.finish(name);
    if (!(await this.hasWork(name, sender))) return;
    if (!sender) {
      this.complain(name, 'cancellations wait, and there is no gas account: set BURSAR_GAS_KEY');
      return;
    }
    try {
      const mined = await client.getTransactionCount({ address: sender, blockTag: 'latest' });
      await this.follow(network, client, sender, BigInt(mined));
      await this.begin(network, client, sender, BigInt(mined));
      this.#complaints.delete(name);
    } catch (error) {
      this.complain(name, await this.causeOf(name, sender, error));
    }
  }

  /** Why cancellations do not get on, with the account that pays for them. */
  private async causeOf(network: string, sender: Hex, error: unknown): Promise<string> {
    const funds = await this.gasFunds.on(network);
    if (funds && !canCancel(funds)) return `cancellations wait: ${describeLack(funds)}`;
    return `cancellations wait: ${shortMessage(error)} (gas account ${sender})`;
  }

  /** Takes off the list what has ended, or can no longer be settled by the final block's own time. */
  private async finish(network: string): Promise<void> {
    await this.database.pool.query(
      `UPDATE cancellations c SET is_over = true FROM payments p
       WHERE c.network = $1 AND NOT c.is_over AND p.treasury_id = c.treasury_id AND p.id = c.payment_id
         AND (p.status <> 'authorized' OR p.valid_before <
           (SELECT k.block_time FROM chain_cursors k WHERE k.network = c.network))`,
      [network],
    );
  }

  private async hasWork(network: string, sender: string | undefined): Promise<boolean> {
    const { rows } = await this.database.pool.query<{ work: boolean }>(
      `SELECT EXISTS (SELECT 1 FROM cancellations WHERE network = $1 AND NOT is_over)
         OR EXISTS (SELECT 1 FROM gas_transactions WHERE network = $1 AND sender = $2 AND status = 'open')
         AS work`,
      [network, sender ?? ''],
    );
    return rows[0]?.work === true;
  }

  /** Sees what became of the nonces that are open, and sends again those that are not mined. */
  private async follow(network: Network, client: PublicClient, sender: Hex, mined: bigint) {
    const { rows } = await this.database.pool.query<GasRow>(
      `SELECT ${GAS_COLUMNS},
         t.attempted_at < now() - make_interval(secs => $3::float8) AS is_stuck
       FROM gas_transactions t JOIN payments p ON p.treasury_id = t.treasury_id AND p.id = t.payment_id
       WHERE t.network = $1 AND t.sender = $2 AND t.status = 'open' ORDER BY t.nonce`,
      [network.network, sender, this.config.gasStuckMs / 1000],
    );
    if (rows.some(({ nonce }) => BigInt(nonce) < mined)) {
      await this.markMined(network.network, client, sender);
    }
    for (const row of rows) {
      if (BigInt(row.nonce) < mined) continue;
      const isNeeded = row.payment_status === 'authorized';
      const becomesVoid = !isNeeded && !row.is_void;
      const bid =
        row.is_stuck || becomesVoid
          ? await this.raise(network, client, sender, row, becomesVoid)
          : row;
      await this.send(network, client, sender, bid);
    }
  }

  /** A nonce is done once it is used at the block that settlement has read up to. */
  private async markMined(network: string, client: PublicClient, sender: Hex): Promise<void> {
    const cursor = await this.database.prisma.chainCursor.findUnique({ where: { network } });
    if (!cursor) return;
    const final = await client.getTransactionCount({
      address: sender,
      blockNumber: cursor.blockNumber,
    });
    await this.database.pool.query(
      `UPDATE gas_transactions SET status = 'mined'
       WHERE network = $1 AND sender = $2 AND status = 'open' AND nonce < $3`,
      [network, sender, final],
    );
  }

  /** Bids more for a nonce that is stuck; at the bound the old bid stands. */
  private async raise(
    network: Network,
    client: PublicClient,
    sender: Hex,
    row: GasRow,
    becomesVoid: boolean,
  ): Promise<GasRow> {
    const now = await client.estimateFeesPerGas();
    const bumped = (old: string, wanted: bigint) => {
      const least = (BigInt(old) * BUMP) / 1_000n + 1n;
      return least > wanted ? least : wanted;
    };
    const maxFee = bumped(row.max_fee, now.maxFeePerGas);
    let priority = bumped(row.max_priority_fee, now.maxPriorityFeePerGas);
    if (priority > maxFee) priority = maxFee;
    if (maxFee > this.config.gasMaxFee) {
      this.#log.warn(
        `${network.network}: nonce ${row.nonce} of the gas account is stuck at its fee bound; raise BURSAR_GAS_MAX_FEE_GWEI`,
      );
      return row;
    }
    const { rows } = await this.database.pool.query<GasRow>(
      `UPDATE gas_transactions t SET attempts = t.attempts + 1, attempted_at = now(), max_fee = $5,
         max_priority_fee = $6, is_void = t.is_void OR $7, hash = NULL
       FROM payments p
       WHERE t.network = $1 AND t.sender = $2 AND t.nonce = $3 AND t.attempts = $4 AND t.status = 'open'
         AND p.treasury_id = t.treasury_id AND p.id = t.payment_id
       RETURNING ${GAS_COLUMNS}`,
      [
        network.network,
        sender,
        row.nonce,
        row.attempts,
        maxFee.toString(),
        priority.toString(),
        becomesVoid,
      ],
    );
    // Another worker was faster: what it wrote is sent by it.
    return rows[0] ?? row;
  }

  /**
   * Gives the cancellations that have no nonce one each, and sends them; none for a signature that has run
   * out by the newest block's time: nobody can use it, and only the gas would be spent.
   */
  private async begin(network: Network, client: PublicClient, sender: Hex, mined: bigint) {
    const { timestamp } = await client.getBlock({ blockTag: 'latest' });
    const { rows } = await this.database.pool.query<OpenCancellation>(
      `SELECT p.treasury_id, p.id AS payment_id, p.asset, p.payer, p.nonce AS payment_nonce
       FROM cancellations c JOIN payments p ON p.treasury_id = c.treasury_id AND p.id = c.payment_id
       WHERE c.network = $1 AND NOT c.is_over AND p.status = 'authorized' AND p.valid_before > $2
         AND ${HAS_NO_NONCE}
       ORDER BY c.requested_at, c.payment_id LIMIT ${BEGUN_AT_ONCE}`,
      [network.network, timestamp],
    );
    if (rows.length === 0) return;
    const fees = await client.estimateFeesPerGas();
    if (fees.maxFeePerGas > this.config.gasMaxFee) {
      throw new Error(
        `gas costs ${fees.maxFeePerGas} wei now, above the bound of ${this.config.gasMaxFee}; ` +
          'raise BURSAR_GAS_MAX_FEE_GWEI to send them',
      );
    }
    const failures: unknown[] = [];
    for (const payment of rows) {
      try {
        const gas = await this.gasOf(network, client, sender, payment);
        if (gas === undefined) continue;
        const row = await this.takeNonce(network.network, sender, payment, gas, fees, mined);
        if (row) await this.send(network, client, sender, row);
      } catch (error) {
        // One that cannot be sent, such as of a token that is gone, must not hold up the others.
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** The gas a cancellation would take, with a margin; undefined when it would be refused by now. */
  private async gasOf(
    network: Network,
    client: PublicClient,
    sender: Hex,
    payment: OpenCancellation,
  ): Promise<bigint | undefined> {
    const data = await this.cancelData(network, payment);
    try {
      const to = payment.asset as Hex;
      const gas = (await client.estimateGas({ account: sender, to, data })) * 13n;
      return gas / 10n > MAX_GAS ? undefined : gas / 10n;
    } catch (error) {
      const walk = (error as { walk?: (match: (each: unknown) => boolean) => unknown }).walk;
      const reverted = walk?.call(
        error,
        (each) => (each as Error).name === 'ExecutionRevertedError',
      );
      // Used or cancelled at the head: settlement sees which. It is asked again while that is not final.
      if (reverted) return undefined;
      throw error;
    }
  }

  private takeNonce(
    network: string,
    sender: Hex,
    payment: OpenCancellation,
    gas: bigint,
    fees: { maxFeePerGas: bigint; maxPriorityFeePerGas: bigint },
    mined: bigint,
  ): Promise<GasRow | undefined> {
    return this.database.transaction(async (tx) => {
      await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `gas ${network} ${sender}`,
      ]);
      const { rows } = await tx.query<GasRow>(
        `WITH p AS (
           SELECT p.* FROM payments p JOIN cancellations c
             ON c.treasury_id = p.treasury_id AND c.payment_id = p.id
           WHERE p.treasury_id = $3 AND p.id = $4 AND p.status = 'authorized' AND ${HAS_NO_NONCE}),
         t AS (
           INSERT INTO gas_transactions (network, sender, nonce, treasury_id, payment_id, gas_limit,
             max_fee, max_priority_fee)
           SELECT $1, $2, greatest($8::bigint, (SELECT coalesce(max(o.nonce) + 1, 0)
               FROM gas_transactions o WHERE o.network = $1 AND o.sender = $2)),
             p.treasury_id, p.id, $5, $6, $7 FROM p
           RETURNING *)
         SELECT ${GAS_COLUMNS} FROM t JOIN p ON true`,
        [
          network,
          sender,
          payment.treasury_id,
          payment.payment_id,
          gas.toString(),
          fees.maxFeePerGas.toString(),
          fees.maxPriorityFeePerGas.toString(),
          mined.toString(),
        ],
      );
      return rows[0];
    });
  }

  /** Signs what stands in the row, and hands it to the chain. The same row always gives the same bytes. */
  private async send(
    network: Network,
    client: PublicClient,
    sender: Hex,
    row: GasRow,
  ): Promise<void> {
    const call = row.is_void
      ? { to: sender }
      : { to: row.asset as Hex, data: await this.cancelData(network, row) };
    const serializedTransaction = await this.gas.sign({
      ...call,
      chainId: network.chainId,
      nonce: Number(row.nonce),
      gas: BigInt(row.gas_limit),
      maxFeePerGas: BigInt(row.max_fee),
      maxPriorityFeePerGas: BigInt(row.max_priority_fee),
    });
    await this.database.pool.query(
      `UPDATE gas_transactions SET hash = $5 WHERE network = $1 AND sender = $2 AND nonce = $3
         AND attempts = $4 AND status = 'open' AND hash IS DISTINCT FROM $5`,
      [network.network, sender, row.nonce, row.attempts, keccak256(serializedTransaction)],
    );
    try {
      await client.sendRawTransaction({ serializedTransaction });
    } catch (error) {
      // Sent before, mined meanwhile, or outbid by our own newer attempt: all as it should be.
      if (!/already (known|imported)|nonce too low|underpriced/i.test(String(error))) throw error;
    }
  }

  private async cancelData(network: Network, payment: OpenCancellation): Promise<Hex> {
    const asset: Asset | undefined = this.networks.asset(network.network, payment.asset);
    if (!asset)
      throw new Error(`token ${payment.asset} is no longer registered on ${network.network}`);
    const { payer, payment_nonce: nonce } = payment;
    await this.wallets.signable(payment.treasury_id);
    const data = cancelTypedData(payer, nonce, network.chainId, asset);
    return cancelCall(payer, nonce, await this.wallets.sign(payer, data));
  }

  private complain(network: string, reason: string): void {
    if (this.#complaints.get(network) !== reason) this.#log.warn(`${network}: ${reason}`);
    this.#complaints.set(network, reason);
  }
}

/** Condition on a cancellation `c`: no nonce is at work for it, and few were used up. */
const HAS_NO_NONCE = `NOT EXISTS (SELECT 1 FROM gas_transactions o
    WHERE o.treasury_id = c.treasury_id AND o.payment_id = c.payment_id AND o.status = 'open')
  AND (SELECT count(*) FROM gas_transactions o
    WHERE o.treasury_id = c.treasury_id AND o.payment_id = c.payment_id) < ${NONCES_PER_PAYMENT}`;
