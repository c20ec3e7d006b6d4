import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startTestStack, type TestStack } from '../../../test/support/bursar.js';
import { present } from '../../../test/support/settle.js';
import { until } from '../../../test/support/until.js';
import {
  ApprovalRequired,
  Bursar,
  BursarError,
  type BursarInit,
  explain,
  NotConfirmed,
  PaidNotDelivered,
  PaymentOutcomeUnknown,
} from '../src/index.js';
import {
  askToPay,
  type HostileSeller,
  nonceOf,
  receipt,
  startHostileSeller,
  termsOf,
} from './hostile-seller.js';

let stack: TestStack;
let seller: HostileSeller;
let stranger: HostileSeller;

beforeAll(async () => {
  [stack, seller, stranger] = await Promise.all([
    startTestStack(),
    startHostileSeller(),
    startHostileSeller(),
  ]);
});

afterAll(async () => {
  await Promise.all([seller?.stop(), stranger?.stop(), stack?.stop()]);
});

/** An agent with a grant of its own. */
async function agent(terms: Record<string, unknown> = {}, options = {}) {
  const { grant, token } = await stack.admin.mint({ budget: '1', ...terms });
  const bursar = new Bursar({ url: stack.service.url, token, ...options });
  return { bursar, grantId: grant.id };
}

/** How many payments a grant has made. */
async function paymentsOf(grantId: string): Promise<number> {
  return (await stack.admin.grant(grantId)).payments;
}

/** Sells to whoever pays. */
function sell(): void {
  seller.behave(({ payment }, response) => {
    if (!payment) return askToPay(stack, response);
    response.setHeader('payment-response', receipt(true, { transaction: '0x1' }));
    response.end('the page');
  });
}

async function listed<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function thrownBy(call: Promise<unknown>): Promise<BursarError> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
  if (!('error' in outcome)) throw new Error('it did not fail');
  return outcome.error;
}

describe('a paid call', () => {
  it('pays a v2 402 once and says what it cost', async () => {
    sell();
    const { bursar, grantId } = await agent();
    const response = await bursar.fetch(`${seller.url}/data/7`);
    expect(await response.text()).toBe('the page');
    expect(response.url).toBe(`${seller.url}/data/7`);
    expect(bursar.paymentOf(response)).toMatchObject({
      id: expect.stringMatching(/^pay_/),
      amount: '0.01',
      currency: 'USDC',
      remaining: '0.99',
      replayed: false,
      answered: true,
      receipt: { success: true, transaction: '0x1' },
    });
    expect(seller.seen.map(({ payment }) => payment !== undefined)).toEqual([false, true]);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('pays a v1 402, whose terms are its body', async () => {
    const [entry] = termsOf(stack).accepts;
    seller.behave(({ headers }, response) => {
      if (headers['x-payment']) return void response.end('v1 page');
      response.writeHead(402, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          x402Version: 1,
          error: 'X-PAYMENT header is required',
          accepts: [
            {
              ...entry,
              network: 'base-sepolia',
              maxAmountRequired: '10000',
              resource: `${seller.url}/data/7`,
              description: '',
              mimeType: 'application/json',
            },
          ],
        }),
      );
    });
    const { bursar } = await agent();
    expect(await (await bursar.fetch(`${seller.url}/data/7`)).text()).toBe('v1 page');
  });

  it('hands the receipt in, without making the caller wait', async () => {
    sell();
    const { bursar } = await agent();
    const response = await bursar.fetch(seller.url);
    await bursar.idle();
    const { id = '' } = bursar.paymentOf(response) ?? {};
    expect((await bursar.payments.get(id)).receipts).toHaveLength(1);
  });

  it('costs nothing where the seller asks for nothing', async () => {
    seller.behave((_seen, response) => void response.end('free'));
    const { bursar, grantId } = await agent();
    const response = await bursar.fetch(seller.url);
    expect(await response.text()).toBe('free');
    expect(bursar.paymentOf(response)).toBeUndefined();
    expect(await paymentsOf(grantId)).toBe(0);
    await expect(bursar.fetch(seller.url, { allowFree: false })).rejects.toMatchObject({
      code: 'payment_not_requested',
    });
  });

  it('streams the answer: the first chunk arrives before the last is written', async () => {
    let finish = () => {};
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      response.write('first');
      finish = () => void response.end('last');
    });
    const { bursar } = await agent();
    const response = await bursar.fetch(seller.url);
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('first');
    finish();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('last');
    expect((await reader?.read())?.done).toBe(true);
  });

  it('keeps every header of the answer, each cookie included', async () => {
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.writeHead(201, 'Made', { 'x-more': 'yes' }).end('{"a":1}');
    });
    const { bursar } = await agent();
    const response = await bursar.fetch(seller.url);
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect([response.status, response.statusText, response.headers.get('x-more')]).toEqual([
      201,
      'Made',
      'yes',
    ]);
    expect(await response.clone().json()).toEqual(await response.json());
  });
});

describe('one key a purchase', () => {
  it('buys anew at each call that was answered', async () => {
    sell();
    const { bursar, grantId } = await agent();
    for (let calls = 0; calls < 3; calls++) await (await bursar.fetch(seller.url)).text();
    expect(await paymentsOf(grantId)).toBe(3);
  });

  it('continues the same purchase with the same header after a lost answer', async () => {
    let answers = 0;
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      answers += 1;
      if (answers === 1) return void response.destroy();
      response.end('at last');
    });
    const { bursar, grantId } = await agent();
    const error = await thrownBy(bursar.fetch(seller.url));
    expect(error).toBeInstanceOf(PaymentOutcomeUnknown);
    expect(error).toMatchObject({
      code: 'payment_outcome_unknown',
      nextAction: 'wait',
      key: expect.stringMatching(/^[0-9a-f]{64}$/),
      payment: { id: expect.stringMatching(/^pay_/) },
    });
    const response = await bursar.fetch(seller.url);
    expect(await response.text()).toBe('at last');
    expect(bursar.paymentOf(response)).toMatchObject({ replayed: true, key: error.key });
    const [first, second] = seller.payments();
    expect(second).toBe(first);
    expect(await paymentsOf(grantId)).toBe(1);
    await (await bursar.fetch(seller.url)).text();
    expect(await paymentsOf(grantId)).toBe(2);
  });

  it('goes on with what was signed when the seller changes its price after a lost answer', async () => {
    let price = 10_000;
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response, { amount: String(price) });
      if (price === 10_000) return void response.destroy();
      response.end('page');
    });
    const { bursar, grantId } = await agent();
    await thrownBy(bursar.fetch(seller.url));
    price = 20_000;
    expect(await (await bursar.fetch(seller.url)).text()).toBe('page');
    expect(new Set(seller.payments()).size).toBe(1);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('is one purchase in every process with an intent', async () => {
    sell();
    const { grant, token } = await stack.admin.mint({ budget: '1' });
    const processes = [0, 1, 2].map(() => new Bursar({ url: stack.service.url, token }));
    for (const bursar of processes) {
      await (await bursar.fetch(seller.url, { intent: 'page 7' })).text();
    }
    expect(new Set(seller.payments().map(nonceOf)).size).toBe(1);
    expect(await paymentsOf(grant.id)).toBe(1);
    await (await processes[0]?.fetch(seller.url, { intent: 'page 8' }))?.text();
    expect(await paymentsOf(grant.id)).toBe(2);
  });

  it('takes an Idempotency-Key header for the name of the purchase', async () => {
    sell();
    const { bursar, grantId } = await agent();
    const headers = { 'Idempotency-Key': 'order-7' };
    const first = await bursar.fetch(seller.url, { headers });
    await bursar.fetch(new Request(seller.url, { headers }));
    expect(bursar.paymentOf(first)?.key).toBe('order-7');
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('pays once for fifty calls at the same time with one intent', async () => {
    sell();
    const { bursar, grantId } = await agent();
    const calls = Array.from({ length: 50 }, () => bursar.fetch(seller.url, { intent: 'one' }));
    await Promise.all(calls.map(async (call) => (await call).text()));
    expect(new Set(seller.payments().map(nonceOf)).size).toBe(1);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('makes equal calls at the same time separate purchases', async () => {
    sell();
    const { bursar, grantId } = await agent();
    await Promise.all([0, 1, 2].map(() => bursar.fetch(seller.url)));
    expect(await paymentsOf(grantId)).toBe(3);
  });

  it('keeps purchases of other methods, URLs and bodies apart', async () => {
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      response.destroy();
    });
    const { bursar, grantId } = await agent();
    const calls: [string, RequestInit][] = [
      ['/a', {}],
      ['/b', {}],
      ['/a', { method: 'POST', body: 'x' }],
      ['/a', { method: 'POST', body: 'y' }],
    ];
    for (const _round of [1, 2]) {
      for (const [path, init] of calls) await thrownBy(bursar.fetch(seller.url + path, init));
    }
    expect(await paymentsOf(grantId)).toBe(calls.length);
  });

  it('continues a form although each sending has another boundary', async () => {
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      response.destroy();
    });
    const { bursar, grantId } = await agent();
    const form = () => {
      const data = new FormData();
      data.set('name', 'value');
      data.set('file', new Blob(['content'], { type: 'text/plain' }), 'a.txt');
      return data;
    };
    await thrownBy(bursar.fetch(seller.url, { method: 'POST', body: form() }));
    await thrownBy(bursar.fetch(seller.url, { method: 'POST', body: form() }));
    await thrownBy(bursar.fetch(new Request(seller.url, { method: 'POST', body: form() })));
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('reopens a purchase whose answer breaks off', async () => {
    let cut = true;
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      response.writeHead(200, { 'content-length': '10' });
      if (!cut) return void response.end('0123456789');
      cut = false;
      response.write('01234', () => response.destroy());
    });
    const { bursar, grantId } = await agent();
    const broken = await bursar.fetch(seller.url);
    await expect(broken.text()).rejects.toThrow();
    expect(await (await bursar.fetch(seller.url)).text()).toBe('0123456789');
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('buys with a new key once Bursar says that the old one took no money', async () => {
    let price = 10_000;
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response, { amount: String(price) });
      response.end('page');
    });
    const { bursar, grantId } = await agent({ approvalAbove: '0.005' });
    await thrownBy(bursar.fetch(seller.url));
    // Another price while nothing was signed: idempotency_mismatch with new_key.
    price = 5_000;
    expect(await (await bursar.fetch(seller.url)).text()).toBe('page');
    expect(await paymentsOf(grantId)).toBe(1);
  });
});

describe('a redirect', () => {
  it('to another origin is followed, and its 402 comes back unpaid and untouched', async () => {
    seller.behave((_seen, response) => {
      response.writeHead(302, { location: `${stranger.url}/pay-me` }).end();
    });
    stranger.behave((_seen, response) => askToPay(stack, response));
    const { bursar, grantId } = await agent();
    const headers = { authorization: 'Bearer secret', 'x-payment': 'mine', 'x-keep': '1' };
    const response = await bursar.fetch(`${seller.url}/page`, { headers });
    expect([response.status, response.redirected, await response.text()]).toEqual([
      402,
      true,
      '{}',
    ]);
    expect(stranger.seen).toHaveLength(1);
    expect(stranger.seen[0]?.headers).toMatchObject({ 'x-keep': '1' });
    expect(stranger.seen[0]?.headers).not.toHaveProperty('authorization');
    expect(stranger.seen[0]?.headers).not.toHaveProperty('x-payment');
    expect(await paymentsOf(grantId)).toBe(0);
  });

  it('of the paid request to another origin carries no payment', async () => {
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      response.setHeader('payment-response', receipt(true));
      response.writeHead(307, { location: `${stranger.url}/file` }).end();
    });
    stranger.behave((_seen, response) => void response.end('the file'));
    const { bursar } = await agent();
    const response = await bursar.fetch(seller.url);
    expect(await response.text()).toBe('the file');
    expect(bursar.paymentOf(response)?.receipt?.success).toBe(true);
    expect(stranger.payments()).toEqual([]);
  });

  it('away and back again is not paid', async () => {
    seller.behave(({ path }, response) => {
      if (path === '/dear') return askToPay(stack, response);
      response.writeHead(302, { location: stranger.url }).end();
    });
    stranger.behave((_seen, response) => {
      response.writeHead(302, { location: `${seller.url}/dear` }).end();
    });
    const { bursar, grantId } = await agent();
    expect((await bursar.fetch(`${seller.url}/cheap`)).status).toBe(402);
    expect(await paymentsOf(grantId)).toBe(0);
  });

  it('within the origin is followed and paid where it leads', async () => {
    seller.behave(({ path, payment }, response) => {
      if (path === '/old') return void response.writeHead(301, { location: 'new?x=1' }).end();
      if (!payment) return askToPay(stack, response);
      response.end(path);
    });
    const { bursar } = await agent();
    const response = await bursar.fetch(`${seller.url}/old`);
    expect(await response.text()).toBe('/new?x=1');
    expect(response).toMatchObject({ redirected: false, url: `${seller.url}/new?x=1` });
    expect(seller.seen.map(({ path }) => path)).toEqual(['/old', '/new?x=1', '/new?x=1']);
    const [payment] = await listed(bursar.payments.list());
    expect(payment?.resource).toBe(`${seller.url}/new?x=1`);
  });

  it('with a receipt counts as an answer, wherever it leads', async () => {
    seller.behave(({ path, payment }, response) => {
      if (path === '/file') return void response.writeHead(403).end();
      if (!payment) return askToPay(stack, response);
      response.writeHead(302, { location: '/file', 'payment-response': receipt(true) }).end();
    });
    const { bursar, grantId } = await agent();
    const response = await bursar.fetch(`${seller.url}/data`);
    expect(response.status).toBe(403);
    expect(bursar.paymentOf(response)).toMatchObject({
      answered: true,
      receipt: { success: true },
    });
    await bursar.fetch(`${seller.url}/data`);
    expect(await paymentsOf(grantId)).toBe(2);
  });

  it('keeps or changes the method as fetch does', async () => {
    for (const [status, method, expected] of [
      [303, 'POST', 'GET'],
      [302, 'POST', 'GET'],
      [307, 'POST', 'POST'],
      [308, 'PUT', 'PUT'],
      [302, 'PUT', 'PUT'],
    ] as const) {
      seller.behave(({ path, payment }, response) => {
        if (path === '/from') return void response.writeHead(status, { location: '/to' }).end();
        if (!payment) return askToPay(stack, response);
        response.end('done');
      });
      const { bursar } = await agent();
      await bursar.fetch(`${seller.url}/from`, { method, body: 'content' });
      const last = seller.seen.at(-1);
      expect([status, last?.method, last?.body.toString()]).toEqual([
        status,
        expected,
        expected === 'GET' ? '' : 'content',
      ]);
    }
  });

  it('is handed back or refused when the caller says so', async () => {
    seller.behave((_seen, response) => {
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    const { bursar } = await agent();
    const response = await bursar.fetch(seller.url, { redirect: 'manual' });
    expect([response.status, response.headers.get('location')]).toEqual([302, '/elsewhere']);
    await expect(bursar.fetch(seller.url, { redirect: 'error' })).rejects.toThrow('fetch failed');
  });

  it('without an end is an error', async () => {
    seller.behave((_seen, response) => void response.writeHead(302, { location: '/' }).end());
    const { bursar } = await agent();
    await expect(bursar.fetch(seller.url)).rejects.toThrow(/redirects/);
  });
});

describe('another 402 or 412', () => {
  it.each([
    ['a text', { 'content-type': 'text/plain' }, 'pay your bill'],
    ['JSON of another kind', { 'content-type': 'application/json' }, '{"error":"quota"}'],
    ['an unreadable header', { 'payment-required': '%%%' }, 'x'],
    ['a body longer than any terms', { 'content-type': 'application/json' }, 'x'.repeat(400_000)],
  ])('with %s comes back untouched', async (_what, headers, body) => {
    seller.behave((_seen, response) => void response.writeHead(402, headers).end(body));
    const { bursar, grantId } = await agent();
    const response = await bursar.fetch(seller.url);
    expect([response.status, response.bodyUsed]).toEqual([402, false]);
    expect(await response.text()).toBe(body);
    expect(await paymentsOf(grantId)).toBe(0);
  });

  it('is not paid for HEAD, which would buy nothing', async () => {
    seller.behave((_seen, response) => askToPay(stack, response));
    const { bursar, grantId } = await agent();
    expect((await bursar.fetch(seller.url, { method: 'HEAD' })).status).toBe(402);
    expect(await paymentsOf(grantId)).toBe(0);
  });

  it('of 412 with terms is a typed error, and any other 412 an answer', async () => {
    const header = Buffer.from(JSON.stringify(termsOf(stack))).toString('base64');
    seller.behave((_seen, response) => {
      response.writeHead(412, { 'payment-required': header }).end();
    });
    const { bursar } = await agent();
    await expect(bursar.fetch(seller.url)).rejects.toMatchObject({
      code: 'allowance_required',
      nextAction: 'ask',
    });
    seller.behave((_seen, response) => void response.writeHead(412).end('If-Match'));
    expect((await bursar.fetch(seller.url)).status).toBe(412);
  });
});

describe('a seller that was sent the payment', () => {
  it('and asks again gets the same header once more', async () => {
    let asked = 0;
    seller.behave(({ payment }, response) => {
      asked += 1;
      if (!payment || asked === 2) return askToPay(stack, response);
      response.end('page');
    });
    const { bursar, grantId } = await agent();
    expect(await (await bursar.fetch(seller.url)).text()).toBe('page');
    const [first, second] = seller.payments();
    expect(second).toBe(first);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('and always asks again is an unknown outcome, and never a second payment', async () => {
    seller.behave((_seen, response) => askToPay(stack, response));
    const { bursar, grantId } = await agent();
    for (let calls = 0; calls < 3; calls++) {
      expect(await thrownBy(bursar.fetch(seller.url))).toBeInstanceOf(PaymentOutcomeUnknown);
    }
    expect(seller.payments()).toHaveLength(6);
    expect(new Set(seller.payments()).size).toBe(1);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('and took the money, and asks again, is PaidNotDelivered', async () => {
    seller.behave(async ({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      if (seller.payments().length === 1) {
        await present(stack, { header: { name: 'PAYMENT-SIGNATURE', value: payment } } as never);
        await stack.finalize();
        return void response.destroy();
      }
      askToPay(stack, response);
    });
    const { bursar, grantId } = await agent();
    expect(await thrownBy(bursar.fetch(seller.url))).toBeInstanceOf(PaymentOutcomeUnknown);
    const [payment] = await listed(bursar.payments.list());
    await until('it is settled', async () => {
      return (await bursar.payments.get(payment?.id ?? '')).status === 'settled';
    });
    const error = await thrownBy(bursar.fetch(seller.url));
    expect(error).toBeInstanceOf(PaidNotDelivered);
    expect(error.nextAction).toBe('stop');
    expect(error.sellerResponse?.status).toBe(402);
    expect(inspect(error)).not.toContain('Response {');
    expect(error.payment?.status).toBe('settled');
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('and says that it was paid has answered, even with a 402', async () => {
    seller.behave(({ payment }, response) => {
      if (payment) response.setHeader('payment-response', receipt(true));
      askToPay(stack, response);
    });
    const { bursar, grantId } = await agent();
    const response = await bursar.fetch(seller.url);
    expect([response.status, await response.text()]).toEqual([402, '{}']);
    expect(bursar.paymentOf(response)).toMatchObject({
      answered: true,
      receipt: { success: true },
    });
    expect(seller.payments()).toHaveLength(1);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('and leads to a stranger that asks for money keeps the purchase open', async () => {
    stranger.behave((_seen, response) => askToPay(stack, response));
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      response.writeHead(302, { location: stranger.url }).end();
    });
    const { bursar, grantId } = await agent();
    for (let calls = 0; calls < 2; calls++) {
      const response = await bursar.fetch(seller.url);
      expect(response.status).toBe(402);
      expect(bursar.paymentOf(response)?.answered).toBe(false);
    }
    expect(stranger.payments()).toEqual([]);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('and fails is an unknown outcome with its answer', async () => {
    let fails = true;
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      if (fails) return void response.writeHead(502).end('bad gateway');
      response.end('page');
    });
    const { bursar, grantId } = await agent();
    const error = await thrownBy(bursar.fetch(seller.url));
    expect(error).toBeInstanceOf(PaymentOutcomeUnknown);
    expect(await error.sellerResponse?.text()).toBe('bad gateway');
    fails = false;
    await bursar.fetch(seller.url);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('and refuses the request is an answer that keeps the purchase open', async () => {
    let status = 404;
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      response.writeHead(status).end('no such page');
    });
    const { bursar, grantId } = await agent();
    const response = await bursar.fetch(seller.url);
    expect(response.status).toBe(404);
    expect(bursar.paymentOf(response)?.answered).toBe(false);
    status = 200;
    await bursar.fetch(seller.url);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('and fails but was paid has answered', async () => {
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      response.writeHead(500, { 'payment-response': receipt(true) }).end('sorry');
    });
    const { bursar, grantId } = await agent();
    expect(bursar.paymentOf(await bursar.fetch(seller.url))?.answered).toBe(true);
    await bursar.fetch(seller.url);
    expect(await paymentsOf(grantId)).toBe(2);
  });

  it.each([402, 404, 409, 425, 429, 500, 502, 503])(
    'with %i and says when to come back is sent the same header then',
    async (status) => {
      seller.behave(({ payment }, response) => {
        if (!payment) return askToPay(stack, response);
        if (seller.payments().length <= 2) {
          return void response.writeHead(status, { 'retry-after': '0' }).end();
        }
        response.end('settled');
      });
      const { bursar, grantId } = await agent();
      expect(await (await bursar.fetch(seller.url)).text()).toBe('settled');
      expect(new Set(seller.payments()).size).toBe(1);
      expect(await paymentsOf(grantId)).toBe(1);
    },
  );
});

describe('a body', () => {
  const bodies: [string, () => RequestInit['body'], string][] = [
    ['text', () => 'content', 'content'],
    ['bytes', () => new TextEncoder().encode('content'), 'content'],
    ['a Blob', () => new Blob(['content']), 'content'],
    ['parameters', () => new URLSearchParams({ a: '1' }), 'a=1'],
  ];
  it.each(bodies)('of %s is sent again with the payment', async (_what, body, expected) => {
    sell();
    const { bursar } = await agent();
    await bursar.fetch(seller.url, { method: 'POST', body: body() });
    expect(seller.seen.map((each) => each.body.toString())).toEqual([expected, expected]);
  });

  it('of a form is sent again with the payment', async () => {
    sell();
    const { bursar } = await agent();
    const body = new FormData();
    body.set('name', 'value');
    await bursar.fetch(seller.url, { method: 'POST', body });
    for (const seen of seller.seen) {
      expect(seen.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
      expect(seen.body.toString()).toContain('value');
    }
  });

  it('of a Request is sent again with the payment', async () => {
    sell();
    const { bursar } = await agent();
    const request = new Request(seller.url, {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json', 'x-own': '1' },
    });
    await bursar.fetch(request);
    for (const { headers, body, method } of seller.seen) {
      expect([method, body.toString(), headers['content-type'], headers['x-own']]).toEqual([
        'POST',
        '{"a":1}',
        'application/json',
        '1',
      ]);
    }
  });

  it('of a stream says before anything is sent that it needs a function', async () => {
    sell();
    const { bursar } = await agent();
    const stream = () => new Blob(['content']).stream();
    const refused = bursar.fetch(seller.url, { method: 'POST', body: stream() });
    await expect(refused).rejects.toThrow(/body: \(\) =>/);
    expect(seller.seen).toEqual([]);
    await bursar.fetch(seller.url, { method: 'POST', body: stream });
    expect(seller.seen.map(({ body }) => body.toString())).toEqual(['content', 'content']);
  });
});

describe('an abort', () => {
  it('before the call sends nothing', async () => {
    sell();
    const { bursar } = await agent();
    const reason = new Error('changed my mind');
    const call = bursar.fetch(seller.url, { signal: AbortSignal.abort(reason) });
    await expect(call).rejects.toBe(reason);
    expect(seller.seen).toEqual([]);
  });

  it('between the 402 and the signature signs nothing more, and the key goes on', async () => {
    const abort = new AbortController();
    seller.behave(({ payment }, response) => {
      if (payment) return void response.end('page');
      askToPay(stack, response);
    });
    const { bursar, grantId } = await agent();
    const call = bursar.fetch(seller.url, {
      signal: abort.signal,
      confirm: () => {
        abort.abort();
        return true;
      },
    });
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    expect(seller.payments()).toEqual([]);
    await bursar.fetch(seller.url);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('after the signature throws as fetch does, and the same call continues', async () => {
    const abort = new AbortController();
    seller.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      if (seller.payments().length === 1) return abort.abort();
      response.end('page');
    });
    const { bursar, grantId } = await agent();
    const call = bursar.fetch(seller.url, { signal: abort.signal });
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    expect(await (await bursar.fetch(seller.url)).text()).toBe('page');
    expect(new Set(seller.payments()).size).toBe(1);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('by a timeout throws TimeoutError', async () => {
    seller.behave(({ payment }, response) => {
      if (!payment) askToPay(stack, response);
    });
    const { bursar, grantId } = await agent();
    const call = () => bursar.fetch(seller.url, { signal: AbortSignal.timeout(300) });
    await expect(call()).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(call()).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(await paymentsOf(grantId)).toBe(1);
  });
});

describe('what an agent may say', () => {
  it('maxAmount refuses what costs more, before anything is signed', async () => {
    sell();
    const { bursar, grantId } = await agent();
    const error = await thrownBy(bursar.fetch(seller.url, { maxAmount: '0.001' }));
    expect(error).toMatchObject({
      code: 'max_amount_exceeded',
      status: 403,
      nextAction: 'choose_cheaper',
    });
    expect(seller.payments()).toEqual([]);
    expect(await paymentsOf(grantId)).toBe(0);
  });

  it('confirm sees the quote and decides', async () => {
    sell();
    const { bursar, grantId } = await agent();
    const quotes: unknown[] = [];
    const call = (answer: boolean) =>
      bursar.fetch(seller.url, {
        confirm: (quote) => {
          quotes.push(quote);
          return answer;
        },
      });
    const declined = await thrownBy(call(false));
    expect(declined).toBeInstanceOf(NotConfirmed);
    expect(declined).toMatchObject({ code: 'declined', nextAction: 'stop', quote: quotes[0] });
    expect(await paymentsOf(grantId)).toBe(0);
    await call(true);
    expect(await paymentsOf(grantId)).toBe(1);
    expect(quotes[0]).toMatchObject({ decision: 'allow', options: [{ amount: '0.01' }] });
  });

  it('a refusal by the grant is a typed error with its numbers', async () => {
    sell();
    const { bursar, grantId } = await agent({ budget: '0.015' });
    await bursar.fetch(seller.url);
    const error = await thrownBy(bursar.fetch(seller.url));
    expect(error).toMatchObject({
      code: 'budget_exceeded',
      nextAction: 'ask',
      grantId,
      limit: '0.015',
      remaining: '0.005',
    });
  });

  it('an approval is asked for at once, or awaited as long as the caller says', async () => {
    sell();
    const { bursar, grantId } = await agent({ approvalAbove: '0.001' });
    const error = await thrownBy(bursar.fetch(seller.url, { intent: 'dear' }));
    expect(error).toBeInstanceOf(ApprovalRequired);
    const asked: string[] = [];
    const response = await bursar.fetch(seller.url, {
      intent: 'dear',
      waitForApproval: 20_000,
      onApproval: async ({ id }) => {
        asked.push(id);
        await stack.admin.post(`/v1/payments/${id}/approve`, {});
      },
    });
    expect(await response.text()).toBe('the page');
    expect(asked).toEqual([error.payment?.id]);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('an approval is awaited while the service is away', async () => {
    sell();
    let away = 0;
    const { bursar, grantId } = await agent(
      { approvalAbove: '0.001' },
      {
        fetch: (input: string, init: RequestInit) => {
          if (away === 0) return fetch(input, init);
          away -= 1;
          return Promise.reject(new TypeError('fetch failed'));
        },
      },
    );
    const response = await bursar.fetch(seller.url, {
      maxWait: 0,
      waitForApproval: 60_000,
      onApproval: async ({ id }) => {
        away = 1;
        await stack.admin.post(`/v1/payments/${id}/approve`, {});
      },
    });
    expect(await response.text()).toBe('the page');
    expect(away).toBe(0);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('quote tells the price and pays nothing', async () => {
    sell();
    const { bursar, grantId } = await agent();
    expect(await bursar.quote(seller.url)).toMatchObject({ decision: 'allow', selected: 0 });
    seller.behave((_seen, response) => void response.end('free'));
    expect(await bursar.quote(seller.url)).toBeUndefined();
    expect(await paymentsOf(grantId)).toBe(0);
  });

  it('quote calls no error of a seller free', async () => {
    const { bursar } = await agent();
    for (const [status, nextAction] of [
      [404, 'fix_request'],
      [402, 'fix_request'],
      [503, 'wait'],
    ] as const) {
      seller.behave((_seen, response) => void response.writeHead(status).end());
      const code = 'seller_refused';
      await expect(bursar.quote(seller.url)).rejects.toMatchObject({ code, nextAction });
    }
  });

  it('refuses an option that would be ignored, before anything is sent', async () => {
    sell();
    const { bursar } = await agent();
    for (const [options, words] of [
      [{ max_amount: '0.05' }, 'there is no option "max_amount"'],
      [{ maxAmont: '0.05' }, 'there is no option "maxAmont"'],
      [{ intent: '' }, 'intent is empty'],
    ] as const) {
      const error = await thrownBy(bursar.fetch(seller.url, options as BursarInit));
      expect(error).toMatchObject({ code: 'invalid_request', nextAction: 'fix_request' });
      expect(explain(error)).toContain(words);
    }
    await bursar.quote(seller.url, { priority: 'low' } as BursarInit);
    expect(seller.seen).toHaveLength(1);
    const signed = bursar.fetch(seller.url, { waitForApproval: true as never });
    await expect(signed).rejects.toThrow('waitForApproval is milliseconds');
    expect(seller.payments()).toEqual([]);
  });

  it('pay signs a 402 that was met by other means', async () => {
    const { bursar } = await agent();
    const order = {
      paymentRequired: termsOf(stack),
      request: { url: 'https://api.example.com/a' },
    };
    const first = await bursar.pay(order, { intent: 'a' });
    const second = await bursar.pay(order, { intent: 'a' });
    expect(first).toMatchObject({ header: { name: 'PAYMENT-SIGNATURE' }, replayed: false });
    expect(second).toMatchObject({ header: first.header, replayed: true });
  });
});

describe('Bursar out of reach', () => {
  it('asks again with the same key when an answer is lost', async () => {
    sell();
    let lost = 0;
    const { bursar, grantId } = await agent(
      {},
      {
        fetch: async (input: string, init: RequestInit) => {
          const response = await fetch(input, init);
          if (String(input).endsWith('/v1/payments') && lost++ === 0) throw new Error('cut');
          return response;
        },
      },
    );
    await bursar.fetch(seller.url);
    expect(lost).toBe(2);
    expect(await paymentsOf(grantId)).toBe(1);
  });

  it('is an error of its own, with the key, and sends no payment', async () => {
    sell();
    const bursar = new Bursar({ url: 'http://127.0.0.1:9', token: 'x' });
    const error = await thrownBy(bursar.fetch(seller.url, { maxWait: 0 }));
    expect(error).toMatchObject({ code: 'unreachable', nextAction: 'wait' });
    expect(error.key).toMatch(/^[0-9a-f]{64}$/);
    expect(seller.payments()).toEqual([]);
  });
});
