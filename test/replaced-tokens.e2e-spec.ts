import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt, importPKCS8, SignJWT } from 'jose';
import type { PaymentView } from '../src/payments/payments.dto.js';
import { type Answer, type Api, expectProblem, type Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { newProver } from './support/dpop.js';
import { queueBehindGrant } from './support/locks.js';
import { signingKeyOf } from './support/signing-key.js';
import { CENT, order } from './support/terms.js';

// A holder's token is replaced while its request waits for the lock of its grant: the guard let the request in, and
// what decides under the lock must refuse it.

let stack: TestStack;
let admin: Api;

beforeAll(async () => {
  stack = await startTestStack();
  ({ admin } = stack);
}, 60_000);

afterAll(() => stack?.stop());

/** A holder, a child of its grant, and a payment of the child that waits for the holder's approval. */
interface Family {
  readonly root: Minted;
  readonly holder: Api;
  readonly child: Minted;
  readonly waiting: string;
  readonly paid: string;
  readonly mintKey: Record<string, string>;
}

const CHILD = { holder: 'child', budget: '2.00', approvalAbove: '0.50', ttlSeconds: 600 };
const dear = () => order(stack.chain, { amount: (CENT * 100n).toString() });

async function family(): Promise<Family> {
  const root = await admin.mint({ budget: '10.00', delegationDepth: 1 });
  const holder = admin.as(root.token);
  const mintKey = { 'idempotency-key': randomUUID() };
  const { body: child } = await holder.post<Minted>('/v1/grants', CHILD, mintKey);
  const pending = await admin.as(child.token).pay<{ payment: PaymentView }>(dear(), randomUUID());
  expect(pending.status).toBe(202);
  const paid = await holder.paid(order(stack.chain));
  return { root, holder, child, mintKey, waiting: pending.body.payment.id, paid: paid.payment.id };
}

const ACTS: readonly (readonly [string, (family: Family) => Promise<Answer<unknown>>])[] = [
  ['mint', ({ holder }) => holder.post('/v1/grants', CHILD)],
  ['replay a minting', ({ holder, mintKey }) => holder.post('/v1/grants', CHILD, mintKey)],
  ['suspend', ({ holder, child }) => holder.post(`/v1/grants/${child.grant.id}/suspend`, {})],
  ['resume', ({ holder, child }) => holder.post(`/v1/grants/${child.grant.id}/resume`, {})],
  ['revoke', ({ holder, child }) => holder.post(`/v1/grants/${child.grant.id}/revoke`, {})],
  [
    'take a child’s token',
    ({ holder, child }) => holder.post(`/v1/grants/${child.grant.id}/token`),
  ],
  ['renew its own token', ({ holder, root }) => holder.post(`/v1/grants/${root.grant.id}/token`)],
  ['approve', ({ holder, waiting }) => holder.post(`/v1/payments/${waiting}/approve`, {})],
  ['reject', ({ holder, waiting }) => holder.post(`/v1/payments/${waiting}/reject`, {})],
  ['pay', ({ holder }) => holder.pay(order(stack.chain))],
  ['collect a header', ({ holder, paid }) => holder.get(`/v1/payments/${paid}/header`)],
  ['cancel', ({ holder, paid }) => holder.post(`/v1/payments/${paid}/cancel`, {})],
  [
    'end a child’s token',
    ({ holder, child }) =>
      holder.call('POST', '/v1/revoke', `token=${child.token}`, {
        'content-type': 'application/x-www-form-urlencoded',
      }),
  ],
];

/** Everything of a family that an act could change. */
async function stateOf({ root }: Family): Promise<unknown> {
  const { rows } = await stack.db.query(
    `SELECT g.id, g.status, g.token_generation, g.payments,
       (SELECT count(*) FROM grant_actors a WHERE a.grant_id = g.id) AS actors,
       (SELECT array_agg(p.status || coalesce(p.decided_by, '') ORDER BY p.id) FROM payments p
        WHERE p.grant_id = g.id) AS payments,
       (SELECT count(*) FROM cancellations c JOIN payments p ON p.id = c.payment_id
        WHERE p.grant_id = g.id) AS cancellations
     FROM grants g WHERE g.root_id = $1 AND g.id <> $1 OR g.id = $1 ORDER BY g.id`,
    [root.grant.id],
  );
  return rows;
}

describe('a token that is replaced while its request waits for the lock', () => {
  it.each(ACTS)('does not %s', async (_what, act) => {
    const made = await family();
    const [answer] = await queueBehindGrant(
      stack.db,
      made.root.grant.id,
      [() => act(made)],
      'UPDATE grants SET token_generation = token_generation + 1 WHERE id = $1',
    );
    expectProblem(answer as Answer<unknown>, 401, 'invalid_token');
    const after = (await stateOf(made)) as { id: string; token_generation: number }[];
    const before = (await family().then(stateOf)) as object[];
    // Only the replacement tells it from a family that nobody touched.
    const shapeOf = ({ id, token_generation, ...rest }: Record<string, unknown>) => rest;
    expect(after.map((each) => shapeOf({ ...each }))).toEqual(
      before.map((each) => shapeOf({ ...each })),
    );
    expect(after.map((each) => [each.id, each.token_generation])).toEqual([
      [made.root.grant.id, 2],
      [made.child.grant.id, 1],
    ]);
  });

  it.each(ACTS)('would %s otherwise', async (what, act) => {
    const made = await family();
    if (what === 'resume') await admin.post(`/v1/grants/${made.child.grant.id}/suspend`, {});
    const [answer] = await queueBehindGrant(stack.db, made.root.grant.id, [() => act(made)]);
    // Without a gas account nothing is cancelled, and a holder resumes nothing that an admin suspended.
    expect([200, 201, 202, ...(what === 'resume' ? [403] : [])]).toContain(answer?.status);
  });
});

describe('a grant that is bound to a key', () => {
  it('pays for no token without one, also where only the ledger looks', async () => {
    const { publicJwk } = await newProver();
    const bound = await admin.mint({ budget: '1.00', holderKey: publicJwk });
    // Signed by the service, of the current generation, and bound to no key: only the grant's row tells.
    const { cnf, ...claims } = decodeJwt(bound.token);
    const { kid, privatePem } = await signingKeyOf(stack);
    const unbound = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', typ: 'grant+jwt', kid })
      .sign(await importPKCS8(privatePem, 'ES256'));
    expect(cnf).toBeDefined();
    expectProblem(await admin.as(unbound).pay(order(stack.chain)), 401, 'invalid_token');
    expect(await admin.grant(bound.grant.id)).toMatchObject({ reserved: '0.00', payments: 0 });
  });
});
