import type { ClientBase } from 'pg';
import type { TransactionEnds } from '../database/database.js';
import type { WalletSnapshot } from '../domain/policy.js';
import { NEW_EVENTS } from './events.js';
import { COUNTERS } from './grant-rows.js';
import { NEW_PAYMENTS, writeHandedOver } from './payment-rows.js';
import { boundRefusals, isRefusal } from './refusals.js';
import type { Books, Writings } from './reservations.js';

/** Writes what is reserved of wallets that are locked. */
const FUNDS = {
  sql: `UPDATE wallet_balances b SET reserved = c.reserved
    FROM unnest($2::text[], $3::text[], $4::text[], $5::numeric[])
      AS c (wallet_id, network, asset, reserved)
    WHERE b.treasury_id = $1 AND b.wallet_id = c.wallet_id AND b.network = c.network
      AND b.asset = c.asset AND b.reserved <> c.reserved`,
  values: (treasuryId: string, wallets: readonly WalletSnapshot[]) => [
    treasuryId,
    wallets.map(({ id }) => id),
    wallets.map(({ network }) => network),
    wallets.map(({ asset }) => asset),
    wallets.map(({ reserved }) => reserved.toString()),
  ],
};

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
  { payments, handedOver, events, charged }: Writings,
  ends?: Pick<TransactionEnds, 'last'>,
): Promise<void> {
  if (events.length === 0) return;
  const changed = [...charged]
    .map((id) => books.grants.get(id))
    .filter((each) => each !== undefined);
  const bounded = await boundRefusals(tx, books.now, events);
  await writeHandedOver(tx, treasuryId, handedOver);
  const values = [
    ...COUNTERS.values(treasuryId, changed),
    ...FUNDS.values(treasuryId, changed.length > 0 ? books.wallets : []),
    ...NEW_PAYMENTS.values(treasuryId, books.now, payments),
    ...NEW_EVENTS.values(books.now, bounded),
  ];
  const send = () => tx.query({ name: 'write', text: STATEMENT, values });
  // Counting refusals and handing over have written something already.
  if (ends && handedOver.length === 0 && !events.some(isRefusal)) ends.last(send);
  else await send();
}

const STATEMENT = allInOne([COUNTERS.sql, FUNDS.sql, NEW_PAYMENTS.sql, NEW_EVENTS.sql]);

/**
 * Statements that depend on nothing of each other, as one: `WITH` all but the last. Each one's parameters
 * are counted on from those of the one before.
 */
function allInOne(statements: readonly string[]): string {
  let given = 0;
  const counted = statements.map((sql) => {
    const before = given;
    return sql.replace(/\$(\d+)/g, (_, digits: string) => {
      const place = before + Number(digits);
      given = Math.max(given, place);
      return `$${place}`;
    });
  });
  const parts = counted.slice(0, -1).map((sql, index) => `part_${index + 1} AS (${sql})`);
  return `WITH ${parts.join(', ')} ${counted.at(-1)}`;
}
