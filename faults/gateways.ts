// Two gateways on the stack's database, the API that they sell, and somebody who buys of them.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { x402Client, x402HTTPClient } from '@x402/core/client';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { spawnProgram } from '../bench/service.js';
import type { Chain } from '../sandbox/chain.js';
import type { Facilitator } from '../sandbox/facilitator.js';
import { type HttpService, serve } from '../sandbox/ports.js';
import { pickPort } from './servers.js';
import { allReady, type Supervised, supervise } from './supervised.js';

const START_TIMEOUT_MS = 60_000;

/** How long the API behind takes for an answer, in milliseconds: long enough for a fault to come in between. */
const CALL_MS = 300;

/** How long a buyer asks with one payment, in milliseconds, and how long it waits in between. */
const PATIENCE_MS = 90_000;
const AGAIN_MS = 200;

/** Balance of the buyer, in atomic units. */
const FUNDS = 10n ** 13n;

/** End of one purchase. */
export interface Bought {
  readonly path: string;
  readonly status: number;
  readonly body: string;
}

/** Two replicas and what is around them. */
export interface Gateways {
  readonly replicas: readonly [Supervised, Supervised];
  /** How often the API was called for a path. */
  calls(path: string): number;
  /**
   * Pays for a path once, and asks with that payment until the answer is final.
   *
   * @param first - the replica that is asked first; then they take turns.
   * @throws Error when no answer was final in time.
   */
  buy(path: string, first: number): Promise<Bought>;
  /** Asks once more with the payment that a path was bought with. */
  again(path: string, replica: number): Promise<Bought>;
}

/** Settings of the gateways. */
export interface GatewaysOptions {
  readonly chain: Chain;
  readonly facilitator: Facilitator;
  readonly payTo: string;
  readonly directory: string;
  readonly postgresPort: number;
  readonly environment: (databasePort: number) => Readonly<Record<string, string>>;
  readonly onStop: (close: () => Promise<unknown>) => void;
}

/** Starts them, and waits until they sell. */
export async function startGateways(options: GatewaysOptions): Promise<Gateways> {
  const { chain, onStop } = options;
  const called = new Map<string, number>();
  const api = await startApi(called);
  onStop(() => api.stop());
  const replicas = [
    await startReplica(options, api.url, 1),
    await startReplica(options, api.url, 2),
  ] as const;
  await allReady(replicas, START_TIMEOUT_MS);
  const account = privateKeyToAccount(generatePrivateKey());
  await chain.mintUsdc(account.address, FUNDS);
  const client = new x402HTTPClient(
    new x402Client().register('eip155:*', new ExactEvmScheme(account)).setSpendControls(false),
  );
  const payments = new Map<string, string>();

  const ask = async (path: string, replica: number): Promise<Response | undefined> => {
    const payment = payments.get(path);
    const headers = payment === undefined ? {} : { 'payment-signature': payment };
    const url = `${(replicas[replica % 2] ?? replicas[0]).url}${path}`;
    return fetch(url, { headers, signal: AbortSignal.timeout(60_000) }).catch(() => undefined);
  };
  const insist = async (
    path: string,
    first: number,
    isFinal: (answer: Response) => boolean,
  ): Promise<Response> => {
    const giveUpAt = performance.now() + PATIENCE_MS;
    for (let attempt = 0; performance.now() < giveUpAt; attempt += 1) {
      const answer = await ask(path, first + attempt);
      if (answer && isFinal(answer)) return answer;
      await answer?.arrayBuffer().catch(() => {});
      await delay(AGAIN_MS);
    }
    throw new Error(`${path}: no answer was final in ${PATIENCE_MS / 1_000} s`);
  };
  const isNotNow = ({ status }: Response) => status === 503 || status === 429;
  const bought = async (path: string, first: number): Promise<Bought> => {
    for (;;) {
      const answer = await insist(path, first, (each) => !isNotNow(each));
      const body = await answer.text().catch(() => undefined);
      // An answer that was cut off is asked for again, with the same payment.
      if (body !== undefined) return { path, status: answer.status, body };
    }
  };
  return {
    replicas,
    calls: (path) => called.get(path) ?? 0,
    async buy(path, first) {
      const asked = await insist(path, first, ({ status }) => status === 402);
      const terms = client.getPaymentRequiredResponse((name) => asked.headers.get(name));
      await asked.arrayBuffer();
      // The replicas are one shop: which of them was asked is no part of the terms.
      const { resource: _, ...payload } = await client.createPaymentPayload(terms);
      payments.set(path, Buffer.from(JSON.stringify(payload)).toString('base64'));
      return bought(path, first);
    },
    again: bought,
  };
}

function startApi(called: Map<string, number>): Promise<HttpService> {
  return serve((request, response) => {
    const path = request.url ?? '';
    const count = (called.get(path) ?? 0) + 1;
    called.set(path, count);
    setTimeout(() => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ path, call: count, at: Date.now() }));
    }, CALL_MS);
  });
}

async function startReplica(
  { chain, facilitator, payTo, directory, postgresPort, environment, onStop }: GatewaysOptions,
  upstream: string,
  place: number,
): Promise<Supervised> {
  const own = join(directory, `gateway-${place}`);
  await mkdir(own, { recursive: true });
  const get = (operationId: string) => ({
    get: { operationId, responses: { 200: { description: 'ok' } } },
  });
  const document = {
    openapi: '3.1.0',
    info: { title: 'Data', version: '1' },
    paths: {
      '/after/{id}': get('after'),
      '/before/{id}': get('before'),
      '/stream/{id}': get('stream'),
    },
  };
  await writeFile(join(own, 'openapi.json'), JSON.stringify(document));
  const port = await pickPort();
  const file = join(own, 'gateway.yaml');
  await writeFile(
    file,
    JSON.stringify({
      openapi: './openapi.json',
      upstream,
      network: chain.network,
      payTo,
      facilitator: facilitator.url,
      price: '0.01',
      operations: { before: { settle: 'before' }, stream: { settle: 'first_byte' } },
      timeoutSeconds: 5,
      settleSeconds: 10,
      port,
    }),
  );
  const replica = await supervise({
    name: `gateway ${place}`,
    url: `http://127.0.0.1:${port}`,
    readyPath: '/healthz',
    log: join(directory, `gateway-${place}.log`),
    postgresPort,
    environment,
    spawn: (variables, log) => spawnProgram(['cli.js', 'gateway', file], variables, log),
  });
  onStop(() => replica.stop());
  return replica;
}
