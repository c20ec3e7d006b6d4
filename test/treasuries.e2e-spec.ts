import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Service } from '../src/service.js';
import {
  Api,
  type EventAnswer,
  expectProblem,
  type Minted,
  type WalletAnswer,
} from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { metricsOf } from './support/metrics.js';
import { settleCall, submit } from './support/on-chain.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

interface Wallet extends WalletAnswer {
  readonly id: string;
  readonly treasuryId: string;
  readonly status: string;
}
interface Treasury {
  readonly id: string;
  readonly name: string;
}
interface Summary {
  readonly exposure: { payments: number; amount: string; lastValidBefore: string | null };
  readonly [member: string]: unknown;
}

let stack: TestStack;
let replica: Service;
let main: Treasury;
let second: Treasury;
let grant: Minted;

const walletsOf = (treasuryId: string) =>
  stack.admin.all<Wallet>(`/v1/wallets?treasuryId=${treasuryId}`);
const summaryOf = (treasuryId: string) =>
  stack.admin.read<Summary>(`/v1/summary?treasuryId=${treasuryId}`);
const metrics = () => metricsOf(stack.service);

beforeAll(async () => {
  stack = await startTestStack({ movableClock: true });
  // It knows the second treasury only from the database.
  replica = await startReplica(stack, 'api');
  const made = await stack.admin.post<Treasury>('/v1/treasuries', { name: 'research' });
  expect(made.status).toBe(201);
  second = made.body;
  const all = await stack.admin.all<Treasury>('/v1/treasuries');
  expect(all.map(({ name }) => name)).toEqual(['main', 'research']);
  main = all[0] as Treasury;
  grant = await stack.admin.mint({ budget: '10.00', treasuryId: second.id });
}, 60_000);
afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});

/** The wallet of the second treasury that holds something. The first call sends it 5.00. */
async function funded(): Promise<Wallet | undefined> {
  const rich = async () => (await walletsOf(second.id)).find(({ free }) => free !== '0.00');
  const found = await rich();
  if (found) return found;
  const [wallet] = await walletsOf(second.id);
  await stack.chain.mintUsdc(wallet?.address as `0x${string}`, 5_000_000n);
  await stack.chain.mineBlocks(3);
  return until('its funds are final', rich);
}

describe('a second treasury', () => {
  it('has wallets of its own, none of them another’s', async () => {
    const [ours, theirs] = [await walletsOf(main.id), await walletsOf(second.id)];
    expect(theirs).toHaveLength(ours.length);
    const addresses = [...ours, ...theirs].map(({ address }) => address);
    expect(new Set(addresses).size).toBe(addresses.length);
  });

  it('pays from its own wallets alone: without funds it is refused before anything is signed', async () => {
    const agent = stack.admin.as(grant.token);
    expect((await walletsOf(main.id)).some(({ free }) => free === '1000000.00')).toBe(true);
    const refused = await agent.pay(order(stack.chain));
    expectProblem(refused, 503, 'treasury_insufficient');
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]/);
    expect(await agent.all('/v1/payments')).toEqual([]);
    const [event] = await stack.admin.all<EventAnswer>(
      `/v1/audit/events?grantId=${grant.grant.id}`,
    );
    expect(event).toMatchObject({ kind: 'payment.refused', reason: 'treasury_insufficient' });
    await until('the metrics count it', async () =>
      (await metrics()).includes('bursar_treasury_insufficient_total{treasury="research"} 1\n'),
    );
    expect(await metrics()).toContain('bursar_treasury_insufficient_total{treasury="main"} 0\n');
  });

  it('pays once it is funded, at every process, and leaves the others’ money alone', async () => {
    const wallet = await funded();
    expect(wallet?.free).toBe('5.00');
    const { queues: _then, ...before } = await summaryOf(main.id);
    for (const url of [stack.service.url, replica.url]) {
      const paid = await new Api(url, grant.token).paid(order(stack.chain));
      expect(paid.payment.wallet).toBe(wallet?.address);
      await submit(stack.chain, settleCall(paid.header.value));
    }
    expect(await summaryOf(second.id)).toMatchObject({
      exposure: { payments: 2, amount: '0.02' },
      spent: '0.00',
      funds: { balance: '5.00', reserved: '0.02', free: '4.98' },
      grants: { active: 1 },
    });
    const { queues: _now, ...after } = await summaryOf(main.id);
    expect(after).toEqual(before);
    await stack.chain.mineBlocks(4);
    await until('both are settled', async () => (await summaryOf(second.id)).spent === '0.02');
    expect(await summaryOf(second.id)).toMatchObject({
      exposure: { payments: 0, amount: '0.00', lastValidBefore: null },
      funds: { balance: '4.98', reserved: '0.00', free: '4.98' },
    });
  });

  it('has a log of its own', async () => {
    const { rows } = await stack.db.query(
      `SELECT DISTINCT e.treasury_id FROM events e JOIN grants g ON g.id = e.grant_id
       WHERE e.treasury_id <> g.treasury_id`,
    );
    expect(rows).toEqual([]);
    await until('its events are sealed from 0 on', async () => {
      const { rows: seals } = await stack.db.query(
        'SELECT min(leaf_index)::int AS first, count(*) = count(leaf_index) AS all FROM log_events WHERE treasury_id = $1',
        [second.id],
      );
      return seals[0].first === 0 && seals[0].all;
    });
  });

  it('is made by admins, under a name of its own', async () => {
    const post = (body: unknown) => stack.admin.post('/v1/treasuries', body);
    expectProblem(await post({ name: 'research' }), 400, 'invalid_request', { field: 'name' });
    for (const name of ['', 'Main', '../x', 'a b', 'x'.repeat(64)]) {
      expectProblem(await post({ name }), 400, 'invalid_request');
    }
    const holder = stack.admin.as(grant.token);
    expectProblem(await holder.post('/v1/treasuries', { name: 'mine' }), 403, 'forbidden');
    expectProblem(await holder.get('/v1/summary'), 403, 'forbidden');
    expectProblem(await holder.get('/v1/wallets'), 403, 'forbidden');
    const auditor = stack.admin.as(
      await stack.service.mintAdminToken({ name: 'a', role: 'auditor' }, 600),
    );
    expectProblem(await auditor.post('/v1/treasuries', { name: 'mine' }), 403, 'forbidden');
    expect((await auditor.get('/v1/summary')).status).toBe(200);
    const unknown = `trs_${'0'.repeat(26)}`;
    expectProblem(await stack.admin.get(`/v1/summary?treasuryId=${unknown}`), 404, 'not_found');
  });
});

describe('the status of a wallet', () => {
  const set = (id: string, status: string, by = stack.admin) =>
    by.post(`/v1/wallets/${id}/status`, { status, reason: 'rotation' });

  it('drains it: it pays no more, settles what is open, and only then retires, for good', async () => {
    const wallet = await funded();
    const id = wallet?.id ?? '';
    const agent = stack.admin.as(grant.token);
    const { payment, header } = await agent.paid(order(stack.chain));
    expect(payment.wallet).toBe(wallet?.address);

    expectProblem(await set(id, 'retired'), 409, 'invalid_transition');
    expect((await set(id, 'draining')).status).toBe(200);
    expectProblem(await agent.pay(order(stack.chain)), 503, 'treasury_insufficient');
    expectProblem(await set(id, 'retired'), 409, 'invalid_transition');
    expect((await set(id, 'active')).status).toBe(200);
    expect((await agent.pay(order(stack.chain, { amount: '1' }))).status).toBe(201);
    expect((await set(id, 'draining')).status).toBe(200);

    await submit(stack.chain, settleCall(header.value));
    await stack.chain.mineBlocks(4);
    await until(
      'it is settled',
      async () => (await stack.admin.payment(payment.id)).status === 'settled',
    );
    expectProblem(await set(id, 'retired'), 409, 'invalid_transition');
    await stack.passTime(120);
    await stack.chain.mineBlocks(4);
    await until(
      'nothing is open',
      async () => (await summaryOf(second.id)).exposure.payments === 0,
    );
    expect((await set(id, 'retired')).status).toBe(200);
    expect((await set(id, 'retired')).status).toBe(200);
    expectProblem(await set(id, 'active'), 409, 'invalid_transition');
    const { rows } = await stack.db.query(
      `SELECT record::jsonb ->> 'kind' AS kind, record::jsonb ->> 'reason' AS reason FROM events
       WHERE kind LIKE 'wallet.%' AND kind <> 'wallet.added' ORDER BY seq`,
    );
    expect(rows.map(({ kind }) => kind)).toEqual([
      'wallet.draining',
      'wallet.active',
      'wallet.draining',
      'wallet.retired',
    ]);
    expect(new Set(rows.map(({ reason }) => reason))).toEqual(new Set(['rotation']));
  });

  it('is set by admins, of wallets there are', async () => {
    const [wallet] = await walletsOf(main.id);
    const id = wallet?.id ?? '';
    expectProblem(await set(id, 'draining', stack.admin.as(grant.token)), 403, 'forbidden');
    expectProblem(await set(id, 'lost'), 400, 'invalid_request');
    expectProblem(await set('wal_nobody', 'draining'), 400, 'invalid_request');
    const nobody = `wal_${'0'.repeat(26)}`;
    expectProblem(await set(nobody, 'draining'), 404, 'not_found');
  });
});

it('tells Prometheus how things stand, without a token and without a secret', async () => {
  const { network } = stack.chain;
  const text = await until('no wallet counts that was retired', async () => {
    const read = await metrics();
    return read.includes('status="retired"') ? undefined : read;
  });
  for (const line of [
    `bursar_network_ready{network="${network}"} 1`,
    `bursar_overdue_payments{network="${network}"} 0`,
    'bursar_exposure{treasury="research",currency="USDC"} 0',
    'bursar_queue_jobs{queue="settlement",state="failed"} 0',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  expect(text).toMatch(new RegExp(`bursar_chain_read_block\\{network="${network}"\\} [1-9]`));
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
  expect(await brokenOnChain(stack.db, stack.chain.rpcUrl)).toEqual([]);
});
