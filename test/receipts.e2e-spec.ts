import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PaymentView } from '../src/payments/payments.dto.js';
import { type Api, expectProblem } from './support/api.js';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { decodeHeader, order, PAYEE } from './support/terms.js';
import { until } from './support/until.js';

/** The longest there is: what a test waits for is read because of its hint, not of the time. */
const POLL_MS = 60_000;

let stack: TestStack;
let admin: Api;
let api: Api;
let grantId: string;

beforeAll(async () => {
  stack = await startTestStack({ pollMs: POLL_MS });
  ({ admin } = stack);
  const { grant, token } = await admin.mint({ budget: '10.00' });
  grantId = grant.id;
  api = admin.as(token);
  await until('the chain was read once', async () => (await cursor()) !== undefined);
}, 60_000);

afterAll(() => stack?.stop());

const RECEIPT = {
  success: true,
  transaction: `0x${'ab'.repeat(32)}`,
  network: 'eip155:84532',
  payer: PAYEE,
};

function receiptOf(value: unknown): { paymentResponse: string } {
  return { paymentResponse: Buffer.from(JSON.stringify(value)).toString('base64') };
}

function hand(caller: Api, id: string, body: unknown) {
  return caller.post<{ payment: PaymentView }>(`/v1/payments/${id}/receipt`, body);
}

/** The block the chain was read up to. */
async function cursor(): Promise<bigint | undefined> {
  const { rows } = await stack.db.query('SELECT block_number FROM chain_cursors');
  return rows[0] && BigInt(rows[0].block_number);
}

/** Mines, so that there is something final and unread, and waits until a hint had it read. */
async function readAfter(hint: () => Promise<void>): Promise<void> {
  const head = BigInt(await rpc<string>(stack.chain.rpcUrl, 'eth_blockNumber'));
  await stack.chain.mineBlocks(3);
  await hint();
  await until('the hint had the chain read', async () => ((await cursor()) ?? 0n) >= head);
}

/** Has the facilitator settle a payment; the PAYMENT-RESPONSE a seller makes of it. */
async function settle(headerValue: string, paymentRequirements: unknown) {
  const paymentPayload = decodeHeader(headerValue);
  const response = await fetch(`${stack.facilitator.url}/settle`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ x402Version: 2, paymentPayload, paymentRequirements }),
  });
  return (await response.json()) as { success: boolean; transaction: string };
}

describe('a receipt', () => {
  it('has the chain looked at now, which otherwise would be at its next time', async () => {
    const body = order(stack.chain);
    const { payment, header } = await api.paid(body);
    const settlement = await settle(header.value, body.paymentRequired.accepts[0]);
    expect(settlement).toMatchObject({ success: true });
    await readAfter(async () => {
      const answer = await hand(api, payment.id, receiptOf(settlement));
      expect(answer.status).toBe(202);
      expect(answer.body.payment).toMatchObject({ id: payment.id });
    });
    const settled = await api.payment(payment.id);
    expect(settled).toMatchObject({ status: 'settled', transaction: settlement.transaction });
    expect(await hand(api, payment.id, receiptOf(settlement))).toMatchObject({ status: 202 });
  });

  it.each<[string, Record<string, unknown>]>([
    ['a transaction that never was', {}],
    ['another network', { network: 'eip155:1' }],
    ['another payer', { payer: '0x2222222222222222222222222222222222222222' }],
    ['no success', { success: false, transaction: '', errorReason: 'insufficient_funds' }],
  ])('is not believed: of %s, the payment stays what the chain says', async (_what, changes) => {
    const { payment } = await api.paid(order(stack.chain));
    const before = await api.grant(grantId);
    await readAfter(async () => {
      const answer = await hand(api, payment.id, receiptOf({ ...RECEIPT, ...changes }));
      expect(answer.status).toBe(202);
    });
    expect(await api.payment(payment.id)).toEqual(payment);
    expect(await api.grant(grantId)).toEqual(before);
  });

  it('may be handed in a hundred times at once, and by an admin', async () => {
    const { payment } = await api.paid(order(stack.chain));
    await readAfter(async () => {
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, n) =>
          hand(n % 2 ? api : admin, payment.id, receiptOf(RECEIPT)),
        ),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    });
    expect(await api.payment(payment.id)).toEqual(payment);
  });

  it('that is malformed is 400, and of a payment the caller cannot see 404', async () => {
    const { payment } = await api.paid(order(stack.chain));
    for (const body of [
      {},
      { paymentResponse: 7 },
      { paymentResponse: '' },
      { paymentResponse: '{"success":true}' },
      receiptOf([]),
      receiptOf({ transaction: '' }),
      { ...receiptOf(RECEIPT), more: 1 },
    ]) {
      expectProblem(await hand(api, payment.id, body), 400, 'invalid_request');
    }
    const stranger = admin.as((await admin.mint({ budget: '1.00' })).token);
    expectProblem(await hand(stranger, payment.id, receiptOf(RECEIPT)), 404, 'not_found');
    const unknown = 'pay_01h2xcejqtf2nbrexx3vqjhp41';
    for (const id of [unknown, 'pay_nonsense']) {
      expectProblem(await hand(api, id, receiptOf(RECEIPT)), 404, 'not_found');
    }
  });
});
