import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadConfig } from '../src/config/config.js';
import { createLogger } from '../src/ops/logger.js';
import { type Service, startService } from '../src/service.js';
import { Api, expectProblem, type Paid } from './support/api.js';
import { STACK_MNEMONIC, startTestStack, type TestStack } from './support/bursar.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** Nothing listens on the discard port. */
const NOBODY = '127.0.0.1:9';

let stack: TestStack;
let agent: Api;
const replicas: Service[] = [];

beforeAll(async () => {
  stack = await startTestStack();
  const { token } = await stack.admin.mint({ budget: '10.00' });
  agent = stack.admin.as(token);
}, 60_000);

afterAll(async () => {
  for (const replica of replicas) await replica.stop();
  await stack?.stop();
});

/** One more API process on the stack's database, with another environment. */
async function replica(environment: Record<string, string>): Promise<Service> {
  const { chain, dataDir, databaseUrl } = stack;
  const service = await startService(
    loadConfig({
      PORT: '0',
      BURSAR_METRICS_PORT: 'off',
      BURSAR_ROLE: 'api',
      DATABASE_URL: databaseUrl,
      BURSAR_DATA_DIR: dataDir,
      BURSAR_WALLET_MNEMONIC: STACK_MNEMONIC,
      BURSAR_NETWORKS: networks(chain.rpcUrl),
      ...environment,
    }),
    createLogger('silent'),
  );
  replicas.push(service);
  return service;
}

const networks = (rpcUrl: string) =>
  JSON.stringify([{ network: stack.chain.network, rpcUrls: [rpcUrl], finality: { blocks: 2 } }]);

/** The same agent, at another process. */
const at = (service: Service) => new Api(service.url, agent.token);

describe('a retry at a process whose chain is silent', () => {
  it('gets the header it would have got, and a new payment none', async () => {
    const body = order(stack.chain);
    const first = await agent.paid(body, 'lost-answer');
    const blind = await replica({ BURSAR_NETWORKS: networks(`http://${NOBODY}`) });

    // A busy database may say 503 as well, for a moment.
    const retried = await until('the retry is answered', async () => {
      const answer = await at(blind).pay<Paid>(body, 'lost-answer');
      return answer.status === 201 && answer;
    });
    expect(retried.headers.get('idempotent-replayed')).toBe('true');
    expect(retried.body.header).toEqual(first.header);
    expectProblem(await at(blind).pay(body), 503, 'unavailable');
  });
});

describe('a process with keys for fewer wallets', () => {
  it('pays from those alone, whichever tree asks', async () => {
    const poor = await replica({ BURSAR_WALLET_COUNT: '1' });
    const wallets = new Set<string>();
    // Each root prefers one of the four wallets: with eight, some would prefer a wallet without a key.
    for (let tree = 0; tree < 8; tree += 1) {
      const { token } = await stack.admin.mint({ budget: '1.00' });
      const paid = await at(poor).as(token).paid(order(stack.chain));
      wallets.add(paid.payment.wallet);
    }
    expect([...wallets]).toEqual([poor.walletAddresses[0]]);
  });
});

describe('a worker', () => {
  it('answers for its health and not for the API', async () => {
    const worker = await replica({ BURSAR_ROLE: 'worker' });
    expect((await fetch(`${worker.url}/healthz`)).status).toBe(200);
    expectProblem(await at(worker).get('/v1/grants/self'), 404, 'not_found');
    expectProblem(await at(worker).pay(order(stack.chain)), 404, 'not_found');
  });
});

describe('a Redis that is not there', () => {
  const REDIS_URL = `redis://${NOBODY}`;

  it('stops the start of a worker with one line that names the variable', async () => {
    const start = replica({ REDIS_URL, BURSAR_ROLE: 'worker' });
    await expect(start).rejects.toThrow(/^REDIS_URL: Redis does not answer \(.+\); start it/);
  });

  it('keeps no API from starting and paying', async () => {
    const api = await replica({ REDIS_URL, BURSAR_ROLE: 'api' });
    await at(api).paid(order(stack.chain));
  });
});
