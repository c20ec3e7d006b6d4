import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { DEFAULT_ASSETS } from '@x402/evm';
import { getAddress, isAddress } from 'viem';
import { english } from 'viem/accounts';
import { z } from 'zod';
import { MAX_TTL_SECONDS } from './domain/grant.js';
import { CURRENCY_CODE, type Currency, DEFAULT_CURRENCY, MAX_DECIMALS } from './domain/money.js';
import type { Asset, Network } from './domain/network.js';
import { parseUrl } from './domain/scope.js';

/** The service's whole configuration. Nothing else reads the environment. */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly role: 'api' | 'worker' | 'all';
  /** Postgres connection string; undefined starts an embedded server under `dataDir`. */
  readonly databaseUrl: string | undefined;
  /** How many connections one process may open for its own queries. */
  readonly databaseConnections: number;
  /** Redis connection string for BullMQ; undefined puts the queues on Postgres. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  readonly networks: readonly Network[];
  /** BIP-39; undefined makes one under `dataDir` (embedded database only). */
  readonly walletMnemonic: string | undefined;
  /** Wallets of each treasury taken from the phrase. */
  readonly walletCount: number;
  /** A folder of keystores, or one file; the wallets instead of those of a phrase. */
  readonly keystore: string | undefined;
  readonly keystorePassword: string | undefined;
  /** The Unix socket of a signer in its own process; the wallets are those it has. */
  readonly signerSocket: string | undefined;
  /** The key that pays for cancellations; undefined takes a branch of the phrase, if there is one. */
  readonly gasKey: `0x${string}` | undefined;
  /** The most a cancellation may bid, in wei per gas. */
  readonly gasMaxFee: bigint;
  /** After how long a transaction that is not mined is bid up, in milliseconds. */
  readonly gasStuckMs: number;
  readonly maxValiditySeconds: number;
  /** The values of `paymentFlow` in an x402 entry that Bursar signs for. `authorization` is always one. */
  readonly paymentFlows: readonly string[];
  /** How long a payment may wait for an approval. */
  readonly approvalSeconds: number;
  /** How the ledger's group commit is bounded. */
  readonly batches: { maxBatch: number; maxInFlight: number; maxWaiting: number };
  /** The longest life a grant may be minted with. */
  readonly maxGrantSeconds: number;
  /** `iss` of the tokens minted. */
  readonly issuer: string;
  /** Seals private keys at rest; undefined makes one under `dataDir`. */
  readonly masterSecret: string | undefined;
  /** Where checkpoints are appended; undefined for nowhere. */
  readonly witnessFile: string | undefined;
  /** Prefix of a witness's URL (C2SP tlog-witness); undefined for none. */
  readonly witnessUrl: string | undefined;
  /** The longest life of a grant token, in seconds; its holder renews it meanwhile. */
  readonly tokenTtlSeconds: number;
  /** Where callers reach the service, without a slash at the end; undefined takes each request's Host. */
  readonly publicUrl: string | undefined;
  /** Whether DPoP proofs must carry a nonce of this service (RFC 9449, section 9). */
  readonly dpopNonces: boolean;
  /** Sign-in for humans; undefined where only tokens of the CLI count. */
  readonly oidc: OidcConfig | undefined;
  /** Whether nobody may approve a payment that he made possible himself. */
  readonly twoPerson: boolean;
  /** How long a worker may take and end no job, though it is offered some, before it counts as hung. */
  readonly workerSilenceMs: number;
  /** How long a process that is told to end still takes requests, so that others learn of it. */
  readonly drainMs: number;
  readonly bodyLimitBytes: number;
  /** Requests that one address and one caller may make in {@link RATE_WINDOW_MS}. */
  readonly rateLimits: { readonly address: number; readonly caller: number };
  /** Addresses (or CIDR ranges) of the proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Origins whose pages may read answers; none by default. */
  readonly corsOrigins: readonly string[];
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
}

/** An OpenID provider whose users are admins. */
export interface OidcConfig {
  /** Its issuer identifier, exactly as its tokens say it (OpenID Connect Discovery 1.0). */
  readonly issuer: string;
  /** `aud` its tokens must name. */
  readonly audience: string;
  /** The claim that holds the role, or a list with it; dots lead into objects. */
  readonly roleClaim: string;
  /** The claim that lists the treasuries' ids; undefined gives every one. */
  readonly treasuriesClaim: string | undefined;
}

/** What the rate limits count over, in milliseconds. */
export const RATE_WINDOW_MS = 10_000;

/** Injection token of the {@link Config}. */
export const CONFIG = Symbol('config');

/** An unusable configuration. The message has one line a problem: variable, what is wrong, remedy. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/** The payment flows of x402's `exact` scheme. */
const PAYMENT_FLOWS = ['authorization', 'upfront'];

const assetSchema = z.strictObject({
  currency: z
    .string()
    .regex(CURRENCY_CODE, 'must be 1 to 16 ASCII letters, digits and dots, such as EURC'),
  address: z
    .string()
    .refine((text) => isAddress(text), 'is not a checksummed address')
    .transform((text) => getAddress(text)),
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
    return { ...network, chainId: Number(network.network.slice('eip155:'.length)), assets };
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

/** Not the address it listens on: a token minted by the CLI must hold whatever PORT the service has. */
const DEFAULT_ISSUER = 'urn:bursar';

/** A test network by default: nobody's real money moves because a variable was forgotten. */
const DEFAULT_NETWORKS = [{ network: 'eip155:84532', rpcUrls: ['https://sepolia.base.org'] }];

const integer = (fallback: number, min: number, max: number) =>
  z
    .string()
    .regex(/^[0-9]{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .default(String(fallback))
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`);

const flag = z
  .enum(['true', 'false'], 'must be true or false')
  .default('false')
  .transform((text) => text === 'true');

/** A list with commas between. */
const list = (isEntry: (text: string) => boolean, message: string) =>
  z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((entry) => entry.trim())
        .filter((entry) => entry !== ''),
    )
    .refine((entries) => entries.every(isEntry), message);

/** TLS, except on this machine: whoever can change what is said there owns the machine anyway. */
function isTrustworthyUrl(text: string): boolean {
  const url = parseUrl(text);
  if (url?.username !== '' || url.search !== '' || url.hash !== '') return false;
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback);
}

function isAddressRange(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return (
    bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
  );
}

const environmentSchema = z.object({
  PORT: integer(4020, 0, 65_535),
  BURSAR_HOST: z.string().min(1).default('127.0.0.1'),
  BURSAR_ROLE: z.enum(['api', 'worker', 'all'], 'must be api, worker or all').default('all'),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL; unset it to use the embedded server')
    .refine(
      (text) => parseUrl(text) !== undefined,
      'is not a valid URL; percent-encode special characters of the password',
    )
    .optional(),
  BURSAR_DATABASE_CONNECTIONS: integer(10, 2, 500),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, 'must be a redis:// URL; unset it to keep the queues on Postgres')
    .optional(),
  BURSAR_DATA_DIR: z.string().min(1).default('.bursar'),
  BURSAR_NETWORKS: z.string().optional(),
  BURSAR_WALLET_MNEMONIC: z
    .string()
    .refine(isMnemonic, 'must be a valid BIP-39 phrase of 12 or 24 English words')
    .optional(),
  BURSAR_WALLET_COUNT: integer(4, 1, 256),
  BURSAR_KEYSTORE: z.string().min(1).optional(),
  BURSAR_KEYSTORE_PASSWORD: z.string().min(1).optional(),
  BURSAR_SIGNER_SOCKET: z
    .string()
    .startsWith('/', 'must be the absolute path of the socket of: npx bursar signer --socket PATH')
    .optional(),
  BURSAR_GAS_KEY: z
    .string()
    .regex(/^0x[0-9a-fA-F]{64}$/, 'must be a private key: 0x and 64 hexadecimal digits')
    .optional(),
  BURSAR_GAS_MAX_FEE_GWEI: integer(20, 1, 100_000),
  BURSAR_GAS_STUCK_SECONDS: integer(15, 1, 3_600),
  BURSAR_MAX_VALIDITY_SECONDS: integer(120, 10, 300),
  BURSAR_PAYMENT_FLOWS: list(
    (entry) => PAYMENT_FLOWS.includes(entry),
    `must be a comma-separated list of: ${PAYMENT_FLOWS.join(', ')}`,
  ),
  BURSAR_APPROVAL_SECONDS: integer(3_600, 1, 2_592_000),
  BURSAR_MAX_BATCH: integer(128, 1, 1_000),
  BURSAR_MAX_BATCHES_IN_FLIGHT: integer(1, 1, 16),
  BURSAR_MAX_WAITING_PAYMENTS: integer(2_000, 1, 100_000),
  BURSAR_MAX_GRANT_SECONDS: integer(MAX_TTL_SECONDS, 60, MAX_TTL_SECONDS),
  BURSAR_ISSUER: z.url({ error: 'must be a URL' }).optional(),
  BURSAR_MASTER_SECRET: z
    .string()
    .min(32, 'must have at least 32 characters; make one with: openssl rand -base64 32')
    .optional(),
  BURSAR_WITNESS_FILE: z.string().min(1).optional(),
  BURSAR_WITNESS_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http(s) URL' })
    .refine(
      (text) => !/[@?#]/.test(text),
      'must be a plain prefix, without credentials, query and fragment',
    )
    .optional(),
  BURSAR_TOKEN_TTL_SECONDS: integer(86_400, 60, 315_360_000),
  BURSAR_PUBLIC_URL: z
    .string()
    .refine(isTrustworthyUrl, 'must be an https URL (http on loopback) without query')
    .transform((text) => text.replace(/\/$/, ''))
    .optional(),
  BURSAR_DPOP_NONCES: flag,
  BURSAR_OIDC_ISSUER: z
    .string()
    .refine(isTrustworthyUrl, 'must be an https URL (http on loopback) without query')
    .optional(),
  BURSAR_OIDC_AUDIENCE: z.string().min(1).max(255).optional(),
  BURSAR_OIDC_ROLE_CLAIM: z.string().min(1).max(255).default('bursar_role'),
  BURSAR_OIDC_TREASURIES_CLAIM: z.string().min(1).max(255).optional(),
  BURSAR_TWO_PERSON: flag,
  BURSAR_WORKER_SILENCE_SECONDS: integer(45, 1, 3_600),
  BURSAR_DRAIN_SECONDS: integer(2, 0, 300),
  BURSAR_BODY_LIMIT_BYTES: integer(65_536, 1_024, 1_048_576),
  BURSAR_RATE_LIMIT_PER_ADDRESS: integer(100_000, 1, 1_000_000_000),
  BURSAR_RATE_LIMIT_PER_CALLER: integer(50_000, 1, 1_000_000_000),
  BURSAR_TRUSTED_PROXIES: list(
    isAddressRange,
    'must be addresses or CIDR ranges with commas between, such as 10.0.0.0/8',
  ),
  BURSAR_CORS_ORIGINS: list(
    (entry) => parseUrl(entry)?.origin === entry,
    'must be origins with commas between, such as https://console.example.com',
  ),
  BURSAR_LOG_LEVEL: z
    .enum(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'must be fatal, error, warn, info, debug, trace or silent',
    )
    .default('info'),
});

/**
 * Reads and validates the configuration.
 *
 * @throws ConfigError listing every problem, each with the variable's name and the remedy.
 */
export function loadConfig(environment: NodeJS.ProcessEnv): Config {
  // An empty variable is how compose files and shells say "unset".
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const problems: string[] = [];
  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      problems.push(`${issue.path.join('.')}: ${issue.message}`);
    }
  }
  let networks: Network[] = [];
  try {
    networks = readNetworks(given.BURSAR_NETWORKS);
  } catch (error) {
    problems.push(`BURSAR_NETWORKS: ${error instanceof Error ? error.message : String(error)}`);
  }
  problems.push(...walletProblems(given));
  if (parsed.success && given.BURSAR_OIDC_ISSUER && !given.BURSAR_OIDC_AUDIENCE) {
    problems.push(
      'BURSAR_OIDC_AUDIENCE: is required with BURSAR_OIDC_ISSUER, or a token meant for any other ' +
        'application would let its bearer in; give the client id or API identifier of this service',
    );
  }
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  const env = parsed.data;
  return {
    host: env.BURSAR_HOST,
    port: env.PORT,
    role: env.BURSAR_ROLE,
    databaseUrl: env.DATABASE_URL,
    databaseConnections: env.BURSAR_DATABASE_CONNECTIONS,
    redisUrl: env.REDIS_URL,
    dataDir: resolve(env.BURSAR_DATA_DIR),
    networks,
    walletMnemonic: env.BURSAR_WALLET_MNEMONIC,
    walletCount: env.BURSAR_WALLET_COUNT,
    keystore: env.BURSAR_KEYSTORE === undefined ? undefined : resolve(env.BURSAR_KEYSTORE),
    keystorePassword: env.BURSAR_KEYSTORE_PASSWORD,
    signerSocket: env.BURSAR_SIGNER_SOCKET,
    gasKey: env.BURSAR_GAS_KEY as `0x${string}` | undefined,
    gasMaxFee: BigInt(env.BURSAR_GAS_MAX_FEE_GWEI) * 1_000_000_000n,
    gasStuckMs: env.BURSAR_GAS_STUCK_SECONDS * 1_000,
    maxValiditySeconds: env.BURSAR_MAX_VALIDITY_SECONDS,
    paymentFlows: [...new Set(['authorization', ...env.BURSAR_PAYMENT_FLOWS])],
    approvalSeconds: env.BURSAR_APPROVAL_SECONDS,
    batches: {
      maxBatch: env.BURSAR_MAX_BATCH,
      maxInFlight: env.BURSAR_MAX_BATCHES_IN_FLIGHT,
      maxWaiting: env.BURSAR_MAX_WAITING_PAYMENTS,
    },
    maxGrantSeconds: env.BURSAR_MAX_GRANT_SECONDS,
    issuer: env.BURSAR_ISSUER ?? DEFAULT_ISSUER,
    masterSecret: env.BURSAR_MASTER_SECRET,
    witnessFile: env.BURSAR_WITNESS_FILE && resolve(env.BURSAR_WITNESS_FILE),
    witnessUrl: env.BURSAR_WITNESS_URL,
    tokenTtlSeconds: env.BURSAR_TOKEN_TTL_SECONDS,
    publicUrl: env.BURSAR_PUBLIC_URL,
    dpopNonces: env.BURSAR_DPOP_NONCES,
    oidc:
      env.BURSAR_OIDC_ISSUER === undefined || env.BURSAR_OIDC_AUDIENCE === undefined
        ? undefined
        : {
            issuer: env.BURSAR_OIDC_ISSUER,
            audience: env.BURSAR_OIDC_AUDIENCE,
            roleClaim: env.BURSAR_OIDC_ROLE_CLAIM,
            treasuriesClaim: env.BURSAR_OIDC_TREASURIES_CLAIM,
          },
    twoPerson: env.BURSAR_TWO_PERSON,
    workerSilenceMs: env.BURSAR_WORKER_SILENCE_SECONDS * 1_000,
    drainMs: env.BURSAR_DRAIN_SECONDS * 1_000,
    bodyLimitBytes: env.BURSAR_BODY_LIMIT_BYTES,
    rateLimits: {
      address: env.BURSAR_RATE_LIMIT_PER_ADDRESS,
      caller: env.BURSAR_RATE_LIMIT_PER_CALLER,
    },
    trustedProxies: env.BURSAR_TRUSTED_PROXIES,
    corsOrigins: env.BURSAR_CORS_ORIGINS,
    logLevel: env.BURSAR_LOG_LEVEL,
  };
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

/** The wallets' keys come from one place, and every process of a database must have the same. */
function walletProblems(given: Readonly<Record<string, string | undefined>>): string[] {
  const sources = ['BURSAR_WALLET_MNEMONIC', 'BURSAR_KEYSTORE', 'BURSAR_SIGNER_SOCKET'].filter(
    (name) => name in given,
  );
  if (sources.length > 1) {
    return [`${sources[1]}: the wallets come from ${sources[0]} already; set one of the two`];
  }
  const problems: string[] = [];
  if (given.DATABASE_URL && sources.length === 0) {
    problems.push(
      'BURSAR_WALLET_MNEMONIC: is required with DATABASE_URL, so that every process signs with the same ' +
        'wallets; give the BIP-39 phrase of the treasury, or BURSAR_KEYSTORE, or BURSAR_SIGNER_SOCKET',
    );
  }
  if (given.BURSAR_KEYSTORE && !given.BURSAR_KEYSTORE_PASSWORD) {
    problems.push(
      'BURSAR_KEYSTORE_PASSWORD: is required with BURSAR_KEYSTORE; give what opens the keystores',
    );
  }
  if (given.BURSAR_KEYSTORE && !existsSync(given.BURSAR_KEYSTORE)) {
    problems.push(
      `BURSAR_KEYSTORE: nothing is at "${given.BURSAR_KEYSTORE}"; make keystores with: npx bursar wallets new --dir PATH`,
    );
  }
  return problems;
}

function readNetworks(text: string | undefined): Network[] {
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
    .map(({ asset, decimals, name, version, symbol }) => ({
      currency: tickerOf(symbol ?? name),
      address: getAddress(asset),
      decimals,
      name,
      version,
    }))
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

/** BIP-39: 12 or 24 words of the English list, of which the last bits are a checksum of the others. */
export function isMnemonic(phrase: string): boolean {
  const places = phrase.split(' ').map((word) => english.indexOf(word));
  if (![12, 24].includes(places.length) || places.includes(-1)) return false;
  const bits = places.map((place) => place.toString(2).padStart(11, '0')).join('');
  const checksumBits = places.length / 3;
  const entropy = BigInt(`0b${bits.slice(0, -checksumBits)}`);
  const bytes = Buffer.from(entropy.toString(16).padStart(checksumBits * 8, '0'), 'hex');
  const [first = 0] = createHash('sha256').update(bytes).digest();
  return bits.endsWith(first.toString(2).padStart(8, '0').slice(0, checksumBits));
}
