import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  decodePaymentRequiredHeader,
  decodePaymentResponseHeader,
  decodePaymentSignatureHeader,
} from '@x402/core/http';
import { parsePaymentPayload } from '@x402/core/schemas';
import { extractAndValidatePaymentIdentifier } from '@x402/extensions/payment-identifier';
import type { HttpService } from '../sandbox/ports.js';
import type { Api, Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { startHonoSeller, startV1Seller } from './support/sellers.js';
import { CENT } from './support/terms.js';
import { until } from './support/until.js';

// Against published code that is not ours, all of it real and none of it changed: the sellers are
// @x402/express and @x402/hono 2.x (wire v2) and x402-express 1.x (wire v1), the facilitator is
// @x402/core's.

let stack: TestStack;
let admin: Api;
let grant: Minted;
let agent: Api;
let hono: HttpService;
let v1: HttpService;

beforeAll(async () => {
  stack = await startTestStack();
  ({ admin } = stack);
  const terms = {
    facilitatorUrl: stack.facilitator.url,
    payTo: stack.seller.payTo,
    network: stack.chain.network,
  };
  [hono, v1] = await Promise.all([startHonoSeller(terms), startV1Seller(terms)]);
  grant = await admin.mint({ budget: '1.00', maxPerPayment: '0.01' });
  agent = admin.as(grant.token);
}, 60_000);

afterAll(async () => {
  await hono?.stop();
  await v1?.stop();
  await stack?.stop();
});

interface Requirement {
  readonly network: string;
  readonly amount?: string;
  readonly maxAmountRequired?: string;
}

/** Terms of a 402 answer, however its version of x402 says them. */
interface Asked {
  readonly body: { x402Version: number; accepts: Requirement[]; extensions?: unknown };
  readonly headerValue: string;
}

async function askV2(url: string): Promise<Asked> {
  const answer = await fetch(url);
  expect(answer.status).toBe(402);
  const headerValue = answer.headers.get('payment-required') ?? '';
  return { headerValue, body: decodePaymentRequiredHeader(headerValue) };
}

async function askV1(url: string): Promise<Asked> {
  const answer = await fetch(url);
  expect(answer.status).toBe(402);
  const text = await answer.text();
  // v1 has no header; whoever kept the body's bytes may hand them in as base64 all the same.
  return { headerValue: Buffer.from(text).toString('base64'), body: JSON.parse(text) };
}

interface Seller {
  readonly name: string;
  readonly url: () => string;
  readonly version: 1 | 2;
  readonly ask: (url: string) => Promise<Asked>;
  /** The position of the offer that must be taken: the only one, or the cheapest. */
  readonly cheapest: number;
}

const sellers: readonly Seller[] = [
  {
    name: '@x402/express 2.x',
    url: () => stack.seller.url,
    version: 2,
    ask: askV2,
    cheapest: 0,
  },
  { name: '@x402/hono 2.x', url: () => hono.url, version: 2, ask: askV2, cheapest: 1 },
  { name: 'x402-express 1.x', url: () => v1.url, version: 1, ask: askV1, cheapest: 0 },
];
const deliveries = ['object', 'header value'] as const;
const cells = sellers.flatMap((seller) =>
  deliveries.map((delivery) => ({ ...seller, delivery, seller })),
);

describe.each(cells)('$name, its terms given as $delivery', ({ seller, delivery }) => {
  it('is paid: verified, served, settled on chain and in the ledger', async () => {
    const { version } = seller;
    const url = `${seller.url()}/data/7?city=Z%C3%BCrich`;
    const { body, headerValue } = await seller.ask(url);
    expect(body.x402Version).toBe(version);

    const { payment, header } = await agent.paid({
      paymentRequired: delivery === 'object' ? body : headerValue,
      request: { method: 'GET', url },
    });
    expect(payment).toMatchObject({ amount: '0.01', payTo: stack.seller.payTo });
    expect(header.name).toBe(version === 2 ? 'PAYMENT-SIGNATURE' : 'X-PAYMENT');

    // By the published parsers, and by the facilitator before the seller asks it.
    const requirement = body.accepts[seller.cheapest];
    const payload = decodePaymentSignatureHeader(header.value);
    expect(parsePaymentPayload(payload)).toMatchObject({ success: true });
    if (version === 2) expect(payload.accepted).toEqual(requirement);
    expect(await facilitate('verify', payload, requirement)).toMatchObject({
      isValid: true,
      payer: payment.wallet,
    });

    const before = await stack.chain.usdcBalance(stack.seller.payTo);
    const answer = await fetch(url, { headers: { [header.name]: header.value } });
    expect({ status: answer.status, text: await answer.text() }).toMatchObject({
      status: 200,
      text: expect.stringContaining('"page":"7"'),
    });
    const receipt = decodePaymentResponseHeader(
      answer.headers.get(version === 2 ? 'payment-response' : 'x-payment-response') ?? '',
    );
    expect(receipt).toMatchObject({ success: true, payer: payment.wallet });
    expect(await stack.chain.usdcBalance(stack.seller.payTo)).toBe(before + CENT);

    await stack.finalize();
    const settled = await until('the payment is settled', async () => {
      const now = await agent.payment(payment.id);
      return now.status === 'settled' && now;
    });
    expect(settled.transaction).toBe(receipt.transaction);
  });
});

describe('@x402/hono', () => {
  it('finds its extensions echoed, and the id it requires, the same in every replay', async () => {
    const url = `${hono.url}/data/8`;
    const { body, headerValue } = await askV2(url);
    const order = { paymentRequired: headerValue, request: { method: 'GET', url } };
    const { payment, header } = await agent.paid(order, 'with-an-id');
    const payload = decodePaymentSignatureHeader(header.value);
    expect(extractAndValidatePaymentIdentifier(payload)).toEqual({
      id: payment.id,
      validation: { valid: true },
    });
    const { 'payment-identifier': declared, ...others } = body.extensions as Record<
      string,
      { info: object }
    >;
    expect(payload.extensions).toEqual({
      ...others,
      'payment-identifier': { ...declared, info: { ...declared?.info, id: payment.id } },
    });
    expect((await agent.paid(order, 'with-an-id')).header).toEqual(header);
  });
});

it('leaves a ledger that equals the chain', async () => {
  expect(await agent.grant(grant.grant.id)).toMatchObject({ spent: '0.06', reserved: '0.01' });
  expect(await brokenInvariants(stack.db)).toEqual([]);
});

async function facilitate(
  action: 'verify' | 'settle',
  paymentPayload: { x402Version: number },
  paymentRequirements: unknown,
): Promise<unknown> {
  const { x402Version } = paymentPayload;
  const response = await fetch(`${stack.facilitator.url}/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ x402Version, paymentPayload, paymentRequirements }),
  });
  return response.json();
}
