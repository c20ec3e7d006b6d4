import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { authorizationTypes } from '@x402/evm';
import { encodeFunctionData, type Hex, parseAbi } from 'viem';
import { type HDAccount, mnemonicToAccount } from 'viem/accounts';
import { Replay } from '../src/audit/replay.js';
import { Database } from '../src/database/database.js';
import type { Network } from '../src/domain/network.js';
import { dropFences } from '../src/ledger/fences.js';
import { createLogger } from '../src/ops/logger.js';
import { OutsideSpends } from '../src/settlement/outside-spends.js';
import type { TokenLog } from '../src/settlement/token-logs.js';
import { adopt, setFences } from '../src/treasury/spend-commands.js';
import {
  type Api,
  type EventAnswer,
  expectProblem,
  type Paid,
  type WalletAnswer,
} from './support/api.js';
import { wrongBesideChain } from './support/books.js';
import { rpc, STACK_MNEMONIC, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { metricsOf } from './support/metrics.js';
import { receiptOf, reorg, submit } from './support/on-chain.js';
import { ended, SHORT, settle } from './support/settle.js';
import { order, PAYEE } from './support/terms.js';
import { until } from './support/until.js';

const ABI = parseAbi([
  'function transfer(address to, uint256 value) returns (bool)',
  'function transferFrom(address from, address to, uint256 value) returns (bool)',
  'function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes signature)',
]);
const REASON = 'a withdrawal of ours';

const log: string[] = [];
let stack: TestStack;
let database: Database;
let admin: Api;
let agent: Api;
let treasuryId: string;
let thief: HDAccount;

type Wallet = WalletAnswer & { heldSince: string | null };

beforeAll(async () => {
  stack = await startTestStack({
    logger: createLogger('info', { write: (line: string) => void log.push(line) }),
    environment: { BURSAR_WALLET_COUNT: '2' },
  });
  ({ admin } = stack);
  database = new Database(stack.databaseUrl);
  const minted = await admin.mint({ budget: '100.00' });
  agent = admin.as(minted.token);
  ({ treasuryId } = minted.grant);
  thief = mnemonicToAccount(STACK_MNEMONIC, { addressIndex: 0 });
  const { rpcUrl } = stack.chain;
  await rpc(rpcUrl, 'anvil_impersonateAccount', [thief.address]);
  await rpc(rpcUrl, 'anvil_setBalance', [thief.address, '0xde0b6b3a7640000']);
}, 60_000);

afterAll(async () => {
  await database?.close();
  await stack?.stop();
});

/** The spends that a test leaves are explained, and no key is fenced for the next one. */
afterEach(async () => {
  await stack.chain.resumeMining();
  await stack.finalize();
  const { rows } = await stack.db.query(
    `SELECT DISTINCT transaction FROM outside_spends WHERE status IN ('seen', 'final')`,
  );
  for (const { transaction } of rows) await explained(transaction);
  await setFences(database, 'unfence', undefined, 'the next test');
});

const asset = () => stack.chain.token.address;

/** Has the wallet itself send a call to the token, as whoever has its key may. */
async function byKey(data: Hex): Promise<Hex> {
  return rpc(stack.chain.rpcUrl, 'eth_sendTransaction', [
    { from: thief.address, to: asset(), data, gas: '0x30d40' },
  ]);
}

const transfer = (value: bigint) =>
  byKey(encodeFunctionData({ abi: ABI, functionName: 'transfer', args: [PAYEE, value] }));

/** An authorization that the service knows nothing of: of a stolen key, or of a payment that the database lost. */
async function authorize(value: bigint): Promise<{ transaction: Hex; nonce: Hex }> {
  const nonce: Hex = `0x${randomBytes(32).toString('hex')}`;
  const { name, version } = stack.chain.token;
  const validBefore = BigInt(Math.floor(Date.now() / 1000) + 3_600);
  const signature = await thief.signTypedData({
    domain: { name, version, chainId: stack.chain.chainId, verifyingContract: asset() },
    types: authorizationTypes,
    primaryType: 'TransferWithAuthorization',
    message: { from: thief.address, to: PAYEE, value, validAfter: 0n, validBefore, nonce },
  });
  const data = encodeFunctionData({
    abi: ABI,
    functionName: 'transferWithAuthorization',
    args: [thief.address, PAYEE, value, 0n, validBefore, nonce, signature],
  });
  return { transaction: await submit(stack.chain, data), nonce };
}

const wallets = async () => {
  const all = await admin.all<Wallet>('/v1/wallets');
  return new Map(all.map((wallet) => [wallet.address, wallet]));
};
const isHeld = (held: boolean) =>
  until(`its wallet is ${held ? 'held' : 'free'}`, async () => {
    return ((await wallets()).get(thief.address)?.heldSince !== null) === held;
  });
const explained = (transaction: string) =>
  until('it can be explained', async () => {
    await adopt(database, transaction, REASON).catch((error: Error) => {
      if (!error.message.includes('not final yet')) throw error;
    });
    const { rows } = await stack.db.query(
      `SELECT 1 FROM outside_spends WHERE transaction = $1 AND status = 'adopted'`,
      [transaction],
    );
    return rows.length > 0;
  });
const eventsOf = async (transaction: string) => {
  const all = await admin.all<EventAnswer>('/v1/audit/events');
  return all.filter(({ data }) => data.transaction === transaction && 'walletId' in data);
};
const metric = async (name: string) => {
  const text = await metricsOf(stack.service);
  return Number(new RegExp(`^${name}\\{.*\\} (\\S+)$`, 'm').exec(text)?.[1]);
};
const broken = async () =>
  (await wrongBesideChain(stack)).map(([id, thing, what]) => `${id} ${thing}: ${what}`);

describe('a transfer out of a wallet that no payment stands for', () => {
  it('holds the wallet at its first sight, is told everywhere, and is explained once it is final', async () => {
    await stack.chain.pauseMining();
    const transaction = await transfer(7n);
    await stack.chain.mineBlocks(1);
    await isHeld(true);
    expect((await wallets()).get(thief.address)?.free).toBe('0.00');
    await until(
      'the metric says so',
      async () => (await metric('bursar_unexplained_spends')) === 1,
    );
    const { warnings } = await admin.as(undefined).read<{ warnings: string[] }>('/readyz');
    expect(warnings.join()).toContain('1 spends of its wallets are of no payment');
    expect(log.join('')).toContain(`npx bursar adopt ${transaction}`);
    for (let payment = 0; payment < 4; payment += 1) {
      const paid = await agent.paid(order(stack.chain));
      expect(paid.payment.wallet).not.toBe(thief.address);
    }
    await expect(adopt(database, transaction, REASON)).rejects.toThrow('not final yet');
    await expect(adopt(database, transaction, undefined)).rejects.toThrow('--reason is missing');
    await expect(adopt(database, '0x12', REASON)).rejects.toThrow('takes the hash');
    await expect(adopt(database, `0x${'0'.repeat(64)}`, REASON)).rejects.toThrow('is known');

    await stack.finalize();
    await isHeld(true);
    expect(await broken()).toEqual([
      `I6 ${transaction}: every transfer out of a wallet is a payment, or an admin has explained it`,
      `I7 ${transaction}: a payment stands for every spend of a wallet, or an admin has explained it`,
    ]);
    await adopt(database, transaction, REASON);
    await isHeld(false);
    await expect(adopt(database, transaction, REASON)).rejects.toThrow('it is adopted');
    // Scrapers share one reading every few seconds.
    await until(
      'the metric says so',
      async () => (await metric('bursar_unexplained_spends')) === 0,
    );
    expect(await broken()).toEqual([]);
    const events = await eventsOf(transaction);
    expect(events.map(({ kind, actor, reason }) => ({ kind, actor, reason }))).toEqual([
      { kind: 'wallet.spend_adopted', actor: 'admin:cli', reason: REASON },
      { kind: 'wallet.spend_seen', actor: 'system:settlement', reason: null },
    ]);
    expect(events[1]?.data).toMatchObject({
      address: thief.address,
      asset: asset(),
      to: PAYEE,
      value: '7',
      nonce: null,
    });
    // A withdrawal fences no key: Bursar makes none, so none was lost.
    await until('the metric says so', async () => (await metric('bursar_treasury_fenced')) === 0);
  });

  it('leaves 503 when no other wallet is left', async () => {
    const transaction = await transfer(7n);
    await isHeld(true);
    await stack.db.query(
      `UPDATE wallet_balances b SET reserved = balance FROM wallets w WHERE w.id = b.wallet_id AND w.address <> $1`,
      [thief.address],
    );
    try {
      expectProblem(await agent.pay(order(stack.chain)), 503, 'treasury_insufficient');
      const quoted = await agent.post<{ decision: string }>(
        '/v1/payments/quote',
        order(stack.chain),
      );
      expect(quoted.body.decision).toBe('deny');
    } finally {
      await stack.db.query(
        `UPDATE wallet_balances b SET reserved = (SELECT coalesce(sum(p.amount), 0) FROM payments p
           WHERE p.wallet_id = b.wallet_id AND p.asset = b.asset AND p.status = 'authorized')`,
      );
    }
    await explained(transaction);
  });

  it('frees the wallet when a reorganisation took it back, and no sooner than that is final', async () => {
    await stack.chain.pauseMining();
    const transaction = await transfer(9n);
    await stack.chain.mineBlocks(1);
    await isHeld(true);
    await reorg(stack.chain, 1);
    await stack.chain.mineBlocks(1);
    await until('the head without it was looked at', async () => {
      const { rows } = await stack.db.query('SELECT head_number FROM chain_cursors');
      const head = await rpc<string>(stack.chain.rpcUrl, 'eth_blockNumber');
      return BigInt(rows[0].head_number) === BigInt(head);
    });
    await isHeld(true);
    await stack.chain.mineBlocks(4);
    // The node may mine it anew from its pool.
    if (await receiptOf(stack.chain, transaction)) return;
    await isHeld(false);
    const events = await eventsOf(transaction);
    expect(events.map(({ kind }) => kind)).toEqual(['wallet.spend_withdrawn', 'wallet.spend_seen']);
  });

  it('is not one of 0, which anybody can have a token log, nor that of a payment', async () => {
    const zero = await submit(
      stack.chain,
      encodeFunctionData({
        abi: ABI,
        functionName: 'transferFrom',
        args: [thief.address, PAYEE, 0n],
      }),
    );
    const { status } = await until('it is mined', () => receiptOf(stack.chain, zero));
    expect(status).toBe('0x1');
    const paid = await agent.paid(order(stack.chain));
    await settle(stack, paid);
    await stack.finalize();
    const { rows } = await stack.db.query(
      `SELECT 1 FROM outside_spends WHERE status IN ('seen', 'final')`,
    );
    expect(rows).toEqual([]);
    expect(await broken()).toEqual([]);
  });
});

describe('an authorization that no payment has', () => {
  it('is one of a payment whose money was given back', async () => {
    const { payment } = await agent.paid(order(stack.chain, SHORT));
    const shown = (eventName: string, args: Record<string, unknown>, logIndex: number) =>
      ({
        eventName,
        args,
        address: asset(),
        transactionHash: `0x${'1'.repeat(64)}`,
        blockNumber: 1n,
        logIndex,
      }) as unknown as TokenLog;
    const logs = [
      shown('AuthorizationUsed', { authorizer: payment.wallet, nonce: payment.nonce }, 0),
      shown('Transfer', { from: payment.wallet, to: PAYEE, value: 10_000n }, 1),
    ];
    const spends = new OutsideSpends(
      database,
      {} as ConstructorParameters<typeof OutsideSpends>[1],
    );
    expect(await spends.find(stack.chain.network, logs)).toEqual([]);
    await ended(stack, payment.id, 'released');
    expect(await spends.find(stack.chain.network, logs)).toMatchObject([
      { nonce: payment.nonce, payTo: PAYEE, amount: 10_000n, place: 0 },
    ]);
  });

  it('holds the wallet and fences lost keys, until it is explained and nothing else can be lost', async () => {
    const paid = await agent.paid(order(stack.chain), 'before');
    const asking = await admin.mint({ budget: '1.00', approvalAbove: '0.001' });
    const waiting = admin.as(asking.token);
    const pending = await waiting.pay<{ payment: { id: string } }>(order(stack.chain), 'waiting');
    expect(pending.status).toBe(202);
    await admin.post(`/v1/payments/${pending.body.payment.id}/approve`, { reason: 'yes' });

    const { transaction, nonce } = await authorize(11n);
    await isHeld(true);
    await until('the metric says so', async () => (await metric('bursar_treasury_fenced')) === 1);
    const refused = await agent.pay(order(stack.chain), 'lost');
    expectProblem(refused, 503, 'unavailable');
    expect(refused.body).toMatchObject({ nextAction: 'wait' });
    expect(refused.body.retryAfter).toBeGreaterThan(200);
    // A key that has its payment gives it; one that is only approved may have been handed over before.
    expect((await agent.paid(order(stack.chain), 'before')).payment.id).toBe(paid.payment.id);
    expectProblem(await waiting.pay(order(stack.chain), 'waiting'), 503, 'unavailable');

    await explained(transaction);
    await isHeld(false);
    const [spend] = await eventsOf(transaction);
    expect(spend?.data).toMatchObject({ nonce, to: PAYEE, value: '11' });
    expect(await broken()).toEqual([]);
    expectProblem(await agent.pay(order(stack.chain), 'lost'), 503, 'unavailable');
    await stack.db.query(`UPDATE treasuries SET fenced_until = now() - interval '5 s'`);
    await until('the fence falls', async () => (await metric('bursar_treasury_fenced')) === 0);
    expect((await agent.pay(order(stack.chain), 'lost')).status).toBe(201);
    expect((await waiting.pay(order(stack.chain), 'waiting')).status).toBe(201);
    const kinds = (await admin.all<EventAnswer>('/v1/audit/events'))
      .map(({ kind }) => kind)
      .filter((kind) => kind.endsWith('fenced'));
    expect(kinds.slice(0, 2)).toEqual(['treasury.unfenced', 'treasury.fenced']);
  });

  it('becomes the settled payment of the key that lost it, where its grant allows that', async () => {
    const { chain } = stack;
    const networks = [
      {
        network: chain.network,
        assets: [{ ...chain.token, currency: 'USDC' }],
      },
    ] as unknown as Network[];
    const poor = await admin.mint({ budget: '0.00', delegationDepth: 1 });
    const above = await admin.mint({ budget: '1.00', delegationDepth: 1, maxPayments: 5 });
    const child = await admin.as(above.token).mint({ budget: '0.50', funding: 'reserved' });
    const holder = admin.as(child.token);
    await holder.paid(order(chain), 'known');
    const as = (grantId: string, key = 'lost one') => ({ grantId, key, networks });
    const { transaction, nonce } = await authorize(10_000n);
    await isHeld(true);
    await until('it is final', async () => {
      const { rows } = await stack.db.query(
        `SELECT 1 FROM outside_spends WHERE transaction = $1 AND status = 'final'`,
        [transaction],
      );
      return rows.length > 0;
    });
    const adopting = (...more: Parameters<typeof as>) =>
      adopt(database, transaction, REASON, as(...more));
    await expect(adopt(database, transaction, REASON, { grantId: child.grant.id })).rejects.toThrow(
      'belong together',
    );
    await expect(adopting('grt_00000000000000000000000000')).rejects.toThrow('no grant');
    await expect(adopting(child.grant.id, 'known')).rejects.toThrow('has payment pay_');
    await expect(adopting(poor.grant.id)).rejects.toThrow('does not allow such a payment now');
    await isHeld(true);
    await adopting(child.grant.id);
    await isHeld(false);
    await expect(adopting(child.grant.id, 'another')).rejects.toThrow('it is adopted');

    const again = await holder.pay<Paid>(order(chain), 'lost one');
    expect(again.status).toBe(201);
    expect(again.body.payment).toMatchObject({ status: 'settled', transaction, nonce });
    expectProblem(
      await holder.pay(order(chain, { amount: '20000' }), 'lost one'),
      409,
      'idempotency_mismatch',
    );
    expect(await admin.grant(child.grant.id)).toMatchObject({ spent: '0.01', payments: 2 });
    expect(await admin.grant(above.grant.id)).toMatchObject({
      spent: '0.01',
      allocated: '0.48',
      payments: 2,
    });
    expect(await broken()).toEqual([]);
    const taken = new Replay();
    const records = await stack.db.query<{ record: string }>(
      'SELECT record FROM events WHERE treasury_id = $1 ORDER BY seq',
      [treasuryId],
    );
    for (const { record } of records.rows) taken.apply(JSON.parse(record));
    expect(taken.unknownKinds).toEqual([]);
    expect(taken.grant(child.grant.id)).toMatchObject({ spent: 10_000n, payments: 2 });
  });

  it.each([
    [
      'its time has not come',
      `fenced_until = now() + interval '1 hour'`,
      `UPDATE chain_cursors SET block_time = extract(epoch FROM now())::bigint + 7200`,
    ],
    [
      'a chain of its wallets was not read that far',
      `fenced_until = now() - interval '5 s'`,
      `UPDATE chain_cursors SET block_time = extract(epoch FROM now())::bigint - 60`,
    ],
    [
      'a wallet has an unexplained spend',
      `fenced_until = now() - interval '5 s'`,
      `UPDATE wallet_balances SET held_since = now()`,
    ],
  ])('keeps the fence while %s', async (_why, fenced, also) => {
    await stack.chain.pauseMining();
    // A reading under way would write the chain's own time over the one that is set here.
    const head = BigInt(await rpc<string>(stack.chain.rpcUrl, 'eth_blockNumber'));
    await until('all final blocks are read', async () => {
      const { rows } = await stack.db.query('SELECT block_number FROM chain_cursors');
      return BigInt(rows[0].block_number) === head - 2n;
    });
    await stack.db.query(`UPDATE treasuries SET ${fenced}`);
    await stack.db.query(also);
    const fences = async () =>
      (await stack.db.query('SELECT FROM treasuries WHERE fenced_until IS NOT NULL')).rowCount;
    try {
      expect(await dropFences(database)).toEqual([]);
      expect(await fences()).toBe(1);
    } finally {
      await stack.db.query('UPDATE wallet_balances SET held_since = NULL');
    }
    await stack.db.query(
      `UPDATE chain_cursors SET block_time = extract(epoch FROM now())::bigint + 60`,
    );
    await stack.db.query(`UPDATE treasuries SET fenced_until = now() - interval '5 s'`);
    // The service's own reading may be the one that drops it.
    await dropFences(database);
    expect(await fences()).toBe(0);
  });
});

it('an admin fences and unfences by hand, with a reason', async () => {
  await expect(setFences(database, 'fence', undefined, ' ')).rejects.toThrow('--reason is missing');
  await setFences(database, 'fence', [treasuryId], 'restored from last night');
  expectProblem(await agent.pay(order(stack.chain)), 503, 'unavailable');
  await setFences(database, 'unfence', undefined, 'nothing was lost');
  expect((await agent.pay(order(stack.chain))).status).toBe(201);
});

it('leaves every invariant whole', async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});
