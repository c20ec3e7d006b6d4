import { existsSync, readFileSync } from 'node:fs';
import { DEFAULT_ASSETS } from '@x402/evm';
import { z } from 'zod';
import { CURRENCY_CODE, type Currency, DEFAULT_CURRENCY, MAX_DECIMALS } from '../domain/money.js';
import type { Asset, Network } from '../domain/network.js';
import { addressSchema, parseAddress } from '../evm.js';
import { ConfigError } from './config-error.js';

/** A test network by default: nobody's real money moves because a variable was forgotten. */
const DEFAULT_NETWORKS = [{ network: 'eip155:84532', rpcUrls: ['https://sepolia.base.org'] }];

const assetSchema = z.strictObject({
  currency: z
    .string()
    .regex(CURRENCY_CODE, 'must be 1 to 16 ASCII letters, digits and dots, such as EURC'),
  address: addressSchema('is not a checksummed address'),
  decimals: z.int().min(0).max(MAX_DECIMALS),
  name: z.string().min(1),
  version: z.string().min(1),
});

const networkSchema = z
  .strictObject({
    network: z.string().regex(/^eip155:[1-9][0-9]{0,15}$/, 'must be CAIP-2, such as eip155:8453'),
    rpcUrls: z.array(z.url({ protocol: /^https?$/ })).min(1),
    finality: z
      .union([
        z.enum(['finalized', 'safe']),
        z.strictObject({ blocks: z.int().min(0).max(10_000) }),
      ])
      .default('finalized'),
    pollMs: z.int().min(100).max(60_000).default(2_000),
    maxClockSkewSeconds: z.int().min(10).max(86_400).default(300),
    assets: z.array(assetSchema).optional(),
  })
  .transform((network, context) => {
    const assets = network.assets ?? defaultAssets(network.network);
    if (assets.length === 0) {
      context.addIssue({
        code: 'custom',
        message: `no EIP-3009 token is known for ${network.network}; name its assets`,
      });
    }
    // The same RPC twice would confirm itself.
    const rpcs = new Set(network.rpcUrls.map((url) => new URL(url).href));
    if (rpcs.size < network.rpcUrls.length) {
      context.addIssue({ code: 'custom', message: 'rpcUrls names an RPC twice' });
    }
    const addresses = new Set<string>();
    for (const { address } of assets) {
      if (addresses.has(address)) {
        context.addIssue({
          code: 'custom',
          message: `assets name the token ${address} twice; a token has one currency`,
        });
      }
      addresses.add(address);
    }
    return {
      ...network,
      chainId: Number(network.network.slice('eip155:'.length)),
      assets,
      hasDefaultAssets: network.assets === undefined,
    };
  });

const networksSchema = z
  .array(networkSchema)
  .min(1)
  .refine(
    (networks) => new Set(networks.map(({ network }) => network)).size === networks.length,
    'names a network twice',
  )
  .superRefine((networks, context) => {
    for (const message of decimalsProblems(networks)) {
      context.addIssue({ code: 'custom', message });
    }
  });

/** Tokens that share a currency must count it alike: an amount of a grant is one number of atomic units. */
function decimalsProblems(networks: readonly { network: string; assets: readonly Asset[] }[]) {
  const problems: string[] = [];
  const counted = new Map<string, { decimals: number; by: string }>([
    [DEFAULT_CURRENCY.code, { decimals: DEFAULT_CURRENCY.decimals, by: 'in any configuration' }],
  ]);
  for (const { network, assets } of networks) {
    for (const { currency, address, decimals } of assets) {
      const by = `for token ${address} of ${network}`;
      const first = counted.get(currency);
      if (first && first.decimals !== decimals) {
        problems.push(
          `${currency} has ${first.decimals} decimals ${first.by}, and ${decimals} ${by}; ` +
            `give one of them another currency code under assets`,
        );
      }
      if (!first) counted.set(currency, { decimals, by });
    }
  }
  return problems;
}

/** The currencies of the configured tokens: those a new grant may be kept in. */
export function currenciesOf(networks: readonly Network[]): Map<string, Currency> {
  return new Map(
    networks.flatMap(({ assets }) =>
      assets.map(({ currency: code, decimals }) => [code, { code, decimals }] as const),
    ),
  );
}

/**
 * The networks of the configuration, and nothing else of it: for what only reads.
 *
 * @throws ConfigError
 */
export function loadNetworks({ BURSAR_NETWORKS }: NodeJS.ProcessEnv): Network[] {
  try {
    return readNetworks(BURSAR_NETWORKS || undefined);
  } catch (error) {
    throw new ConfigError([
      `BURSAR_NETWORKS: ${error instanceof Error ? error.message : String(error)}`,
    ]);
  }
}

/** @throws Error with what is wrong with `BURSAR_NETWORKS`. */
export function readNetworks(text: string | undefined): Network[] {
  let json: unknown = DEFAULT_NETWORKS;
  if (text !== undefined) {
    const inline = /^\s*[[{]/.test(text);
    if (!inline && !existsSync(text)) {
      throw new Error(`no file at "${text}"; give a JSON array or the path of a file holding one`);
    }
    try {
      json = JSON.parse(inline ? text : readFileSync(text, 'utf8'));
    } catch (error) {
      throw new Error(`is not valid JSON (${error instanceof Error ? error.message : error})`);
    }
  }
  const parsed = networksSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = issue?.path.length ? `${issue.path.join('.')}: ` : '';
  throw new Error(`${place}${issue?.message ?? 'is not valid'}`);
}

/** The EIP-3009 tokens that `@x402/evm` knows for a network. */
function defaultAssets(network: string): Asset[] {
  const known = Object.hasOwn(DEFAULT_ASSETS, network)
    ? DEFAULT_ASSETS[network as keyof typeof DEFAULT_ASSETS]
    : undefined;
  return (known ?? [])
    .filter(({ assetTransferMethod }) => (assetTransferMethod ?? 'eip3009') === 'eip3009')
    .flatMap(({ asset, decimals, name, version, symbol }) => {
      const address = parseAddress(asset);
      const currency = tickerOf(symbol ?? name);
      return address === undefined ? [] : [{ currency, address, decimals, name, version }];
    })
    .filter(({ currency }) => CURRENCY_CODE.test(currency));
}

/**
 * The currency code for a token's symbol: `USD₮0` becomes `USDT0`. Letters without an ASCII form are left
 * out, and what is longer than a code is cut.
 */
export function tickerOf(symbol: string): string {
  return symbol
    .replaceAll('₮', 'T')
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9.]/g, '')
    .slice(0, 16);
}
