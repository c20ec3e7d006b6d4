import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startTestStack, type TestStack } from '../../../test/support/bursar.js';
import { order } from '../../../test/support/terms.js';
import { Bursar, BursarError, explain, generateHolderKey, publicJwk } from '../src/index.js';

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack();
});

afterAll(() => stack?.stop());

async function agent(terms: Record<string, unknown> = {}, options = {}): Promise<Bursar> {
  const { token } = await stack.admin.mint({ budget: '5', delegationDepth: 2, ...terms });
  return new Bursar({ url: stack.service.url, token, ...options });
}

describe('the options', () => {
  it('say what is missing', () => {
    expect(() => new Bursar({ url: 'bursar', token: 'x' })).toThrow(/address of the service/);
    expect(() => new Bursar({ url: 'http://127.0.0.1', token: '' })).toThrow(/token is empty/);
    expect(() => Bursar.fromEnv()).toThrow(/BURSAR_URL is not set/);
  });

  it('are refused where they would be ignored', () => {
    const misplaced = { url: 'http://127.0.0.1', token: 'x', maxAmount: '0.05' };
    expect(() => new Bursar(misplaced)).toThrow(/no option "maxAmount".*defaults/);
    expect(() => Bursar.fromEnv(misplaced)).toThrow(/no option "maxAmount"/);
  });

  it('of a default bound what is paid by hand', async () => {
    const bursar = await agent({}, { defaults: { maxAmount: '0.001' } });
    const asked = order(stack.chain);
    const refused = { code: 'max_amount_exceeded' };
    await expect(bursar.pay(asked, { intent: 'a' })).rejects.toMatchObject(refused);
    const paid = await bursar.pay({ ...asked, maxAmount: '0.05' }, { intent: 'a' });
    expect(paid.payment.amount).toBe('0.01');
  });

  it('come from the environment', async () => {
    const { token } = await agent();
    Object.assign(process.env, { BURSAR_URL: `${stack.service.url}/`, BURSAR_TOKEN: token });
    expect((await Bursar.fromEnv().grants.self()).budget).toBe('5.00');
    delete process.env.BURSAR_URL;
    delete process.env.BURSAR_TOKEN;
  });
});

describe('grants', () => {
  it('are delegated, listed, paused and revoked', async () => {
    const bursar = await agent();
    const child = await bursar.delegate({
      holder: 'reader',
      ttlSeconds: 600,
      budget: '1',
      labels: { task: 't' },
    });
    expect(child.grant).toMatchObject({ holder: 'reader', budget: '1.00', status: 'active' });
    expect((await child.grants.self()).id).toBe(child.grant.id);
    const { id } = await bursar.grants.self();
    const { items, totals } = await bursar.grants.tree(id);
    expect([items.length, totals.grants]).toEqual([2, 2]);
    const listed: string[] = [];
    for await (const grant of bursar.grants.list({ label: 'task:t', limit: 1 }))
      listed.push(grant.id);
    expect(listed).toEqual([child.grant.id]);
    expect((await bursar.grants.suspend(child.grant.id, 'pause')).status).toBe('suspended');
    expect((await bursar.grants.resume(child.grant.id)).status).toBe('active');
    const { revokedGrants, exposure } = await bursar.grants.revoke(child.grant.id);
    expect([revokedGrants, exposure.payments]).toEqual([1, 0]);
    await expect(child.pay(order(stack.chain), { intent: 'x' })).rejects.toMatchObject({
      code: 'grant_revoked',
      nextAction: 'stop',
    });
  });

  it('are amended from above, and raised as their holder asked', async () => {
    const bursar = await agent();
    const child = await bursar.delegate({ holder: 'reader', ttlSeconds: 600, budget: '1' });
    const { id } = child.grant;
    const { grant, exposure } = await bursar.grants.amend(id, { budget: '2', maxPayments: 9 });
    expect([grant.budget, grant.maxPayments, exposure.payments]).toEqual(['2.00', 9, 0]);
    await expect(child.grants.amend(id, { budget: '3' })).rejects.toMatchObject({
      code: 'forbidden',
    });
    const raise = await child.requestRaise({ budget: '4', reason: 'more pages' });
    expect(raise).toMatchObject({ grantId: id, status: 'pending', budget: '4.00' });
    const waiting: string[] = [];
    for await (const each of bursar.raises.list({ status: 'pending' })) waiting.push(each.id);
    expect(waiting).toEqual([raise.id]);
    expect((await bursar.raises.approve(raise.id)).status).toBe('approved');
    expect((await child.grants.self()).budget).toBe('4.00');
    const second = await child.requestRaise({ budget: '5', reason: 'still more' });
    expect((await bursar.raises.reject(second.id, 'enough')).status).toBe('rejected');
    expect((await child.grants.self()).budget).toBe('4.00');
  });

  it('are read page by page', async () => {
    const bursar = await agent();
    for (const holder of ['a', 'b', 'c'])
      await bursar.delegate({ holder, ttlSeconds: 600, budget: '1' });
    const { id } = await bursar.grants.self();
    const holders: string[] = [];
    for await (const { holder } of bursar.grants.list({ parentId: id, limit: 2 })) {
      holders.push(holder);
    }
    expect(holders).toEqual(['a', 'b', 'c']);
  });

  it('are delegated once for a key, and the child tells its renewed tokens', async () => {
    const bursar = await agent();
    const heard: string[] = [];
    const delegateIt = () =>
      bursar.delegate({
        holder: 'reader',
        budget: '1',
        ttlSeconds: 600,
        idempotencyKey: 'reader',
        onToken: (token) => heard.push(token),
      });
    const children = [await delegateIt(), await delegateIt()];
    expect(children[1]?.grant.id).toBe(children[0]?.grant.id);
    const realNow = Date.now;
    // A token lives a day, and is renewed in the last tenth of it.
    Date.now = () => realNow() + 78_000_000;
    try {
      await children[1]?.grants.self();
    } finally {
      Date.now = realNow;
    }
    expect(heard).toEqual([children[1]?.token]);
  });

  it('bound to a key are worth nothing without it', async () => {
    const bursar = await agent();
    const child = await bursar.delegate({
      holder: 'bound',
      ttlSeconds: 600,
      budget: '1',
      key: true,
    });
    expect((await child.grants.self()).holder).toBe('bound');
    const paid = await child.pay(order(stack.chain), { intent: 'page' });
    expect(paid.payment.amount).toBe('0.01');
    expect((await child.payments.header(paid.payment.id)).header).toEqual(paid.header);
    const thief = new Bursar({ url: stack.service.url, token: child.token });
    await expect(thief.grants.self()).rejects.toMatchObject({ code: 'invalid_token' });
  });

  it('bound to Ed25519 work as well', async () => {
    const key = (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])) as never;
    const { token } = await stack.admin.mint({ budget: '1', holderKey: await publicJwk(key) });
    const bursar = new Bursar({ url: stack.service.url, token, key });
    expect((await bursar.grants.self()).budget).toBe('1.00');
  });
});

describe('a clock that is wrong', () => {
  it('by an hour is corrected from the Date header, and stays corrected', async () => {
    const key = await generateHolderKey();
    const { token } = await stack.admin.mint({ budget: '1', holderKey: await publicJwk(key) });
    const realNow = Date.now;
    Date.now = () => realNow() + 3_600_000;
    let calls = 0;
    try {
      const bursar = new Bursar({
        url: stack.service.url,
        token,
        key,
        renewToken: false,
        fetch: (input, init) => {
          calls += 1;
          // The service shares this process and its clock: only the call itself is made in its time.
          Date.now = realNow;
          return fetch(input, init).finally(() => {
            Date.now = () => realNow() + 3_600_000;
          });
        },
      });
      expect((await bursar.grants.self()).budget).toBe('1.00');
      expect(calls).toBe(2);
      await bursar.grants.self();
      expect(calls).toBe(3);
    } finally {
      Date.now = realNow;
    }
  });
});

describe('a token', () => {
  it('is renewed before its end, once for all calls, and the new one is reported', async () => {
    const short = await startTestStack({ environment: { BURSAR_TOKEN_TTL_SECONDS: '60' } });
    try {
      const { token } = await short.admin.mint({ budget: '1' });
      const realNow = Date.now;
      const heard: string[] = [];
      let renewals = 0;
      const bursar = new Bursar({
        url: short.service.url,
        token,
        onToken: (renewed) => heard.push(renewed),
        fetch: (input, init) => {
          if (String(input).endsWith('/token')) renewals += 1;
          return fetch(input, init);
        },
      });
      await bursar.grants.self();
      expect(renewals).toBe(0);
      Date.now = () => realNow() + 55_000;
      try {
        await Promise.all([0, 1, 2].map(() => bursar.grants.self()));
        // The new token ends no later on this clock, so that renewing it again would gain nothing.
        await bursar.grants.self();
      } finally {
        Date.now = realNow;
      }
      expect(renewals).toBe(1);
      expect(heard).toEqual([bursar.token]);
      expect(bursar.token).not.toBe(token);
      await expect(
        new Bursar({ url: short.service.url, token }).grants.self(),
      ).rejects.toMatchObject({ code: 'invalid_token', nextAction: 'renew_token' });
    } finally {
      await short.stop();
    }
  });

  it('is never sent where the service redirects to', async () => {
    const visited: unknown[] = [];
    const thief = createServer((request, response) => {
      visited.push(request.headers.authorization);
      response.end('{}');
    });
    await new Promise<void>((resolve) => thief.listen(0, '127.0.0.1', resolve));
    const { port } = thief.address() as AddressInfo;
    const redirecting = createServer((_request, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${port}/` }).end();
    });
    await new Promise<void>((resolve) => redirecting.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}`;
    const bursar = new Bursar({ url, token: 'secret' });
    await expect(bursar.quote(`${stack.seller.url}/data/7`, { maxWait: 0 })).rejects.toMatchObject({
      code: 'unreachable',
    });
    expect(visited).toEqual([]);
    thief.close();
    redirecting.close();
  });
});

describe('an error', () => {
  it('of a proxy is typed too', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<html>');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(new Bursar({ url, token: 'x' }).grants.self()).rejects.toMatchObject({
      code: 'unexpected_answer',
      status: 404,
      nextAction: 'fix_request',
    });
    server.close();
  });

  it('becomes a sentence for a model, without a word of the seller', async () => {
    const bursar = await agent({ budget: '0.005' });
    const error = await bursar.pay(order(stack.chain), { intent: 'x' }).catch((cause) => cause);
    expect(error).toBeInstanceOf(BursarError);
    expect(error.detail).toMatch(/^0\.01 USDC is more than .*0\.005/);
    expect(explain(error)).toBe(
      `Budget exceeded: ${error.detail}. Ask the person or the agent that gave you this budget.`,
    );
    expect(explain(new TypeError('x'))).toMatch(/Repeating the same call is safe/);
  });
});

describe('a payment', () => {
  it('is cancelled, approved and rejected by whom it concerns', async () => {
    const bursar = await agent();
    const child = await bursar.delegate({
      holder: 'c',
      ttlSeconds: 600,
      budget: '1',
      approvalAbove: '0.001',
    });
    const waiting = await child.pay(order(stack.chain), { intent: 'a' }).catch((cause) => cause);
    expect(waiting.payment.status).toBe('pending_approval');
    await bursar.payments.approve(waiting.payment.id, 'fine');
    const paid = await child.pay(order(stack.chain), { intent: 'a' });
    expect(paid.payment.id).toBe(waiting.payment.id);
    const second = await child.pay(order(stack.chain), { intent: 'b' }).catch((cause) => cause);
    expect((await bursar.payments.reject(second.payment.id)).status).toBe('rejected');
    await expect(child.pay(order(stack.chain), { intent: 'b' })).rejects.toMatchObject({
      code: 'payment_ended',
      nextAction: 'stop',
    });
    expect((await bursar.payments.cancel(paid.payment.id)).cancelRequestedAt).toBeTruthy();
  });
});

describe('the generated types', () => {
  it('are those of the service as it is: npm run generate --workspace clients/typescript', async () => {
    const { typesOf } = await import('../scripts/types.mjs');
    const document = (await (await fetch(`${stack.service.url}/openapi.json`)).json()) as object;
    const file = new URL('../src/openapi.ts', import.meta.url);
    expect((await readFile(file, 'utf8')) === (await typesOf(document))).toBe(true);
  });
});
