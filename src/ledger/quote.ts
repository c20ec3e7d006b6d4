import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { currencyOf, parseAmount } from '../domain/money.js';
import {
  type Decision,
  decide,
  type PaymentOption,
  preferredWallets,
  type WalletSnapshot,
  type Weighed,
} from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { chainOf, databaseNow, type GrantRecord, readGrants } from './grant-rows.js';

/** What is asked before a payment is. */
export interface QuoteOrder {
  readonly treasuryId: string;
  readonly grantId: string;
  readonly options: readonly PaymentOption[];
  /** The addresses the signer has keys for. */
  readonly signable: readonly string[];
  readonly maxValiditySeconds: number;
  /** What the agent is ready to pay at most, in currency units. */
  readonly maxAmount: string | undefined;
  /** The entry of `accepts` to take instead of the cheapest. */
  readonly option: number | undefined;
}

/** What a payment would be decided now. It promises nothing: others pay meanwhile. */
export interface Quote {
  /** From the root down, the paying grant last. */
  readonly chain: readonly GrantRecord[];
  readonly now: Date;
  /** Undefined when no option may be chosen: of the grant's currency, and the one that was asked for. */
  readonly decision: Decision | undefined;
  /** Every option of the grant's currency, chosen or not. */
  readonly weighed: readonly Weighed[];
}

/**
 * Decides as {@link Ledger.reserve} would at this moment, over one snapshot that is read without a
 * lock, in a transaction that Postgres itself keeps from writing.
 *
 * @throws Problem `not_found` for an unknown grant.
 */
export function quote(database: Database, order: QuoteOrder): Promise<Quote> {
  return database.transaction(async (tx) => {
    await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    const { treasuryId, grantId, maxValiditySeconds } = order;
    const path = (await readGrants(tx, treasuryId, [grantId])).get(grantId)?.path ?? [];
    const chain = chainOf(await readGrants(tx, treasuryId, path), grantId);
    const [root] = chain;
    const grant = chain.at(-1);
    if (!grant || !root) throw new Problem('not_found', `no grant ${grantId}`);
    const now = await databaseNow(tx);
    const options = order.options.filter(({ currency }) => currency === grant.currency);
    if (options.length === 0) return { chain, now, decision: undefined, weighed: [] };
    const wallets = preferredWallets(await readWallets(tx, order), root.id);
    const currency = currencyOf(grant.currency);
    const maxAmount =
      order.maxAmount === undefined
        ? undefined
        : parseAmount(order.maxAmount, currency, 'maxAmount');
    const decideOver = (some: readonly PaymentOption[]) =>
      decide({ chain, wallets, options: some, currency, now, maxValiditySeconds, maxAmount });
    const all = decideOver(options);
    const { weighed } = all;
    if (order.option === undefined) return { chain, now, decision: all, weighed };
    const chosen = options.filter(({ index }) => index === order.option);
    return {
      chain,
      now,
      decision: chosen.length > 0 ? decideOver(chosen) : undefined,
      weighed,
    };
  });
}

async function readWallets(tx: ClientBase, order: QuoteOrder): Promise<WalletSnapshot[]> {
  const { rows } = await tx.query<Record<keyof WalletSnapshot, string>>(
    `SELECT b.wallet_id AS id, w.address, b.network, b.asset, b.balance, b.reserved
     FROM wallet_balances b JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
     WHERE b.treasury_id = $1 AND w.status = 'active' AND b.code IS NULL
       AND w.address = ANY ($2::text[])
     ORDER BY b.wallet_id, b.network, b.asset`,
    [order.treasuryId, order.signable],
  );
  return rows.map((row) => ({
    ...row,
    balance: BigInt(row.balance),
    reserved: BigInt(row.reserved),
  }));
}
