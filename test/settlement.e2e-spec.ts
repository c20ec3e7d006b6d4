import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Api, expectProblem } from './support/api.js';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { decodeHeader, order, requirement } from './support/terms.js';
import { until } from './support/until.js';

const MAX_VALIDITY_SECONDS = 10;

let stack: TestStack;
let agent: Api;

beforeAll(async () => {
  stack = await startTestStack({
    movableClock: true,
    environment: { BURSAR_MAX_VALIDITY_SECONDS: String(MAX_VALIDITY_SECONDS) },
  });
  const { token } = await stack.admin.mint({ budget: '10.00' });
  agent = stack.admin.as(token);
}, 60_000);

// A test that fails while no blocks come harms no other.
afterEach(() => stack?.chain.resumeMining());

afterAll(() => stack?.stop());

describe('a network whose chain has lost the block that was read last', () => {
  it('is not ready, says why, pays nothing, and goes on once the chain is right again', async () => {
    const ready = () => fetch(`${stack.service.url}/readyz`);
    const { rows } = await stack.db.query('SELECT block_hash, block_number FROM chain_cursors');
    // The cursor moves on while blocks come: stop them, so that the hash put back is the right one.
    await stack.chain.pauseMining();
    const head = BigInt(await rpc<string>(stack.chain.rpcUrl, 'eth_blockNumber'));
    const { block_hash: hash } = await until('all final blocks are read', async () => {
      const { rows: now } = await stack.db.query('SELECT * FROM chain_cursors');
      return BigInt(now[0].block_number) === head - 2n && now[0];
    });
    expect(rows).toHaveLength(1);

    await stack.db.query('UPDATE chain_blocks SET hash = $1', [`0x${'0'.repeat(64)}`]);
    await stack.db.query('UPDATE chain_cursors SET block_hash = $1', [`0x${'0'.repeat(64)}`]);
    await until('the service mistrusts the chain', async () => (await ready()).status === 503);
    expect(await (await ready()).text()).toContain('read before');
    const refused = await agent.pay(order(stack.chain));
    expectProblem(refused, 503, 'unavailable');
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]/);

    await stack.db.query('UPDATE chain_cursors SET block_hash = $1', [hash]);
    await until('the service trusts it again', async () => (await ready()).status === 200);
    await stack.chain.resumeMining();
    await agent.paid(order(stack.chain));
  });
});

describe('a settlement whose log was passed over', () => {
  it('is found by its nonce when the payment expires, and committed, not released', async () => {
    const offer = requirement(stack.chain);
    const { payment, header } = await agent.paid(order(stack.chain));
    const response = await fetch(`${stack.facilitator.url}/settle`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        x402Version: 2,
        paymentPayload: decodeHeader(header.value),
        paymentRequirements: offer,
      }),
    });
    const { success, transaction } = (await response.json()) as {
      success: boolean;
      transaction: `0x${string}`;
    };
    expect(success).toBe(true);

    // This is the state after an RPC that answered "no logs" while it lagged: the cursor is past the transaction's
    // block, which is not final yet and so was not read.
    await stack.chain.pauseMining();
    const head = await rpc<{ number: string; hash: string; timestamp: string }>(
      stack.chain.rpcUrl,
      'eth_getBlockByNumber',
      ['latest', false],
    );
    await stack.db.query(
      'UPDATE chain_cursors SET block_number = $1, block_hash = $2, block_time = $3',
      [BigInt(head.number), head.hash, BigInt(head.timestamp)],
    );
    expect(await agent.payment(payment.id)).toMatchObject({ status: 'authorized' });
    await stack.chain.resumeMining();
    await stack.finalize();
    expect(await agent.payment(payment.id)).toMatchObject({ status: 'authorized' });

    await stack.passTime(MAX_VALIDITY_SECONDS + 5);
    await stack.finalize();
    const ended = await until('the payment has ended', async () => {
      const now = await agent.payment(payment.id);
      return now.status !== 'authorized' && now;
    });
    expect(ended).toMatchObject({ status: 'settled', transaction });
  });
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});
