import type { ClientBase } from 'pg';
import type { Database } from '../database/database.js';
import { currencyOf, parseAmount } from '../domain/money.js';
import type { PaymentOption } from '../domain/payment-option.js';
import {
  type Decision,
  decide,
  type EvaluatedOption,
  type IsKnownPayee,
  preferredWallets,
  type WalletSnapshot,
} from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { chainOf, databaseNow, type GrantRecord, readGrants } from './grant-rows.js';
import { readKnownPayees } from './known-payees.js';
import { isSuspended } from './suspensions.js';

/** Request for a quote. */
export interface QuoteOrder {
  readonly treasuryId: string;
  readonly grantId: string;
  readonly options: readonly PaymentOption[];
  /** The addresses the signer has keys for. */
  readonly signable: readonly string[];
  readonly maxValiditySeconds: number;
  /** Most that the agent is ready to pay, in currency units. */
  readonly maxAmount: string | undefined;
  /** The entry of `accepts` to take instead of the cheapest. */
  readonly option: number | undefined;
}

/** Decision that a payment would meet now. It promises nothing: others pay meanwhile. */
export interface Quote {
  /** From the root down, the paying grant last. */
  readonly chain: readonly GrantRecord[];
  readonly now: Date;
  /** Undefined when no option may be chosen: of the grant's currency, and the one that was asked for. */
  readonly decision: Decision | undefined;
  /** Every option of the grant's currency, chosen or not, without those of 0 where the treasury pays none. */
  readonly weighed: readonly EvaluatedOption[];
  /** Which grants of the chain know a payee. */
  readonly isKnownPayee: IsKnownPayee;
}

/**
 * Decides as `Ledger.reserve` would at this moment, over one snapshot that is read without a
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
    const paysZero = await readPaysZero(tx, treasuryId);
    const isStopped = await isSuspended(tx, treasuryId);
    const options = order.options.filter(
      ({ currency, amount }) => currency === grant.currency && (paysZero || amount > 0n),
    );
    const { isKnown: isKnownPayee } = await readKnownPayees(tx, treasuryId, chain, options);
    if (options.length === 0) return { chain, now, decision: undefined, weighed: [], isKnownPayee };
    const wallets = preferredWallets(await readWallets(tx, order), root.id);
    const currency = currencyOf(grant.currency);
    const maxAmount =
      order.maxAmount === undefined
        ? undefined
        : parseAmount(order.maxAmount, currency, 'maxAmount');
    const decideOver = (some: readonly PaymentOption[]) =>
      decide({
        chain,
        wallets,
        options: some,
        currency,
        now,
        isStopped,
        maxValiditySeconds,
        maxAmount,
        isKnownPayee,
      });
    const all = decideOver(options);
    const { weighed } = all;
    if (order.option === undefined) return { chain, now, decision: all, weighed, isKnownPayee };
    const chosen = options.filter(({ index }) => index === order.option);
    return {
      chain,
      now,
      decision: chosen.length > 0 ? decideOver(chosen) : undefined,
      weighed,
      isKnownPayee,
    };
  });
}

async function readPaysZero(tx: ClientBase, treasuryId: string): Promise<boolean> {
  const { rows } = await tx.query<{ zero_payments: boolean }>(
    'SELECT zero_payments FROM treasuries WHERE id = $1',
    [treasuryId],
  );
  return rows[0]?.zero_payments === true;
}

async function readWallets(tx: ClientBase, order: QuoteOrder): Promise<WalletSnapshot[]> {
  const { rows } = await tx.query<Record<keyof WalletSnapshot, string>>(
    `SELECT b.wallet_id AS id, w.address, b.network, b.asset, b.balance, b.reserved
     FROM wallet_balances b JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
     WHERE b.treasury_id = $1 AND w.status = 'active' AND b.code IS NULL
       AND b.held_since IS NULL AND w.address = ANY ($2::text[])
     ORDER BY b.wallet_id, b.network, b.asset`,
    [order.treasuryId, order.signable],
  );
  return rows.map((row) => ({
    ...row,
    balance: BigInt(row.balance),
    reserved: BigInt(row.reserved),
  }));
}
