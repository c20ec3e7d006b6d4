import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Replay } from '../src/audit/replay.js';
import { runCheck } from '../src/check/check.js';
import type { Service } from '../src/service.js';
import {
  type Answer,
  Api,
  type EventAnswer,
  expectProblem,
  type Minted,
  type Paid,
  type ProblemAnswer,
} from './support/api.js';
import { environmentOf, startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { build, killPrograms, startProgram } from './support/program.js';
import { settle } from './support/settle.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

interface Treasury {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly suspension: { readonly by: string; readonly reason: string | null } | null;
  readonly openPayments: number;
}
interface Pending {
  readonly payment: { readonly id: string; readonly status: string };
}

let stack: TestStack;
let replica: Service;
let admin: Api;
/** The same admin at the other replica. */
let elsewhere: Api;
let main: Treasury;

beforeAll(async () => {
  stack = await startTestStack();
  replica = await startReplica(stack);
  ({ admin } = stack);
  elsewhere = new Api(replica.url, admin.token);
  [main] = (await admin.all<Treasury>('/v1/treasuries')) as [Treasury];
}, 60_000);

afterEach(async () => {
  await resume();
});

afterAll(async () => {
  await killPrograms();
  await replica?.stop();
  await stack?.stop();
});

const suspend = (reason: string, by = admin) =>
  by.post<Treasury>(`/v1/treasuries/${main.id}/suspend`, { reason });
const resume = (by = admin) => by.post<Treasury>(`/v1/treasuries/${main.id}/resume`, {});
const changes = () =>
  admin
    .all<EventAnswer>('/v1/audit/events?kind=treasury.suspended')
    .then((events) => events.length);
const at = (replicaOf: Service, token: string) => new Api(replicaOf.url, token);

function expectStopped(answer: Answer<unknown>): void {
  expectProblem(answer as Answer<ProblemAnswer>, 403, 'treasury_suspended');
  expect(answer.body).toMatchObject({ nextAction: 'ask' });
  expect(answer.body).not.toHaveProperty('grantId');
}

describe('a suspended treasury', () => {
  it('decides no payment after the suspension has answered, on any replica, however busy they are', async () => {
    const trees = await Promise.all(
      Array.from({ length: 4 }, () => admin.mint({ budget: '1000.00' })),
    );
    let isOver = false;
    const answers: { status: number; code: string | undefined; sentAt: number }[] = [];
    const flood = [stack.service, replica].flatMap((service) =>
      trees.flatMap(({ token }) =>
        Array.from({ length: 4 }, async () => {
          const agent = at(service, token);
          while (!isOver) {
            const sentAt = performance.now();
            const { status, body } = await agent.pay(order(stack.chain));
            answers.push({ status, code: body.code, sentAt });
          }
        }),
      ),
    );
    const paid = () => answers.filter(({ status }) => status === 201).length;
    for (let round = 0; round < 5; round += 1) {
      const before = paid();
      await until('payments flow', async () => paid() > before + 20);
      const answer = await suspend(`round ${round}`, round % 2 ? admin : elsewhere);
      const stoppedAt = performance.now();
      expect(answer).toMatchObject({ status: 200, body: { status: 'suspended' } });
      const late = () => answers.filter(({ sentAt }) => sentAt > stoppedAt);
      await until('each replica refuses', async () => late().length > 40);
      expect(late().filter(({ code }) => code !== 'treasury_suspended')).toEqual([]);
      expect((await resume(elsewhere)).body).toMatchObject({ status: 'active', suspension: null });
    }
    isOver = true;
    await Promise.all(flood);
    // Where a decision was made behind the event of the suspension, its own event is behind it too.
    const { rows } = await stack.db.query(
      `SELECT e.kind, e.seq FROM events e JOIN (
         SELECT seq, lead(seq) OVER (ORDER BY seq) AS until, kind FROM events
         WHERE kind IN ('treasury.suspended', 'treasury.resumed')) s
         ON s.kind = 'treasury.suspended' AND e.seq > s.seq AND e.seq < s.until
       WHERE e.kind = 'payment.authorized'`,
    );
    expect(rows).toEqual([]);
    expect(await brokenInvariants(stack.db)).toEqual([]);
  }, 60_000);

  it.each(['a payment', 'a header', 'a delegation'] as const)(
    'waits for %s under way, so that none is decided behind it',
    async (what) => {
      const { grant, token } = await admin.mint({ budget: '1.00', delegationDepth: 1 });
      const agent = at(replica, token);
      const open = await agent.paid(order(stack.chain));
      const acts = {
        'a payment': () => agent.pay(order(stack.chain)),
        'a header': () => agent.get(`/v1/payments/${open.payment.id}/header`),
        'a delegation': () =>
          agent.post('/v1/grants', { holder: 'child', budget: '0.10', ttlSeconds: 60 }),
      };
      const holder = await stack.db.connect();
      const waiting = async (event: string) => {
        const { rows } = await stack.db.query<{ n: number }>(
          `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database()
           AND wait_event_type = 'Lock' AND (wait_event = 'advisory') = ($1 = 'advisory')`,
          [event],
        );
        return (rows[0]?.n ?? 0) > 0;
      };
      try {
        await holder.query('BEGIN');
        await holder.query('SELECT FROM grants WHERE id = $1 FOR NO KEY UPDATE', [grant.id]);
        const act = acts[what]();
        await until(`${what} waits for the grant`, () => waiting('row'));
        const suspended = suspend(what);
        await until('the suspension waits for it', () => waiting('advisory'));
        await holder.query('COMMIT');
        expect([200, 201]).toContain((await act).status);
        expect(await suspended).toMatchObject({ status: 200, body: { status: 'suspended' } });
        expectStopped(await acts[what]());
      } finally {
        holder.release(true);
      }
    },
  );

  it('hands out no header again, hands no approved payment over, mints and delegates nothing', async () => {
    const root = await admin.mint({ budget: '5.00', delegationDepth: 1 });
    const asking = await admin.mint({ budget: '5.00', approvalAbove: '0.001' });
    const agent = admin.as(root.token);
    const [settledKey, openKey, approvedKey] = [randomUUID(), randomUUID(), randomUUID()];
    const settled = await agent.paid(order(stack.chain), settledKey);
    await settle(stack, settled);
    const open = await agent.paid(order(stack.chain), openKey);
    const waiting = await admin.as(asking.token).pay<Pending>(order(stack.chain), approvedKey);
    expect(waiting.status).toBe(202);
    const { id } = waiting.body.payment;
    expect((await suspend('drill')).body).toMatchObject({
      status: 'suspended',
      suspension: { by: 'admin:tester', reason: 'drill' },
      openPayments: await openPayments(),
    });
    // Deciding about a payment that waits promises nothing.
    expect((await admin.post(`/v1/payments/${id}/approve`, {})).status).toBe(200);

    for (const service of [stack.service, replica]) {
      const holder = at(service, root.token);
      expectStopped(await holder.pay(order(stack.chain)));
      const again = await holder.pay(order(stack.chain), openKey);
      expectStopped(again);
      expect(again.body.payment).toMatchObject({ id: open.payment.id, status: 'authorized' });
      expectStopped(await holder.get(`/v1/payments/${open.payment.id}/header`));
      const handOver = await at(service, asking.token).pay(order(stack.chain), approvedKey);
      expectStopped(handOver);
      expect(handOver.body.payment).toMatchObject({ id });
      expectStopped(await holder.post('/v1/grants', { holder: 'child', budget: '1.00' }));
      expectStopped(
        await new Api(service.url, admin.token).post('/v1/grants', {
          holder: 'new',
          budget: '1.00',
          ttlSeconds: 60,
        }),
      );
      const quoted = await holder.post<{ decision: string; options: unknown[] }>(
        '/v1/payments/quote',
        order(stack.chain),
      );
      expect(quoted.body).toMatchObject({
        decision: 'deny',
        options: [{ reasons: [{ code: 'treasury_suspended' }] }],
      });
      // A settlement on chain is a fact, and the same answer for ever.
      expect((await holder.pay(order(stack.chain), settledKey)).status).toBe(201);
    }
    // Ending authority is never refused.
    expect((await admin.post(`/v1/grants/${root.grant.id}/revoke`, {})).status).toBe(200);
    expectProblem(await agent.pay(order(stack.chain)), 403, 'grant_revoked');
    expect((await admin.get(`/v1/grants/${asking.grant.id}`)).body).toMatchObject({
      status: 'active',
    });

    expect((await resume()).status).toBe(200);
    const collected = await admin.as(asking.token).paid(order(stack.chain), approvedKey);
    expect(collected.payment).toMatchObject({ id, status: 'authorized' });
    expectProblem(await agent.pay(order(stack.chain)), 403, 'grant_revoked');
  }, 60_000);

  it('leaves each grant as it is: one that was paused stays so, and none is written', async () => {
    const paused = await admin.mint({ budget: '1.00' });
    await admin.mint({ budget: '1.00' });
    await admin.post(`/v1/grants/${paused.grant.id}/suspend`, {});
    const versions = async () =>
      (await stack.db.query('SELECT id, xmin::text, ctid::text FROM grants ORDER BY id')).rows;
    const before = { versions: await versions(), events: await eventCount() };
    await suspend('drill');
    await resume();
    expect(await versions()).toEqual(before.versions);
    expect(await eventCount()).toBe(before.events + 2);
    expectProblem(await admin.as(paused.token).pay(order(stack.chain)), 403, 'grant_suspended');
  });

  it('stays suspended as it was when it is suspended again, and needs one resumption', async () => {
    const before = await changes();
    await suspend('first');
    expect((await suspend('second', elsewhere)).body).toMatchObject({
      status: 'suspended',
      suspension: { reason: 'first' },
    });
    expect(await changes()).toBe(before + 1);
    expect(await admin.all<Treasury>('/v1/treasuries')).toMatchObject([
      { id: main.id, status: 'suspended' },
    ]);
    await resume();
    expect((await resume()).body).toMatchObject({ status: 'active', suspension: null });
    expect(await changes()).toBe(before + 1);
  });

  it('stops nobody else: another treasury pays on', async () => {
    const other = await admin.post<Treasury>('/v1/treasuries', { name: `t-${randomUUID()}` });
    const { token } = await admin.mint({ budget: '1.00', treasuryId: other.body.id });
    await suspend('drill');
    // Its wallets are empty, which is all that keeps it from paying.
    expectProblem(await admin.as(token).pay(order(stack.chain)), 503, 'treasury_insufficient');
    await admin.mint({ budget: '1.00', treasuryId: other.body.id });
  });

  it('is told as such by the checker and the offline verifier, and so is one that pays all the same', async () => {
    const { token, grant } = (await admin.mint({ budget: '1.00' })) as Minted;
    await admin.as(token).paid(order(stack.chain));
    await suspend('audited');
    const check = async () => {
      const { broken } = await checked();
      return broken;
    };
    expect(await check()).toEqual([]);
    await stack.db.query(`UPDATE treasury_suspensions SET suspended_by = 'admin:other'`);
    expect(await check()).toEqual([`I8 ${main.id}`]);
    await stack.db.query('DELETE FROM treasury_suspensions');
    expect(await check()).toEqual([`I8 ${main.id}`]);
    // The row is gone, so the service pays: the events say that it must not have.
    const { payment } = await admin.as(token).paid(order(stack.chain));
    expect(await check()).toContain(`I5 ${payment.id}`);
    await until('it is sealed', async () => {
      const { rows } = await stack.db.query(
        'SELECT 1 FROM log_events WHERE payment_id = $1 AND leaf_index IS NULL',
        [payment.id],
      );
      return rows.length === 0;
    });
    const { text } = await admin.get(`/v1/audit/export?treasuryId=${main.id}`);
    const replay = new Replay();
    const refused = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .flatMap((record) => {
        try {
          replay.apply(record);
          return [];
        } catch (error) {
          return [`${record.paymentId}: ${(error as Error).message}`];
        }
      });
    expect(refused).toEqual([
      `${payment.id}: payment ${payment.id} is authorized while the treasury is suspended by admin:tester`,
    ]);
    expect(grant.status).toBe('active');
    // Put right for the tests behind it.
    await stack.db.query(
      `INSERT INTO treasury_suspensions SELECT treasury_id, created_at, actor, 'audited' FROM events
       WHERE kind = 'treasury.suspended' ORDER BY seq DESC LIMIT 1`,
    );
  }, 60_000);
});

describe('npx bursar stop', () => {
  const bursar = async (...args: string[]) => {
    const program = startProgram(environmentOf(stack), [process.execPath, 'dist/cli.js', ...args]);
    const code = await program.exited;
    return { code, ...program.output() };
  };

  beforeAll(build, 120_000);

  it('stops one treasury by its name, or all, while the service runs; and resumes them', async () => {
    const { token } = await admin.mint({ budget: '1.00' });
    const agent = admin.as(token);
    const stopped = await bursar('stop', '--treasury', 'main', '--reason', 'a leaked token');
    expect(stopped).toMatchObject({ code: 0 });
    expect(stopped.stdout).toMatch(
      /^main: stopped; .* payments are signed and may still be spent\n$/,
    );
    expectStopped(await agent.pay(order(stack.chain)));
    expectStopped(await at(replica, token).pay(order(stack.chain)));
    const [event] = await admin.all<EventAnswer>('/v1/audit/events?kind=treasury.suspended');
    expect(event).toMatchObject({ actor: 'admin:cli', reason: 'a leaked token' });
    const all = await bursar('stop', '--all');
    expect(all.code).toBe(0);
    expect(all.stdout).toContain('main: it was stopped already');
    expect(all.stdout.trim().split('\n')).toHaveLength(
      (await admin.all<Treasury>('/v1/treasuries')).length,
    );
    expect((await bursar('resume', '--all')).stdout).toContain('main: it goes on\n');
    expect((await agent.pay<Paid>(order(stack.chain))).status).toBe(201);
  }, 60_000);

  it.each([
    [['stop'], 'stop takes --treasury NAME or --all'],
    [['stop', '--all', '--treasury', 'main'], 'stop takes --treasury NAME or --all'],
    [['resume', '--treasury', 'mian'], 'there is no treasury "mian"'],
  ])(
    'refuses %j with the remedy, and does nothing',
    async (args, message) => {
      const { code, stderr } = await bursar(...args);
      expect({ code, stderr: stderr.includes(message) }).toEqual({ code: 2, stderr: true });
      expect((await admin.all<Treasury>('/v1/treasuries'))[0]).toMatchObject({ status: 'active' });
    },
    30_000,
  );
});

async function openPayments(): Promise<number> {
  const { rows } = await stack.db.query(
    'SELECT open_payments AS open FROM treasury_usage WHERE treasury_id = $1',
    [main.id],
  );
  return rows[0]?.open;
}

async function eventCount(): Promise<number> {
  const { rows } = await stack.db.query('SELECT count(*)::int AS n FROM events');
  return rows[0]?.n;
}

async function checked() {
  const report = await runCheck({
    databaseUrl: stack.databaseUrl,
    networks: [],
    headers: [],
    overdueSeconds: 3600,
    show: 10,
    progress: () => {},
  });
  const broken = report.invariants.flatMap(({ id, offenders }) =>
    offenders.map((offender) => `${id} ${offender.id}`),
  );
  return { broken };
}
