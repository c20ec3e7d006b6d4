import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it, jest } from '@jest/globals';
import { MIGRATION_LOCK } from '../prisma/migrate.js';
import { environmentOf, startTestStack, type TestStack } from './support/bursar.js';
import { openStream } from './support/event-stream.js';
import { brokenInvariants } from './support/invariants.js';
import { build, killPrograms, type Program, startProgram } from './support/program.js';
import { hasRedis, type OwnRedis, startRedis } from './support/redis.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** Agents that pay without a pause, each on connections that it keeps. */
const CLIENTS = 12;

/** How soon a process must be out. */
const OUT_MS = 15_000;

jest.setTimeout(240_000);

let stack: TestStack;

beforeAll(async () => {
  await build();
  stack = await startTestStack({ environment: { BURSAR_ROLE: 'api' } });
}, 400_000);
afterEach(killPrograms);
afterAll(() => stack?.stop());

function start(environment: Record<string, string> = {}): Program {
  return startProgram({ ...environmentOf(stack), ...environment });
}

/** Ends a process as an orchestrator does. @returns its exit code and how long it took. */
async function terminate(program: Program): Promise<{ code: number | null; ms: number }> {
  const began = performance.now();
  program.signal('SIGTERM');
  const code = await program.exited;
  return { code, ms: performance.now() - began };
}

/** A replica as a load balancer sees it. */
interface Backend {
  readonly url: string;
  readonly agent: Agent;
  isReady: boolean;
  lastReason: string;
}

interface Outcome {
  readonly status: number;
  readonly headerValue: string | undefined;
  readonly closes: boolean;
}

/** Pays on a kept connection. Rejects when the connection breaks, before or after it was sent. */
function pay({ url, agent }: Backend, token: string, body: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'idempotency-key': randomUUID(),
    };
    const sent = request(`${url}/v1/payments`, { method: 'POST', agent, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      answer.on('error', reject).on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          headerValue: JSON.parse(text).header?.value,
          closes: answer.headers.connection === 'close',
        }),
      );
    });
    sent.on('error', reject).end(body);
  });
}

it('SIGTERM of one of two under load drops no request, and the process is out in time', async () => {
  const programs = [start({ BURSAR_DRAIN_SECONDS: '2' }), start({ BURSAR_DRAIN_SECONDS: '2' })];
  const backends: Backend[] = await Promise.all(
    programs.map(async (program) => ({
      url: await program.ready(),
      agent: new Agent({ keepAlive: true }),
      isReady: true,
      lastReason: '',
    })),
  );
  const [leaving, staying] = backends as [Backend, Backend];
  const { token, grant } = await stack.admin.mint({ budget: '1000.00' });
  const body = JSON.stringify(order(stack.chain));
  let isOver = false;

  const balance = async () => {
    while (!isOver) {
      for (const backend of backends) {
        const answer = await fetch(`${backend.url}/readyz`).catch(() => undefined);
        backend.isReady = answer?.status === 200;
        if (answer?.status === 503)
          backend.lastReason = ((await answer.json()) as { detail: string }).detail;
        else await answer?.text();
      }
      await delay(100);
    }
  };
  const outcomes: (Outcome & { by: Backend })[] = [];
  const dropped: unknown[] = [];
  const client = async (n: number) => {
    for (let turn = n; !isOver; turn += 1) {
      const ready = backends.filter(({ isReady }) => isReady);
      const by = ready[turn % ready.length];
      if (!by) throw new Error('no replica is ready');
      await pay(by, token, body).then(
        (outcome) => outcomes.push({ ...outcome, by }),
        (error) => dropped.push(error),
      );
    }
  };
  const load = [balance(), ...Array.from({ length: CLIENTS }, (_, n) => client(n))];
  const paidBy = (backend: Backend) => outcomes.filter(({ by }) => by === backend).length;
  try {
    await until('both are under load', () => backends.every((each) => paidBy(each) > 50));
    const { code, ms } = await terminate(programs[0] as Program);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(OUT_MS);
    const before = paidBy(staying);
    await until('the other goes on', () => paidBy(staying) > before + 50);
  } finally {
    isOver = true;
    await Promise.all(load);
    for (const { agent } of backends) agent.destroy();
  }
  expect(dropped).toEqual([]);
  expect(outcomes.filter(({ status }) => status !== 201)).toEqual([]);
  // It said that it was leaving while it still answered, and asked whoever came to go elsewhere.
  expect(leaving.lastReason).toContain('this process is being stopped');
  expect(outcomes.some(({ by, closes }) => by === leaving && closes)).toBe(true);
  expect(outcomes.some(({ by, closes }) => by === staying && closes)).toBe(false);
  const { rows } = await stack.db.query('SELECT 1 FROM payments WHERE grant_id = $1', [grant.id]);
  expect(rows).toHaveLength(outcomes.length);
  expect(new Set(outcomes.map(({ headerValue }) => headerValue)).size).toBe(outcomes.length);
  expect(await brokenInvariants(stack.db)).toEqual([]);
});

it('SIGTERM hears out a connection that was taken before nothing listens any more', async () => {
  const program = start({ BURSAR_DRAIN_SECONDS: '1', BURSAR_ROLE: 'api' });
  const { hostname, port, host } = new URL(await program.ready());
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  program.signal('SIGTERM');
  await until('nothing listens', async () => {
    const other = connect(Number(port), hostname);
    const refused = await once(other, 'connect').then(
      () => false,
      () => true,
    );
    other.destroy();
    return refused;
  });
  socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const [answer] = await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
  expect(await program.exited).toBe(0);
});

it('SIGTERM ends every open event stream in order, with the time to come back, and the process is out in time', async () => {
  const program = start({ BURSAR_DRAIN_SECONDS: '1' });
  const url = await program.ready();
  const { token } = await stack.admin.mint({ budget: '1.00' });
  const tokens = [stack.admin.token ?? '', token, token];
  const streams = await Promise.all(tokens.map((each) => openStream(url, each)));
  const opened = streams.map(({ retries }) => retries);
  try {
    const { code, ms } = await terminate(program);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(OUT_MS);
    await until('all have ended', () => streams.every(({ ended }) => ended !== undefined));
    expect(streams.map(({ ended }) => ended)).toEqual(tokens.map(() => 'in order'));
    // Another `retry:` than that with which each began.
    expect(streams.map(({ retries }) => retries)).toEqual(opened.map((before) => before + 1));
    for (const { retry, comments } of streams) {
      expect(retry).toBeGreaterThanOrEqual(1_000);
      expect(comments.at(-1)).toMatch(/process stops/);
    }
  } finally {
    for (const stream of streams) stream.close();
  }
});

// Where there is no Redis server, there is no case to pass or to skip.
if (hasRedis()) {
  it('SIGTERM while Redis is frozen, so that no queue closes: out in time all the same', async () => {
    const redis: OwnRedis = await startRedis();
    try {
      const program = start({ REDIS_URL: redis.url, BURSAR_DRAIN_SECONDS: '1' });
      await program.ready();
      redis.signal('SIGSTOP');
      const { code, ms } = await terminate(program);
      expect(code).toBe(0);
      expect(ms).toBeLessThan(OUT_MS);
      expect(program.output().stdout).toContain('the queues did not close in time');
    } finally {
      await redis.stop();
    }
  });
}

it('SIGTERM while a payment waits for a lock that nobody gives up: out in time, nothing is made', async () => {
  const program = start();
  const url = await program.ready();
  const { token, grant } = await stack.admin.mint({ budget: '1.00' });
  const holder = await stack.db.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM grants WHERE id = $1 FOR UPDATE', [grant.id]);
    const agent = new Agent();
    const backend = { url, agent, isReady: true, lastReason: '' };
    const cutOff = expect(
      pay(backend, token, JSON.stringify(order(stack.chain))),
    ).rejects.toThrow();
    await until('it waits for the lock', async () => {
      const { rows } = await stack.db.query(
        'SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0',
      );
      return rows.length > 0;
    });
    const { ms } = await terminate(program);
    expect(ms).toBeLessThan(OUT_MS);
    await cutOff;
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
  // Its session ended with it: what it asked for is rolled back.
  await until('its session is gone', async () => {
    const { rows } = await stack.db.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`,
    );
    return rows.length === 0;
  });
  const { rows } = await stack.db.query('SELECT 1 FROM payments WHERE grant_id = $1', [grant.id]);
  expect(rows).toEqual([]);
  expect(await brokenInvariants(stack.db)).toEqual([]);
});

it('stops what is still starting once it stands, and was never ready', async () => {
  const holder = await stack.db.connect();
  let program: Program;
  try {
    // The start waits here for whoever migrates.
    await holder.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    program = start();
    await until('it waits for the migration', async () => {
      const { rows } = await stack.db.query(
        `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $1
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        [MIGRATION_LOCK],
      );
      return rows.length > 0;
    });
    program.signal('SIGTERM');
    await until('it has heard', () => program.output().stdout.includes('"msg":"stopping"'));
    expect(program.output().stdout).not.toContain('"msg":"stopped"');
  } finally {
    await holder.query('SELECT pg_advisory_unlock_all()');
    holder.release();
  }
  expect(await program.exited).toBe(0);
  const { stdout, stderr } = program.output();
  expect(stderr).toBe('');
  expect(stdout).toContain('"msg":"stopped"');
  expect(stdout).not.toContain('Bursar is ready');
});
