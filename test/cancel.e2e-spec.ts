import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type RpcProxy, startRpcProxy } from '../faults/rpc-proxy.js';
import { loadConfig } from '../src/config/config.js';
import { createLogger } from '../src/ops/logger.js';
import type { PaymentView } from '../src/payments/payments.dto.js';
import { startService } from '../src/service.js';
import { Api, type EventAnswer, expectProblem, type Minted, type Paid } from './support/api.js';
import { environmentOf, rpc, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { receiptOf, reorg, settleCall, submit } from './support/on-chain.js';
import { SHORT } from './support/settle.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

const MAX_FEE_GWEI = 3;

let stack: TestStack;
let proxy: RpcProxy;
let parent: Minted;
let agent: Api;

const environment = {
  BURSAR_MAX_VALIDITY_SECONDS: '300',
  BURSAR_GAS_STUCK_SECONDS: '1',
  BURSAR_GAS_MAX_FEE_GWEI: String(MAX_FEE_GWEI),
};
const networkAt = (network: string, rpcUrl: string) => ({
  network,
  rpcUrls: [rpcUrl],
  finality: { blocks: 8 },
  pollMs: 100,
  maxClockSkewSeconds: 3_000,
});

beforeAll(async () => {
  stack = await startTestStack({
    movableClock: true,
    environment,
    network: async (chain) => {
      proxy = await startRpcProxy(chain.rpcUrl);
      return networkAt(chain.network, proxy.url);
    },
  });
  await stack.chain.pauseMining();
  await stack.chain.mineBlocks(10);
  parent = await stack.admin.mint({ budget: '100.00', delegationDepth: 1 });
  agent = stack.admin.as(parent.token);
  await until('the funds are final', async () => {
    const { rows } = await stack.db.query('SELECT 1 FROM wallet_balances WHERE balance > 0');
    return rows.length > 0;
  });
}, 60_000);

afterAll(async () => {
  await stack?.stop();
  await proxy?.stop();
});

const long = { maxTimeoutSeconds: 300 };
const pay = (by = agent): Promise<Paid> => by.paid(order(stack.chain, long));
const cancel = (id: string, by = agent) =>
  by.post<{ payment: PaymentView }>(`/v1/payments/${id}/cancel`, { reason: 'not needed' });
const statusOf = async (id: string) => (await stack.admin.payment(id)).status;
const isIn = (id: string, status: string) =>
  until(`it is ${status}`, async () => {
    const now = await statusOf(id);
    if (now !== 'authorized' && now !== status) throw new Error(`it is ${now}`);
    return now === status;
  });
const finalize = () => stack.chain.mineBlocks(10);

interface GasRow {
  nonce: string;
  attempts: number;
  max_fee: string;
  status: string;
  is_void: boolean;
  hash: `0x${string}` | null;
}
async function gasOf(paymentId: string): Promise<GasRow[]> {
  const { rows } = await stack.db.query(
    'SELECT * FROM gas_transactions WHERE payment_id = $1 ORDER BY nonce',
    [paymentId],
  );
  return rows;
}

/** Waits until a cancellation lies in the node's pool. */
const sent = (paymentId: string) =>
  until('the cancellation is sent', async () => {
    const [row] = await gasOf(paymentId);
    if (!row?.hash) return undefined;
    const found = await rpc(stack.chain.rpcUrl, 'eth_getTransactionByHash', [row.hash]);
    return found ? row : undefined;
  });

describe('cancelling a payment', () => {
  it('ends it once its cancellation is final, gives the money back, and kills the header', async () => {
    const before = await agent.grant(parent.grant.id);
    const { payment, header } = await pay();
    const asked = await cancel(payment.id);
    expect(asked.status).toBe(202);
    expect(asked.body.payment).toMatchObject({ status: 'authorized' });
    expect(asked.body.payment.cancelRequestedAt).not.toBeNull();
    expect((await cancel(payment.id)).status).toBe(202);

    const { hash } = await sent(payment.id);
    await stack.chain.mineBlocks(1);
    const late = await submit(stack.chain, settleCall(header.value));
    await stack.chain.mineBlocks(1);
    expect(await receiptOf(stack.chain, late)).toMatchObject({ status: '0x0' });
    expect(await statusOf(payment.id)).toBe('authorized');
    await finalize();
    await isIn(payment.id, 'cancelled');
    expect(await stack.admin.payment(payment.id)).toMatchObject({ transaction: hash });
    expect((await agent.grant(parent.grant.id)).remaining).toBe(before.remaining);
    const events = await stack.admin.all<EventAnswer>(`/v1/audit/events?paymentId=${payment.id}`);
    expect(events.map(({ kind }) => kind)).toEqual([
      'payment.cancelled',
      'payment.cancel_requested',
      'payment.authorized',
    ]);
    expect(events[1]).toMatchObject({ actor: `grant:${parent.grant.id}`, reason: 'not needed' });
    expectProblem(await cancel(payment.id), 409, 'invalid_transition');
  });

  it('loses against a settlement that is mined first, and sends nothing in vain', async () => {
    const { payment, header } = await pay();
    await submit(stack.chain, settleCall(header.value));
    await stack.chain.mineBlocks(1);
    expect((await cancel(payment.id)).status).toBe(202);
    await finalize();
    await isIn(payment.id, 'settled');
    expect(await gasOf(payment.id)).toEqual([]);
  });

  it('loses against a settlement in the same block, whose fee is higher', async () => {
    const { payment, header } = await pay();
    await cancel(payment.id);
    const { hash } = await sent(payment.id);
    await rpc(stack.chain.rpcUrl, 'eth_sendTransaction', [
      {
        from: stack.chain.accounts[5]?.address,
        to: stack.chain.token.address,
        data: settleCall(header.value),
        gas: '0x30d40',
        maxFeePerGas: '0x1bf08eb000',
        maxPriorityFeePerGas: '0x1bf08eb000',
      },
    ]);
    await stack.chain.mineBlocks(1);
    const own = hash && (await receiptOf(stack.chain, hash));
    // An attempt that was outbid meanwhile has no receipt; the one that was mined was refused.
    if (own) expect(own.status).toBe('0x0');
    await finalize();
    await isIn(payment.id, 'settled');
    await until('its nonce is done', async () => (await gasOf(payment.id))[0]?.status === 'mined');
  });

  it('is sent again after a reorganisation took it back', async () => {
    const { payment } = await pay();
    await cancel(payment.id);
    await sent(payment.id);
    await stack.chain.mineBlocks(3);
    await until('it was mined', async () => {
      const [row] = await gasOf(payment.id);
      return row?.hash ? await receiptOf(stack.chain, row.hash) : undefined;
    });
    await reorg(stack.chain, 3);
    // Blocks come again; whether it is in one is up to the canceller.
    await until('it is mined again', async () => {
      await stack.chain.mineBlocks(1);
      const [row] = await gasOf(payment.id);
      return row?.hash ? await receiptOf(stack.chain, row.hash) : undefined;
    });
    await finalize();
    await isIn(payment.id, 'cancelled');
    expect(await gasOf(payment.id)).toHaveLength(1);
  });

  it('bids more while it is stuck, never above the bound, and with one nonce', async () => {
    const { payment } = await pay();
    await cancel(payment.id);
    const first = await sent(payment.id);
    const raised = await until('it has bid more twice', async () => {
      const [row] = await gasOf(payment.id);
      return row && row.attempts >= first.attempts + 2 && row;
    });
    expect(raised.nonce).toBe(first.nonce);
    expect(BigInt(raised.max_fee) > BigInt(first.max_fee)).toBe(true);
    expect(BigInt(raised.max_fee) <= BigInt(MAX_FEE_GWEI) * 10n ** 9n).toBe(true);
    await finalize();
    await isIn(payment.id, 'cancelled');
    expect(await gasOf(payment.id)).toHaveLength(1);
  });

  it('that was written but never sent is sent by the next start, with the same nonce', async () => {
    const { payment } = await pay();
    proxy.refused = ({ method }) => method === 'eth_sendRawTransaction';
    await cancel(payment.id);
    const [written] = await until('it is written', async () => {
      const rows = await gasOf(payment.id);
      return rows[0]?.hash ? rows : undefined;
    });
    const replica = await startService(
      loadConfig({
        ...environmentOf(stack),
        PORT: '0',
        BURSAR_METRICS_PORT: 'off',
        BURSAR_NETWORKS: JSON.stringify([networkAt(stack.chain.network, stack.chain.rpcUrl)]),
        ...environment,
      }),
      createLogger('silent'),
    );
    try {
      await sent(payment.id);
      await finalize();
      await isIn(payment.id, 'cancelled');
      expect((await gasOf(payment.id)).map(({ nonce }) => nonce)).toEqual([written?.nonce]);
    } finally {
      await replica.stop();
      proxy.refused = undefined;
    }
  });

  it('that is no longer needed frees its nonce, so that the next is not held up', async () => {
    const { payment, header } = await pay();
    proxy.refused = ({ method }) => method === 'eth_sendRawTransaction';
    await cancel(payment.id);
    await until('it is written', async () => (await gasOf(payment.id)).length === 1);
    await submit(stack.chain, settleCall(header.value));
    await finalize();
    await isIn(payment.id, 'settled');
    proxy.refused = undefined;
    const next = await pay();
    await cancel(next.payment.id);
    await until('the next is cancelled', async () => {
      await stack.chain.mineBlocks(1);
      return (await statusOf(next.payment.id)) === 'cancelled';
    });
    const old = await until('the old nonce is done', async () => {
      await stack.chain.mineBlocks(1);
      const [row] = await gasOf(payment.id);
      return row?.status === 'mined' && row;
    });
    expect(old.is_void).toBe(true);
  });

  it('costs no gas once the signature has run out, though that is not final yet', async () => {
    const { payment } = await agent.paid(order(stack.chain, SHORT));
    await stack.passTime(SHORT.maxTimeoutSeconds + 5);
    await stack.chain.mineBlocks(1);
    expect((await cancel(payment.id)).status).toBe(202);
    // The later cancellation is sent: the other one was looked at before it.
    const other = await pay();
    expect((await cancel(other.payment.id)).status).toBe(202);
    await sent(other.payment.id);
    expect(await statusOf(payment.id)).toBe('authorized');
    expect(await gasOf(payment.id)).toEqual([]);
    await finalize();
    await isIn(payment.id, 'released');
    await isIn(other.payment.id, 'cancelled');
    expect(await gasOf(payment.id)).toEqual([]);
  });

  it('is for admins, and for holders of the paying grant or one above', async () => {
    const child = await agent.mint({ budget: '5.00' });
    const sibling = await agent.mint({ budget: '5.00' });
    const { payment } = await pay(agent.as(child.token));
    expectProblem(await cancel(payment.id, agent.as(sibling.token)), 404, 'not_found');
    expectProblem(await cancel(payment.id, agent.as(undefined)), 401, 'invalid_token');
    for (const role of ['auditor', 'approver'] as const) {
      const token = await stack.service.mintAdminToken({ name: role, role }, 600);
      expectProblem(await cancel(payment.id, agent.as(token)), 403, 'forbidden');
    }
    const parents = await pay();
    expectProblem(await cancel(parents.payment.id, agent.as(child.token)), 404, 'not_found');
    expectProblem(
      await agent.post(`/v1/payments/${payment.id}/cancel`, { now: true }),
      400,
      'invalid_request',
    );
    expect((await cancel(payment.id, agent)).status).toBe(202);
    expect((await cancel(parents.payment.id, stack.admin)).status).toBe(202);
    await until('both are cancelled', async () => {
      await stack.chain.mineBlocks(1);
      return (
        (await statusOf(payment.id)) === 'cancelled' &&
        (await statusOf(parents.payment.id)) === 'cancelled'
      );
    });
  });
});

describe('revoking with cancelOutstanding', () => {
  it('cancels what the grant and those below it have open, and nothing else', async () => {
    const root = await stack.admin.mint({ budget: '10.00', delegationDepth: 1 });
    const child = await stack.admin.as(root.token).mint({ budget: '5.00' });
    const open = [await pay(agent.as(root.token)), await pay(agent.as(child.token))];
    const other = await pay();
    const revoked = await stack.admin.post(`/v1/grants/${root.grant.id}/revoke`, {
      reason: 'compromised',
      cancelOutstanding: true,
    });
    expect(revoked.status).toBe(200);
    await until('both are cancelled', async () => {
      await stack.chain.mineBlocks(1);
      const all = await Promise.all(open.map(({ payment }) => statusOf(payment.id)));
      return all.every((status) => status === 'cancelled');
    });
    expect(await stack.admin.payment(other.payment.id)).toMatchObject({
      status: 'authorized',
      cancelRequestedAt: null,
    });
    expect(await stack.admin.grant(root.grant.id)).toMatchObject({
      reserved: '0.00',
      spent: '0.00',
    });
  });
});

it('leaves every invariant whole', async () => {
  await stack.passTime(400);
  await finalize();
  await until('nothing is open', async () => {
    const { rows } = await stack.db.query(`SELECT 1 FROM payments WHERE status = 'authorized'`);
    return rows.length === 0;
  });
  expect(await brokenInvariants(stack.db)).toEqual([]);
  expect(await brokenOnChain(stack.db, stack.chain.rpcUrl)).toEqual([]);
  // One record a nonce, none skipped.
  const { rows } = await stack.db.query('SELECT nonce::int FROM gas_transactions ORDER BY nonce');
  expect(rows.map(({ nonce }) => nonce)).toEqual(rows.map((_, n) => n));
});
