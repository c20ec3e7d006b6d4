import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { x402Client, x402HTTPClient } from '@x402/core/client';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import pg from 'pg';
import { generatePrivateKey, type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { type Chain, startChain } from '../../sandbox/chain.js';
import { type Facilitator, startFacilitator } from '../../sandbox/facilitator.js';
import { loadConfig } from '../../src/config/config.js';
import { Database } from '../../src/database/database.js';
import { type Gateway, startGateway } from '../../src/gateway/start-gateway.js';
import { createLogger } from '../../src/ops/logger.js';
import { readSecrets } from '../../src/secrets.js';
import { STACK_MNEMONIC } from './bursar.js';
import { createTestDatabase, type TestDatabase } from './database.js';

/** A request that reached the upstream. */
export interface Call {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A real API behind the gateway, which remembers every call. */
export interface UpstreamApi {
  readonly url: string;
  readonly calls: Call[];
  /** Answers from now on; by default 200 with `{ "call": n, "url": ... }`. */
  answer: (call: Call, response: ServerResponse) => void | Promise<void>;
  stop(): Promise<void>;
}

/** Starts an upstream on a free port of 127.0.0.1. */
export async function startUpstream(): Promise<UpstreamApi> {
  const calls: Call[] = [];
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { method = '', url = '', headers } = request;
    const call = { method, url, headers, body: Buffer.concat(parts).toString('utf8') };
    calls.push(call);
    await api.answer(call, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const api: UpstreamApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    answer: ({ url }, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({ call: calls.length, url, random: randomBytes(8).toString('hex') }),
      );
    },
    async stop() {
      server.closeAllConnections();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
  return api;
}

/** The document of the test's API. */
export const THINGS = {
  openapi: '3.1.0',
  info: { title: 'Things', version: '1' },
  paths: {
    '/things': {
      get: {
        operationId: 'listThings',
        parameters: [{ name: 'page', in: 'query', schema: { type: 'integer' } }],
        responses: { 200: { description: 'ok' } },
      },
      post: {
        operationId: 'addThing',
        requestBody: { content: { 'application/json': { schema: { type: 'object' } } } },
        responses: { 201: { description: 'made' } },
      },
    },
    '/things/{id}': {
      get: {
        operationId: 'getThing',
        summary: 'One thing — “with” ünïcode',
        responses: { 200: { description: 'ok' } },
      },
    },
    '/report': { get: { operationId: 'getReport', responses: { 200: { description: 'ok' } } } },
    '/free': { get: { operationId: 'getFree', responses: { 200: { description: 'ok' } } } },
    '/hidden': { get: { operationId: 'hidden', responses: { 200: { description: 'ok' } } } },
  },
};

/** Everything a gateway needs, all real: a chain, a database, an upstream, a facilitator. */
export interface GatewayStack {
  readonly chain: Chain;
  readonly db: pg.Pool;
  readonly databaseUrl: string;
  readonly upstream: UpstreamApi;
  readonly facilitator: Facilitator;
  readonly payTo: `0x${string}`;
  readonly directory: string;
  readonly environment: Record<string, string>;
  /** Writes a gateway's file. @param more - members over the usual ones. */
  write(more?: object, document?: object): Promise<string>;
  /** Starts a gateway in this process. @param path - a file; one that {@link write} makes, where it is left out. */
  start(more?: object, path?: string): Promise<Gateway>;
  /** A payer with a million test USDC, and the published v2 client. */
  payer(): Promise<Payer>;
  /** The payee's balance, in atomic units. */
  income(): Promise<bigint>;
  stop(): Promise<void>;
}

/** Somebody who buys. */
export interface Payer {
  readonly account: PrivateKeyAccount;
  readonly fetch: typeof fetch;
}

/** Starts the stack. Every gateway that it started ends with it. */
export async function startGatewayStack(): Promise<GatewayStack> {
  const [chain, database, upstream, directory] = await Promise.all([
    startChain({ blockTimeSeconds: 0.5 }),
    createTestDatabase(),
    startUpstream(),
    mkdtemp(join(tmpdir(), 'bursar-gateway-')),
  ]);
  const [facilitatorAccount, seller, selfAccount] = chain.accounts;
  if (!facilitatorAccount || !seller || !selfAccount) throw new Error('the chain has no accounts');
  const facilitator = await startFacilitator({
    rpcUrl: chain.rpcUrl,
    privateKey: facilitatorAccount.privateKey,
  });
  const environment = {
    DATABASE_URL: database.url,
    BURSAR_DATA_DIR: directory,
    BURSAR_WALLET_MNEMONIC: STACK_MNEMONIC,
    BURSAR_MASTER_SECRET: 'a secret of the tests that is long enough',
    BURSAR_FACILITATOR_KEY: selfAccount.privateKey,
    BURSAR_NETWORKS: JSON.stringify([
      { network: chain.network, rpcUrls: [chain.rpcUrl], finality: { blocks: 2 }, pollMs: 500 },
    ]),
  };
  const db = new pg.Pool({ connectionString: database.url, max: 3 });
  const opened: (() => Promise<unknown>)[] = [];
  const write = async (more: object = {}, document: object = THINGS): Promise<string> => {
    const name = randomBytes(4).toString('hex');
    await writeFile(join(directory, `${name}.json`), JSON.stringify(document));
    const path = join(directory, `${name}.yaml`);
    await writeFile(path, JSON.stringify({ ...fileOf(`./${name}.json`), ...more }, null, 2));
    return path;
  };
  const fileOf = (openapi: string) => ({
    openapi,
    upstream: upstream.url,
    network: chain.network,
    payTo: seller.address,
    facilitator: facilitator.url,
    price: '0.01',
    operations: { getFree: { free: true }, getReport: { price: '0.25', settle: 'before' } },
    port: 0,
    settleSeconds: 10,
    timeoutSeconds: 5,
  });
  return {
    chain,
    db,
    databaseUrl: database.url,
    upstream,
    facilitator,
    payTo: seller.address,
    directory,
    environment,
    write,
    async start(more, path) {
      const own = new Database(database.url, { maxConnections: 4 });
      const config = loadConfig(environment);
      const gateway = await startGateway(path ?? (await write(more)), {
        config,
        secrets: await readSecrets(config),
        database: own,
        logger: createLogger('silent'),
        environment: {},
      });
      const stop = async () => {
        await gateway.stop();
        await own.close();
      };
      opened.push(stop);
      return { ...gateway, stop };
    },
    async payer() {
      const account = privateKeyToAccount(generatePrivateKey());
      await chain.mintUsdc(account.address, 1_000_000_000_000n);
      return {
        account,
        fetch: wrapFetchWithPaymentFromConfig(fetch, {
          schemes: [{ network: chain.network, client: new ExactEvmScheme(account) }],
        }) as typeof fetch,
      };
    },
    income: () => chain.usdcBalance(seller.address),
    async stop() {
      await Promise.all(opened.map((close) => close()));
      await db.end();
      await facilitator.stop();
      await Promise.all([upstream.stop(), chain.stop()]);
      await dropWhenFree(database);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function dropWhenFree(database: TestDatabase): Promise<void> {
  return database.drop();
}

/** The price that the 402 of a request names, in atomic units. @throws Error when it is answered otherwise. */
export async function priceOf(url: string, init: RequestInit = {}): Promise<string | undefined> {
  const answer = await fetch(url, init);
  if (answer.status !== 402) throw new Error(`${url} was answered ${answer.status}, and not 402`);
  const { accepts } = (await answer.json()) as { accepts: { maxAmountRequired: string }[] };
  return accepts[0]?.maxAmountRequired;
}

/** A signed payment for one request, that can be sent as often as one likes. */
export interface Signed {
  readonly header: string;
  readonly payload: { readonly [member: string]: unknown };
  /** Sends it. */
  send(url?: string, init?: RequestInit): Promise<Response>;
}

/** Asks a gateway for its terms and signs them, without sending the payment. */
export async function signFor(
  { account }: Payer,
  url: string,
  init: RequestInit = {},
  change: (accepted: Record<string, unknown>) => void = () => {},
): Promise<Signed> {
  const client = new x402HTTPClient(
    new x402Client().register('eip155:*', new ExactEvmScheme(account)).setSpendControls(false),
  );
  const answer = await fetch(url, init);
  await answer.arrayBuffer();
  const required = client.getPaymentRequiredResponse((name) => answer.headers.get(name));
  for (const accepted of required.accepts) change(accepted as unknown as Record<string, unknown>);
  const payload = await client.createPaymentPayload(required);
  const header = Buffer.from(JSON.stringify(payload)).toString('base64');
  return {
    header,
    payload: payload as unknown as Signed['payload'],
    send: (to = url, other = init) =>
      fetch(to, {
        ...other,
        headers: { ...(other.headers as Record<string, string>), 'payment-signature': header },
      }),
  };
}

/** The behaviour of a facilitator. */
export type Mood =
  /** Passes them on. */
  | 'well'
  /** Settles, then answers 500. */
  | 'lost'
  /** Settles, and does not answer. */
  | 'held'
  /** Neither settles nor answers. */
  | 'silent'
  /** Answers 500 without doing anything. */
  | 'broken'
  /** Says that the transaction is sent and not mined yet, without doing anything. */
  | 'pending'
  /** Says that there is too little money. */
  | 'refusing';

/** A proxy before a facilitator, which can be told to fail `/settle`. */
export interface MoodyFacilitator {
  readonly url: string;
  mood: Mood;
  /** How many settlements it was asked for. */
  settlements: number;
  stop(): Promise<void>;
}

export async function startMoodyFacilitator(behind: string): Promise<MoodyFacilitator> {
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const isSettle = request.url === '/settle';
    if (isSettle) self.settlements += 1;
    const mood = isSettle ? self.mood : 'well';
    if (mood === 'silent') return;
    response.setHeader('content-type', 'application/json');
    if (mood === 'broken') {
      response.statusCode = 500;
      return void response.end('{"error":"broken"}');
    }
    if (mood === 'refusing' || mood === 'pending') {
      const network = 'eip155:84532';
      return void response.end(
        JSON.stringify({
          success: false,
          errorReason:
            mood === 'pending' ? 'settlement_pending' : 'invalid_exact_evm_insufficient_balance',
          transaction: mood === 'pending' ? `0x${'5'.repeat(64)}` : '',
          network,
        }),
      );
    }
    const answer = await fetch(`${behind}${request.url}`, {
      method: request.method ?? 'GET',
      ...(parts.length > 0
        ? { body: Buffer.concat(parts), headers: { 'content-type': 'application/json' } }
        : {}),
    });
    if (mood === 'held') return;
    response.statusCode = mood === 'lost' ? 500 : answer.status;
    response.end(await answer.text());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const self: MoodyFacilitator = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mood: 'well',
    settlements: 0,
    async stop() {
      server.closeAllConnections();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
  return self;
}
