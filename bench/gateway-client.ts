// A buyer that pays a seller again and again, each time with a payment of its own. Nothing is signed: the facilitator of the
// benchmark takes any signature, so that what is measured is the seller.
import { randomBytes } from 'node:crypto';
import { Agent, request } from 'undici';
import { answerOrders } from './helper.js';
import type { GatewayOrder } from './protocol.js';
import { type Sample, sample } from './sample.js';

const PAYER = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';

interface Terms {
  readonly resource: { readonly url: string };
  readonly accepts: readonly {
    readonly amount: string;
    readonly payTo: string;
    readonly maxTimeoutSeconds: number;
  }[];
}

answerOrders<GatewayOrder, Sample>(async ({ url, isPaid, clients, seconds }) => {
  const dispatcher = new Agent({ connections: clients });
  const terms = isPaid ? await termsOf(url) : undefined;
  try {
    return await sample(seconds, clients, async () => {
      const headers = terms ? { 'payment-signature': paymentFor(terms) } : {};
      const { statusCode, body } = await request(url, { dispatcher, headers });
      const text = await body.text();
      if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}: ${text}`);
    });
  } finally {
    await dispatcher.close();
  }
});

async function termsOf(url: string): Promise<Terms> {
  const { headers, body } = await request(url);
  await body.dump();
  const header = headers['payment-required'];
  if (typeof header !== 'string') throw new Error(`${url} asks for no payment`);
  return JSON.parse(Buffer.from(header, 'base64').toString('utf8')) as Terms;
}

function paymentFor({ resource, accepts: [accepted] }: Terms): string {
  if (!accepted) throw new Error('the seller accepts nothing');
  const now = Math.floor(Date.now() / 1_000);
  const authorization = {
    from: PAYER,
    to: accepted.payTo,
    value: accepted.amount,
    validAfter: '0',
    validBefore: String(now + accepted.maxTimeoutSeconds),
    nonce: `0x${randomBytes(32).toString('hex')}`,
  };
  const signature = `0x${randomBytes(64).toString('hex')}1b`;
  const payment = { x402Version: 2, resource, accepted, payload: { signature, authorization } };
  return Buffer.from(JSON.stringify(payment)).toString('base64');
}
