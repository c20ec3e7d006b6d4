import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import {
  decodeFunctionData,
  domainSeparator,
  encodeFunctionResult,
  type Hex,
  parseAbi,
} from 'viem';
import { type Config } from '../config/config.js';
import { loadNetworks } from '../config/networks.js';
import type { Database } from '../database/database.js';
import type { Asset } from '../domain/network.js';
import { Networks } from './networks.js';

const ABI = parseAbi([
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'function decimals() view returns (uint8)',
]);

/** A network of which three EIP-3009 tokens are known without being named. */
const CELO = 'eip155:42220';

const [known] = loadNetworks({ BURSAR_NETWORKS: `[{"network":"${CELO}","rpcUrls":["http://x"]}]` });
const TOKENS = known?.assets ?? [];

/** How a node differs from one whose chain is as configured. */
interface Oddity {
  readonly chainId?: number;
  readonly decimals?: Readonly<Record<string, number>>;
  /** The version in its domain, by token. */
  readonly version?: Readonly<Record<string, string>>;
  /** Tokens without code. */
  readonly silent?: readonly string[];
}

beforeAll(() => Logger.overrideLogger(false));

const opened: Server[] = [];
const checked: Networks[] = [];

afterEach(() => {
  for (const networks of checked.splice(0)) networks.onModuleDestroy();
  for (const server of opened.splice(0)) server.close();
});

async function node(oddity: Oddity = {}): Promise<string> {
  const call = ({ to, data }: { to: string; data: Hex }): Hex => {
    const asset = TOKENS.find(({ address }) => address.toLowerCase() === to.toLowerCase());
    if (!asset || oddity.silent?.includes(asset.address)) return '0x';
    const { functionName } = decodeFunctionData({ abi: ABI, data });
    const { address, name } = asset;
    const version = oddity.version?.[address] ?? asset.version;
    const domain = { name, version, chainId: 42220, verifyingContract: address };
    return functionName === 'decimals'
      ? encodeFunctionResult({
          abi: ABI,
          functionName,
          result: oddity.decimals?.[address] ?? asset.decimals,
        })
      : encodeFunctionResult({ abi: ABI, functionName, result: domainSeparator({ domain }) });
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString());
    const result =
      method === 'eth_chainId'
        ? `0x${(oddity.chainId ?? 42220).toString(16)}`
        : method === 'eth_call'
          ? call(params[0])
          : { timestamp: '0x1', number: '0x1', transactions: [] };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  });
  opened.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function unchecked(
  oddities: readonly Oddity[],
  assets?: readonly Asset[],
): Promise<Networks> {
  const rpcUrls = await Promise.all(oddities.map(node));
  const networks = loadNetworks({
    BURSAR_NETWORKS: JSON.stringify([{ network: CELO, rpcUrls, ...(assets ? { assets } : {}) }]),
  });
  const now = { rows: [{ now: new Date(1_000) }] };
  const database = { pool: { query: async () => now } } as unknown as Database;
  const made = new Networks({ networks } as unknown as Config, database);
  checked.push(made);
  return made;
}

async function check(oddities: readonly Oddity[], assets?: readonly Asset[]): Promise<Networks> {
  const made = await unchecked(oddities, assets);
  await made.checkAll();
  return made;
}

const [first, second, third] = TOKENS as readonly [Asset, Asset, Asset];
const reasonOf = (networks: Networks) => {
  const health = networks.health(CELO);
  return health.ready ? 'ready' : health.reason;
};

describe('an RPC', () => {
  it('is used when chain id, domains and decimals are those configured', async () => {
    const networks = await check([{}, {}]);
    expect(reasonOf(networks)).toBe('ready');
    expect(networks.clients(CELO)).toHaveLength(2);
  });

  it('that is wrong counts as checked too, so that its network is read and told', async () => {
    const networks = await unchecked([{ chainId: 1 }]);
    expect(networks.isChecked(CELO)).toBe(false);
    await networks.checkAll();
    expect(networks.isChecked(CELO)).toBe(true);
  });

  it.each<[string, Oddity, string]>([
    ['another chain', { chainId: 1 }, 'serves chain 1, not 42220'],
    ['another domain', { version: { [first.address]: '9' } }, 'has another EIP-712 domain'],
    ['other decimals', { decimals: { [second.address]: 9 } }, 'has 9 decimals, not 6'],
  ])(
    'with %s is never used, and its network pays nothing, though another is right',
    async (_, oddity, reason) => {
      const networks = await check([{}, oddity]);
      expect(reasonOf(networks)).toContain(reason);
      expect(networks.clients(CELO)).toHaveLength(1);
    },
  );

  it('that has none of the tokens is not used', async () => {
    const networks = await check([{ silent: TOKENS.map(({ address }) => address) }]);
    expect(reasonOf(networks)).toContain('does not answer DOMAIN_SEPARATOR() and decimals()');
    expect(networks.clients(CELO)).toHaveLength(0);
  });
});

describe('a token that does not say what its domain is', () => {
  const silent = { silent: [third.address] };

  it('is left aside alone when nobody named it, and the others are paid', async () => {
    const networks = await check([silent, {}]);
    expect(reasonOf(networks)).toBe('ready');
    expect(networks.clients(CELO)).toHaveLength(2);
    expect(networks.asset(CELO, third.address)).toBeUndefined();
    expect(networks.find(CELO)?.assets).toEqual([first, second]);
    expect(networks.leftAside(CELO)).toEqual([third]);
    expect(networks.asset(CELO, first.address)).toEqual(first);
  });

  it('makes the network not ready when the configuration names it', async () => {
    const networks = await check([silent], TOKENS);
    expect(reasonOf(networks)).toContain(
      `token ${third.address} (${third.currency}) does not answer`,
    );
  });
});

describe('the RPCs of a network', () => {
  it('are different ones: the same twice would confirm itself', () => {
    const twice = (rpcUrls: string[]) => () =>
      loadNetworks({ BURSAR_NETWORKS: JSON.stringify([{ network: CELO, rpcUrls }]) });
    expect(twice(['https://a.example', 'https://A.example/'])).toThrow('names an RPC twice');
    expect(twice(['https://a.example', 'https://b.example'])).not.toThrow();
  });
});
