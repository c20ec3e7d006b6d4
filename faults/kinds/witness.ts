// One payment that is followed through a fault, and asked for again after it.
import { headerOf, type Payer, type Settled } from '../agents.js';
import type { Scene } from '../fault.js';

/** The codes of a payment that can no longer be handed out; each names the payment. */
const OVER = ['payment_expiring', 'payment_ended'];

/** Asks again on both replicas: one payment, and its one header as long as its signature lasts. */
export async function again(
  place: number,
  { stack, agents }: Pick<Scene, 'stack' | 'agents'>,
  payer: Payer,
  key: string,
  body: string,
): Promise<string[]> {
  const answers: (Settled | undefined)[] = [];
  for (const first of [place, 1 - place]) {
    answers.push(await agents.pay(payer, key, body, { first }));
  }
  const headers = answers.map((each) => headerOf(each)?.value);
  const { rows } = await stack.db.query('SELECT id FROM payments WHERE grant_id = $1', [
    payer.grantId,
  ]);
  const failures: string[] = [];
  if (rows.length !== 1) failures.push(`the key ${key} has ${rows.length} payments`);
  const given = headers.filter((value) => value !== undefined);
  const isTold = answers.every(
    (each, place) =>
      headers[place] !== undefined ||
      (OVER.includes(each?.body.code ?? '') && each?.body.payment?.id === rows[0]?.id),
  );
  if (!isTold || new Set(given).size > 1) {
    const told = answers.map((each) => `${each?.status} ${each?.body.code ?? ''}`.trim());
    failures.push(`the key ${key} got ${told.join(' and then ')}`);
  }
  return failures;
}
