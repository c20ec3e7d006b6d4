import type { ClientBase } from 'pg';
import type { IsKnownPayee } from '../domain/policy.js';
import { joined, plainTexts } from './plain-texts.js';

/** A payee that a grant knows from now on, by the payment that made it known. */
export interface LearntPayee {
  readonly grantId: string;
  readonly network: string;
  readonly payTo: string;
  readonly paymentId: string;
}

/** The payees that grants know. */
export class KnownPayees {
  readonly #known = new Set<string>();

  /** Whether a grant knows a payee. */
  readonly isKnown: IsKnownPayee = (grantId, network, payTo) =>
    this.#known.has(`${grantId} ${network} ${payTo}`);

  add({ grantId, network, payTo }: Omit<LearntPayee, 'paymentId'>): void {
    this.#known.add(`${grantId} ${network} ${payTo}`);
  }
}

/**
 * Reads which of some payees each of the grants that ask for approvals of new ones knows. Call it under the grants'
 * locks, where a decision depends on it.
 */
export async function readKnownPayees(
  tx: ClientBase,
  treasuryId: string,
  grants: Iterable<{ readonly id: string; readonly approveNewPayees: boolean }>,
  payees: Iterable<{ readonly network: string; readonly payTo: string }>,
): Promise<KnownPayees> {
  const known = new KnownPayees();
  const ids = [...grants].filter((each) => each.approveNewPayees).map(({ id }) => id);
  if (ids.length === 0) return known;
  const pairs = [
    ...new Map([...payees].map((each) => [`${each.network} ${each.payTo}`, each])).values(),
  ];
  const { rows } = await tx.query<{ grant_id: string; network: string; pay_to: string }>(
    `SELECT k.grant_id, k.network, k.pay_to FROM known_payees k
     JOIN unnest($3::text[], $4::text[]) AS a (network, pay_to) USING (network, pay_to)
     WHERE k.treasury_id = $1 AND k.grant_id = ANY ($2::text[])`,
    [treasuryId, ids, pairs.map(({ network }) => network), pairs.map(({ payTo }) => payTo)],
  );
  for (const row of rows) {
    known.add({ grantId: row.grant_id, network: row.network, payTo: row.pay_to });
  }
  return known;
}

/** Writes the payees that grants learnt, under the grants' locks. */
export async function writeKnownPayees(
  tx: ClientBase,
  treasuryId: string,
  at: Date,
  learnt: readonly LearntPayee[],
): Promise<void> {
  if (learnt.length === 0) return;
  await tx.query(
    `INSERT INTO known_payees (treasury_id, since, grant_id, network, pay_to, payment_id)
     SELECT $1::text, $2::timestamptz, * FROM unnest(${plainTexts('$3')}, ${plainTexts('$4')}, ${plainTexts('$5')}, ${plainTexts('$6')})
     ON CONFLICT DO NOTHING`,
    [
      treasuryId,
      at,
      joined(learnt.map(({ grantId }) => grantId)),
      joined(learnt.map(({ network }) => network)),
      joined(learnt.map(({ payTo }) => payTo)),
      joined(learnt.map(({ paymentId }) => paymentId)),
    ],
  );
}
