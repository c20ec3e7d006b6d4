import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Service } from '../src/service.js';
import { type Answer, Api, expectProblem, type Paid, type ProblemAnswer } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { order, requirement } from './support/terms.js';

/** Concurrent requests of one race. */
const RACERS = 300;
const REVOCATION_ROUNDS = Number(process.env.BURSAR_RACE_ROUNDS ?? 20);

let stack: TestStack;
let replica: Service;
let admin: Api;
let urls: readonly string[];

beforeAll(async () => {
  stack = await startTestStack();
  replica = await startReplica(stack);
  ({ admin } = stack);
  urls = [stack.service.url, replica.url];
}, 60_000);

afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});

/** The same holder on each replica in turn. */
function everywhere(token: string, n: number): Api {
  return new Api(urls[n % urls.length] ?? '', token);
}

function count(answers: readonly Answer<unknown>[], status: number): number {
  return answers.filter((answer) => answer.status === status).length;
}

describe('racing replicas', () => {
  it('reserve a budget for ten payments exactly ten times, whoever asks where', async () => {
    const { grant, token } = await admin.mint({ budget: '0.10' });
    const answers = await Promise.all(
      Array.from({ length: RACERS }, (_, n) =>
        everywhere(token, n).pay<Paid & ProblemAnswer>(order(stack.chain)),
      ),
    );
    const refused = answers.filter(({ status }) => status !== 201);
    for (const answer of refused) {
      expectProblem(answer, 403, 'budget_exceeded', {
        grantId: grant.id,
        limit: '0.10',
        remaining: '0.00',
      });
    }
    const paid = answers.filter(({ status }) => status === 201);
    expect(paid).toHaveLength(10);
    expect(new Set(paid.map(({ body }) => body.header.value)).size).toBe(10);
    // The answers themselves counted down, one each.
    expect(paid.map(({ body }) => body.grant.remaining).sort()).toEqual(
      Array.from({ length: 10 }, (_, left) => `0.0${left}`),
    );
    expect(await sums(grant.id)).toEqual({ payments: 10, amount: '100000', nonces: 10 });
    expect(await admin.grant(grant.id)).toMatchObject({
      reserved: '0.10',
      remaining: '0.00',
      payments: 10,
    });
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('keep a root whose children race each other within its budget and its count', async () => {
    const root = await admin.mint({ budget: '0.08', maxPayments: 7, delegationDepth: 2 });
    const middle = await admin.as(root.token).mint({ budget: '0.08' });
    const leaves = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        admin.as((n % 2 ? root : middle).token).mint({ budget: '0.05' }),
      ),
    );
    const answers = await Promise.all(
      Array.from({ length: RACERS / 2 }, (_, n) =>
        everywhere(leaves[n % leaves.length]?.token ?? '', n).pay(order(stack.chain)),
      ),
    );
    expect(count(answers, 201)).toBe(7);
    expect(count(answers, 403)).toBe(answers.length - 7);
    expect(await admin.grant(root.grant.id)).toMatchObject({ reserved: '0.07', payments: 7 });
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('make one payment of one key asked of both at once', async () => {
    const { grant, token } = await admin.mint({ budget: '1.00' });
    const keys = Array.from({ length: 10 }, () => randomUUID());
    const answers = await Promise.all(
      keys.flatMap((key) =>
        Array.from({ length: 10 }, async (_, n) => ({
          key,
          answer: await everywhere(token, n).pay<Paid>(order(stack.chain), key),
        })),
      ),
    );
    for (const key of keys) {
      const same = answers.filter((each) => each.key === key).map(({ answer }) => answer);
      expect(count(same, 201)).toBe(10);
      expect(new Set(same.map(({ body }) => body.header.value)).size).toBe(1);
    }
    expect(await sums(grant.id)).toEqual({ payments: 10, amount: '100000', nonces: 10 });
  });

  it('never promise more than the wallets hold', async () => {
    // 1,000,000 a wallet: of 400,000 each takes two, whatever else is asked at once.
    const grants = await Promise.all(
      Array.from({ length: 4 }, () => admin.mint({ budget: '100000000' })),
    );
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        everywhere(grants[n % 4]?.token ?? '', n).pay(
          order(
            stack.chain,
            {},
            { options: [requirement(stack.chain, { amount: `4${'0'.repeat(11)}` })] },
          ),
        ),
      ),
    );
    expect(count(answers, 201)).toBe(8);
    expect(count(answers, 503)).toBe(52);
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('delegate to the same child once for one key', async () => {
    const { token } = await admin.mint({ budget: '1.00', delegationDepth: 1 });
    const body = { holder: 'child', budget: '0.50', ttlSeconds: 600 };
    const key = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        everywhere(token, n).post<{ grant: { id: string } }>('/v1/grants', body, key),
      ),
    );
    expect(count(answers, 201)).toBe(20);
    expect(new Set(answers.map((answer) => answer.body.grant.id)).size).toBe(1);
  });
});

describe('a revocation that races payments', () => {
  it('is final: nothing is reserved once it has answered, on either replica', async () => {
    const outcomes = { paid: 0, refused: 0 };
    for (let round = 0; round < REVOCATION_ROUNDS; round++) {
      const root = await admin.mint({ budget: '1.00', delegationDepth: 1 });
      const child = await admin.as(root.token).mint({ budget: '1.00' });
      const pay = (n: number) => everywhere(child.token, n).pay(order(stack.chain));

      const during = [pay(0), pay(1)];
      const revoked = new Api(urls[round % 2] ?? '', admin.token).post(
        `/v1/grants/${(round % 3 ? root : child).grant.id}/revoke`,
        {},
      );
      during.push(pay(2), pay(3));
      expect((await revoked).status).toBe(200);
      const after = await Promise.all([pay(0), pay(1)]);
      for (const answer of after) expectProblem(answer, 403, 'grant_revoked');

      const answers = await Promise.all(during);
      for (const answer of answers) {
        if (answer.status === 201) outcomes.paid++;
        else {
          expectProblem(answer, 403, 'grant_revoked');
          outcomes.refused++;
        }
      }
      expect((await sums(child.grant.id)).payments).toBe(count(answers, 201));
    }
    // Else the rounds raced nothing.
    expect(outcomes.paid).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(0);
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('ends delegation too: no child is minted below it afterwards', async () => {
    for (let round = 0; round < 10; round++) {
      const root = await admin.mint({ budget: '1.00', delegationDepth: 1 });
      const mint = (n: number) =>
        everywhere(root.token, n).post('/v1/grants', {
          holder: 'child',
          budget: '1.00',
          ttlSeconds: 60,
        });
      const during = [mint(0), mint(1)];
      const revoked = await admin.post(`/v1/grants/${root.grant.id}/revoke`, {});
      expect(revoked.status).toBe(200);
      expectProblem(await mint(0), 403, 'grant_revoked', { grantId: root.grant.id });
      expectProblem(await mint(1), 403, 'grant_revoked', { grantId: root.grant.id });
      for (const answer of await Promise.all(during)) {
        expect([201, 403]).toContain(answer.status);
      }
    }
    const { rows } = await stack.db.query(
      `SELECT c.id FROM grants c JOIN grants a ON a.id = c.parent_id
       WHERE a.status = 'revoked' AND c.created_at > a.revoked_at`,
    );
    expect(rows).toEqual([]);
  });
});

async function sums(grantId: string) {
  const { rows } = await stack.db.query(
    `SELECT count(*)::int AS payments, coalesce(sum(amount), 0)::text AS amount,
       count(DISTINCT nonce)::int AS nonces
     FROM payments WHERE grant_id = $1`,
    [grantId],
  );
  return rows[0];
}
