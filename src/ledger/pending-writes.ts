import type { ClientBase } from 'pg';
import type { TransactionEnds } from '../database/database.js';
import type { WalletSnapshot } from '../domain/policy.js';
import { USAGE } from './bounds.js';
import { writeBreakers } from './breakers.js';
import { NEW_EVENTS } from './events.js';
import { COUNTERS } from './grant-rows.js';
import { writeKnownPayees } from './known-payees.js';
import type { LockedState, PendingWrites } from './locked-state.js';
import { withOpenings } from './openings.js';
import { NEW_PAYMENTS, writeHandedOver } from './payment-rows.js';
import { boundRefusals, isRefusal } from './refusals.js';
import { writeCrossings } from './thresholds.js';

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
 * Writes what was decided. Counters, wallets, new payments, usage and events are one statement. What is written seldom
 * goes before it, in the same transaction.
 *
 * @param ends - given, the commit travels with that statement where nothing was written before it.
 */
export async function write(
  tx: ClientBase,
  treasuryId: string,
  state: LockedState,
  {
    payments,
    handedOver,
    events: noted,
    charged,
    usage,
    knownPayees,
    breakers,
    crossings,
  }: PendingWrites,
  ends?: Pick<TransactionEnds, 'last'>,
): Promise<void> {
  if (noted.length === 0) return;
  const events = await writeCrossings(tx, treasuryId, crossings, noted);
  const changed = [...charged]
    .map((id) => state.grants.get(id))
    .filter((each) => each !== undefined);
  const pathOf = (grantId: string) => state.grants.get(grantId)?.path ?? [grantId];
  const kept = await boundRefusals(tx, state.now, treasuryId, events, pathOf, state.bounds);
  const bounded = withOpenings(
    await writeBreakers(tx, treasuryId, state.breakerCounts, breakers, kept),
  );
  await writeHandedOver(tx, treasuryId, handedOver);
  await writeKnownPayees(tx, treasuryId, state.now, knownPayees);
  const values = [
    ...COUNTERS.values(treasuryId, changed),
    ...FUNDS.values(treasuryId, changed.length > 0 ? state.wallets : []),
    ...NEW_PAYMENTS.values(treasuryId, state.now, payments),
    ...USAGE.values(treasuryId, usage),
    ...NEW_EVENTS.values(state.now, bounded),
  ];
  const send = () => tx.query({ name: 'write', text: STATEMENT, values });
  // Thresholds, counting refusals and handing over have written something already.
  const isOnly = handedOver.length === 0 && crossings.size === 0 && !events.some(isRefusal);
  if (ends && isOnly) ends.last(send);
  else await send();
}

const STATEMENT = allInOne([COUNTERS.sql, FUNDS.sql, NEW_PAYMENTS.sql, USAGE.sql, NEW_EVENTS.sql]);

/** Makes one statement, by `WITH`, of several that do not depend on each other, and renumbers their parameters. */
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
