import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { loadConfig } from '../src/config/config.js';
import { PROBLEM_STATUS } from '../src/http/problem.js';
import { EVENT_GUIDE } from '../src/ledger/event-guide.js';
import { createLogger } from '../src/ops/logger.js';
import { JOBS, QUEUES } from '../src/outbox/jobs.js';
import { startService } from '../src/service.js';
import { Api, expectProblem, type Minted } from './support/api.js';
import { environmentOf, startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { openStream } from './support/event-stream.js';
import { metricsOf } from './support/metrics.js';
import { startReceiver } from './support/receiver.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** Requests at once: many times the connections that reads have. */
const FLOOD = 150;

let stack: TestStack;
let agent: Minted;

beforeAll(async () => {
  stack = await startTestStack();
  agent = await stack.admin.mint({ budget: '100.00', delegationDepth: 1 });
}, 60_000);

afterAll(async () => {
  await stack?.stop();
});

/** Keeps a table from everybody while something happens. */
async function withLocked(table: string, work: (blocker: pg.PoolClient) => Promise<void>) {
  const client = await stack.db.connect();
  try {
    await client.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
    await work(client);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

/**
 * Counts the statements that wait for a table. On a connection of its own: inside a transaction Postgres shows the
 * activity as it was when it was first asked.
 *
 * @param statement - a part of their text.
 */
async function waiting(table: string, statement = ''): Promise<number> {
  const { rows } = await stack.db.query<{ count: number }>(
    `SELECT count(DISTINCT l.pid)::int AS count FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.relation = '${table}'::regclass AND NOT l.granted AND position($1 IN a.query) > 0`,
    [statement],
  );
  return rows[0]?.count ?? 0;
}

describe('the metrics', () => {
  it('are served on a listener of their own, never on the port of the API', async () => {
    expectProblem(await stack.admin.get('/metrics'), 404, 'not_found');
    const { metricsUrl = '' } = stack.service;
    expect(new URL(metricsUrl).hostname).toBe('127.0.0.1');
    expect(new URL(metricsUrl).port).not.toBe(new URL(stack.service.url).port);
    const answer = await fetch(metricsUrl);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await answer.text()).toContain('bursar_network_ready');
    for (const path of ['/', '/v1/grants', '/healthz', '/metrics/more']) {
      expect((await fetch(new URL(path, metricsUrl))).status).toBe(404);
    }
    expect((await fetch(metricsUrl, { method: 'POST' })).status).toBe(405);
  });

  it('are served where they are told to be, or nowhere', async () => {
    const start = (metrics: string) =>
      startService(
        loadConfig({
          ...environmentOf(stack),
          PORT: '0',
          BURSAR_ROLE: 'api',
          BURSAR_METRICS_PORT: metrics,
        }),
        createLogger('silent'),
      );
    const { port } = new URL(stack.service.metricsUrl ?? '');
    await expect(start(port)).rejects.toThrow(
      `port ${port} on 127.0.0.1 is in use; set BURSAR_METRICS_PORT to a free one, or to off`,
    );
    const silent = await start('off');
    try {
      expect(silent.metricsUrl).toBeUndefined();
    } finally {
      await silent.stop();
    }
  });

  it('are read once for all scrapers, who take no connection that payments need', async () => {
    await withLocked('gas_transactions', async (blocker) => {
      const scraping: Promise<string>[] = [];
      await until('the metrics are being read', async () => {
        scraping.push(metricsOf(stack.service));
        return (await waiting('gas_transactions', 'AS overdue')) > 0;
      });
      scraping.push(...Array.from({ length: 60 }, () => metricsOf(stack.service)));
      for (let n = 0; n < 10; n += 1) {
        await stack.admin.as(agent.token).paid(order(stack.chain));
      }
      expect(await waiting('gas_transactions', 'AS overdue')).toBeLessThanOrEqual(1);
      await blocker.query('COMMIT');
      expect(new Set(await Promise.all(scraping.slice(-60))).size).toBe(1);
    });
  }, 60_000);

  it('count payments by outcome, and times of answers by route and not by path', async () => {
    const holder = stack.admin.as(agent.token);
    const poor = await holder.mint({ budget: '0.01' });
    const key = randomUUID();
    await holder.paid(order(stack.chain), key);
    await holder.paid(order(stack.chain), key);
    await holder.as(poor.token).paid(order(stack.chain));
    expect((await holder.as(poor.token).pay(order(stack.chain))).status).toBe(403);
    for (let n = 0; n < 20; n += 1) {
      await holder.get(`/v1/payments/pay_nobody${n}`);
      await holder.get(`/nowhere/${n}`);
      await holder.call(`GET`, `/v1/grants/${n}?secret=${n}`);
    }
    const text = await until('they are counted', async () => {
      const read = await metricsOf(stack.service);
      return read.includes('outcome="budget_exceeded"') && read.includes('route="none"')
        ? read
        : undefined;
    });
    expect(text).toMatch(/^bursar_payments_total\{outcome="paid"\} \d+$/m);
    expect(text).toMatch(/^bursar_payments_total\{outcome="replayed"\} 1$/m);
    expect(text).toMatch(/^bursar_payments_total\{outcome="budget_exceeded"\} 1$/m);
    const routes = new Set([...text.matchAll(/route="([^"]*)"/g)].map(([, route]) => route));
    expect(routes).toContain('/v1/payments');
    expect(routes).toContain('/v1/payments/:id');
    expect(
      [...routes].filter((route) => /nowhere|nobody|secret|\d/.test(route?.slice(3) ?? '')),
    ).toEqual([]);
  });
});

/** Labels of Bursar's own series: `name="value"` of each. */
function labelsOf(text: string): { series: string; label: string; value: string }[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('bursar_'))
    .flatMap((series) =>
      [...series.matchAll(/[{,](\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', value = '']) => ({
        series,
        label,
        value,
      })),
    );
}

/** Every value that a label may have. A label that is not in here may grow without a bound. */
async function boundedValues(): Promise<Readonly<Record<string, readonly string[]>>> {
  const column = async (sql: string) =>
    (await stack.db.query<{ value: string }>(sql)).rows.map(({ value }) => value);
  const document = await (await fetch(`${stack.service.url}/openapi.json`)).json();
  const paths = Object.keys((document as { paths: object }).paths);
  const { version } = JSON.parse(
    await readFile(new URL('../package.json', import.meta.url), 'utf8'),
  );
  const text = await metricsOf(stack.service);
  return {
    // Operators set these up: admins make treasuries, the configuration names the rest.
    treasury: await column('SELECT name AS value FROM treasuries'),
    wallet: await column('SELECT address AS value FROM wallets'),
    network: [stack.chain.network],
    asset: [stack.chain.token.address],
    currency: ['USDC'],
    // One of each network.
    account: [/bursar_gas_balance\{[^}]*account="([^"]*)"/.exec(text)?.[1] ?? ''],
    version: [version],
    // The program knows these by name.
    condition: ['contradiction', 'quorum', 'code'],
    queue: QUEUES,
    job: Object.keys(JOBS),
    kind: Object.keys(EVENT_GUIDE),
    outcome: [
      ...Object.keys(PROBLEM_STATUS),
      ...['paid', 'pending', 'replayed', 'turned_away'],
      ...['delivered', 'failed', 'refused'],
    ],
    status: ['1xx', '2xx', '3xx', '4xx', '5xx', 'active', 'draining', 'paused'],
    state: ['waiting', 'active', 'delayed', 'failed', 'retrying', 'paused', 'dead'],
    what: ['payment', 'raise'],
    reason: ['client', 'slow', 'token', 'drain', 'failed'],
    bound: ['caller', 'tree', 'process'],
    method: ['any', 'GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS'],
    route: [...paths.map((path) => path.replace(/\{(\w+)\}/g, ':$1')), '/openapi.json', 'none'],
    le: ['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10', '+Inf'],
  };
}

describe('the labels of the metrics', () => {
  it('have values that no caller makes, whatever grants, holders, hosts and webhooks there are', async () => {
    const { admin, chain } = stack;
    const receiver = await startReceiver();
    try {
      for (const name of ['one', 'two', 'three']) {
        const terms = { holder: `holder-${name}`, labels: { task: `task-${name}` } };
        const minted = await admin.mint({ ...terms, budget: '0.02', approvalAbove: '0.01' });
        const holder = admin.as(minted.token);
        const url = `https://host-${name}.example/page`;
        await holder.paid(order(chain, {}, { url }), `key-${name}`);
        expect((await holder.pay(order(chain, { amount: '30000' }, { url }))).status).toBe(403);
        expect((await holder.pay(order(chain, { amount: '10000' }, { url }))).status).toBe(201);
        await holder.post('/v1/grant-requests', { budget: '1.00', reason: `reason-${name}` });
        for (const url of [receiver.url, `http://127.0.0.1:9/${name}`]) {
          const body = { url, kinds: ['*'], description: `hook-${name}` };
          const made = await admin.post<{ webhook: { id: string } }>('/v1/webhooks', body);
          await admin.post(`/v1/webhooks/${made.body.webhook.id}/test`);
        }
        await admin.post(`/v1/grants/${minted.grant.id}/suspend`, { reason: `because-${name}` });
        const stream = await openStream(stack.service.url, minted.token);
        stream.close();
        await holder.get(`/v1/payments/pay_${name}`);
        await holder.call(name === 'one' ? 'PURGE' : 'PUT', `/nowhere/${name}`);
      }
      await admin.post('/v1/treasuries', { name: 'second' });
      const text = await until('all of it is counted', async () => {
        const read = await metricsOf(stack.service);
        const isThere = [
          'bursar_webhook_attempts_total{outcome="delivered"}',
          'bursar_webhook_deliveries{treasury="main",state="retrying"}',
          'bursar_event_streams_ended_total{reason="client"} 3',
          'bursar_events_sealed_total{kind="grant.suspended"}',
          'bursar_treasury_suspended{treasury="second"}',
          'route="/v1/grant-requests"',
        ].every((part) => read.includes(part));
        return isThere ? read : undefined;
      });
      const bounded = await boundedValues();
      const found = labelsOf(text);
      expect(found.length).toBeGreaterThan(100);
      expect(found.filter(({ label, value }) => bounded[label]?.includes(value) !== true)).toEqual(
        [],
      );
    } finally {
      for (const { id } of await admin.all<{ id: string }>('/v1/webhooks')) {
        await admin.call('DELETE', `/v1/webhooks/${id}`);
      }
      await receiver.stop();
    }
  }, 60_000);
});

describe('a flood of reads', () => {
  it('takes no connection that payments, revocations and readiness need', async () => {
    const replica = await startReplica(stack);
    try {
      const admin = new Api(replica.url, stack.admin.token);
      const holder = admin.as(agent.token);
      // Read by no payment: whoever reads it waits for as long as the lock is held.
      await withLocked('log_checkpoints', async (blocker) => {
        const reads = Array.from({ length: FLOOD }, () => admin.get('/v1/audit/checkpoint'));
        await until(
          'reads have all connections they may have',
          async () => (await waiting('log_checkpoints')) >= 3,
        );
        const began = performance.now();
        for (let n = 0; n < 4; n += 1) await holder.paid(order(stack.chain));
        expect((await admin.as(undefined).get('/readyz')).status).toBe(200);
        const child = await holder.mint({ budget: '0.01' });
        const revoked = await admin.post(`/v1/grants/${child.grant.id}/revoke`, { reason: 'test' });
        expect(revoked.status).toBe(200);
        expect(performance.now() - began).toBeLessThan(4_500);
        await blocker.query('COMMIT');
        await Promise.all(reads);
      });
    } finally {
      await replica.stop();
    }
  }, 60_000);
});
