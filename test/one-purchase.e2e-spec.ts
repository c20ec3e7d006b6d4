import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type Answer,
  Api,
  expectProblem,
  type Minted,
  type Paid,
  type ProblemAnswer,
} from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { settle } from './support/settle.js';
import { CENT, decodeHeader, OTHER_PAYEE, order, orderV1, requirement } from './support/terms.js';
import { until } from './support/until.js';

const MAX_VALIDITY_SECONDS = 30;

let stack: TestStack;
let admin: Api;
let keys = 0;

beforeAll(async () => {
  stack = await startTestStack({
    movableClock: true,
    environment: { BURSAR_MAX_VALIDITY_SECONDS: String(MAX_VALIDITY_SECONDS) },
  });
  admin = stack.admin;
}, 60_000);

afterAll(async () => {
  await stack?.stop();
});

const key = () => `purchase-${++keys}`;

async function holder(
  terms: Record<string, unknown> = {},
): Promise<{ grant: Minted['grant']; api: Api }> {
  const { grant, token } = await admin.mint({ budget: '10.00', ...terms });
  return { grant, api: admin.as(token) };
}

/** A 402 that says something else every time, as sellers with nonces, offers and time stamps do. */
function changing(changes: Record<string, unknown> = {}, extensions?: Record<string, unknown>) {
  const nonce = Math.random().toString(36).slice(2);
  const { paymentRequired, request } = order(stack.chain, {
    extra: { name: 'USDC', version: '2', offer: nonce },
    ...changes,
  });
  return {
    paymentRequired: {
      ...paymentRequired,
      error: `try again, ${nonce}`,
      extensions: {
        'sign-in-with-x': { info: { nonce, issuedAt: new Date().toISOString() } },
        ...extensions,
      },
    },
    request,
    memo: nonce,
  };
}

/** Parts of a signature, without their wrapper. */
const signedIn = ({ header }: Pick<Paid, 'header'>) => decodeHeader(header.value).payload;

async function expectReplay(api: Api, body: unknown, name: string, first: Paid): Promise<Paid> {
  const answer = await api.pay<Paid>(body, name);
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 201 });
  expect(answer.headers.get('idempotent-replayed')).toBe('true');
  expect(answer.body.payment.id).toBe(first.payment.id);
  expect(signedIn(answer.body)).toEqual(signedIn(first));
  return answer.body;
}

describe('one key', () => {
  it('is one purchase over a 402 that changes on every request', async () => {
    const { grant, api } = await holder();
    const name = key();
    const first = await api.paid(changing(), name);
    for (let n = 0; n < 5; n += 1) {
      const body = changing();
      const again = await expectReplay(api, body, name, first);
      const { accepted, ...echo } = decodeHeader(again.header.value);
      expect(accepted).toEqual(body.paymentRequired.accepts[0]);
      expect(echo).toMatchObject({ extensions: body.paymentRequired.extensions });
    }
    expect(await admin.grant(grant.id)).toMatchObject({ reserved: '0.01', payments: 1 });
  });

  it('gives the identical bytes while entry, resource and extensions are the same', async () => {
    const { api } = await holder();
    const name = key();
    const { paymentRequired, request } = changing();
    const first = await api.paid({ paymentRequired, request }, name);
    const same = [
      { paymentRequired, request, memo: 'another', maxAmount: '0.000001', option: 7 },
      { paymentRequired: { ...paymentRequired, error: 'another' }, request },
      {
        paymentRequired: { ...paymentRequired, accepts: [null, ...paymentRequired.accepts] },
        request,
      },
      {
        paymentRequired: Buffer.from(JSON.stringify(paymentRequired, null, 2)).toString('base64'),
        request,
      },
    ];
    for (const [place, body] of same.entries()) {
      const again = await expectReplay(api, body, name, first);
      expect(again.header).toEqual(first.header);
      // The position is that in the 402 at hand.
      expect(again.selection.index).toBe(place === 2 ? 1 : 0);
    }
  });

  it('wraps the same signature for the other version of the protocol, and back', async () => {
    const { api } = await holder();
    const name = key();
    const first = await api.paid(orderV1(stack.chain), name);
    expect(first.header.name).toBe('X-PAYMENT');
    const v2 = await expectReplay(api, order(stack.chain), name, first);
    expect(v2.header.name).toBe('PAYMENT-SIGNATURE');
    expect(decodeHeader(v2.header.value).accepted).toEqual(requirement(stack.chain));
    expect((await expectReplay(api, orderV1(stack.chain), name, first)).header).toEqual(
      first.header,
    );
  });

  it('gives the first bytes again where they carry a payment-identifier, whatever changed', async () => {
    const { api } = await holder();
    const name = key();
    const identifier = { 'payment-identifier': { info: { required: true } } };
    const first = await api.paid(changing({}, identifier), name);
    for (const body of [changing({}, identifier), changing(), orderV1(stack.chain)]) {
      expect((await expectReplay(api, body, name, first)).header).toEqual(first.header);
    }
  });

  it('falls back to the first bytes where the new wrapping fits no header', async () => {
    const { api } = await holder();
    const name = key();
    const first = await api.paid(order(stack.chain), name);
    const big = order(stack.chain, { note: 'x'.repeat(9_000) });
    expect((await expectReplay(api, big, name, first)).header).toEqual(first.header);
  });

  it('takes the very entry of several that match, and none that contradicts itself', async () => {
    const { api } = await holder();
    const name = key();
    const own = requirement(stack.chain, { extra: { name: 'USDC', version: '2', own: true } });
    const first = await api.paid(order(stack.chain, {}, { options: [own] }), name);
    const gateway = requirement(stack.chain, {
      extra: { name: 'GatewayWalletBatched', version: '1' },
    });
    const upfront = requirement(stack.chain, { extra: { paymentFlow: 'upfront' } });
    const options = [gateway, upfront, requirement(stack.chain), own];
    const again = await expectReplay(api, order(stack.chain, {}, { options }), name, first);
    expect(again.selection.index).toBe(3);
    const none = order(stack.chain, {}, { options: [gateway, upfront] });
    expectProblem(await api.pay(none, name), 409, 'idempotency_mismatch');
  });

  it.each<[string, (body: ReturnType<typeof order>) => unknown]>([
    ['another amount', () => order(stack.chain, { amount: '10001' })],
    ['another payee', () => order(stack.chain, { payTo: OTHER_PAYEE })],
    ['another token', () => order(stack.chain, { asset: OTHER_PAYEE })],
    ['another network', () => order(stack.chain, { network: 'eip155:8453' })],
    ['another scheme', () => order(stack.chain, { scheme: 'upto' })],
    [
      'another URL',
      (body) => ({ ...body, request: { ...body.request, url: `${body.request.url}?q=1` } }),
    ],
    ['another method', (body) => ({ ...body, request: { ...body.request, method: 'POST' } })],
  ])('with %s is another purchase: 409 with its payment', async (_what, change) => {
    const { grant, api } = await holder();
    const name = key();
    const { payment } = await api.paid(order(stack.chain), name);
    const answer = await api.pay(change(order(stack.chain)), name);
    expectProblem(answer, 409, 'idempotency_mismatch', {
      nextAction: 'use_payment',
      payment: { id: payment.id, status: 'authorized', validBefore: payment.validBefore },
    });
    expect(await admin.grant(grant.id)).toMatchObject({ reserved: '0.01', payments: 1 });
  });

  it('is looked up before the 402 is judged: every problem of the call names its payment', async () => {
    const { api } = await holder();
    const name = key();
    const { payment } = await api.paid(order(stack.chain), name);
    const of = {
      payment: { id: payment.id, status: 'authorized', validBefore: payment.validBefore },
    };
    const { request } = order(stack.chain);
    const problems: [Answer<ProblemAnswer>, number, string][] = [
      [await api.pay({ paymentRequired: 'nonsense', request }, name), 422, 'requirements_invalid'],
      [await api.pay({ paymentRequired: {}, request }, name), 422, 'requirements_invalid'],
      [await api.pay({ request }, name), 400, 'invalid_request'],
      [await api.pay({ ...order(stack.chain), unknown: 1 }, name), 400, 'invalid_request'],
      [
        await api.pay({ ...order(stack.chain), request: { url: 'ftp://x' } }, name),
        400,
        'invalid_request',
      ],
    ];
    for (const [answer, status, code] of problems) {
      expectProblem(answer, status, code, of);
      expect(answer.body.nextAction).not.toBe('new_key');
    }
    // Another holder's key of the same name tells nothing of it.
    const { api: other } = await holder();
    const foreign = await other.pay({ paymentRequired: 'nonsense', request }, name);
    expect(foreign.body.payment).toBeUndefined();
  });

  it('finds its payment, for its holder and for those above', async () => {
    const { grant, token } = await admin.mint({ budget: '5.00', delegationDepth: 1 });
    const child = await admin.as(token).mint({ budget: '1.00' });
    const name = key();
    const { payment } = await admin.as(child.token).paid(order(stack.chain), name);
    expect(payment).toMatchObject({ idempotencyKey: name });
    const { api: stranger } = await holder();
    for (const [api, found] of [
      [admin.as(child.token), 1],
      [admin.as(token), 1],
      [admin, 1],
      [stranger, 0],
    ] as const) {
      const { items } = await api.read<{ items: { id: string }[] }>(
        `/v1/payments?idempotencyKey=${name}`,
      );
      expect(items.map(({ id }) => id)).toEqual(found ? [payment.id] : []);
    }
    expect(grant.id).not.toBe(child.grant.id);
  });
});

describe('a payment that has its key, by its state', () => {
  it('settled: the same again, also for a changed 402', async () => {
    const { api } = await holder();
    const name = key();
    const first = await api.paid(order(stack.chain), name);
    await settle(stack, first);
    const again = await expectReplay(api, changing(), name, first);
    expect(again.payment.status).toBe('settled');
  });

  it('rejected: payment_ended, and stop', async () => {
    const { api } = await holder({ approvalAbove: '0.001' });
    const name = key();
    const waiting = await api.pay<Paid>(order(stack.chain), name);
    expect(waiting.status).toBe(202);
    await admin.post(`/v1/payments/${waiting.body.payment.id}/reject`, { reason: 'no' });
    expectProblem(await api.pay(order(stack.chain), name), 409, 'payment_ended', {
      nextAction: 'stop',
      payment: { id: waiting.body.payment.id, status: 'rejected', validBefore: null },
    });
  });

  it('being cancelled: withheld until the chain has decided, then payment_ended and a new key', async () => {
    const { api } = await holder();
    const name = key();
    const { payment } = await api.paid(order(stack.chain), name);
    expect((await api.post(`/v1/payments/${payment.id}/cancel`, {})).status).toBe(202);
    for (const answer of [
      await api.pay(order(stack.chain), name),
      await api.get(`/v1/payments/${payment.id}/header`),
    ]) {
      if (answer.body.code === 'payment_ended') continue;
      expectProblem(answer, 409, 'payment_expiring', {
        nextAction: 'wait',
        payment: { id: payment.id },
      });
      expect(answer.body.retryAfter).toBeGreaterThan(0);
      expect(answer.headers.get('retry-after')).toBe(String(answer.body.retryAfter));
    }
    await until('it is cancelled', async () => {
      await stack.chain.mineBlocks(1);
      return (await admin.payment(payment.id)).status === 'cancelled';
    });
    expectProblem(await api.pay(order(stack.chain), name), 409, 'payment_ended', {
      nextAction: 'new_key',
      payment: { id: payment.id, status: 'cancelled' },
    });
  });
});

describe('the header of a payment', () => {
  const headerOf = <T = ProblemAnswer>(api: Api, id: string) =>
    api.get<T>(`/v1/payments/${id}/header`);

  it('is handed out again as it was first, to its own holder only', async () => {
    const { grant, token } = await admin.mint({ budget: '5.00', delegationDepth: 1 });
    const child = await admin.as(token).mint({ budget: '1.00' });
    const api = admin.as(child.token);
    const name = key();
    const first = await api.paid(changing(), name);
    await expectReplay(api, changing(), name, first);
    const { status, body } = await headerOf<Paid>(api, first.payment.id);
    expect(status).toBe(200);
    expect(body).toMatchObject({ payment: { id: first.payment.id }, header: first.header });
    expectProblem(await headerOf(admin.as(token), first.payment.id), 403, 'forbidden');
    expectProblem(await headerOf(admin, first.payment.id), 403, 'forbidden');
    const { api: stranger } = await holder();
    expectProblem(await headerOf(stranger, first.payment.id), 404, 'not_found');
    await admin.post(`/v1/grants/${grant.id}/suspend`, {});
    expectProblem(await headerOf(api, first.payment.id), 403, 'grant_suspended', {
      payment: { id: first.payment.id },
    });
    await admin.post(`/v1/grants/${grant.id}/resume`, {});
    expect((await headerOf(api, first.payment.id)).status).toBe(200);
    const renewed = await admin.post<Minted>(`/v1/grants/${child.grant.id}/token`);
    expectProblem(await headerOf(api, first.payment.id), 401, 'invalid_token');
    const { api: fresh } = { api: admin.as(renewed.body.token) };
    expect((await headerOf(fresh, first.payment.id)).status).toBe(200);
    await admin.post(`/v1/grants/${grant.id}/revoke`, {});
    expectProblem(await headerOf(fresh, first.payment.id), 403, 'grant_revoked');
  });

  it('is not there while the payment waits for an approval', async () => {
    const { api } = await holder({ approvalAbove: '0.001' });
    const { body } = await api.pay<Paid>(order(stack.chain), key());
    expectProblem(await headerOf(api, body.payment.id), 409, 'invalid_transition', {
      payment: { id: body.payment.id },
    });
  });
});

describe('what the agent itself asks for', () => {
  it('maxAmount refuses what costs more, and takes what costs as much', async () => {
    const { grant, api } = await holder();
    const refused = await api.pay({ ...order(stack.chain), maxAmount: '0.009999' });
    expectProblem(refused, 403, 'max_amount_exceeded', {
      nextAction: 'choose_cheaper',
      limit: '0.009999',
    });
    expect(await admin.grant(grant.id)).toMatchObject({ reserved: '0.00', payments: 0 });
    await api.paid({ ...order(stack.chain), maxAmount: '0.01' });
    for (const maxAmount of ['1e3', '-1', '0.0000001', ' 1']) {
      expectProblem(await api.pay({ ...order(stack.chain), maxAmount }), 400, 'invalid_request', {
        field: 'maxAmount',
      });
    }
  });

  it('option takes one entry instead of the cheapest, or says why it cannot', async () => {
    const { api } = await holder();
    const options = [
      requirement(stack.chain, { amount: '30000' }),
      requirement(stack.chain, { amount: '20000' }),
      requirement(stack.chain, { asset: OTHER_PAYEE }),
    ];
    const body = order(stack.chain, {}, { options });
    const { payment, selection } = await api.paid({ ...body, option: 0 });
    expect(payment.amount).toBe('0.03');
    expect(selection).toMatchObject({
      index: 0,
      notSelected: [
        { index: 1, code: 'not_preferred' },
        { index: 2, code: 'asset_not_supported' },
      ],
    });
    expectProblem(await api.pay({ ...body, option: 2 }), 422, 'asset_not_supported');
    const missing = await api.pay({ ...body, option: 9 });
    expectProblem(missing, 400, 'invalid_request', { field: 'option' });
    expect(missing.body.detail).toContain('3 entries');
  });
});

describe('an approval', () => {
  const dear = (changes: Record<string, unknown> = {}) =>
    changing({ amount: (CENT * 100n).toString(), ...changes });

  it('permits, and the clock starts at the hand-over, whatever the seller’s next 402 says', async () => {
    const { grant, api } = await holder({ approvalAbove: '0.50' });
    const name = key();
    const waiting = await api.pay<Paid>(dear({ maxTimeoutSeconds: 10 }), name);
    expect(waiting.status).toBe(202);
    expect(Number(waiting.headers.get('retry-after'))).toBeGreaterThan(0);
    const { id } = waiting.body.payment;
    const polled = await api.pay<Paid>(dear({ maxTimeoutSeconds: 10 }), name);
    expect(polled).toMatchObject({ status: 202, body: { payment: { id } } });
    const approved = await admin.post<{ payment: Paid['payment'] }>(
      `/v1/payments/${id}/approve`,
      {},
    );
    expect(approved.body.payment).toMatchObject({
      status: 'pending_approval',
      validBefore: null,
      approval: { approvedAt: expect.any(String), collectBefore: expect.any(String) },
    });
    expect(await admin.grant(grant.id)).toMatchObject({ reserved: '0.00', payments: 0 });
    const asked = Date.now();
    const body = dear({ maxTimeoutSeconds: 10 });
    const paid = await api.paid(body, name);
    expect(paid.payment).toMatchObject({ id, status: 'authorized' });
    const left = Date.parse(paid.payment.validBefore) - asked;
    expect(left).toBeGreaterThan(8_000);
    expect(left).toBeLessThanOrEqual(15_000);
    // The signature is for the fresh entry.
    expect(decodeHeader(paid.header.value).accepted).toEqual(body.paymentRequired.accepts[0]);
    expect(await admin.grant(grant.id)).toMatchObject({ reserved: '1.00', payments: 1 });
    await expectReplay(api, dear(), name, paid);
    await settle(stack, paid);
  });

  it('of a payment whose key asks for other terms is none for those: a new key, nothing was signed', async () => {
    const { api } = await holder({ approvalAbove: '0.50' });
    const name = key();
    const { body } = await api.pay<Paid>(dear(), name);
    for (const other of [
      dear({ amount: '1000001' }),
      { ...dear(), request: { method: 'POST', url: dear().request.url } },
    ]) {
      expectProblem(await api.pay(other, name), 409, 'idempotency_mismatch', {
        nextAction: 'new_key',
        payment: { id: body.payment.id, status: 'pending_approval', validBefore: null },
      });
    }
  });

  it('is no help after a revocation', async () => {
    const { grant, api } = await holder({ approvalAbove: '0.50' });
    const name = key();
    const { body } = await api.pay<Paid>(dear(), name);
    await admin.post(`/v1/payments/${body.payment.id}/approve`, {});
    await admin.post(`/v1/grants/${grant.id}/revoke`, {});
    expectProblem(await api.pay(dear(), name), 403, 'grant_revoked', {
      payment: { id: body.payment.id },
    });
    expect(await admin.grant(grant.id)).toMatchObject({ reserved: '0.00', payments: 0 });
  });
});

// The last: it moves the chain's clock on, and none can move it back.
describe('a signature that has run out', () => {
  it('is expiring until a final block is past it, and then ended: only then is a new key safe', async () => {
    const { api } = await holder();
    const name = key();
    const short = order(stack.chain, { maxTimeoutSeconds: 7 });
    const { payment } = await api.paid(short, name);
    const expiring = await until('less than 6 s are left', async () => {
      const answer = await api.pay(short, name);
      return answer.status === 409 ? answer : undefined;
    });
    expectProblem(expiring, 409, 'payment_expiring', {
      nextAction: 'wait',
      payment: { id: payment.id, status: 'authorized', validBefore: payment.validBefore },
    });
    expect(expiring.body.retryAfter).toBeGreaterThan(0);
    expect(expiring.body.retryAfter).toBeLessThan(120);
    expectProblem(await api.get(`/v1/payments/${payment.id}/header`), 409, 'payment_expiring');
    await stack.passTime(20);
    await until('it is released', async () => {
      await stack.chain.mineBlocks(1);
      return (await admin.payment(payment.id)).status === 'released';
    });
    expectProblem(await api.pay(short, name), 409, 'payment_ended', {
      nextAction: 'new_key',
      payment: { id: payment.id, status: 'released' },
    });
    expect((await api.pay<Paid>(order(stack.chain), key())).body.payment.id).not.toBe(payment.id);
  });
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});
