import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createEIP712OfferReceiptIssuer } from '@x402/extensions/offer-receipt';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import type { HttpService } from '../sandbox/ports.js';
import { createLogger } from '../src/ops/logger.js';
import type { PaymentView } from '../src/payments/payments.dto.js';
import { type Api, type EventAnswer, expectProblem } from './support/api.js';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { startReceiptSeller } from './support/sellers.js';
import { decodeHeader, order, PAYEE } from './support/terms.js';
import { until } from './support/until.js';

/** The longest there is: what a test waits for is read because of its hint, not of the time. */
const POLL_MS = 60_000;

/** A seller's text that a terminal would obey. */
const HOSTILE = '\u001b[2J\u202eforged log line\n';

const log: string[] = [];
let stack: TestStack;
let admin: Api;
let api: Api;
let grantId: string;

beforeAll(async () => {
  stack = await startTestStack({
    pollMs: POLL_MS,
    logger: createLogger('trace', { write: (line: string) => void log.push(line) }),
  });
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

const UNSIGNED = { outcome: 'none', signer: null, reason: null };

/** The values kept of a payment, in the order in which they came. */
async function keptOf(paymentId: string): Promise<string[]> {
  const { rows } = await stack.db.query<{ value: string }>(
    'SELECT value FROM receipts WHERE payment_id = $1 ORDER BY place',
    [paymentId],
  );
  return rows.map(({ value }) => value);
}

function receiptEvents(paymentId: string): Promise<EventAnswer[]> {
  return admin.all<EventAnswer>(`/v1/audit/events?kind=payment.receipt&paymentId=${paymentId}`);
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
    const { receipts, received: _, ...after } = await api.payment(payment.id);
    expect(after).toEqual(payment);
    expect(receipts).toMatchObject([{ success: expect.any(Boolean), signature: UNSIGNED }]);
    expect(await api.grant(grantId)).toEqual(before);
  });

  it('may be handed in a hundred times at once, and by an admin, and is kept once', async () => {
    const { payment } = await api.paid(order(stack.chain));
    await readAfter(async () => {
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, n) =>
          hand(n % 2 ? api : admin, payment.id, receiptOf(RECEIPT)),
        ),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    });
    const { receipts, received: _, ...after } = await api.payment(payment.id);
    expect(after).toEqual(payment);
    expect(receipts).toHaveLength(1);
  });

  it('that is malformed is 400, and of a payment the caller cannot see 404', async () => {
    const { payment } = await api.paid(order(stack.chain));
    for (const body of [
      {},
      { paymentResponse: 7 },
      { paymentResponse: '' },
      { paymentResponse: '{"success":1}' },
      { paymentResponse: 'success=true' },
      { paymentResponse: 'PAYMENT-RESPONSE:' },
      { paymentResponse: '{"success":true' },
      { paymentResponse: '{"success":true,"success":false}' },
      { paymentResponse: '{"success":true,"__proto__":{}}' },
      { paymentResponse: JSON.stringify({ ...RECEIPT, x: 'x'.repeat(16_384) }) },
      { paymentResponse: 'A'.repeat(60_000) },
      { paymentResponse: `0x${'ab'.repeat(31)}` },
      { paymentResponse: `0x${'ab'.repeat(33)}` },
      receiptOf({ ...RECEIPT, transaction: '\u001b]0;owned\u0007' }),
      receiptOf({ ...RECEIPT, network: '\u202eevil' }),
      receiptOf({ ...RECEIPT, errorReason: 'x'.repeat(1_025) }),
      receiptOf([]),
      receiptOf({ transaction: '' }),
      { ...receiptOf(RECEIPT), more: 1 },
    ]) {
      expectProblem(await hand(api, payment.id, body), 400, 'invalid_request');
    }
    expect(await api.payment(payment.id)).toMatchObject({ receipts: [] });
    expect(await receiptEvents(payment.id)).toEqual([]);
    const stranger = admin.as((await admin.mint({ budget: '1.00' })).token);
    expectProblem(await hand(stranger, payment.id, receiptOf(RECEIPT)), 404, 'not_found');
    const unknown = 'pay_01h2xcejqtf2nbrexx3vqjhp41';
    expectProblem(await hand(api, unknown, receiptOf(RECEIPT)), 404, 'not_found');
    expectProblem(await hand(api, 'pay_nonsense', receiptOf(RECEIPT)), 400, 'invalid_request');
  });
});

describe('what is kept of a receipt', () => {
  it('is the value as it came: of a header, a header line, JSON text and a bare hash', async () => {
    const { payment } = await api.paid(order(stack.chain));
    const header = receiptOf(RECEIPT).paymentResponse;
    const json = JSON.stringify({ ...RECEIPT, success: false, errorReason: HOSTILE });
    const bare = RECEIPT.transaction;
    for (const paymentResponse of [header, `PAYMENT-RESPONSE: ${header}`, json, bare, bare]) {
      expect((await hand(api, payment.id, { paymentResponse })).status).toBe(202);
    }
    expect(await keptOf(payment.id)).toEqual([header, json, bare]);
    const said = { transaction: bare, network: RECEIPT.network, signature: UNSIGNED };
    const { receipts } = await api.payment(payment.id);
    expect(receipts).toEqual([
      { ...said, success: true, receivedAt: expect.stringMatching(/Z$/) },
      { ...said, success: false, receivedAt: expect.stringMatching(/Z$/) },
      { ...said, success: null, network: null, receivedAt: expect.stringMatching(/Z$/) },
    ]);
    const { items } = await admin.read<{ items: PaymentView[] }>('/v1/payments?limit=200');
    expect(items.every((item) => !('receipts' in item))).toBe(true);
    expect(JSON.stringify(items) + log.join('')).not.toContain(HOSTILE.slice(0, 12));

    const written = await receiptEvents(payment.id);
    expect(written.map(({ data }) => data)).toEqual(
      [bare, json, header].map((value) => ({
        valueHash: createHash('sha256').update(value).digest('hex'),
        transaction: bare,
        signature: { outcome: 'none', signer: null },
      })),
    );
    expect(written[0]).toMatchObject({ actor: `grant:${grantId}`, grantId });
  });

  it('is eight of them and no more, however many are handed in at once', async () => {
    const { payment } = await api.paid(order(stack.chain));
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, n) => hand(api, payment.id, receiptOf({ ...RECEIPT, n }))),
    );
    const refused = answers.filter(({ status }) => status !== 202);
    expect(refused).toHaveLength(16);
    for (const answer of refused) expectProblem(answer, 409, 'invalid_transition');
    const kept = await keptOf(payment.id);
    expect(kept).toHaveLength(8);
    expect(await receiptEvents(payment.id)).toHaveLength(8);
    // A value that is kept already is accepted again.
    expect(await hand(api, payment.id, { paymentResponse: kept[0] })).toMatchObject({
      status: 202,
    });
  });

  it('is nothing while the payment waits for an approval: nothing was signed', async () => {
    const { token } = await admin.mint({ budget: '1.00', approvalAbove: '0.00' });
    const waiting = await admin.as(token).pay<{ payment: PaymentView }>(order(stack.chain));
    expect(waiting.status).toBe(202);
    const { id } = waiting.body.payment;
    expectProblem(await hand(admin, id, receiptOf(RECEIPT)), 409, 'invalid_transition');
    expect(await keptOf(id)).toEqual([]);
  });
});

describe('a receipt that the published offer-receipt extension signed', () => {
  const payee = privateKeyToAccount(generatePrivateKey());
  const signer = privateKeyToAccount(generatePrivateKey());
  let seller: HttpService;

  beforeAll(async () => {
    seller = await startReceiptSeller(
      { facilitatorUrl: stack.facilitator.url, payTo: payee.address, network: stack.chain.network },
      createEIP712OfferReceiptIssuer(`did:pkh:eip155:1:${signer.address}`, (data) =>
        signer.signTypedData(data as never),
      ),
    );
  }, 60_000);
  afterAll(() => seller?.stop());

  /** Buys a page as an agent does; the payment, and the PAYMENT-RESPONSE that came with the page. */
  async function buy(page: number) {
    const url = `${seller.url}/data/${page}`;
    const unpaid = await fetch(url);
    const paymentRequired = unpaid.headers.get('PAYMENT-REQUIRED');
    const { payment, header } = await api.paid({
      paymentRequired,
      request: { method: 'GET', url },
    });
    const answer = await fetch(url, { headers: { [header.name]: header.value } });
    expect(answer.status).toBe(200);
    return { payment, response: answer.headers.get('PAYMENT-RESPONSE') ?? '' };
  }

  it('is valid, and names who signed the offer', async () => {
    const { payment, response } = await buy(1);
    const answer = await hand(api, payment.id, { paymentResponse: response });
    expect(answer.status).toBe(202);
    expect(answer.body.payment.receipts).toMatchObject([
      {
        success: true,
        network: stack.chain.network,
        transaction: expect.stringMatching(/^0x[0-9a-f]{64}$/),
        signature: { outcome: 'valid', signer: signer.address, reason: null },
      },
    ]);
    const [event] = await receiptEvents(payment.id);
    expect(event?.data).toMatchObject({ signature: { outcome: 'valid', signer: signer.address } });
    expect(await keptOf(payment.id)).toEqual([response]);
  });

  it('is invalid once anything in it was changed, or for another payment', async () => {
    const { payment, response } = await buy(2);
    const { payment: other } = await buy(3);
    const changed = JSON.parse(Buffer.from(response, 'base64').toString());
    changed.extensions['offer-receipt'].info.receipt.payload.issuedAt += 1;
    await hand(api, payment.id, receiptOf(changed));
    await hand(api, other.id, { paymentResponse: response });
    for (const { id } of [payment, other]) {
      const { receipts, status } = await api.payment(id);
      expect(receipts).toMatchObject([
        { signature: { outcome: 'invalid', reason: expect.stringMatching(/./) } },
      ]);
      expect(status).toBe('authorized');
    }
  });
});
