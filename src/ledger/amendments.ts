import type { ClientBase } from 'pg';
import { amend, type TermsChange } from '../domain/amendment.js';
import { setAsideBy } from '../domain/charge.js';
import type { AmendableTerms } from '../domain/grant.js';
import { currencyOf } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import { hadNoPart } from '../domain/two-person.js';
import { setAside } from './carve-outs.js';
import { columnNames, valuesOf } from './columns.js';
import { appendEvents, type NewEvent } from './events.js';
import { noteActor, readActors } from './grant-actors.js';
import { AMENDED, type GrantRecord, writeCounters } from './grant-rows.js';
import { forgetCrossings, tellCrossings } from './thresholds.js';

/** An amendment of a grant, and who makes it. */
export interface Amendment {
  readonly change: TermsChange;
  /** Left out, they stay as they are. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Null removes it. */
  readonly purpose?: string | null | undefined;
  readonly actor: string;
  readonly reason: string | undefined;
  readonly requestId: string;
  /** Whether nobody may raise what he had a part in. */
  readonly twoPerson: boolean;
  /** The raise request that this approves. */
  readonly requestedBy?: string | undefined;
}

/** A grant after an amendment. */
export interface AmendedGrant {
  /** From the root down, the grant itself last. */
  readonly chain: readonly GrantRecord[];
  /** Undefined when nothing differs from before. */
  readonly event: NewEvent | undefined;
}

/**
 * Amends a grant whose chain is locked: its row, what is set aside for it on the grants above, the event with both
 * values of each term, and who raised something.
 *
 * @throws Problem as {@link amend}, `budget_exceeded` when a larger carve-out does not fit, `forbidden` in two-person
 *   mode for who had a part in the chain.
 */
export async function amendGrant(
  tx: ClientBase,
  chain: readonly GrantRecord[],
  amendment: Amendment,
  now: Date,
): Promise<AmendedGrant> {
  const grant = chain.at(-1);
  if (!grant) throw new Error('a chain has at least its grant');
  const { treasuryId, id } = grant;
  const { terms, changed, raised } = amend(
    chain,
    amendment.change,
    currencyOf(grant.currency),
    now,
  );
  const after: GrantRecord = {
    ...grant,
    ...terms,
    labels: amendment.labels ?? grant.labels,
    purpose: amendment.purpose === undefined ? grant.purpose : (amendment.purpose ?? undefined),
  };
  const from = termsJson(grant);
  const to = termsJson(after);
  const names = [...changed, ...(['labels', 'purpose'] as const)].filter(
    (name) => JSON.stringify(from[name]) !== JSON.stringify(to[name]),
  );
  if (names.length === 0) return { chain, event: undefined };
  if (raised.length > 0) {
    if (amendment.twoPerson) await refusePart(tx, chain, amendment.actor);
    await noteActor(tx, grant, amendment.actor, now);
  }
  const ancestors = await moveAside(tx, chain, after);
  await tx.query(
    `UPDATE grants SET ${columnNames(AMENDED)
      .map((name, place) => `${name} = $${place + 3}`)
      .join(', ')}
     WHERE treasury_id = $1 AND id = $2`,
    [treasuryId, id, ...valuesOf(AMENDED, after)],
  );
  const only = (all: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(names.map((name) => [name, all[name]]));
  const event: NewEvent = {
    treasuryId,
    kind: 'grant.amended',
    actor: amendment.actor,
    grantId: id,
    requestId: amendment.requestId,
    reason: amendment.reason,
    data: {
      from: only(from),
      to: only(to),
      raised: [...raised],
      twoPerson: amendment.twoPerson,
    },
  };
  await appendEvents(tx, now, [event]);
  await forgetCrossings(tx, treasuryId, id);
  await tellCrossings(tx, now, chain.slice(0, -1), ancestors, { requestId: amendment.requestId });
  return { chain: [...ancestors, after], event };
}

/** Moves what is set aside for a carve-out whose budget changes. @returns the grants above it as they are then. */
async function moveAside(
  tx: ClientBase,
  chain: readonly GrantRecord[],
  after: GrantRecord,
): Promise<readonly GrantRecord[]> {
  const ancestors = chain.slice(0, -1);
  const before = chain.at(-1)?.budget ?? 0n;
  const more = after.budget - before;
  if (after.funding !== 'reserved' || ancestors.length === 0 || more === 0n) return ancestors;
  if (more > 0n) return setAside(tx, ancestors, more);
  const bearing = setAsideBy(ancestors).map((each) => ({
    ...each,
    allocated: each.allocated + more,
  }));
  await writeCounters(tx, after.treasuryId, bearing);
  return [...ancestors.slice(0, ancestors.length - bearing.length), ...bearing];
}

async function refusePart(
  tx: ClientBase,
  chain: readonly GrantRecord[],
  actor: string,
): Promise<void> {
  const ids = chain.map(({ id }) => id);
  const actorsOf = await readActors(tx, chain[0]?.treasuryId ?? '', ids);
  if (hadNoPart(actor, ids.flatMap(actorsOf))) return;
  throw new Problem(
    'forbidden',
    'two-person mode: you were handed a token of a grant of this chain, or raised something for it; an admin who had ' +
      'no part in it must raise this',
  );
}

/** The terms as an event shows them. */
function termsJson({
  labels,
  purpose,
  ...terms
}: AmendableTerms & Pick<GrantRecord, 'labels' | 'purpose'>) {
  return {
    budget: terms.budget.toString(),
    maxPerPayment: terms.maxPerPayment?.toString() ?? null,
    maxPayments: terms.maxPayments ?? null,
    approvalAbove: terms.approvalAbove?.toString() ?? null,
    expiresAt: terms.expiresAt.toISOString(),
    labels,
    purpose: purpose ?? null,
  };
}
