import type { ClientBase } from 'pg';
import type { TransactionEnds } from '../database/database.js';
import type { WalletSnapshot } from '../domain/policy.js';
import { NEW_EVENTS } from './events.js';
import { COUNTERS } from './grant-rows.js';
import { NEW_PAYMENTS } from './payment-rows.js';
import { boundRefusals, isRefusal } from './refusals.js';
import type { Books, Writings } from './reservations.js';

/** Writes what is reserved of wallets that are locked. */
const FUNDS = {
  parameters: 5,
  sql: (first: number) => {
    const n = (offset: number) => `$${first + offset}`;
    return `UPDATE wallet_balances b SET reserved = c.reserved
     FROM unnest(${n(1)}::text[], ${n(2)}::text[], ${n(3)}::text[], ${n(4)}::numeric[])
       AS c (wallet_id, network, asset, reserved)
     WHERE b.treasury_id = ${n(0)} AND b.wallet_id = c.wallet_id AND b.network = c.network
       AND b.asset = c.asset AND b.reserved <> c.reserved`;
  },
  values: (treasuryId: string, wallets: readonly WalletSnapshot[]) => [
    treasuryId,
    wallets.map(({ id }) => id),
    wallets.map(({ network }) => network),
    wallets.map(({ asset }) => asset),
    wallets.map(({ reserved }) => reserved.toString()),
  ],
};

const STATEMENT = allInOne([COUNTERS, FUNDS, NEW_PAYMENTS, NEW_EVENTS]);

/**
 * Writes what was decided in one statement, so that there is no writing a part of it: counters, wallets,
 * payments and events.
 *
 * @param ends - given, the commit travels with the statement, and its failure is the commit's.
 */
export async function write(
  tx: ClientBase,
  treasuryId: string,
  books: Books,
  { payments, events, charged }: Writings,
  ends?: Pick<TransactionEnds, 'last'>,
): Promise<void> {
  if (events.length === 0) return;
  const changed = [...charged]
    .map((id) => books.grants.get(id))
    .filter((each) => each !== undefined);
  const bounded = await boundRefusals(tx, books.now, events);
  const written = tx.query({
    text: STATEMENT,
    values: [
      ...COUNTERS.values(treasuryId, changed),
      ...FUNDS.values(treasuryId, changed.length > 0 ? books.wallets : []),
      ...NEW_PAYMENTS.values(payments),
      ...NEW_EVENTS.values(books.now, bounded),
    ],
  });
  // Counting refusals has written something already.
  if (ends && !events.some(isRefusal)) ends.last(written);
  else await written;
}

interface Part {
  readonly parameters: number;
  /** @param first - the number of its first parameter. */
  sql(first: number): string;
}

/** Statements that depend on nothing of each other, as one: `WITH` all but the last. */
function allInOne(parts: readonly Part[]): string {
  let first = 1;
  const statements = parts.map((part) => {
    const sql = part.sql(first);
    first += part.parameters;
    return sql;
  });
  const before = statements.slice(0, -1).map((sql, index) => `part_${index + 1} AS (${sql})`);
  return `WITH ${before.join(', ')} ${statements.at(-1)}`;
}
