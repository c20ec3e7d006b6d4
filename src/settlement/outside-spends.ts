import { Injectable, Logger } from '@nestjs/common';
import { Database } from '../database/database.js';
import { isSameAddress, parseAddress } from '../evm.js';
import { type OutsideSpend, sightSpends, spendKey } from '../ledger/outside-spends.js';
import { Notifier } from '../outbox/notifier.js';
import type { TokenLog } from './token-logs.js';

type UsedLog = Extract<TokenLog, { eventName: 'AuthorizationUsed' }>;
type TransferLog = Extract<TokenLog, { eventName: 'Transfer' }>;

/** A payment whose nonce a log shows. */
export interface KnownPayment {
  readonly asset: string;
  readonly payer: string;
  readonly pay_to: string;
  readonly amount: string;
  readonly nonce: string;
}

/** A wallet whose logs are read. */
export interface OwnWallet {
  readonly treasury_id: string;
  readonly wallet_id: string;
  readonly address: string;
}

/**
 * Looks for spends of the treasury's wallets that no payment stands for: a stolen key, or a database that was
 * restored to an older state, shows on chain first.
 */
@Injectable()
export class OutsideSpends {
  readonly #log = new Logger('settlement');

  constructor(
    private readonly database: Database,
    private readonly notifier: Notifier,
  ) {}

  /** The spends that some logs of a network show and no payment stands for. */
  async find(network: string, logs: readonly TokenLog[]): Promise<OutsideSpend[]> {
    if (logs.length === 0) return [];
    const nonces = logs.flatMap((log) =>
      log.eventName === 'AuthorizationUsed' ? [log.args.nonce] : [],
    );
    const [known, wallets] = await Promise.all([
      this.database.pool.query<KnownPayment>(
        // A nonce that the chain shows as used though its payment was released or cancelled is a spend as well: its
        // money was given back.
        `SELECT asset, payer, pay_to, amount, nonce FROM payments
         WHERE network = $1 AND status IN ('authorized', 'settled') AND nonce = ANY ($2::text[])`,
        [network, nonces],
      ),
      this.database.pool.query<OwnWallet>(
        'SELECT treasury_id, id AS wallet_id, address FROM wallets',
      ),
    ]);
    return outsideSpends(network, logs, known.rows, wallets.rows);
  }

  /**
   * Finds such spends and holds their wallets at once, by the word of one RPC and before anything is final: a wallet
   * that is held in vain pays again when a final block does not show the spend.
   */
  async sight(network: string, logs: readonly TokenLog[]): Promise<OutsideSpend[]> {
    const spends = await this.find(network, logs);
    for (const spend of await sightSpends(this.database, spends)) {
      this.#log.error(
        `${network}: transaction ${spend.transaction} spends ${spend.amount} of ${spend.asset} from wallet ${spend.address}, ` +
          'and no payment stands for it; the wallet makes no payment until somebody explains it: npx bursar adopt ' +
          `${spend.transaction} --reason TEXT`,
      );
      this.notifier.eventsWritten(spend.treasuryId);
    }
    return spends;
  }
}

/**
 * The spends of some logs that no payment stands for. Each authorization takes the transfer behind it in its transaction, as
 * EIP-3009 has it: that of a known payment the exact one. A transfer of 0 alone is none: anybody can have a token
 * log one from any wallet (`transferFrom` of 0 needs no allowance).
 */
export function outsideSpends(
  network: string,
  logs: readonly TokenLog[],
  known: readonly KnownPayment[],
  wallets: readonly OwnWallet[],
): OutsideSpend[] {
  const walletOf = new Map(wallets.map((wallet) => [wallet.address, wallet]));
  const used = logs.filter((log): log is UsedLog => log.eventName === 'AuthorizationUsed');
  const transfers = new Set(logs.filter((log): log is TransferLog => log.eventName === 'Transfer'));
  const take = (log: UsedLog, isRight: (transfer: TransferLog) => boolean) => {
    for (const transfer of transfers) {
      if (
        transfer.transactionHash === log.transactionHash &&
        isSameAddress(transfer.address, log.address) &&
        isSameAddress(transfer.args.from, log.args.authorizer) &&
        isRight(transfer)
      ) {
        transfers.delete(transfer);
        return transfer;
      }
    }
    return undefined;
  };
  const strangers = used.filter((log) => {
    const payment = known.find(
      ({ asset, payer, nonce }) =>
        nonce === log.args.nonce &&
        payer === log.args.authorizer &&
        asset === parseAddress(log.address),
    );
    if (!payment) return true;
    const { pay_to: payTo, amount } = payment;
    take(log, ({ args }) => args.to === payTo && args.value === BigInt(amount));
    return false;
  });
  const found: { log: TokenLog; spend: Omit<OutsideSpend, 'place'> }[] = [];
  const add = (log: TransferLog | UsedLog, from: string, more: Partial<OutsideSpend>) => {
    const wallet = walletOf.get(from);
    const asset = parseAddress(log.address);
    if (!wallet || asset === undefined) return;
    const { treasury_id: treasuryId, wallet_id: walletId, address } = wallet;
    const { transactionHash: transaction, blockNumber } = log;
    const rest = { nonce: undefined, payTo: undefined, amount: 0n, ...more };
    const spend = { treasuryId, walletId, address, network, transaction, asset, blockNumber };
    found.push({ log, spend: { ...spend, ...rest } });
  };
  for (const log of strangers) {
    const transfer = take(log, ({ logIndex }) => logIndex > log.logIndex);
    const { authorizer, nonce } = log.args;
    add(log, authorizer, { nonce, payTo: transfer?.args.to, amount: transfer?.args.value ?? 0n });
  }
  for (const log of transfers) {
    const { from, to: payTo, value: amount } = log.args;
    if (amount > 0n) add(log, from, { payTo, amount });
  }
  found.sort(
    (a, b) => Number(a.log.blockNumber - b.log.blockNumber) || a.log.logIndex - b.log.logIndex,
  );
  const places = new Map<string, number>();
  return found.map(({ spend }) => {
    const key = `${spend.treasuryId} ${spend.transaction} ${spend.asset}`;
    const place = places.get(key) ?? 0;
    places.set(key, place + 1);
    return { ...spend, place };
  });
}

/** A spend that only one of two readings shows; undefined when they agree. */
export function disputedSpend(
  first: readonly OutsideSpend[],
  second: readonly OutsideSpend[],
): OutsideSpend | undefined {
  const missing = (from: readonly OutsideSpend[], all: readonly OutsideSpend[]) => {
    const keys = new Set(from.map(spendKey));
    return all.find((spend) => !keys.has(spendKey(spend)));
  };
  return missing(second, first) ?? missing(first, second);
}
