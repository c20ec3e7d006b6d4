import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createWalletClient, type Hex, http, zeroAddress } from 'viem';
import { type HDAccount, mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import { baseSepolia } from 'viem/chains';
import { type Call, type Fault, type RpcProxy, startRpcProxy } from '../faults/rpc-proxy.js';
import { assetOf } from '../sandbox/stack.js';
import { createLogger } from '../src/ops/logger.js';
import { type Api, type EventAnswer, expectProblem, type WalletAnswer } from './support/api.js';
import {
  rpc,
  STACK_MNEMONIC,
  startReplica,
  startTestStack,
  type TestStack,
} from './support/bursar.js';
import { metricsOf } from './support/metrics.js';
import { headOf, receiptOf } from './support/on-chain.js';
import { settle } from './support/settle.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

const DELEGATE = '0x00000000000000000000000000000000000de1e6';
const DESIGNATOR: Hex = `0xef0100${DELEGATE.slice(2).toLowerCase()}`;
const WALLETS = 3;
/** The first bytes of the call that asks for the code of wallets. */
const PROGRAM =
  '0x603960405b81381460315760148260003960005160601c601f600083833c3b151581601f015360200190601401906004565b602090036020f3';

const log: string[] = [];
let stack: TestStack;
let admin: Api;
let agent: Api;
let grantId: string;
/** Stands before the second RPC. */
let second: RpcProxy;

/** The treasury's wallets, with their keys. */
const keys: HDAccount[] = Array.from({ length: WALLETS }, (_, index) =>
  mnemonicToAccount(STACK_MNEMONIC, { addressIndex: index }),
);
const addresses = keys.map(({ address }) => address);

interface Wallet extends WalletAnswer {
  readonly code: { delegate: string | null; seenAt: string; blockNumber: string } | null;
}

beforeAll(async () => {
  stack = await startTestStack({
    logger: createLogger('info', { write: (line: string) => void log.push(line) }),
    environment: { BURSAR_WALLET_COUNT: String(WALLETS) },
    network: async (chain) => {
      second = await startRpcProxy(chain.rpcUrl);
      return {
        network: chain.network,
        rpcUrls: [chain.rpcUrl, second.url],
        finality: { blocks: 2 },
        pollMs: 500,
      };
    },
  });
  ({ admin } = stack);
  const { grant, token } = await admin.mint({ budget: '100.00' });
  grantId = grant.id;
  agent = admin.as(token);
}, 60_000);

afterAll(async () => {
  await stack?.stop();
  await second?.stop();
});

afterEach(async () => {
  second.fault = undefined;
  await Promise.all(addresses.map((address) => setCode(address, '0x')));
  await settled([]);
});

async function setCode(address: string, code: Hex): Promise<void> {
  await rpc(stack.chain.rpcUrl, 'anvil_setCode', [address, code]);
}

/** The wallets that the service knows to have code. */
async function withCode(): Promise<string[]> {
  const wallets = await admin.all<Wallet>('/v1/wallets');
  return wallets.filter(({ code }) => code !== null).map(({ address }) => address);
}

/** Waits until exactly these wallets are known to have code. */
async function settled(expected: readonly string[]): Promise<void> {
  await until(`wallets with code: ${expected.join(', ') || 'none'}`, async () => {
    const found = await withCode();
    return found.length === expected.length && expected.every((each) => found.includes(each));
  });
}

async function warnings(): Promise<string[]> {
  const { warnings: told = [] } = await admin
    .as(undefined)
    .read<{ warnings?: string[] }>('/readyz');
  return told;
}

async function events(kind: string): Promise<EventAnswer[]> {
  return admin.all<EventAnswer>(`/v1/audit/events?kind=${kind}`);
}

/** Has a wallet's own key sign an EIP-7702 authorization and somebody else submit it; does not wait. */
async function submitDelegation(account: HDAccount, contractAddress: Hex): Promise<Hex> {
  const { chain } = stack;
  const sender = chain.accounts[5];
  if (!sender) throw new Error('the chain has too few accounts');
  const nonce = Number(
    await rpc<Hex>(chain.rpcUrl, 'eth_getTransactionCount', [account.address, 'latest']),
  );
  const authorization = await account.signAuthorization?.({
    chainId: chain.chainId,
    nonce,
    contractAddress,
  });
  if (!authorization) throw new Error('this account signs no authorization');
  const client = createWalletClient({
    account: privateKeyToAccount(sender.privateKey),
    chain: baseSepolia,
    transport: http(chain.rpcUrl),
  });
  return client.sendTransaction({
    to: sender.address,
    authorizationList: [authorization],
  });
}

async function delegate(account: HDAccount, contractAddress: Hex): Promise<void> {
  const hash = await submitDelegation(account, contractAddress);
  const { status } = await until('the delegation is mined', () => receiptOf(stack.chain, hash));
  expect(status).toBe('0x1');
}

describe('a wallet that delegates to code (EIP-7702)', () => {
  it('makes no payment from the moment it is seen, and pays again once a final block shows no code', async () => {
    const paid = await agent.paid(order(stack.chain));
    const chosen = keys.find(({ address }) => address === paid.payment.wallet) as HDAccount;
    await settle(stack, paid);

    await delegate(chosen, DELEGATE);
    await settled([chosen.address]);
    const other = await agent.paid(order(stack.chain));
    expect(addresses).toContain(other.payment.wallet);
    expect(other.payment.wallet).not.toBe(chosen.address);
    await settle(stack, other);

    await delegate(chosen, zeroAddress);
    await settled([]);
    const again = await agent.paid(order(stack.chain));
    expect(again.payment.wallet).toBe(chosen.address);
    await settle(stack, again);

    const [seen] = await events('wallet.code_seen');
    expect(seen).toMatchObject({
      actor: 'system:settlement',
      data: { address: chosen.address, network: stack.chain.network, code: DESIGNATOR },
    });
    const [gone] = await events('wallet.code_gone');
    expect(gone).toMatchObject({
      actor: 'system:settlement',
      data: { address: chosen.address, network: stack.chain.network },
    });
    // Final blocks count for the return: two below the first head without code.
    expect(Number(gone?.data.blockNumber)).toBeGreaterThanOrEqual(Number(seen?.data.blockNumber));
  }, 60_000);

  it('stays out until the block where its code was seen is final, whatever earlier blocks show', async () => {
    const [wallet] = keys as [HDAccount];
    const { chain } = stack;
    const read = async (head: bigint) => {
      await until(`block ${head} is looked at`, async () => {
        const { rows } = await stack.db.query('SELECT head_number FROM chain_cursors');
        return BigInt(rows[0]?.head_number ?? 0) >= head;
      });
    };
    await chain.pauseMining();
    try {
      await submitDelegation(wallet, DELEGATE);
      await chain.mineBlocks(1);
      const seenAt = await headOf(chain);
      await settled([wallet.address]);
      await submitDelegation(wallet, zeroAddress);
      await chain.mineBlocks(1);
      // The newest block shows no code, nor does the final one, which is older than the delegation.
      await read(seenAt + 1n);
      expect(await withCode()).toEqual([wallet.address]);
      await chain.mineBlocks(2);
      await settled([]);
      const [gone] = await events('wallet.code_gone');
      expect(BigInt(String(gone?.data.blockNumber))).toBe(seenAt + 1n);
    } finally {
      await chain.resumeMining();
    }
  }, 60_000);

  it('is named by /readyz, which stays 200, by the log, /v1/wallets, a quote’s decision and metrics', async () => {
    log.length = 0;
    const [first = ''] = addresses;
    await setCode(first, DESIGNATOR);
    await settled([first]);
    const [warning, ...others] = await warnings();
    expect(others).toEqual([]);
    expect(warning).toContain(
      `wallet ${first} of treasury main has code (a delegation to ${DELEGATE}`,
    );
    expect(warning).toContain(stack.chain.network);
    expect(warning).toContain('remove the delegation');
    const line = log.find((each) => each.includes(`wallet ${first} has code`));
    expect(JSON.parse(line ?? '{}')).toMatchObject({ level: 40 });

    const wallets = await admin.all<Wallet>('/v1/wallets');
    expect(wallets.find(({ address }) => address === first)).toMatchObject({
      free: '0.00',
      code: { delegate: DELEGATE, blockNumber: expect.stringMatching(/^\d+$/) },
    });
    await until('the metrics tell', async () =>
      /^bursar_wallets_with_code\{treasury="main",network="eip155:84532"\} 1$/m.test(
        await metricsOf(stack.service),
      ),
    );
  }, 60_000);

  it('is taken out when only one RPC shows its code, and returns when both show none', async () => {
    const [first = ''] = addresses;
    second.fault = showing(first);
    await settled([first]);
    const paid = await agent.paid(order(stack.chain));
    expect(paid.payment.wallet).not.toBe(first);
    await settle(stack, paid);
    second.fault = undefined;
    await settled([]);
  }, 60_000);

  it('stays out while an RPC does not answer what code there is', async () => {
    const [first = ''] = addresses;
    await setCode(first, DESIGNATOR);
    await settled([first]);
    log.length = 0;
    second.fault = (call) => (askedIn(call) ? 'garbage' : undefined);
    await setCode(first, '0x');
    await stack.finalize();
    await until('the log says so', () =>
      log.some((each) => each.includes('were not looked at for code')),
    );
    await until('/readyz says so', async () =>
      (await warnings()).some((each) => each.includes('could not be looked at for code')),
    );
    await until('the metric says so', async () =>
      /^bursar_chain_condition\{[^}]*condition="code"\} 1$/m.test(await metricsOf(stack.service)),
    );
    await stack.finalize();
    expect(await withCode()).toEqual([first]);
    second.fault = undefined;
    await settled([]);
  }, 60_000);

  it('stays out while an RPC is away: what the other says alone brings it not back', async () => {
    const [first = ''] = addresses;
    await setCode(first, DESIGNATOR);
    await settled([first]);
    second.fault = () => 'error';
    await until('the RPC is missed', async () =>
      (await warnings()).some((each) => each.includes('1 of its 2 RPCs answer')),
    );
    await setCode(first, '0x');
    const head = await headOf(stack.chain);
    await until('blocks without the code are looked at', async () => {
      const { rows } = await stack.db.query('SELECT head_number FROM chain_cursors');
      return BigInt(rows[0]?.head_number ?? 0) > head + 3n;
    });
    expect(await withCode()).toEqual([first]);
    second.fault = undefined;
    await settled([]);
  }, 60_000);

  it('is one for a token that is new in the configuration, too', async () => {
    const [first = ''] = addresses;
    await setCode(first, DESIGNATOR);
    await settled([first]);
    // No new block: nobody looks at the code again.
    await stack.chain.pauseMining();
    const { network, rpcUrl, tokens } = stack.chain;
    const BURSAR_NETWORKS = JSON.stringify([
      {
        network,
        rpcUrls: [rpcUrl],
        finality: { blocks: 2 },
        assets: tokens.slice(0, 2).map(assetOf),
      },
    ]);
    const replica = await startReplica(stack, 'api', undefined, {
      BURSAR_NETWORKS,
      BURSAR_WALLET_COUNT: String(WALLETS),
    });
    try {
      const { rows } = await stack.db.query(
        `SELECT w.address, b.code FROM wallet_balances b JOIN wallets w ON w.id = b.wallet_id
         WHERE b.asset = $1 ORDER BY b.code`,
        [tokens[1]?.address],
      );
      expect(rows.map(({ code }) => code)).toEqual([DESIGNATOR, null, null]);
      expect(rows[0]?.address).toBe(first);
    } finally {
      await replica.stop();
      await stack.chain.resumeMining();
      await stack.db.query('DELETE FROM wallet_balances WHERE asset = $1', [tokens[1]?.address]);
    }
  }, 60_000);

  it('leaves 503 and nothing reserved when there is no other, and /readyz says that too', async () => {
    await Promise.all(addresses.map((address) => setCode(address, DESIGNATOR)));
    await settled(addresses);
    const before = await admin.grant(grantId);
    expectProblem(await agent.pay(order(stack.chain)), 503, 'treasury_insufficient');
    const quote = await agent.post<{ decision: string }>('/v1/payments/quote', order(stack.chain));
    expect(quote.body).toMatchObject({ decision: 'deny' });
    expect(await admin.grant(grantId)).toEqual(before);
    const { rows } = await stack.db.query(
      'SELECT sum(reserved)::text AS held FROM wallet_balances',
    );
    expect(rows).toEqual([{ held: '0' }]);
    expect((await warnings())[0]).toContain('no wallet of treasury main can pay');
    await Promise.all(addresses.map((address) => setCode(address, '0x')));
    await settled([]);
    const paid = await agent.paid(order(stack.chain));
    await settle(stack, paid);
  }, 60_000);

  it('settles what it signed before as the chain says', async () => {
    const paid = await agent.paid(order(stack.chain));
    await settle(stack, paid);
    const open = await agent.paid(order(stack.chain));
    await setCode(open.payment.wallet, DESIGNATOR);
    await settled([open.payment.wallet]);
    expect(await admin.payment(open.payment.id)).toMatchObject({ status: 'authorized' });
    await setCode(open.payment.wallet, '0x');
    await settled([]);
    await settle(stack, open);
  }, 60_000);
});

/** The wallets that a call asks the code of, in its order; undefined for any other call. */
function askedIn({ method, params }: Call): string[] | undefined {
  const { data = '' } = (params[0] ?? {}) as { data?: string };
  if (method !== 'eth_call' || !data.startsWith(PROGRAM)) return undefined;
  return (data.slice(PROGRAM.length).toLowerCase().match(/.{40}/g) ?? []).map(
    (each) => `0x${each}`,
  );
}

/** An RPC for which one wallet has code in every block. */
function showing(address: string): Fault {
  return (call, result) => {
    const place = askedIn(call)?.indexOf(address.toLowerCase()) ?? -1;
    if (place < 0 || typeof result !== 'string') return undefined;
    const words = result.slice(2).match(/.{64}/g) ?? [];
    words[place + 1] = `${DESIGNATOR.slice(2)}${'0'.repeat(16)}01`;
    return { result: `0x${words.join('')}` };
  };
}
