import { setTimeout as delay } from 'node:timers/promises';
import { decodePaymentRequiredHeader, decodePaymentResponseHeader } from '@x402/core/http';
import { type Logger, pino } from 'pino';
import { createPublicClient, formatUnits, http, parseUnits } from 'viem';
import { leafHash, MerkleTree } from '../src/domain/merkle.js';
import { isSignedBy, parseCheckpoint, parseNote, parseVerifierKey } from '../src/domain/note.js';
import { createLogger } from '../src/ops/logger.js';
import { parseOptions } from '../src/options.js';
import { runUntilSignalled } from '../src/run.js';
import { startSandboxGateway } from './gateway.js';
import { startSeller } from './seller.js';
import { type Stack, startStack, WALLET_FUNDS } from './stack.js';

/** How long a payment may take to be final on chain, in milliseconds. */
const SETTLE_TIMEOUT_MS = 30_000;
const POLL_MS = 200;

type Json = Record<string, unknown>;

/** Members that the demo reads of the contract's answers. */
interface Grant extends Json {
  id: string;
  holder: string;
  budget: string;
  remaining: string;
  spent: string;
  reserved: string;
}
interface Payment extends Json {
  id: string;
  status: string;
  amount: string;
  wallet: string;
  nonce: string;
  transaction: string | null;
}
interface Refusal extends Json {
  code: string;
  detail: string;
  grantId?: string;
}
interface LogEvent extends Json {
  kind: string;
  actor: string;
  at: string;
  grantId: string | null;
  reason: string | null;
  leafIndex: string | null;
  data: Json;
}

const say = (text: string) => process.stdout.write(`${text}\n`);
const fact = (text: string) => say(`     ${text}`);

/** Aborted by Ctrl-C: the story ends at its next step. */
let signal: AbortSignal | undefined;
let current = 'starting';
let stepNumber = 0;

/** One step of the story. Whatever it throws is the step that failed. */
async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  stepNumber += 1;
  current = `step ${stepNumber}, "${title}"`;
  say(`\n ${String(stepNumber).padStart(2)}. ${title}`);
  return work();
}

function hold(condition: boolean, expectation: string): void {
  if (!condition) throw new Error(`expected ${expectation}`);
}

/** A caller of Bursar's API: plain HTTP and a token, as any agent has. */
class Api {
  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  async call<T>(
    method: 'GET' | 'POST',
    path: string,
    body?: Json,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: T }> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, body: (isJson ? JSON.parse(text) : text) as T };
  }

  async get<T>(path: string): Promise<T> {
    const { status, body } = await this.call<T>('GET', path);
    hold(status === 200, `GET ${path} to answer 200, not ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  async post<T>(path: string, body: Json): Promise<T> {
    const { status, body: answer } = await this.call<T>('POST', path, body);
    hold(status < 300, `POST ${path} to succeed, not ${status}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Asks Bursar to pay what a seller's 402 requires. */
  pay<T>(url: string, paymentRequired: string, key: string) {
    return this.call<T>(
      'POST',
      '/v1/payments',
      { paymentRequired, request: { method: 'GET', url } },
      { 'idempotency-key': key },
    );
  }
}

/** Calls a paid API without paying: what it asks for. */
async function meet402(url: string): Promise<string> {
  const response = await fetch(url);
  await response.arrayBuffer();
  hold(response.status === 402, `${url} to answer 402, not ${response.status}`);
  const header = response.headers.get('payment-required');
  if (header === null) throw new Error('the 402 has no PAYMENT-REQUIRED header');
  return header;
}

function describeOffer(paymentRequired: string): string {
  const [offer] = decodePaymentRequiredHeader(paymentRequired).accepts;
  if (!offer) throw new Error('the 402 offers no way to pay');
  return `${formatUnits(BigInt(offer.amount), 6)} USDC to ${offer.payTo} on ${offer.network}`;
}

async function main(
  stack: Stack,
  logger: Logger,
  onStop: (close: () => Promise<void>) => void,
): Promise<void> {
  const { service, chain, seller, facilitator } = stack;
  const dataUrl = `${seller.url}/data/7`;
  const adminToken = await service.mintAdminToken({ name: 'demo', role: 'admin' }, 600);
  const admin = new Api(service.url, adminToken);
  fact(`service ${service.url}, paid API ${seller.url}, chain ${chain.network}`);
  fact(`treasury: ${service.walletAddresses.length} wallets with 1,000,000 test USDC each`);

  const orchestrator = await step('An admin mints a root grant to an orchestrator', async () => {
    const minted = await admin.post<{ grant: Grant; token: string }>('/v1/grants', {
      holder: 'orchestrator',
      budget: '5.00',
      ttlSeconds: 3600,
      delegationDepth: 1,
      purpose: 'the demo',
    });
    hold(minted.grant.remaining === '5.00', 'the new grant to have 5.00 left');
    fact(`${minted.grant.id}: 5.00 USDC for an hour, may delegate once`);
    return minted;
  });

  const subAgent = await step(
    'The orchestrator delegates a narrower one to a sub-agent',
    async () => {
      const api = new Api(service.url, orchestrator.token);
      const minted = await api.post<{ grant: Grant; token: string }>('/v1/grants', {
        holder: 'sub-agent',
        budget: '1.00',
        maxPerPayment: '0.05',
        ttlSeconds: 600,
        scope: {
          networks: [chain.network],
          payTo: [seller.payTo],
          resources: [`${seller.url}/*`],
        },
      });
      hold(minted.grant.parentId === orchestrator.grant.id, 'the child to name its parent');
      fact(`${minted.grant.id}: 1.00 USDC, at most 0.05 a payment,`);
      fact(`only to ${seller.payTo}, only for ${seller.url}/*`);
      return minted;
    },
  );
  const agent = new Api(service.url, subAgent.token);

  const required = await step('The sub-agent calls the paid API and meets a 402', async () => {
    const header = await meet402(dataUrl);
    fact(`GET ${dataUrl} -> 402, asks ${describeOffer(header)}`);
    return header;
  });

  const paid = await step('Bursar checks, reserves and signs', async () => {
    const { status, body } = await agent.pay<{
      payment: Payment;
      header: { name: string; value: string };
      grant: { remaining: string };
    }>(dataUrl, required, 'page-7');
    hold(status === 201, `a signed payment, not ${status}: ${JSON.stringify(body)}`);
    hold(body.payment.amount === '0.01', 'the amount to be 0.01');
    hold(body.grant.remaining === '0.99', '0.99 to remain');
    fact(`${body.payment.id}: 0.01 USDC reserved on both grants, ${body.grant.remaining} remains`);
    fact(`wallet ${body.payment.wallet}, nonce ${body.payment.nonce}`);
    const again = await agent.pay<typeof body>(dataUrl, required, 'page-7');
    hold(again.body.header.value === body.header.value, 'a retry to give the identical header');
    fact('asked again with the same key: the identical header, nothing reserved twice');
    return body;
  });

  await step('The sub-agent retries with the header and gets the data', async () => {
    const response = await fetch(dataUrl, { headers: { [paid.header.name]: paid.header.value } });
    const text = await response.text();
    hold(response.status === 200, `the paid API to answer 200, not ${response.status}: ${text}`);
    fact(`GET ${dataUrl} -> 200 ${text.slice(0, 100)}`);
    const receipt = response.headers.get('payment-response');
    hold(receipt !== null, 'a PAYMENT-RESPONSE header');
    const { transaction } = decodePaymentResponseHeader(receipt ?? '');
    fact(`the facilitator (${facilitator.address}) says: transaction ${transaction}`);
  });

  const transaction = await step('The settlement is seen on chain and committed', async () => {
    const settled = await until('the payment to be settled', async () => {
      const payment = await agent.get<Payment>(`/v1/payments/${paid.payment.id}`);
      return payment.status === 'authorized' ? undefined : payment;
    });
    hold(settled.status === 'settled', `the payment to be settled, not ${settled.status}`);
    if (!settled.transaction)
      throw new Error('expected the settled payment to name its transaction');
    const client = createPublicClient({ transport: http(chain.rpcUrl) });
    const receipt = await client.getTransactionReceipt({
      hash: settled.transaction as `0x${string}`,
    });
    hold(receipt.status === 'success', 'the transaction to have succeeded on chain');
    fact(`transaction ${settled.transaction} in block ${receipt.blockNumber}, final`);
    return settled.transaction;
  });

  await step("The chain's balances agree with the ledger", () =>
    compareWithChain(stack, admin, 10_000n),
  );

  const refused: { what: string; refusal: Refusal }[] = [];
  const refuse = async (what: string, url: string, key: string, code: string, by: string) => {
    const header = await meet402(url);
    const { status, body } = await agent.pay<Refusal>(url, header, key);
    hold(status === 403, `a refusal, not ${status}: ${JSON.stringify(body)}`);
    hold(body.code === code, `the reason ${code}, not ${body.code}`);
    hold(body.grantId === by, `grant ${by} to have refused, not ${body.grantId}`);
    fact(`asked ${describeOffer(header)}`);
    fact(`403 ${body.code}: ${body.detail}`);
    refused.push({ what, refusal: body });
  };

  await step('A payment over the limit is refused', () =>
    refuse(
      'over the limit',
      `${seller.url}/report`,
      'report',
      'per_payment_exceeded',
      subAgent.grant.id,
    ),
  );

  await step('A payment to a payee out of scope is refused', async () => {
    const stranger = chain.accounts[2];
    if (!stranger) throw new Error('the chain has no third account');
    const other = await startSeller({ facilitatorUrl: facilitator.url, payTo: stranger.address });
    onStop(() => other.stop());
    await refuse(
      'out of scope',
      `${other.url}/data/1`,
      'other',
      'payee_not_allowed',
      subAgent.grant.id,
    );
  });

  await step("The admin revokes the orchestrator's grant, and all below it ends", async () => {
    const { revokedGrants, exposure } = await admin.post<{
      revokedGrants: number;
      exposure: { payments: number; amount: string };
    }>(`/v1/grants/${orchestrator.grant.id}/revoke`, { reason: 'the demo is over' });
    hold(revokedGrants === 2, 'two grants to end');
    hold(exposure.payments === 0, 'nothing to be exposed');
    fact(`${revokedGrants} grants ended; ${exposure.amount} USDC is signed and unsettled`);
    await refuse(
      'after revocation',
      `${seller.url}/data/8`,
      'page-8',
      'grant_revoked',
      orchestrator.grant.id,
    );
  });

  await step('Nothing more has moved', () => compareWithChain(stack, admin, 10_000n));

  await step('The audit trail of all of it', async () => {
    const expected = [
      'grant.minted',
      'grant.delegated',
      'payment.authorized',
      'payment.settled',
      'payment.refused',
      'payment.refused',
      'grant.revoked',
      'payment.refused',
    ];
    const story = await until('every event to be sealed', async () => {
      const { items } = await admin.get<{ items: LogEvent[] }>('/v1/audit/events?limit=200');
      return items.every(({ leafIndex }) => leafIndex !== null) ? items.reverse() : undefined;
    });
    for (const { at, kind, actor, reason, leafIndex } of story) {
      const about = reason === null ? '' : ` (${reason})`;
      fact(`${leafIndex?.padStart(3)}  ${at}  ${kind.padEnd(20)} ${actor}${about}`);
    }
    // A settlement may be seen before it is final, or be final at first sight.
    const kinds = story
      .filter(({ grantId, kind }) => grantId !== null && kind !== 'payment.seen')
      .map(({ kind }) => kind);
    hold(
      JSON.stringify(kinds) === JSON.stringify(expected),
      `the log to hold ${expected.join(', ')}, not ${kinds.join(', ')}`,
    );
    const exported = await admin.get<string>('/v1/audit/export');
    const lines = exported.trimEnd().split('\n');
    hold(lines.length === story.length, 'the export to be the whole log');
    const tree = new MerkleTree();
    for (const line of lines) tree.append(leafHash(line));
    const key = parseVerifierKey((await admin.get<string>('/v1/audit/key')).trim());
    const note = parseNote(await admin.get<string>('/v1/audit/checkpoint'));
    const { size, root } = parseCheckpoint(note.text);
    hold(isSignedBy(note, key), "the checkpoint to be signed by the log's key");
    hold(
      size === tree.size && tree.root().equals(root),
      "the export to have the checkpoint's root",
    );
    fact(`${size} records have the Merkle root of the signed checkpoint:`);
    for (const line of note.text.trimEnd().split('\n')) fact(`  ${line}`);
  });

  await step('Bursar sells too: a gateway before an API without payments', async () => {
    const gateway = await startSandboxGateway(stack, logger);
    onStop(() => gateway.stop());
    const buyer = await admin.post<{ token: string }>('/v1/grants', {
      holder: 'buyer',
      budget: '0.05',
      ttlSeconds: 600,
    });
    const url = `${gateway.url}/data/9`;
    const terms = await meet402(url);
    fact(`GET ${url} -> 402, asks ${describeOffer(terms)}`);
    const { status, body } = await new Api(service.url, buyer.token).pay<{
      header: { name: string; value: string };
    }>(url, terms, 'page-9');
    hold(status === 201, `a signed payment, not ${status}: ${JSON.stringify(body)}`);
    const headers = { [body.header.name]: body.header.value };
    const first = await fetch(url, { headers });
    const text = await first.text();
    hold(first.status === 200, `the gateway to answer 200, not ${first.status}: ${text}`);
    fact(`the same with the payment -> 200 ${text.slice(0, 100)}`);
    const copy = await fetch(url, { headers });
    hold((await copy.text()) === text, 'a copy of the request to get the same answer');
    const { items } = await admin.get<{ items: Json[] }>('/v1/gateway/sales');
    hold(items.length === 1, `one sale, not ${items.length}`);
    fact('a copy of the paid request got the same answer, and is no second sale');
  });

  say(`
What it cost: 0.02 USDC, the first paid in ${transaction}.
What was refused: ${refused.map(({ what, refusal }) => `${what} (${refusal.code})`).join(', ')}.
`);
}

/** Compares the ledger with the chain: what was spent, what every wallet holds, what is held back. */
async function compareWithChain(
  { chain, seller, service }: Stack,
  admin: Api,
  spent: bigint,
): Promise<void> {
  const { items } = await admin.get<{
    items: { address: `0x${string}`; asset: string; balance: string; reserved: string }[];
  }>('/v1/wallets');
  const wallets = items.filter(({ asset }) => asset === chain.token.address);
  let held = 0n;
  for (const { address, balance, reserved } of wallets) {
    const onChain = await chain.usdcBalance(address);
    hold(
      onChain === parseUnits(balance, 6),
      `wallet ${address} to hold ${balance} on chain, not ${formatUnits(onChain, 6)}`,
    );
    hold(reserved === '0.00', `nothing to be reserved on wallet ${address}, not ${reserved}`);
    held += onChain;
  }
  const funds = WALLET_FUNDS * BigInt(service.walletAddresses.length);
  const earned = await chain.usdcBalance(seller.payTo);
  hold(held + spent === funds, `the wallets to hold ${funds - spent}, not ${held} (atomic units)`);
  hold(earned === spent, `the seller to have earned ${spent}, not ${earned} (atomic units)`);
  const { items: grants } = await admin.get<{ items: Grant[] }>('/v1/grants');
  for (const grant of grants) {
    hold(grant.spent === '0.01', `grant ${grant.holder} to have spent 0.01, not ${grant.spent}`);
    hold(grant.reserved === '0.00', `nothing reserved on ${grant.holder}, not ${grant.reserved}`);
    fact(`${grant.holder.padEnd(13)} spent ${grant.spent} of ${grant.budget} USDC`);
  }
  fact(`wallets hold ${formatUnits(held, 6)}, the seller earned ${formatUnits(earned, 6)} USDC`);
}

/** Waits for a condition, asking again and again, within a bound. */
async function until<T>(what: string, probe: () => Promise<T | undefined>): Promise<T> {
  const giveUpAt = Date.now() + SETTLE_TIMEOUT_MS;
  while (Date.now() < giveUpAt) {
    const found = await probe();
    if (found !== undefined) return found;
    await delay(POLL_MS, undefined, { signal });
  }
  throw new Error(`waited ${SETTLE_TIMEOUT_MS / 1000} s for ${what}`);
}

const HELP = `npm run demo

The main job, end to end: the service, a local chain with a test token, a paid API, and two agents that pay it within
their grants. Says what happens at every step, and exits 0 only if each held. Takes no options.
`;

const startedAt = Date.now();
await runUntilSignalled('demo', async (onStop, stopped) => {
  signal = stopped;
  const { values } = parseOptions(
    { options: { help: { type: 'boolean', short: 'h' } } },
    'npm run demo -- --help',
  );
  if (values.help) {
    process.stdout.write(HELP);
    return 'done';
  }
  say('Bursar, end to end. Everything here is real and local; the money is a test token.\n');
  try {
    const logger = createLogger(
      'error',
      pino.destination({ dest: 2, sync: true }),
      process.stderr.isTTY === true,
    );
    const stack = await startStack({
      logger,
      progress: (what) => {
        stopped.throwIfAborted();
        say(`   starting ${what}`);
      },
    });
    onStop(() => stack.stop());
    await main(stack, logger, onStop);
  } catch (error) {
    throw new Error(`${current} failed: ${error instanceof Error ? error.message : error}`);
  }
  say(`Every step held. ${((Date.now() - startedAt) / 1000).toFixed(1)} s.`);
  return 'done';
});
