import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type GatewayStack,
  type Payer,
  priceOf,
  signFor,
  startGatewayStack,
} from './support/gateway.js';
import { startTokenServer } from './support/openid-provider.js';

// Terms of a gateway beyond a price: tiers, free requests and rates of a payer, tokens for the upstream.

describe('the terms of a gateway', () => {
  let stack: GatewayStack;
  let payer: Payer;

  beforeAll(async () => {
    stack = await startGatewayStack();
    payer = await stack.payer();
  });
  afterAll(() => stack?.stop());
  beforeEach(() => {
    stack.upstream.calls.length = 0;
  });

  const buy = async (url: string, by = payer) => (await signFor(by, url)).send();

  it('has tiers by a number of the query or the body', async () => {
    const { url } = await stack.start({
      operations: {
        listThings: {
          price: '1',
          rules: [
            { query: { page: { upTo: 10 } }, price: '0.01' },
            { query: { page: { upTo: 100 } }, price: '0.10' },
          ],
        },
        addThing: { price: '1', rules: [{ body: { 'size.n': { upTo: 5 } }, price: '0.05' }] },
      },
    });
    for (const [query, price] of [
      ['?page=10', '10000'],
      ['?page=10.5', '100000'],
      ['?page=100', '100000'],
      ['?page=101', '1000000'],
      // A number that another parser may read otherwise is in no tier.
      ...['?page=1e3', '?page=0x5', '?page=+5', '?page=5&page=500', '?page=', ''].map(
        (each) => [each, '1000000'] as const,
      ),
    ]) {
      expect([query, await priceOf(`${url}/things${query}`)]).toEqual([query, price]);
    }
    for (const [body, price] of [
      ['{"size":{"n":5}}', '50000'],
      ['{"size":{"n":6}}', '1000000'],
      ['{"size":{"n":5,"n":500}}', '1000000'],
      ['{"size":{"n":500,"n":5}}', '1000000'],
    ] as const) {
      expect([body, await priceOf(`${url}/things`, { method: 'POST', body })]).toEqual([
        body,
        price,
      ]);
    }
  });

  it('gives a payer its free requests of a day, as many on two replicas as on one', async () => {
    const [one, two] = await Promise.all([
      stack.start({ freePerPayer: 3 }),
      stack.start({ freePerPayer: 3 }),
    ]);
    const before = await stack.income();
    const signed = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((n) => signFor(payer, `${(n % 2 ? one : two).url}/things/free-${n}`)),
    );
    const answers = await Promise.all(signed.map((each) => each.send()));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    expect(await stack.income()).toBe(before + 30_000n);
    const isFree = answers.map(({ headers }) => headers.get('payment-response') === null);
    expect(isFree.filter(Boolean)).toHaveLength(3);
    // One that got lost on its way is sent again, and is no other.
    const lost = isFree.indexOf(true);
    const again = await signed[lost]?.send();
    expect(await again?.text()).toBe(await answers[lost]?.text());
    expect(stack.upstream.calls).toHaveLength(6);
    const { rows } = await stack.db.query(
      `SELECT count(*)::int AS free, count(sealed_payment)::int AS kept, count(ended_at)::int AS ended
       FROM gateway_sales WHERE settle = 'free'`,
    );
    expect(rows).toEqual([{ free: 3, kept: 0, ended: 3 }]);
    // Another payer has its own.
    const other = await stack.payer();
    expect((await buy(`${one.url}/things/1`, other)).headers.get('payment-response')).toBeNull();
    expect(await (await fetch(`${one.url}/llms.txt`)).text()).toContain(
      'The first 3 requests of a payer a day are not charged',
    );
  });

  it('hands out the failure of a free request, and charges nothing for it', async () => {
    const usual = stack.upstream.answer;
    stack.upstream.answer = (_call, response) => void response.writeHead(500).end('broken');
    const { url } = await stack.start({ freePerPayer: 1 });
    const other = await stack.payer();
    const signed = await signFor(other, `${url}/report`);
    const answer = await signed.send();
    stack.upstream.answer = usual;
    expect([answer.status, await answer.text()]).toEqual([500, 'broken']);
    expect((await signed.send()).status).toBe(500);
    expect(await stack.chain.usdcBalance(other.account.address)).toBe(1_000_000_000_000n);
  });

  it('takes so many payments of one payer a minute, and copies of them always', async () => {
    const { url } = await stack.start({ ratePerPayer: 2 });
    const other = await stack.payer();
    const first = await signFor(other, `${url}/things/1`);
    expect((await first.send()).status).toBe(200);
    const second = await signFor(other, `${url}/things/2`);
    const third = await signFor(other, `${url}/things/3`);
    const statuses = [(await second.send()).status, (await third.send()).status];
    // A minute may have ended between them.
    if (statuses[1] === 200) statuses[1] = (await buy(`${url}/things/4`, other)).status;
    expect(statuses).toEqual([200, 429]);
    const busy = await third.send();
    if (busy.status === 429) expect(Number(busy.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await first.send()).status).toBe(200);
    expect((await buy(`${url}/things/5`)).status).toBe(200);
  });

  it('asks for a token of its own for the upstream, once, and for another when it is refused', async () => {
    const client = { clientId: 'gateway', clientSecret: 'a secret: with/marks' };
    const tokens = await startTokenServer(client);
    const usual = stack.upstream.answer;
    let isRefusing = false;
    stack.upstream.answer = async (call, response) => {
      const [, token = ''] = /^Bearer (.+)$/.exec(call.headers.authorization ?? '') ?? [];
      const isGood = !isRefusing && (await tokens.isGood(token));
      if (isGood) return void usual(call, response);
      response.writeHead(401).end();
    };
    try {
      const upstreamOAuth = { tokenUrl: tokens.tokenUrl, ...client, scope: 'things' };
      const { url } = await stack.start({ upstreamOAuth });
      const answers = await Promise.all([1, 2, 3].map((n) => buy(`${url}/things/${n}`)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect((await fetch(`${url}/free`)).status).toBe(200);
      expect(tokens.asked()).toBe(1);
      isRefusing = true;
      expect((await buy(`${url}/things/4`)).status).toBe(401);
      isRefusing = false;
      expect((await buy(`${url}/things/5`)).status).toBe(200);
      expect(tokens.asked()).toBe(2);
    } finally {
      stack.upstream.answer = usual;
      await tokens.stop();
    }
  });

  it('reserves and charges nothing where it gets no token, before or after a call', async () => {
    const client = { clientId: 'gateway', clientSecret: 'right' };
    const tokens = await startTokenServer(client);
    try {
      const upstreamOAuth = { ...client, clientSecret: 'wrong', tokenUrl: tokens.tokenUrl };
      const { url } = await stack.start({ upstreamOAuth });
      const before = await stack.income();
      for (const path of ['/things/1', '/report']) {
        const answer = await buy(`${url}${path}`);
        expect(answer.status).toBe(503);
        expect(await answer.text()).toContain('has no token for this gateway (invalid_client)');
      }
      expect((await fetch(`${url}/free`)).status).toBe(502);
      expect(await stack.income()).toBe(before);
      expect(stack.upstream.calls).toHaveLength(0);
    } finally {
      await tokens.stop();
    }
  });
});
