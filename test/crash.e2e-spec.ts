import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { onCommit, startProxy, type TcpProxy } from '../faults/proxy.js';
import { Api, expectProblem, type Paid } from './support/api.js';
import { environmentOf, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { build, killPrograms, type Program, startProgram } from './support/program.js';
import { decodeHeader, order } from './support/terms.js';

// A real process is killed (SIGKILL) at a step of a payment, found from outside: by what passes between
// it and Postgres, and between it and the agent. The retry goes to the process that takes its place and
// to one that was there all the time.

/** How often each step is tried; more by hand. */
const RUNS = Number(process.env.BURSAR_CRASH_RUNS ?? 1);

/** A start can take a minute on a busy machine: the signature is to be valid after it. */
const LASTING = { maxTimeoutSeconds: 300 };

/** Each step starts a process anew. */
jest.setTimeout(240_000);

let stack: TestStack;
let database: TcpProxy;
let edge: TcpProxy | undefined;
let program: Program;
let url: string;

beforeAll(async () => {
  await build();
  stack = await startTestStack({ environment: { BURSAR_MAX_VALIDITY_SECONDS: '300' } });
  const { hostname, port } = new URL(stack.databaseUrl);
  database = await startProxy(Number(port), hostname);
  await restart();
}, 400_000);

afterAll(async () => {
  await killPrograms();
  await edge?.stop();
  await database?.stop();
  await stack?.stop();
});

/** Starts the process that is to be killed: Postgres and the agent reach it through the proxies. */
async function restart(): Promise<void> {
  database.tap(undefined);
  await edge?.stop();
  const databaseUrl = new URL(stack.databaseUrl);
  databaseUrl.host = `127.0.0.1:${database.port}`;
  const environment = environmentOf(stack);
  program = startProgram({ ...environment, BURSAR_ROLE: 'api', DATABASE_URL: databaseUrl.href });
  edge = await startProxy(Number(new URL(await program.ready()).port));
  url = `http://127.0.0.1:${edge.port}`;
}

async function agent() {
  const { grant, token } = await stack.admin.mint({ budget: '1.00' });
  return {
    grantId: grant.id,
    /** Through the process that is killed. */
    mortal: () => new Api(url, token),
    /** Through one that lives on. */
    other: stack.admin.as(token),
  };
}

async function paymentsOf(grantId: string) {
  const { rows } = await stack.db.query<{ id: string; nonce: string }>(
    'SELECT id, nonce FROM payments WHERE grant_id = $1',
    [grantId],
  );
  return rows;
}

const kill = (): false => {
  program.signal('SIGKILL');
  return false;
};

describe.each(Array.from({ length: RUNS }, (_, run) => run + 1))(
  'a process killed (run %i)',
  () => {
    it('before its commit has made no payment; the retry makes the one there is', async () => {
      const { grantId, mortal, other } = await agent();
      const key = `crash-${randomUUID()}`;
      const body = order(stack.chain, LASTING);
      database.tap(onCommit(key, { sent: kill }));
      await expect(mortal().pay(body, key)).rejects.toThrow('fetch failed');
      await program.exited;
      expect(await paymentsOf(grantId)).toEqual([]);

      await restart();
      const retried = await mortal().pay<Paid>(body, key);
      expect(retried.status).toBe(201);
      expect(retried.headers.get('idempotent-replayed')).toBeNull();
      expect((await other.paid(body, key)).header).toEqual(retried.body.header);
      expect(await paymentsOf(grantId)).toHaveLength(1);
    });

    it('between its commit and the signature has its header signed by whoever is asked again', async () => {
      const { grantId, mortal, other } = await agent();
      const key = `crash-${randomUUID()}`;
      const body = order(stack.chain, LASTING);
      // Postgres has committed, and the process never hears of it.
      database.tap(onCommit(key, { answered: kill }));
      await expect(mortal().pay(body, key)).rejects.toThrow('fetch failed');
      await program.exited;
      const [made, ...more] = await paymentsOf(grantId);
      expect(more).toEqual([]);

      await restart();
      const retried = await mortal().pay<Paid>(body, key);
      expect(retried.status).toBe(201);
      expect(retried.headers.get('idempotent-replayed')).toBe('true');
      expect(retried.body.payment).toMatchObject(made ?? {});
      expect(decodeHeader(retried.body.header.value).payload.authorization.nonce).toBe(made?.nonce);
      expect((await other.paid(body, key)).header).toEqual(retried.body.header);
      expect(await paymentsOf(grantId)).toHaveLength(1);
    });

    it('between the signature and the reply gives the very header that was on its way', async () => {
      const { grantId, mortal, other } = await agent();
      const key = `crash-${randomUUID()}`;
      const body = order(stack.chain, LASTING);
      let lost = Buffer.alloc(0);
      edge?.tap(() => ({
        fromServer(chunk) {
          lost = Buffer.concat([lost, chunk]);
          if (bodyOf(lost) !== undefined) kill();
          return false;
        },
      }));
      await expect(mortal().pay(body, key)).rejects.toThrow('fetch failed');
      await program.exited;
      const { header, payment } = JSON.parse(bodyOf(lost) ?? '') as Paid;

      await restart();
      const retried = await mortal().paid(body, key);
      expect(retried.header).toEqual(header);
      expect(retried.payment).toEqual(payment);
      expect((await other.paid(body, key)).header).toEqual(header);
      expect(await paymentsOf(grantId)).toHaveLength(1);
    });

    it('after its commit hands out no signature that was never delivered, once the grant is revoked', async () => {
      const { grantId, mortal, other } = await agent();
      const key = `crash-${randomUUID()}`;
      const body = order(stack.chain, LASTING);
      database.tap(onCommit(key, { answered: kill }));
      await expect(mortal().pay(body, key)).rejects.toThrow('fetch failed');
      await program.exited;
      expect(await paymentsOf(grantId)).toHaveLength(1);
      expect((await stack.admin.post(`/v1/grants/${grantId}/revoke`, {})).status).toBe(200);

      await restart();
      for (const api of [mortal(), other]) {
        const refused = await api.pay(body, key);
        expectProblem(refused, 403, 'grant_revoked', { grantId });
        expect(refused.text).not.toMatch(/signature|header/i);
      }
    });
  },
);

describe('a process that lives on', () => {
  it('and loses the answer to its commit says 503, and gives the header when asked again', async () => {
    const { grantId, mortal } = await agent();
    const key = `crash-${randomUUID()}`;
    const body = order(stack.chain, LASTING);
    const lose = (cut: () => void): false => {
      cut();
      return false;
    };
    database.tap(onCommit(key, { answered: lose }));
    const unsure = await mortal().pay(body, key);
    expectProblem(unsure, 503, 'unavailable');
    expect(Number(unsure.headers.get('retry-after'))).toBeGreaterThan(0);
    const [made] = await paymentsOf(grantId);

    database.tap(undefined);
    const retried = await mortal().pay<Paid>(body, key);
    expect(retried.status).toBe(201);
    expect(retried.headers.get('idempotent-replayed')).toBe('true');
    expect(retried.body.payment).toMatchObject(made ?? { id: 'none' });
    expect(await paymentsOf(grantId)).toHaveLength(1);
  });
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});

/** The body of an HTTP answer, once all of it is there. */
function bodyOf(answer: Buffer): string | undefined {
  const end = answer.indexOf('\r\n\r\n');
  const length = /content-length: (\d+)/i.exec(answer.subarray(0, end).toString('latin1'))?.[1];
  if (end < 0 || length === undefined) return undefined;
  const body = answer.subarray(end + 4);
  return body.length < Number(length) ? undefined : body.toString('utf8');
}
