// One payment that is followed through a fault, and asked for again after it.
import { headerOf, type Payer, type Settled } from '../agents.js';
import type { Scene } from '../fault.js';

/** Asks again on both replicas: one payment, one header. */
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
  if (headers[0] === undefined || headers[0] !== headers[1]) {
    const told = answers.map((each) => `${each?.status} ${each?.body.code ?? ''}`.trim());
    failures.push(`the key ${key} got ${told.join(' and then ')}`);
  }
  return failures;
}
