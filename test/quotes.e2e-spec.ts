import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { QuoteView } from '../src/payments/payments.dto.js';
import { type Api, expectProblem } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { OTHER_PAYEE, order, PAYEE, RESOURCE_URL, requirement } from './support/terms.js';

let stack: TestStack;
let admin: Api;

beforeAll(async () => {
  stack = await startTestStack();
  ({ admin } = stack);
}, 60_000);

afterAll(() => stack?.stop());

async function holder(terms: Record<string, unknown> = {}) {
  const { grant, token } = await admin.mint({ budget: '10.00', ...terms });
  return { grantId: grant.id, api: admin.as(token) };
}

async function quote(api: Api, body: unknown): Promise<QuoteView> {
  const answer = await api.post<QuoteView>('/v1/payments/quote', body);
  if (answer.status !== 200) throw new Error(`no quote: ${answer.status} ${answer.text}`);
  return answer.body;
}

/** Every row a quote could have changed. */
async function everything(): Promise<unknown> {
  const { rows } = await stack.db.query(
    `SELECT (SELECT json_agg(g ORDER BY id) FROM grants g) AS grants,
       (SELECT json_agg((wallet_id, reserved) ORDER BY wallet_id) FROM wallet_balances) AS wallets,
       (SELECT count(*) FROM payments) AS payments, (SELECT count(*) FROM events) AS events`,
  );
  return rows[0];
}

describe('a quote', () => {
  it('tells what a payment would cost, and the payment then costs that', async () => {
    const { api } = await holder({ budget: '1.00' });
    const body = order(stack.chain);
    const quoted = await quote(api, body);
    expect(quoted).toEqual({
      decision: 'allow',
      selected: 0,
      options: [
        {
          index: 0,
          decision: 'allow',
          reasons: [],
          scheme: 'exact',
          network: stack.chain.network,
          asset: stack.chain.token.address,
          payTo: PAYEE,
          amount: '0.01',
          currency: 'USDC',
        },
      ],
      grant: { remaining: '1.00', remainingAfter: '0.99' },
    });
    const { payment, grant } = await api.paid(body);
    expect(payment.amount).toBe('0.01');
    expect(grant.remaining).toBe(quoted.grant.remainingAfter);
  });

  it('tells of every option why it is not the one, the unusable ones included', async () => {
    const { grantId, api } = await holder({ maxPerPayment: '0.05', scope: { payTo: [PAYEE] } });
    const options = [
      requirement(stack.chain, { amount: '60000' }),
      requirement(stack.chain, { scheme: 'upto' }),
      requirement(stack.chain, { amount: '30000' }),
      requirement(stack.chain, { network: 'eip155:8453' }),
      requirement(stack.chain, { amount: '20000' }),
      requirement(stack.chain, { asset: PAYEE }),
      requirement(stack.chain, { amount: '1', payTo: OTHER_PAYEE }),
      requirement(stack.chain, { amount: '1e3' }),
      requirement(stack.chain, { maxTimeoutSeconds: 5 }),
    ];
    const body = order(stack.chain, {}, { options });
    const quoted = await quote(api, body);
    expect(quoted.options.map(({ index }) => index)).toEqual(options.map((_, index) => index));
    expect(
      quoted.options.map(({ decision, amount, reasons }) => [
        decision,
        amount,
        ...reasons.map(({ code }) => code),
      ]),
    ).toEqual([
      ['deny', '0.06', 'per_payment_exceeded'],
      ['deny', null, 'scheme_not_supported'],
      ['allow', '0.03'],
      ['deny', null, 'network_not_supported'],
      ['allow', '0.02'],
      ['deny', null, 'asset_not_supported'],
      ['deny', '0.000001', 'payee_not_allowed'],
      ['deny', null, 'requirements_invalid'],
      ['deny', '0.01', 'requirements_invalid'],
    ]);
    expect(quoted.options[0]?.reasons[0]).toMatchObject({ grantId, limit: '0.05' });
    expect(quoted).toMatchObject({
      decision: 'allow',
      selected: 4,
      grant: { remaining: '10.00', remainingAfter: '9.98' },
    });
    expect((await api.paid(body)).payment.amount).toBe('0.02');
  });

  it('says what remains now, whether it would be paid or not, and when a full window reopens', async () => {
    const windows = [{ seconds: 3600, payments: 1 }];
    const { grantId, api } = await holder({ maxPerPayment: '0.05', windows });
    const dear = order(
      stack.chain,
      {},
      { options: [requirement(stack.chain, { amount: '60000' })] },
    );
    const { grant } = await quote(api, order(stack.chain));
    expect((await quote(api, dear)).grant.remaining).toBe(grant.remaining);
    expect((await admin.grant(grantId)).remaining).toBe(grant.remaining);
    await api.paid(order(stack.chain));
    const { options } = await quote(api, order(stack.chain));
    const [reason] = options[0]?.reasons ?? [];
    const { body } = await api.pay(order(stack.chain));
    expect(reason).toMatchObject({
      code: 'window_exceeded',
      reopensAt: body.reopensAt,
      retryAfter: expect.any(Number),
    });
  });

  it('says no as the payment would, and what remains is what remains now', async () => {
    const { grantId, api } = await holder({ budget: '0.005' });
    const quoted = await quote(api, order(stack.chain));
    expect(quoted).toMatchObject({
      decision: 'deny',
      selected: null,
      options: [{ decision: 'deny', reasons: [{ code: 'budget_exceeded', grantId }] }],
      grant: { remaining: '0.005', remainingAfter: null },
    });
    expectProblem(await api.pay(order(stack.chain)), 403, 'budget_exceeded', { grantId });

    await admin.post(`/v1/grants/${grantId}/revoke`, {});
    expect(await quote(api, order(stack.chain))).toMatchObject({
      decision: 'deny',
      options: [{ reasons: [{ code: 'grant_revoked' }] }],
      grant: { remaining: '0.00', remainingAfter: null },
    });
  });

  it('says that a payment would wait for an approval, and for whose', async () => {
    const { grantId, api } = await holder({ approvalAbove: '0.015' });
    const options = [requirement(stack.chain, { amount: '20000' })];
    const body = order(stack.chain, {}, { options });
    expect(await quote(api, body)).toMatchObject({
      decision: 'require_approval',
      selected: 0,
      options: [
        {
          decision: 'require_approval',
          reasons: [{ code: 'approval_required', grantId, limit: '0.015' }],
        },
      ],
      grant: { remaining: '10.00', remainingAfter: '9.98' },
    });
  });

  it('is refused for a declared resource of another public host only by a grant with resources', async () => {
    const resourceUrl = 'https://evil.example/data/7';
    const body = order(stack.chain, {}, { resourceUrl });
    const { api: unscoped } = await holder();
    expect(await quote(unscoped, body)).toMatchObject({ decision: 'allow', selected: 0 });
    const { api } = await holder({ scope: { resources: ['https://api.example.com/*'] } });
    expect(await quote(api, body)).toMatchObject({
      decision: 'deny',
      selected: null,
      options: [
        {
          reasons: [
            {
              code: 'resource_not_allowed',
              detail: expect.stringContaining('https://evil.example/*'),
            },
          ],
        },
      ],
    });
  });

  it('goes by maxAmount and by the chosen option, and tells of the others all the same', async () => {
    const { api } = await holder();
    const options = ['30000', '20000', '10000'].map((amount) =>
      requirement(stack.chain, { amount }),
    );
    const body = order(stack.chain, {}, { options });
    expect(await quote(api, { ...body, option: 1 })).toMatchObject({
      decision: 'allow',
      selected: 1,
      options: [{ decision: 'allow' }, { decision: 'allow' }, { decision: 'allow' }],
    });
    expect(await quote(api, { ...body, maxAmount: '0.02', option: 0 })).toMatchObject({
      decision: 'deny',
      selected: null,
      options: [{ reasons: [{ code: 'max_amount_exceeded', limit: '0.02' }] }, {}, {}],
    });
  });

  it('needs no key, changes nothing and writes nothing', async () => {
    const { api } = await holder({ budget: '0.02' });
    const before = await everything();
    for (let n = 0; n < 10; n++) {
      await quote(api, order(stack.chain));
      await quote(api, order(stack.chain, { amount: '9000000' }));
    }
    expect(await everything()).toEqual(before);
  });

  it('waits for no lock that payments hold, on the grant or on the wallets', async () => {
    const { grantId, api } = await holder();
    const locker = await stack.db.connect();
    try {
      await locker.query('BEGIN');
      await locker.query('SELECT 1 FROM grants WHERE id = $1 FOR UPDATE', [grantId]);
      await locker.query('SELECT 1 FROM wallet_balances FOR UPDATE');
      // Were it to wait, the statement's time would run out and it would not be 200.
      expect(await quote(api, order(stack.chain))).toMatchObject({ decision: 'allow' });
    } finally {
      await locker.query('ROLLBACK');
      locker.release();
    }
  });

  it('is for holders, and for bodies that a payment would read', async () => {
    const { api } = await holder();
    expectProblem(await admin.post('/v1/payments/quote', order(stack.chain)), 403, 'forbidden');
    expectProblem(
      await admin.as(undefined).post('/v1/payments/quote', order(stack.chain)),
      401,
      'invalid_token',
    );
    const request = { method: 'GET', url: RESOURCE_URL };
    for (const paymentRequired of ['???', {}, { x402Version: 3 }]) {
      const answer = await api.post('/v1/payments/quote', { paymentRequired, request });
      expectProblem(answer, 422, 'requirements_invalid');
    }
    const { paymentRequired } = order(stack.chain);
    for (const url of ['/data/7', 'https://user@api.example.com/', 'ftp://api.example.com/']) {
      const answer = await api.post('/v1/payments/quote', { paymentRequired, request: { url } });
      expectProblem(answer, 400, 'invalid_request', { field: 'request.url' });
    }
  });
});
