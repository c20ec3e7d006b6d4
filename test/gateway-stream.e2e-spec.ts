import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type GatewayStack,
  type Payer,
  type Signed,
  signFor,
  startGatewayStack,
  startMoodyFacilitator,
} from './support/gateway.js';
import { until } from './support/until.js';

// Paid answers that are handed on while they arrive: settled at their first byte, or before the call.

const FIRST_BYTE = { operations: { getThing: { price: '0.01', settle: 'first_byte' } } };

describe('a streamed answer', () => {
  let stack: GatewayStack;
  let payer: Payer;
  /** The upstream's answer that is under way. */
  let under: ServerResponse | undefined;

  beforeAll(async () => {
    stack = await startGatewayStack();
    payer = await stack.payer();
  });
  afterAll(() => stack?.stop());
  beforeEach(() => {
    stack.upstream.calls.length = 0;
    under = undefined;
    stack.upstream.answer = (_call, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('one ');
      under = response;
    };
  });

  /** The last sale, as it stands. */
  const sale = async () => {
    const { rows } = await stack.db.query(
      `SELECT s.call, s.charge, n.status AS note FROM gateway_sales s
       LEFT JOIN gateway_credit_notes n ON n.treasury_id = s.treasury_id AND n.sale_id = s.id
       ORDER BY s.created_at DESC LIMIT 1`,
    );
    return rows[0] as { call: string; charge: string; note: string | null };
  };
  const ended = (call: string) =>
    until(`the call is ${call}`, async () => {
      const found = await sale();
      return found.call === call && found;
    });
  const begin = async (url: string): Promise<{ signed: Signed; answer: Response }> => {
    const signed = await signFor(payer, url);
    return { signed, answer: await signed.send() };
  };
  const readerOf = (answer: Response) => {
    const reader = answer.body?.getReader();
    if (!reader) throw new Error('there is no body');
    return reader;
  };
  const textOf = (part: { value?: Uint8Array | undefined }) =>
    Buffer.from(part.value ?? []).toString();

  it.each([
    ['at its first byte', FIRST_BYTE],
    ['before', { operations: { getThing: { price: '0.01', settle: 'before', stream: true } } }],
  ])('settled %s, is handed on while it arrives, and sent again whole', async (_when, file) => {
    const { url } = await stack.start(file);
    const before = await stack.income();
    const { signed, answer } = await begin(`${url}/things/1`);
    expect(answer.headers.get('payment-response')).not.toBeNull();
    expect(await stack.income()).toBe(before + 10_000n);
    const reader = readerOf(answer);
    expect(textOf(await reader.read())).toBe('one ');
    // A copy waits for the whole answer.
    const copy = signed.send();
    under?.write('two ');
    expect(textOf(await reader.read())).toBe('two ');
    under?.end('three');
    expect(textOf(await reader.read())).toBe('three');
    expect((await reader.read()).done).toBe(true);
    expect(await (await copy).text()).toBe('one two three');
    expect(await (await signed.send()).text()).toBe('one two three');
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await stack.income()).toBe(before + 10_000n);
    expect(await sale()).toEqual({ call: 'answered', charge: 'settled', note: null });
  });

  it('charges nothing where the upstream fails before the first byte', async () => {
    const { url } = await stack.start(FIRST_BYTE);
    const before = await stack.income();
    stack.upstream.answer = (_call, response) => void response.writeHead(500).end('broken');
    const failed = await begin(`${url}/things/1`);
    expect([failed.answer.status, await failed.answer.text()]).toEqual([500, 'broken']);
    stack.upstream.answer = (_call, response) => {
      response.writeHead(200);
      response.flushHeaders();
      response.destroy();
    };
    const cut = await begin(`${url}/things/2`);
    expect(cut.answer.status).toBe(502);
    expect(await sale()).toEqual({ call: 'failed', charge: 'none', note: null });
    expect(await stack.income()).toBe(before);
  });

  it('owes the price back where the answer breaks off', async () => {
    const { url } = await stack.start(FIRST_BYTE);
    const { signed, answer } = await begin(`${url}/things/1`);
    const reader = readerOf(answer);
    await reader.read();
    under?.destroy();
    await expect(reader.read()).rejects.toThrow();
    expect(await ended('failed')).toEqual({ call: 'failed', charge: 'settled', note: 'waiting' });
    const again = await signed.send();
    expect(again.status).toBe(502);
    expect(await again.text()).toContain('refund_owed');
  });

  it('reads on for a buyer who leaves, and has the whole answer for the next copy', async () => {
    const { url } = await stack.start(FIRST_BYTE);
    const { signed, answer } = await begin(`${url}/things/1`);
    const reader = readerOf(answer);
    await reader.read();
    await reader.cancel();
    under?.write('two ');
    under?.end('three');
    expect(await (await signed.send()).text()).toBe('one two three');
    expect(await sale()).toEqual({ call: 'answered', charge: 'settled', note: null });
  });

  it('holds back an upstream that is faster than its reader, and keeps no long answer', async () => {
    const total = 64 * 1_048_576;
    const chunk = Buffer.alloc(65_536, 'x');
    let sent = 0;
    let isHeldBack = false;
    stack.upstream.answer = async (_call, response) => {
      response.writeHead(200);
      while (sent < total) {
        sent += chunk.length;
        if (!response.write(chunk)) {
          isHeldBack = true;
          await once(response, 'drain');
        }
        // Other sockets of this process have their turn.
        await new Promise(setImmediate);
      }
      response.end();
    };
    const { url } = await stack.start({ ...FIRST_BYTE, maxAnswerBytes: 1_024 });
    const { signed, answer } = await begin(`${url}/things/1`);
    await until('the upstream is held back', () => isHeldBack);
    expect(sent).toBeLessThan(total / 2);
    const reader = readerOf(answer);
    let read = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      read += part.value.length;
    }
    expect(read).toBe(total);
    expect((await signed.send()).status).toBe(410);
    expect(await sale()).toEqual({ call: 'answered', charge: 'settled', note: null });
  });

  it('cuts off an answer whose settlement is refused, and charges nothing', async () => {
    const moody = await startMoodyFacilitator(stack.facilitator.url);
    try {
      moody.mood = 'refusing';
      const { url } = await stack.start({ ...FIRST_BYTE, facilitator: moody.url });
      const before = await stack.income();
      const { answer } = await begin(`${url}/things/1`);
      expect(answer.status).toBe(402);
      await until('the upstream is cut off', () => under?.destroyed);
      expect(await sale()).toEqual({ call: 'lost', charge: 'refused', note: null });
      expect(await stack.income()).toBe(before);
    } finally {
      await moody.stop();
    }
  });

  it('cuts off an answer whose settlement is unknown, and owes it back when the chain says that it was', async () => {
    const moody = await startMoodyFacilitator(stack.facilitator.url);
    try {
      moody.mood = 'lost';
      const { url } = await stack.start({ ...FIRST_BYTE, facilitator: moody.url });
      const { signed, answer } = await begin(`${url}/things/1`);
      expect(answer.status).toBe(503);
      await until('it is owed back', async () => (await sale()).note === 'waiting');
      expect(await sale()).toEqual({ call: 'lost', charge: 'settled', note: 'waiting' });
      expect((await signed.send()).status).toBe(502);
      const { rows } = await stack.db.query(
        `SELECT kind FROM events WHERE kind LIKE 'sale.%' ORDER BY seq DESC LIMIT 2`,
      );
      expect(rows.map(({ kind }) => kind).sort()).toEqual(['sale.refund_owed', 'sale.settled']);
    } finally {
      await moody.stop();
    }
  });

  it('is one of the free requests of its payer too', async () => {
    const { url } = await stack.start({ ...FIRST_BYTE, freePerPayer: 1 });
    const before = await stack.income();
    const other = await stack.payer();
    const signed = await signFor(other, `${url}/things/1`);
    const answer = await signed.send();
    under?.end('two');
    expect([await answer.text(), answer.headers.get('payment-response')]).toEqual([
      'one two',
      null,
    ]);
    expect(await sale()).toEqual({ call: 'answered', charge: 'none', note: null });
    expect(await stack.income()).toBe(before);
  });
});
