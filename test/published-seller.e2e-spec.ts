import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { decodePaymentRequiredHeader, decodePaymentResponseHeader } from '@x402/core/http';
import { HTTPFacilitatorClient } from '@x402/core/server';
import { ExactEvmScheme } from '@x402/evm/exact/server';
import { paymentMiddleware, x402ResourceServer } from '@x402/express';
import {
  createJWSOfferReceiptIssuer,
  createOfferReceiptExtension,
  declareOfferReceiptExtension,
  extractOffersFromPaymentRequired,
  extractReceiptPayload,
  isJWSSignedOffer,
  type JWSSignedReceipt,
  verifyOfferSignatureJWS,
  verifyReceiptSignatureJWS,
} from '@x402/extensions/offer-receipt';
import {
  createSIWxResourceServerExtension,
  declareSIWxExtension,
  InMemorySIWxStorage,
} from '@x402/extensions/sign-in-with-x';
import express, { type RequestHandler } from 'express';
import { type Address, getAddress, type Hex, pad, toEventSelector, toHex } from 'viem';
import { paymentMiddleware as paymentMiddlewareV1 } from 'x402-express';
import { type HttpService, serve } from '../sandbox/ports.js';
import type { Paid } from './support/api.js';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { killPrograms, startProgram } from './support/program.js';
import { CENT, decodeHeader } from './support/terms.js';
import { until } from './support/until.js';

// One purchase settles once, whatever the facilitator answers at first and wherever the agent is killed.
// The sellers are the published packages, unchanged. The facilitator is the sandbox's, behind a proxy that
// fails its first calls. The agent is a process of its own, which a SIGKILL ends at a given step.

/** How the facilitator fails the first calls for one purchase. */
interface Mood {
  readonly name: string;
  readonly route: 'verify' | 'settle';
  /** `lost` settles on chain, then answers 500. */
  readonly answer: 'error' | 'refusal' | 'lost';
  readonly times: number;
}

const WELL: Mood = { name: 'answers well', route: 'verify', answer: 'error', times: 0 };
const SETTLE_ERROR: Mood = {
  name: 'answers 500 to /settle',
  route: 'settle',
  answer: 'error',
  times: 2,
};
const MOODS: readonly Mood[] = [
  WELL,
  { name: 'answers 500 to /verify', route: 'verify', answer: 'error', times: 1 },
  { name: 'answers invalid to /verify', route: 'verify', answer: 'refusal', times: 1 },
  SETTLE_ERROR,
  { name: 'refuses the first /settle', route: 'settle', answer: 'refusal', times: 1 },
  { name: 'settles, and loses the answer', route: 'settle', answer: 'lost', times: 1 },
];

const REFUSALS = {
  verify: { isValid: false, invalidReason: 'unexpected_verify_error' },
  settle: {
    success: false,
    errorReason: 'unexpected_settle_error',
    transaction: '',
    network: 'eip155:84532',
  },
};

/** A point at which the agent is killed. */
interface Kill {
  readonly when: string;
  readonly step: 'got-402' | 'asked' | 'answered' | 'got-header' | 'sent' | 'served' | 'read';
  /** Counts the agent's rounds: 402, Bursar, header. */
  readonly attempt: number;
  /** Restarts the agent while the seller still works on what the killed one sent. */
  readonly atOnce?: boolean;
}

const STEPS: readonly Omit<Kill, 'attempt'>[] = [
  { when: 'it got the 402', step: 'got-402' },
  { when: 'it asked Bursar', step: 'asked' },
  { when: 'the answer of Bursar arrived, unread', step: 'answered' },
  { when: 'it got the header', step: 'got-header' },
  { when: 'it sent the header', step: 'sent' },
  { when: 'it sent the header, and restarted at once', step: 'sent', atOnce: true },
  { when: 'the answer of the seller arrived, unread', step: 'served' },
  { when: 'it read the answer of the seller', step: 'read' },
];

/** The steps at which the seller has the header, so that the facilitator's mood matters. */
const SENT: readonly Kill['step'][] = ['sent', 'served', 'read'];

/**
 * Each step of the first attempt, and of the attempt that meets a facilitator that works again. A first attempt
 * that ends before it sent the header is alike in every mood, so it is made in one of them.
 */
function killsIn({ times }: Mood): Kill[] {
  const first = STEPS.filter(({ step }) => times === 0 || SENT.includes(step));
  return [
    ...first.map((step) => ({ ...step, attempt: 1 })),
    ...(times === 0 ? [] : STEPS.map((step) => ({ ...step, attempt: times + 1 }))),
  ];
}

/** One round more than any mood fails. */
const ATTEMPTS = 3;
/** How many purchases run at a time. */
const LANES = 6;
const TRANSFER = toEventSelector('Transfer(address,address,uint256)');
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const publicJwk = { kty: 'EC', ...publicKey.export({ format: 'jwk' }) } as { kty: string };

let stack: TestStack;
let facilitator: HttpService;
let seller: HttpService;
let sellerV1: HttpService;

beforeAll(async () => {
  stack = await startTestStack({ pollMs: 100 });
  facilitator = await startUnreliableFacilitator(stack.facilitator.url);
  [seller, sellerV1] = await Promise.all([startSeller(), startSellerV1()]);
}, 60_000);

afterAll(async () => {
  await killPrograms();
  await seller?.stop();
  await sellerV1?.stop();
  await facilitator?.stop();
  await stack?.stop();
});

/** Each purchase has a page and a payee of its own, so that its transfers can be told from all others. */
const payeeOf = (page: string | undefined): Address =>
  getAddress(pad(toHex(0x7e_11_00_00 + Number(page)), { size: 20 }));

/** The calls that are still to fail, by payee. */
const failures = new Map<string, { mood: Mood; left: number }>();

async function startUnreliableFacilitator(upstream: string): Promise<HttpService> {
  const app = express();
  app.use(express.json());
  app.get('/supported', async (_request, response) => {
    response.json(await (await fetch(`${upstream}/supported`)).json());
  });
  for (const route of ['verify', 'settle'] as const) {
    app.post(`/${route}`, async (request, response) => {
      const forward = () =>
        fetch(`${upstream}/${route}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(request.body),
        });
      const failure = failures.get(request.body.paymentRequirements.payTo);
      if (failure?.mood.route !== route || failure.left === 0) {
        const answer = await forward();
        response.status(answer.status).json(await answer.json());
        return;
      }
      failure.left -= 1;
      const { answer } = failure.mood;
      if (answer === 'lost')
        expect(await (await forward()).json()).toMatchObject({ success: true });
      if (answer === 'refusal') response.json(REFUSALS[route]);
      else response.status(500).json({ error: 'out of order' });
    });
  }
  return serve(app);
}

/** One paid request to a seller; `status` once the seller decided on its answer. */
interface PaidRequest {
  readonly page: string;
  readonly run: string;
  status?: number;
}

const paidRequests: PaidRequest[] = [];

/**
 * Records the paid requests. A payment middleware holds `end` back until the payment is settled, so the
 * call of the original `end` is when the answer leaves, even if no client is there to read it.
 */
const recordPaid: RequestHandler = (request, response, next) => {
  const run = request.header('x-run');
  if (run !== undefined) {
    const entry: PaidRequest = { page: request.path.replace('/data/', ''), run };
    paidRequests.push(entry);
    const end = response.end.bind(response) as (...args: unknown[]) => typeof response;
    response.end = ((...args: unknown[]) => {
      entry.status = response.statusCode;
      return end(...args);
    }) as typeof response.end;
  }
  next();
};

const sendPage: RequestHandler = (request, response) => {
  response.json({ page: request.params.page });
};

/** `@x402/express` with the `sign-in-with-x` and `offer-receipt` extensions. */
async function startSeller(): Promise<HttpService> {
  const { network } = stack.chain;
  const app = express();
  const service = await serve(app);
  const resourceServer = new x402ResourceServer(
    new HTTPFacilitatorClient({ url: facilitator.url }),
  ).register(network, new ExactEvmScheme());
  resourceServer.registerExtension(
    createSIWxResourceServerExtension({
      origin: service.url,
      storage: new InMemorySIWxStorage(),
    }),
  );
  resourceServer.registerExtension(
    createOfferReceiptExtension(
      createJWSOfferReceiptIssuer('did:web:seller.example#key-1', {
        kid: 'did:web:seller.example#key-1',
        format: 'jws',
        algorithm: 'ES256',
        sign: async (bytes) =>
          sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString(
            'base64url',
          ),
      }),
    ),
  );
  await resourceServer.initialize();
  app.use(recordPaid);
  app.use(
    paymentMiddleware(
      {
        'GET /data/:page': {
          accepts: {
            scheme: 'exact',
            network,
            price: '$0.01',
            payTo: ({ path }) => payeeOf(path.replace('/data/', '')),
          },
          description: 'One page of data',
          mimeType: 'application/json',
          extensions: {
            ...declareSIWxExtension({
              statement: 'Sign in to read it again',
              expirationSeconds: 300,
            }),
            ...declareOfferReceiptExtension({ includeTxHash: true }),
          },
        },
      },
      resourceServer,
      undefined,
      undefined,
      false,
    ),
  );
  app.get('/data/:page', sendPage);
  return service;
}

/** `x402-express` 1.x. Its payee is fixed, so each page has a middleware of its own. */
function startSellerV1(): Promise<HttpService> {
  const app = express();
  app.use(recordPaid);
  app.use((request, response, next) =>
    paymentMiddlewareV1(
      payeeOf(request.path.replace('/data/', '')),
      { 'GET /data/*': { price: '$0.01', network: 'base-sepolia' } },
      { url: facilitator.url as `http://${string}` },
    )(request, response, next),
  );
  app.get('/data/:page', sendPage);
  return serve(app);
}

/** A line that the agent wrote. */
interface Report {
  readonly killedAt?: string;
  readonly bursar?: { readonly status: number; readonly body: Paid };
  readonly seller?: { readonly status: number; readonly receipt?: string; readonly text: string };
}

interface Run {
  /** `null` after SIGKILL, 0 with the page, 2 when the seller never gave it. */
  readonly code: number | null;
  readonly reports: readonly Report[];
}

/** The state that survives a restart of the agent. */
interface Order {
  readonly url: string;
  readonly token: string;
  readonly key: string;
}

interface Purchase extends Order {
  readonly page: string;
  readonly grantId: string;
  readonly runs: readonly Run[];
}

let pages = 0;

async function runAgent(order: Order, run: string, kill?: Kill): Promise<Run> {
  const bursar = stack.service.url;
  const program = startProgram(
    {
      PURCHASE: JSON.stringify({ ...order, bursar, run, dieAt: kill, attempts: ATTEMPTS }),
    },
    [process.execPath, 'test/support/purchasing-agent.mjs'],
  );
  const code = await program.exited;
  const { stdout, stderr } = program.output();
  expect(stderr).toBe('');
  const reports = stdout.trim().split('\n').filter(Boolean);
  return { code, reports: reports.map((line) => JSON.parse(line) as Report) };
}

/** Buys a page with an agent that is killed at most once, and then restarted. */
async function buy({ url: sellerUrl }: HttpService, mood: Mood, kill?: Kill): Promise<Purchase> {
  pages += 1;
  const page = String(pages);
  failures.set(payeeOf(page), { mood, left: mood.times });
  const { grant, token } = await stack.admin.mint({ budget: '1.00', maxPerPayment: '0.01' });
  const order = { url: `${sellerUrl}/data/${page}`, token, key: randomUUID() };

  const runs = [await runAgent(order, 'first', kill)];
  if (kill) {
    if (kill.step === 'sent' && !kill.atOnce) await sellerIsDone(page, kill.attempt);
    runs.push(await runAgent(order, 'second'));
  }
  await sellerIsDone(page);
  return { ...order, page, grantId: grant.id, runs };
}

/** Waits until a seller decided on every paid request for a page, of which it got at least `count`. */
async function sellerIsDone(page: string, count = 0): Promise<void> {
  await until(`the seller is done with the requests for page ${page}`, () => {
    const requests = paidRequests.filter((request) => request.page === page);
    return requests.length >= count && requests.every(({ status }) => status !== undefined);
  });
}

function expectPageDelivered({ page, runs }: Purchase, mood: Mood, kill?: Kill): void {
  if (kill) {
    expect(runs[0]).toMatchObject({ code: null });
    expect(runs[0]?.reports.at(-1)).toEqual({ killedAt: kill.step });
  }
  const readers = paidRequests.filter((each) => each.page === page && each.status === 200);
  const reader = readers.map(({ run }) => run).join();
  // The seller may serve either of two concurrent requests.
  const raced = kill?.atOnce && kill.attempt > mood.times && mood.answer !== 'lost';
  if (raced) expect(['first', 'second']).toContain(reader);
  else expect(reader).toBe(expectedReader(mood, kill));

  const last = runs.at(-1);
  const hasPage = reader === (kill ? 'second' : 'first');
  expect(last).toMatchObject({ code: hasPage ? 0 : 2 });
  expect(last?.reports.at(-1)?.seller).toMatchObject(
    hasPage ? { status: 200, text: `{"page":"${page}"}` } : { status: 402 },
  );
}

/** Checks that Bursar, the chain and the grant agree on one payment. */
async function expectOneSettlement({ page, url, token, key, grantId, runs }: Purchase) {
  const agent = stack.admin.as(token);
  expect(await transfersTo(payeeOf(page))).toHaveLength(1);
  const answers = runs.flatMap(({ reports }) => reports.flatMap(({ bursar }) => bursar ?? []));
  const id = answers[0]?.body.payment.id ?? 'none';
  const settled = await until(`payment ${id} is settled`, async () => {
    const payment = await agent.payment(id);
    if (payment.status === 'settled') return payment;
    await stack.finalize();
    return undefined;
  });
  const again = { paymentRequired: await termsOf(url), request: { method: 'GET', url } };
  answers.push({ status: 201, body: await agent.paid(again, key) });
  const distinct = answers.map(({ status, body }) => {
    const { authorization, signature } = decodeHeader(body.header.value).payload;
    return JSON.stringify({ status, id: body.payment.id, authorization, signature });
  });
  expect([...new Set(distinct)].map((each) => JSON.parse(each))).toEqual([
    {
      status: 201,
      id,
      signature: expect.any(String),
      authorization: expect.objectContaining({ nonce: settled.nonce, to: payeeOf(page) }),
    },
  ]);

  expect(await transfersTo(payeeOf(page))).toEqual([
    { from: settled.wallet, value: CENT, transaction: settled.transaction },
  ]);
  expect(await agent.grant(grantId)).toMatchObject({
    spent: '0.01',
    reserved: '0.00',
    remaining: '0.99',
    payments: 1,
  });
}

/** Every transfer of the token to a payee since the chain began. */
async function transfersTo(payee: Address) {
  const { rpcUrl, token } = stack.chain;
  const topics = [TRANSFER, null, pad(payee)];
  const logs = await rpc<{ topics: [Hex, Hex]; data: Hex; transactionHash: Hex }[]>(
    rpcUrl,
    'eth_getLogs',
    [{ fromBlock: '0x0', toBlock: 'latest', address: token.address, topics }],
  );
  return logs.map(({ topics: [, from], data, transactionHash }) => ({
    from: getAddress(`0x${from.slice(-40)}`),
    value: BigInt(data),
    transaction: transactionHash,
  }));
}

/** Which run the seller gives the page to: none once a settlement's answer was lost. */
function expectedReader({ answer, times }: Mood, kill: Kill | undefined): '' | 'first' | 'second' {
  if (answer === 'lost') return '';
  if (!kill) return 'first';
  const sent = SENT.includes(kill.step);
  return sent && kill.attempt > times ? 'first' : 'second';
}

/** The 402 of a page, as the agent hands it to Bursar. */
async function termsOf(url: string): Promise<unknown> {
  const answer = await fetch(url);
  const body = await answer.text();
  expect(answer.status).toBe(402);
  return answer.headers.get('payment-required') ?? JSON.parse(body);
}

describe('the published seller with sign-in-with-x and offer-receipt', () => {
  it('asks for the same payment with other nonces and signatures each time, and its receipt names the payer', async () => {
    pages += 1;
    const url = `${seller.url}/data/${pages}`;
    const { token } = await stack.admin.mint({ budget: '1.00' });
    const agent = stack.admin.as(token);
    const key = randomUUID();
    const asked = [];
    for (let n = 0; n < 2; n += 1) {
      const paymentRequired = (await termsOf(url)) as string;
      const terms = decodePaymentRequiredHeader(paymentRequired);
      const [offer] = extractOffersFromPaymentRequired(terms);
      if (!offer || !isJWSSignedOffer(offer)) throw new Error('the 402 has no signed offer');
      expect(await verifyOfferSignatureJWS(offer, publicJwk)).toMatchObject({ amount: '10000' });
      const signIn = terms.extensions?.['sign-in-with-x'] as { info: Record<string, string> };
      const paid = await agent.paid({ paymentRequired, request: { method: 'GET', url } }, key);
      asked.push({ terms, offer: offer.signature, signIn: signIn.info, paid });
    }
    const [first, second] = asked;
    if (!first || !second) throw new Error('not asked twice');
    expect(second.terms.accepts).toEqual(first.terms.accepts);
    expect(second.offer).not.toBe(first.offer);
    for (const member of ['nonce', 'issuedAt', 'expirationTime']) {
      expect(first.signIn[member]).toEqual(expect.any(String));
      expect(second.signIn[member]).not.toBe(first.signIn[member]);
    }
    const [one, other] = asked.map(({ paid }) => decodeHeader(paid.header.value));
    expect(other?.payload).toEqual(one?.payload);
    expect(other).toMatchObject({ extensions: second.terms.extensions });
    expect(one).toMatchObject({ extensions: first.terms.extensions });

    const { header, payment } = first.paid;
    const answer = await fetch(url, { headers: { [header.name]: header.value } });
    expect(answer.status).toBe(200);
    const { extensions } = decodePaymentResponseHeader(
      answer.headers.get('payment-response') ?? '',
    );
    const { info } = { ...extensions }['offer-receipt'] as { info: { receipt: JWSSignedReceipt } };
    await verifyReceiptSignatureJWS(info.receipt, publicJwk);
    expect(extractReceiptPayload(info.receipt)).toMatchObject({
      payer: payment.wallet,
      resourceUrl: url,
    });
  });
});

describe.each(MOODS)('a facilitator that $name', (mood) => {
  describePurchases(() => seller, mood);
});

describe('the published seller of x402 v1', () => {
  beforeAll(() => {
    // This package logs each settlement that failed.
    jest.spyOn(console, 'error').mockImplementation(() => {});
  });

  afterAll(() => {
    jest.restoreAllMocks();
  });

  describePurchases(() => sellerV1, SETTLE_ERROR);
});

/** One test for each kill, and one for an agent that lives. The purchases run side by side. */
function describePurchases(sellerOf: () => HttpService, mood: Mood): void {
  const kills = [undefined, ...killsIn(mood)];
  let purchases: Promise<Purchase>[] = [];

  beforeAll(() => {
    const lanes: Promise<unknown>[] = Array(LANES).fill(Promise.resolve());
    purchases = kills.map((kill, n) => {
      const purchase = lanes[n % LANES]?.then(() => buy(sellerOf(), mood, kill));
      // The test that awaits the purchase reports its failure.
      lanes[n % LANES] = purchase?.catch(() => {}) ?? Promise.resolve();
      return purchase as Promise<Purchase>;
    });
  });

  afterAll(async () => {
    await Promise.allSettled(purchases);
  });

  const cases = kills.map((kill, n) => ({
    n,
    kill,
    fate: kill ? `killed after ${kill.when} (attempt ${kill.attempt})` : 'never killed',
  }));
  it.each(cases)('settles the purchase once when the agent is $fate', async ({ n, kill }) => {
    const purchase = (await purchases[n]) as Purchase;
    await expectOneSettlement(purchase);
    expectPageDelivered(purchase, mood, kill);
  });
}

it('leaves every invariant whole', async () => {
  await stack.finalize();
  expect(await brokenInvariants(stack.db)).toEqual([]);
  expect(await brokenOnChain(stack.db, stack.chain.rpcUrl)).toEqual([]);
});
