import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';
import { Redis } from 'ioredis';
import { environmentOf, startTestStack, type TestStack } from './support/bursar.js';
import { build, killPrograms, type Program, startProgram } from './support/program.js';
import { isSigned, type Receiver, startReceiver } from './support/receiver.js';
import { hasRedis, type OwnRedis, startRedis } from './support/redis.js';
import { until } from './support/until.js';

jest.setTimeout(240_000);

(hasRedis() ? describe : describe.skip)('webhooks while things break', () => {
  let redis: OwnRedis;
  let stack: TestStack;
  let receiver: Receiver;
  let webhookId: string;
  let secret: string;

  beforeAll(async () => {
    await build();
    redis = await startRedis();
    stack = await startTestStack({
      redisUrl: redis.url,
      environment: { BURSAR_ROLE: 'api', BURSAR_WEBHOOK_ALLOW: '127.0.0.1' },
    });
  }, 400_000);
  afterAll(async () => {
    await stack?.stop();
    await redis?.stop();
  });
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(async () => {
    await stack.admin.call('DELETE', `/v1/webhooks/${webhookId}`);
    await killPrograms();
    await receiver.stop();
  });

  async function worker(): Promise<Program> {
    const program = startProgram({
      ...environmentOf(stack),
      BURSAR_ROLE: 'worker',
      REDIS_URL: redis.url,
      BURSAR_WEBHOOK_ALLOW: '127.0.0.1',
    });
    await program.ready();
    return program;
  }

  async function register(): Promise<void> {
    await until('every event is sealed', async () => {
      const { rows } = await stack.db.query('SELECT FROM unsealed_events');
      return rows.length === 0;
    });
    const body = { url: receiver.url, kinds: ['grant.minted'] };
    const made = await stack.admin.post<{ webhook: { id: string }; secret: string }>(
      '/v1/webhooks',
      body,
    );
    expect(made.status).toBe(201);
    ({ secret } = made.body);
    webhookId = made.body.webhook.id;
  }

  async function mint(first: number, last: number): Promise<void> {
    for (let n = first; n <= last; n += 1) {
      await stack.admin.mint({ budget: '0.01', holder: `h${n}` });
    }
  }

  /** Events in the order in which they came first. */
  const firsts = () => [
    ...new Set(
      receiver.received.map(
        ({ body }) => (body.data as unknown as { data: { holder: string } }).data.holder,
      ),
    ),
  ];
  const names = (last: number) => Array.from({ length: last }, (_, n) => `h${n + 1}`);

  it('a worker that is killed in a delivery: another one sends it again, and all that follows, in order', async () => {
    const killed = await worker();
    await register();
    receiver.answer = (response) => {
      if (receiver.received.length !== 3) response.end();
    };
    await mint(1, 8);
    await until('the third is under way', () => receiver.received.length === 3);
    killed.signal('SIGKILL');
    await killed.exited;
    receiver.answer = (response) => void response.end();
    await worker();
    await until('all of them', () => firsts().length >= 8, 120_000);
    expect(firsts()).toEqual(names(8));
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(ids.slice(2, 4)).toEqual([ids[2], ids[2]]);
    expect(receiver.received.every((each) => isSigned(each, secret))).toBe(true);
  });

  it('Redis is wiped again and again: every event still arrives, in order', async () => {
    await Promise.all([worker(), worker()]);
    await register();
    const client = new Redis(redis.url);
    for (let round = 0; round < 4; round += 1) {
      await mint(round * 5 + 1, round * 5 + 5);
      await client.flushall();
    }
    client.disconnect();
    await until('all of them', () => firsts().length >= 20, 120_000);
    expect(firsts()).toEqual(names(20));
  });
});
