import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type RpcProxy, startRpcProxy } from '../faults/rpc-proxy.js';
import { createLogger } from '../src/ops/logger.js';
import type { PaymentView } from '../src/payments/payments.dto.js';
import { GasAccount } from '../src/treasury/gas-account.js';
import {
  type Api,
  type EventAnswer,
  expectProblem,
  type Minted,
  type Paid,
} from './support/api.js';
import { rpc, STACK_MNEMONIC, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { metricsOf } from './support/metrics.js';
import { order, requirement } from './support/terms.js';
import { until } from './support/until.js';

const PER_ROOT = 3;
const PER_TREASURY = 12;
const MAX_FEE_GWEI = 3;
const GWEI = 10n ** 9n;

const log: string[] = [];
let stack: TestStack;
let proxy: RpcProxy;
let gasAccount: string;

beforeAll(async () => {
  stack = await startTestStack({
    logger: createLogger('info', { write: (line: string) => void log.push(line) }),
    environment: {
      BURSAR_MAX_VALIDITY_SECONDS: '300',
      BURSAR_GAS_STUCK_SECONDS: '1',
      BURSAR_GAS_MAX_FEE_GWEI: String(MAX_FEE_GWEI),
      BURSAR_CANCELLATIONS_PER_ROOT: String(PER_ROOT),
      BURSAR_CANCELLATIONS_PER_TREASURY: String(PER_TREASURY),
    },
    network: async (chain) => {
      proxy = await startRpcProxy(chain.rpcUrl);
      return {
        network: chain.network,
        rpcUrls: [proxy.url],
        finality: { blocks: 2 },
        pollMs: 100,
        maxClockSkewSeconds: 3_000,
      };
    },
  });
  gasAccount = String(
    new GasAccount(undefined, { kind: 'phrase', phrase: STACK_MNEMONIC, count: 1, file: '' })
      .address,
  );
}, 60_000);

afterAll(async () => {
  await stack?.stop();
  await proxy?.stop();
});

/** Every test has the whole day before it. */
afterEach(async () => {
  proxy.fault = undefined;
  await stack.db.query(`UPDATE cancellations SET requested_at = requested_at - interval '2 days'`);
});

const LONG = { maxTimeoutSeconds: 300 };
const root = (terms: Record<string, unknown> = {}): Promise<Minted> =>
  stack.admin.mint({ budget: '100.00', ...terms });
const payBy = (minted: Minted, changes: Record<string, unknown> = {}): Promise<Paid> =>
  stack.admin.as(minted.token).paid(order(stack.chain, { ...LONG, ...changes }));
const cancel = (id: string, by: Api) =>
  by.post<{ payment: PaymentView }>(`/v1/payments/${id}/cancel`, {});
const isCancelled = (id: string) =>
  until('it is cancelled', async () => (await stack.admin.payment(id)).status === 'cancelled');

interface GasRow {
  readonly max_fee: string;
  readonly attempts: number;
}
async function gasOf(paymentId: string): Promise<GasRow[]> {
  const { rows } = await stack.db.query<GasRow>(
    'SELECT max_fee, attempts FROM gas_transactions WHERE payment_id = $1',
    [paymentId],
  );
  return rows;
}

describe('a cancelled payment', () => {
  it('gives its money back, and stays counted by every limit on payments above it', async () => {
    const above = await root({ delegationDepth: 1, maxPayments: 3 });
    const child = await stack.admin.as(above.token).mint({
      budget: '0.02',
      funding: 'reserved',
      windows: [{ seconds: 86_400, payments: 2, amount: '1.00' }],
    });
    for (let paid = 1; paid <= 2; paid += 1) {
      const { payment } = await payBy(child, { amount: '20000' });
      expect((await cancel(payment.id, stack.admin.as(child.token))).status).toBe(202);
      await isCancelled(payment.id);
      expect(await stack.admin.grant(child.grant.id)).toMatchObject({
        reserved: '0.00',
        payments: paid,
      });
      expect(await stack.admin.grant(above.grant.id)).toMatchObject({
        allocated: '0.02',
        payments: paid,
      });
    }
    const again = await stack.admin.as(child.token).pay(order(stack.chain, LONG), 'third');
    expectProblem(again, 403, 'window_exceeded');
    await payBy(above);
    const fourth = await stack.admin.as(above.token).pay(order(stack.chain, LONG), 'fourth');
    expectProblem(fourth, 403, 'payments_exceeded');
  });
});

describe('the gas of cancellations', () => {
  it('is not spent on a payment of 0, whoever asks and however', async () => {
    const minted = await root({ budget: '0.00' });
    const { payment } = await payBy(minted, { amount: '0' });
    for (const by of [stack.admin.as(minted.token), stack.admin]) {
      expectProblem(await cancel(payment.id, by), 409, 'invalid_transition');
    }
    await stack.admin.post(`/v1/grants/${minted.grant.id}/revoke`, { cancelOutstanding: true });
    expect((await stack.admin.payment(payment.id)).cancelRequestedAt).toBeNull();
  });

  it('is bounded for each root and day; an admin is not refused, and counts', async () => {
    const minted = await root({ delegationDepth: 1 });
    const child = await stack.admin.as(minted.token).mint({ budget: '50.00' });
    const payments: Paid[] = [];
    for (let n = 0; n < PER_ROOT + 2; n += 1) payments.push(await payBy(n % 2 ? minted : child));
    const [byAdmin, ...others] = payments.map(({ payment }) => payment.id);
    expect((await cancel(String(byAdmin), stack.admin)).status).toBe(202);
    const holder = stack.admin.as(minted.token);
    for (const id of others.slice(0, PER_ROOT - 1)) {
      expect((await cancel(id, holder)).status).toBe(202);
    }
    const last = String(others.at(-1));
    const refused = await cancel(last, holder);
    expectProblem(refused, 403, 'gas_exceeded');
    expect(refused.body).toMatchObject({
      nextAction: 'wait',
      grantId: minted.grant.id,
      limit: String(PER_ROOT),
      remaining: '0',
    });
    const { retryAfter } = refused.body as unknown as { retryAfter: number };
    expect(retryAfter).toBeGreaterThan(86_000);
    expect(retryAfter).toBeLessThanOrEqual(86_400);
    expect((await stack.admin.payment(last)).cancelRequestedAt).toBeNull();
    // To ask again for what was asked for costs nothing.
    expect((await cancel(String(others[0]), holder)).status).not.toBe(403);
    expect((await cancel(last, stack.admin)).status).toBe(202);
    // Another root has its own day.
    const other = await root();
    const { payment } = await payBy(other);
    expect((await cancel(payment.id, stack.admin.as(other.token))).status).toBe(202);
  });

  it('is bounded for each treasury and day, by however many roots at once', async () => {
    const roots = await Promise.all(Array.from({ length: 8 }, () => root()));
    const ask = async (minted: Minted) => {
      const { payment } = await payBy(minted);
      return () => cancel(payment.id, stack.admin.as(minted.token));
    };
    // Two are left for the four that come at once.
    for (const n of Array(PER_TREASURY - 2).keys()) {
      const asked = await ask(roots[n % 4] as Minted);
      expect((await asked()).status).toBe(202);
    }
    const others = await Promise.all(roots.slice(4).map(ask));
    const holder = await stack.db.connect();
    try {
      // Requests can be counted, and not be written before all of them have come that far.
      await holder.query('BEGIN; LOCK TABLE cancellations IN SHARE MODE');
      const answers = others.map((asked) => asked());
      await until('all of them wait', async () => {
        const { rowCount } = await stack.db.query(
          `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
        );
        return (rowCount ?? 0) >= others.length;
      });
      await holder.query('COMMIT');
      const ended = await Promise.all(answers);
      expect(ended.map(({ status }) => status).sort()).toEqual([202, 202, 403, 403]);
      for (const answer of ended.filter(({ status }) => status === 403)) {
        expectProblem(answer, 403, 'gas_exceeded');
      }
    } finally {
      holder.release(true);
    }
  });

  it('goes to the largest payments of a grant that a holder revokes', async () => {
    const minted = await root({ delegationDepth: 1 });
    const child = await stack.admin.as(minted.token).mint({ budget: '50.00' });
    const ids = new Map<string, string>();
    for (const amount of ['10000', '50000', '20000', '40000', '30000']) {
      ids.set(amount, (await payBy(child, { amount })).payment.id);
    }
    const revoked = await stack.admin.as(minted.token).post(`/v1/grants/${child.grant.id}/revoke`, {
      cancelOutstanding: true,
    });
    expect(revoked.status).toBe(200);
    const asked: string[] = [];
    for (const [amount, id] of ids) {
      if ((await stack.admin.payment(id)).cancelRequestedAt !== null) asked.push(amount);
    }
    expect(asked.sort()).toEqual(['30000', '40000', '50000']);
  });

  it('that the account does not have is said at once, with what to fund', async () => {
    const minted = await root();
    const { payment } = await payBy(minted);
    const { rpcUrl } = stack.chain;
    const balance = await rpc<string>(rpcUrl, 'eth_getBalance', [gasAccount, 'latest']);
    await rpc(rpcUrl, 'anvil_setBalance', [gasAccount, '0x1']);
    const holder = stack.admin.as(minted.token);
    const refused = await cancel(payment.id, holder);
    expectProblem(refused, 409, 'invalid_transition');
    expect(refused.body).toMatchObject({
      nextAction: 'ask',
      detail: expect.stringMatching(
        new RegExp(
          `the gas account ${gasAccount} has 0.000000000000000001 of the coin of ${stack.chain.network}, and a ` +
            'cancellation takes about 0\\.0000[0-9]+; send it some$',
        ),
      ),
    });
    await rpc(rpcUrl, 'anvil_setBalance', [gasAccount, balance]);
    expect((await cancel(payment.id, holder)).status).toBe(202);
    await isCancelled(payment.id);
  });

  it('that the account lacks is told by the wallets, the metrics, /readyz and the log', async () => {
    const { rpcUrl, network } = stack.chain;
    const balance = await rpc<string>(rpcUrl, 'eth_getBalance', [gasAccount, 'latest']);
    const minted = await root();
    await payBy(minted);
    await rpc(rpcUrl, 'anvil_setBalance', [gasAccount, '0x0']);
    const walletsGas = () => stack.admin.read<{ gas: unknown[] }>('/v1/wallets?limit=1');
    await until('the wallets tell it', async () => {
      return (await walletsGas()).gas.some((gas) => (gas as { balance: string }).balance === '0');
    });
    expect((await walletsGas()).gas).toEqual([
      { network, address: gasAccount, balance: '0', cancellation: expect.stringMatching(/^0\.0/) },
    ]);
    expect(await metricsOf(stack.service)).toContain(
      `bursar_gas_balance{network="${network}",account="${gasAccount}"} 0\n`,
    );
    await until('/readyz tells it', async () => {
      const ready = await stack.admin.read<{ gas: object; warnings?: string[] }>('/readyz');
      expect(ready).toMatchObject({ gas: { [network]: { account: gasAccount } } });
      return (ready.warnings ?? []).some((warning) =>
        warning.startsWith(
          `network ${network}: no payment can be cancelled: the gas account ${gasAccount} has 0 of the coin`,
        ),
      );
    });
    // A revocation is never refused for want of gas: the cancellations wait, and the log says for what.
    const revoked = await stack.admin.post(`/v1/grants/${minted.grant.id}/revoke`, {
      cancelOutstanding: true,
    });
    expect(revoked.status).toBe(200);
    await until('the log names the account and the cause', async () =>
      log.some((line) =>
        line.includes(
          `cancellations wait: the gas account ${gasAccount} has 0 of the coin of ${network}`,
        ),
      ),
    );
    await rpc(rpcUrl, 'anvil_setBalance', [gasAccount, balance]);
  });

  it('stays below the fee bound: dearer, nothing is begun', async () => {
    const minted = await root();
    const { payment } = await payBy(minted);
    proxy.fault = ({ method }) =>
      method === 'eth_maxPriorityFeePerGas' ? { result: '0x2540be400' } : undefined;
    expect((await cancel(payment.id, stack.admin)).status).toBe(202);
    const calls = () => proxy.calls.get('eth_maxPriorityFeePerGas') ?? 0;
    const before = calls();
    await until('the fee was asked for twice', async () => calls() >= before + 2);
    expect(await gasOf(payment.id)).toEqual([]);
    proxy.fault = undefined;
    await isCancelled(payment.id);
  });

  it('stays below the fee bound: stuck, the last bid stands', async () => {
    const minted = await root();
    const { payment } = await payBy(minted);
    // The node takes no transaction, and so each second the next bid is made.
    proxy.refused = ({ method }) => method === 'eth_sendRawTransaction';
    try {
      expect((await cancel(payment.id, stack.admin)).status).toBe(202);
      const row = await until('there is a first bid', async () => (await gasOf(payment.id))[0]);
      // It seems to have been raised for a while: the next raise would pass the bound.
      await stack.db.query(
        `UPDATE gas_transactions SET max_fee = $2, attempts = attempts + 1, attempted_at = now() - interval '1 hour'
         WHERE payment_id = $1`,
        [payment.id, (BigInt(MAX_FEE_GWEI) * GWEI).toString()],
      );
      const calls = () => proxy.calls.get('eth_maxPriorityFeePerGas') ?? 0;
      const before = calls();
      await until('it was looked at again', async () => calls() >= before + 3);
      const [now] = await gasOf(payment.id);
      expect(BigInt(now?.max_fee ?? 0)).toBe(BigInt(MAX_FEE_GWEI) * GWEI);
      expect(now?.attempts).toBeGreaterThan(row.attempts);
    } finally {
      proxy.refused = undefined;
    }
    await isCancelled(payment.id);
  });

  it('stays below the gas bound: a token that asks for more gets none', async () => {
    const minted = await root();
    const { payment } = await payBy(minted);
    // With its margin of three tenths it is just above 300,000.
    proxy.fault = ({ method }) =>
      method === 'eth_estimateGas' ? { result: `0x${(230_770).toString(16)}` } : undefined;
    expect((await cancel(payment.id, stack.admin)).status).toBe(202);
    const calls = () => proxy.calls.get('eth_estimateGas') ?? 0;
    const before = calls();
    await until('the gas was asked for twice', async () => calls() >= before + 2);
    expect(await gasOf(payment.id)).toEqual([]);
    proxy.fault = undefined;
    await isCancelled(payment.id);
  });

  it('is given for three nonces a payment and no more', async () => {
    const minted = await root();
    const { payment } = await payBy(minted);
    const other = await payBy(minted);
    await stack.db.query(
      `INSERT INTO gas_transactions (network, sender, nonce, treasury_id, payment_id, status, gas_limit, max_fee, max_priority_fee)
       SELECT network, 'another account', n, treasury_id, id, 'mined', 60000, 1, 1
       FROM payments, generate_series(1, 3) AS n WHERE id = $1`,
      [payment.id],
    );
    expect((await cancel(payment.id, stack.admin)).status).toBe(202);
    // This one is asked for later, and sent: the first one was looked at before it.
    expect((await cancel(other.payment.id, stack.admin)).status).toBe(202);
    await isCancelled(other.payment.id);
    expect(await gasOf(payment.id)).toHaveLength(3);
  });
});

describe('a treasury that pays no 0', () => {
  const set = (id: string, zeroPayments: boolean, by = stack.admin) =>
    by.call('PATCH', `/v1/treasuries/${id}`, { zeroPayments, reason: 'no spam' });

  it('refuses such payments and takes the other option; its log says who decided that', async () => {
    const minted = await root();
    const agent = stack.admin.as(minted.token);
    const { treasuryId } = minted.grant;
    await payBy(minted, { amount: '0' });
    expect((await set(treasuryId, false)).body).toMatchObject({ zeroPayments: false });
    expect((await set(treasuryId, false)).status).toBe(200);
    try {
      const nothing = order(stack.chain, { amount: '0' });
      expectProblem(await agent.pay(nothing, 'zero'), 403, 'forbidden');
      const quoted = await agent.post<{ decision: string; options: unknown[] }>(
        '/v1/payments/quote',
        nothing,
      );
      expect(quoted.body).toMatchObject({
        decision: 'deny',
        options: [{ reasons: [{ code: 'forbidden' }] }],
      });
      const both = [
        requirement(stack.chain, { amount: '0' }),
        requirement(stack.chain, { amount: '10000' }),
      ];
      const paid = await agent.paid(order(stack.chain, {}, { options: both }));
      expect(paid.payment.amount).toBe('0.01');
      expectProblem(await set(treasuryId, true, agent), 403, 'forbidden');
      expectProblem(await set('trs_00000000000000000000000000', true), 404, 'not_found');
    } finally {
      expect((await set(treasuryId, true)).body).toMatchObject({ zeroPayments: true });
    }
    await payBy(minted, { amount: '0' });
    const events = await stack.admin.all<EventAnswer>('/v1/audit/events?kind=treasury.changed');
    expect(events.map(({ actor, data }) => ({ actor, data }))).toEqual([
      { actor: 'admin:tester', data: { zeroPayments: { from: false, to: true } } },
      { actor: 'admin:tester', data: { zeroPayments: { from: true, to: false } } },
    ]);
  });
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});
