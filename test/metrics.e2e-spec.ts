import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { loadConfig } from '../src/config/config.js';
import { createLogger } from '../src/ops/logger.js';
import { startService } from '../src/service.js';
import { Api, expectProblem, type Minted } from './support/api.js';
import { environmentOf, startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { metricsOf } from './support/metrics.js';
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
