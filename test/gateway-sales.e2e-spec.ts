import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Gateway } from '../src/gateway/start-gateway.js';
import {
  type GatewayStack,
  type MoodyFacilitator,
  type Payer,
  signFor,
  startGatewayStack,
  startMoodyFacilitator,
} from './support/gateway.js';
import { until } from './support/until.js';

// One credential causes at most one call of the upstream and at most one transfer, whatever fails and however often it is sent.
// BURSAR_RACE_COPIES=1000 is the long form of the race.

const CENT = 10_000n;
const COPIES = Number(process.env.BURSAR_RACE_COPIES ?? 150);

/** An answer as its payer gets it. */
async function whole(answer: Response) {
  return {
    status: answer.status,
    receipt: answer.headers.get('payment-response'),
    type: answer.headers.get('content-type'),
    body: await answer.text(),
  };
}

describe('a credential', () => {
  let stack: GatewayStack;
  let facilitator: MoodyFacilitator;
  let gateway: Gateway;
  let replica: Gateway;
  let payer: Payer;
  let income: bigint;
  let usual: GatewayStack['upstream']['answer'];

  beforeAll(async () => {
    stack = await startGatewayStack();
    facilitator = await startMoodyFacilitator(stack.facilitator.url);
    const terms = { facilitator: facilitator.url, settleSeconds: 3, timeoutSeconds: 4 };
    gateway = await stack.start(terms);
    replica = await stack.start(terms);
    payer = await stack.payer();
    usual = stack.upstream.answer;
  });
  afterAll(async () => {
    await facilitator?.stop();
    await stack?.stop();
  });
  beforeEach(async () => {
    stack.upstream.calls.length = 0;
    facilitator.settlements = 0;
    income = await stack.income();
  });
  afterEach(() => {
    facilitator.mood = 'well';
    stack.upstream.answer = usual;
  });

  const earned = async () => (await stack.income()) - income;
  const fail = (status: number) => {
    stack.upstream.answer = (_call, response) => {
      response.statusCode = status;
      response.end(`failed with ${status}`);
    };
  };

  it(`is sold once to ${COPIES} copies on two replicas: identical answers, one call, one transfer`, async () => {
    const { header } = await signFor(payer, `${gateway.url}/things/race`);
    // Without the URL that the client echoes, which names one of the replicas.
    const { resource: _, ...payload } = JSON.parse(Buffer.from(header, 'base64').toString());
    const headers = {
      'payment-signature': Buffer.from(JSON.stringify(payload)).toString('base64'),
    };
    const answers = await Promise.all(
      Array.from({ length: COPIES }, async (_copy, place) => {
        const { url } = place % 2 === 0 ? gateway : replica;
        return whole(await fetch(`${url}/things/race`, { headers }));
      }),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 200 });
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await earned()).toBe(CENT);
  });

  it('is bound to method, path, query and body', async () => {
    const init = {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json' },
    };
    const url = `${gateway.url}/things?x=1`;
    const signed = await signFor(payer, url, init);
    expect((await signed.send()).status).toBe(200);
    const others = [
      signed.send(url, { ...init, body: '{"a":2}' }),
      signed.send(url, { headers: {} }),
      signed.send(`${gateway.url}/things?x=2`, init),
      signed.send(`${gateway.url}/things/7`, { headers: {} }),
    ];
    for (const other of others) expect((await other).status).toBe(409);
    expect((await signed.send()).status).toBe(200);
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await earned()).toBe(CENT);
  });

  it('that names another request in its echo is asked to pay, and reserves nothing', async () => {
    const signed = await signFor(payer, `${gateway.url}/things/1`);
    const answer = await signed.send(`${gateway.url}/things/2`);
    expect(answer.status).toBe(402);
    expect(await answer.json()).toMatchObject({ error: 'payment_is_for_another_resource' });
    expect((await signed.send()).status).toBe(200);
    expect(stack.upstream.calls).toMatchObject([{ url: '/things/1' }]);
  });

  it('gets a lost answer again, byte for byte, in another wrapping too', async () => {
    const signed = await signFor(payer, `${gateway.url}/things/lost`);
    const first = await whole(await signed.send());
    expect(await whole(await signed.send())).toEqual(first);
    const { extensions: _, ...other } = signed.payload;
    const headers = {
      'payment-signature': Buffer.from(JSON.stringify({ ...other, more: 1 })).toString('base64'),
    };
    expect(await whole(await fetch(`${gateway.url}/things/lost`, { headers }))).toEqual(first);
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await earned()).toBe(CENT);
  });

  it('is sold nothing with a signature that is not its own', async () => {
    const signed = await signFor(payer, `${gateway.url}/things/forged`);
    expect((await signed.send()).status).toBe(200);
    const inner = signed.payload.payload as { signature: string };
    const forged = { ...signed.payload, payload: { ...inner, signature: `0x${'1b'.repeat(65)}` } };
    const headers = {
      'payment-signature': Buffer.from(JSON.stringify(forged)).toString('base64'),
    };
    const answer = await fetch(`${gateway.url}/things/forged`, { headers });
    expect(answer.status).toBe(409);
    const fresh = await signFor(payer, `${gateway.url}/things/forged`);
    const own = fresh.payload.payload as { signature: string };
    const bad = { ...fresh.payload, payload: { ...own, signature: inner.signature } };
    const unpaid = await fetch(`${gateway.url}/things/forged`, {
      headers: { 'payment-signature': Buffer.from(JSON.stringify(bad)).toString('base64') },
    });
    expect(unpaid.status).toBe(402);
    expect(stack.upstream.calls).toHaveLength(1);
  });

  it('whose call failed is served the failure again, and is never settled', async () => {
    fail(500);
    const signed = await signFor(payer, `${gateway.url}/things/failing`);
    const first = await whole(await signed.send());
    expect(first).toMatchObject({ status: 500, receipt: null, body: 'failed with 500' });
    stack.upstream.answer = usual;
    expect(await whole(await signed.send())).toEqual(first);
    expect(stack.upstream.calls).toHaveLength(1);
    expect(facilitator.settlements).toBe(0);
    expect(await earned()).toBe(0n);
  });

  it('costs nothing where the upstream takes too long', async () => {
    stack.upstream.answer = () => {};
    const signed = await signFor(payer, `${gateway.url}/things/slow`);
    expect((await signed.send()).status).toBe(504);
    expect(facilitator.settlements).toBe(0);
  });

  it('whose settlement was made and not confirmed is 503 with a status, then the answer; never a new 402', async () => {
    facilitator.mood = 'lost';
    const signed = await signFor(payer, `${gateway.url}/things/unknown`);
    const answer = await signed.send();
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const { statusUrl } = (await answer.json()) as { statusUrl: string };
    await until('the chain has decided', async () => {
      const status = (await (await fetch(statusUrl)).json()) as { status: string };
      return status.status === 'settled';
    });
    const again = await signed.send();
    expect(again.status).toBe(200);
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await earned()).toBe(CENT);
  });

  it.each(['silent', 'broken', 'pending'] as const)(
    'is settled later where the facilitator is %s at first',
    async (mood) => {
      facilitator.mood = mood;
      const signed = await signFor(payer, `${gateway.url}/things/${mood}`);
      expect((await signed.send()).status).toBe(503);
      expect((await signed.send()).status).toBe(503);
      facilitator.mood = 'well';
      const answer = await until('it is settled', async () => {
        const found = await signed.send();
        expect([200, 503]).toContain(found.status);
        return found.status === 200 && found;
      });
      expect(await answer.json()).toMatchObject({ call: 1 });
      expect(stack.upstream.calls).toHaveLength(1);
      expect(await earned()).toBe(CENT);
    },
  );

  it('that is never settled is 503 until it has expired for good, then refused', async () => {
    facilitator.mood = 'broken';
    const signed = await signFor(payer, `${gateway.url}/things/never`, {}, (accepted) => {
      accepted.maxTimeoutSeconds = 10;
    });
    expect((await signed.send()).status).toBe(503);
    const answer = await until('it has expired', async () => {
      const found = await signed.send();
      return found.status !== 503 && found;
    });
    expect(answer.status).toBe(402);
    facilitator.mood = 'well';
    expect((await signed.send()).status).toBe(402);
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await earned()).toBe(0n);
  });

  it('whose settlement is refused gets a 402 that says so, and not the answer', async () => {
    facilitator.mood = 'refusing';
    const signed = await signFor(payer, `${gateway.url}/things/refused`);
    const answer = await signed.send();
    expect(answer.status).toBe(402);
    const receipt = JSON.parse(
      Buffer.from(answer.headers.get('payment-response') ?? '', 'base64').toString(),
    );
    expect(receipt).toMatchObject({
      success: false,
      errorReason: 'invalid_exact_evm_insufficient_balance',
    });
    expect(await answer.text()).not.toContain('random');
    expect(stack.upstream.calls).toHaveLength(1);
  });

  it('that ends before the call and its settlement could is refused before anything is reserved', async () => {
    const signed = await signFor(payer, `${gateway.url}/things/short`, {}, (accepted) => {
      accepted.maxTimeoutSeconds = 5;
    });
    const answer = await signed.send();
    expect(answer.status).toBe(402);
    expect(await answer.json()).toMatchObject({ error: 'payment_expires_too_soon' });
    expect(stack.upstream.calls).toHaveLength(0);
  });

  it('that was charged first and failed is owed its price, once', async () => {
    fail(500);
    const signed = await signFor(payer, `${gateway.url}/report`);
    const answer = await signed.send();
    expect(answer.status).toBe(502);
    const problem = (await answer.json()) as { code: string; saleId: string };
    expect(problem.code).toBe('refund_owed');
    stack.upstream.answer = usual;
    expect((await signed.send()).status).toBe(502);
    expect(stack.upstream.calls).toHaveLength(1);
    const { rows } = await stack.db.query(
      `SELECT n.status, (SELECT count(*)::int FROM events WHERE kind = 'sale.refund_owed' AND record LIKE '%' || n.sale_id || '%') AS events
       FROM gateway_credit_notes n WHERE n.sale_id = $1`,
      [problem.saleId],
    );
    expect(rows).toEqual([{ status: 'waiting', events: 1 }]);
  });

  it('that is charged first is called for once its charge is known, by whoever asks again', async () => {
    facilitator.mood = 'lost';
    const signed = await signFor(payer, `${gateway.url}/report`);
    expect((await signed.send()).status).toBe(503);
    expect(stack.upstream.calls).toHaveLength(0);
    const answer = await until('it is sold', async () => {
      const found = await signed.send();
      return found.status === 200 && found;
    });
    const first = await whole(answer);
    expect(await whole(await signed.send())).toEqual(first);
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await earned()).toBe(25n * CENT);
  });

  it('keeps its answer sealed: no text of it stands in the database', async () => {
    stack.upstream.answer = (_call, response) =>
      void response.end('a text that only the payer may read');
    const signed = await signFor(payer, `${gateway.url}/things/secret`);
    expect((await signed.send()).status).toBe(200);
    const { rows } = await stack.db.query('SELECT sealed FROM gateway_answers');
    expect(rows.length).toBeGreaterThan(0);
    for (const { sealed } of rows)
      expect(sealed.toString('latin1')).not.toContain('only the payer');
  });

  it('cannot be made to change once its sale has ended', async () => {
    await expect(
      stack.db.query(
        `UPDATE gateway_sales SET charge = 'refused', call = 'none' WHERE charge = 'settled'`,
      ),
    ).rejects.toThrow();
    await expect(stack.db.query('DELETE FROM gateway_sales')).rejects.toThrow('cannot change so');
  });
});
