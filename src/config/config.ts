import { resolve } from 'node:path';
import type { Bounds } from '../domain/bounds.js';
import type { Network } from '../domain/network.js';
import { ConfigError } from './config-error.js';
import { type Environment, environmentSchema, tracesEndpointOf } from './environment.js';
import { readNetworks } from './networks.js';
import { unknownVariables, walletProblems } from './problems.js';

/** The service's settings, and none of its secrets. Nothing else reads the environment. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** The address of the metrics, apart from the API; undefined for nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  readonly role: 'api' | 'worker' | 'all';
  /** Postgres connection string; undefined starts an embedded server under `dataDir`. */
  readonly databaseUrl: string | undefined;
  /** How many connections one process may open for its own queries. */
  readonly databaseConnections: number;
  /** Redis connection string for BullMQ; undefined puts the queues on Postgres. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  readonly networks: readonly Network[];
  /** Wallets of each treasury taken from the phrase. */
  readonly walletCount: number;
  /** A folder of keystores, or one file; the wallets instead of those of a phrase. */
  readonly keystore: string | undefined;
  /** The Unix socket of a signer in its own process; the wallets are those it has. */
  readonly signerSocket: string | undefined;
  /** The most a cancellation may bid, in wei per gas. */
  readonly gasMaxFee: bigint;
  /** After how long a transaction that is not mined is bid up, in milliseconds. */
  readonly gasStuckMs: number;
  /** How many cancellations holders may ask for in a day: within one root grant, and within one treasury. */
  readonly cancellationsPerDay: { readonly root: number; readonly treasury: number };
  readonly maxValiditySeconds: number;
  /** The values of `paymentFlow` in an x402 entry that Bursar signs for. `authorization` is always one. */
  readonly paymentFlows: readonly string[];
  /** How long a payment may wait for an approval. */
  readonly approvalSeconds: number;
  /** The bounds of what callers may make. */
  readonly bounds: Bounds;
  /** How the ledger's group commit is bounded. */
  readonly batches: {
    maxBatch: number;
    maxInFlight: number;
    maxWaiting: number;
    maxWaitMs: number;
  };
  /** The longest life a grant may be minted with. */
  readonly maxGrantSeconds: number;
  /** `iss` of the tokens minted. */
  readonly issuer: string;
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
  /** How long the console waits for a person before it ends the session, in seconds. */
  readonly consoleIdleSeconds: number;
  /** Whether nobody may approve a payment that he made possible himself. */
  readonly twoPerson: boolean;
  /** How long a worker may take and end no job, though it is offered some, before it counts as hung. */
  readonly workerSilenceMs: number;
  /** How long a process that is told to end still takes requests, so that others learn of it. */
  readonly drainMs: number;
  /** Free funds below which a treasury is low, in currency units; undefined for what it spent in a day. */
  readonly treasuryLow: string | undefined;
  /** Event streams at once: of one caller, and of one process. */
  readonly streams: { readonly perCaller: number; readonly perProcess: number };
  /** Webhooks: how many there may be, and the addresses (or CIDR ranges) that are no public ones and allowed. */
  readonly webhooks: {
    readonly perTreasury: number;
    readonly perRoot: number;
    readonly allow: readonly string[];
  };
  /** Where spans are sent (OTLP over HTTP); undefined for nowhere, and none are made. */
  readonly tracesEndpoint: string | undefined;
  readonly bodyLimitBytes: number;
  /** Requests that one address, one caller and one root's whole tree may make in {@link RATE_WINDOW_MS}. */
  readonly rateLimits: {
    readonly address: number;
    readonly caller: number;
    readonly root: number;
  };
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
  /** The client that the console signs people in as; undefined where it does not. */
  readonly clientId: string | undefined;
  /** Scopes that a sign-in asks for, with spaces between. */
  readonly scope: string;
}

/** Keys, phrases and passwords that the environment gives. */
export interface GivenSecrets {
  /** Seals private keys at rest; undefined makes one under `dataDir`. */
  readonly masterSecret: string | undefined;
  /** BIP-39; undefined makes one under `dataDir`. */
  readonly walletMnemonic: string | undefined;
  readonly keystorePassword: string | undefined;
  /** The key that pays for cancellations; undefined takes a branch of the phrase, if there is one. */
  readonly gasKey: `0x${string}` | undefined;
  /** The key of the account that pays the gas of settlements, where a gateway is its own facilitator. */
  readonly facilitatorKey: `0x${string}` | undefined;
}

/** The configuration as the environment gives it. Secrets go to nobody but who uses them, see secrets.ts. */
export interface GivenConfig extends Config {
  readonly secrets: GivenSecrets;
}

/** The settings of a process with an open database. */
export interface ServiceConfig extends Config {
  readonly databaseUrl: string;
}

/** Period of the rate limits, in milliseconds. */
export const RATE_WINDOW_MS = 10_000;

/** Injection token of the {@link ServiceConfig}; each class names the settings that it reads. */
export const CONFIG = Symbol('config');

/** `iss` of the tokens. Not the address it listens on: a token minted by the CLI must hold whatever PORT the service has. */
const DEFAULT_ISSUER = 'urn:bursar';

/**
 * Reads and validates the configuration.
 *
 * @throws ConfigError listing every problem, each with the variable's name and the remedy.
 */
export function loadConfig(environment: NodeJS.ProcessEnv): GivenConfig {
  // An empty variable is how compose files and shells say "unset".
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const problems: string[] = unknownVariables(given);
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
  if (parsed.success && given.BURSAR_OIDC_CLIENT_ID && !given.BURSAR_OIDC_ISSUER) {
    problems.push('BURSAR_OIDC_CLIENT_ID: is of no use without BURSAR_OIDC_ISSUER; set both');
  }
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return { ...settingsOf(parsed.data), networks, secrets: secretsOf(parsed.data) };
}

/** Settings of an environment that was found valid. */
function settingsOf(env: Environment): Omit<Config, 'networks'> {
  return {
    ...processSettings(env),
    ...walletSettings(env),
    ...paymentSettings(env),
    ...accessSettings(env),
    ...eventSettings(env),
  };
}

/** Where and how the process runs. */
function processSettings(env: Environment) {
  return {
    host: env.BURSAR_HOST,
    port: env.PORT,
    metrics:
      env.BURSAR_METRICS_PORT === undefined
        ? undefined
        : { host: env.BURSAR_METRICS_HOST, port: env.BURSAR_METRICS_PORT },
    role: env.BURSAR_ROLE,
    databaseUrl: env.DATABASE_URL,
    databaseConnections: env.BURSAR_DATABASE_CONNECTIONS,
    redisUrl: env.REDIS_URL,
    dataDir: resolve(env.BURSAR_DATA_DIR),
    publicUrl: env.BURSAR_PUBLIC_URL,
    bodyLimitBytes: env.BURSAR_BODY_LIMIT_BYTES,
    trustedProxies: env.BURSAR_TRUSTED_PROXIES,
    corsOrigins: env.BURSAR_CORS_ORIGINS,
    workerSilenceMs: env.BURSAR_WORKER_SILENCE_SECONDS * 1_000,
    drainMs: env.BURSAR_DRAIN_SECONDS * 1_000,
    logLevel: env.BURSAR_LOG_LEVEL,
  };
}

/** Wallets, and what cancelling their payments may cost. */
function walletSettings(env: Environment) {
  return {
    walletCount: env.BURSAR_WALLET_COUNT,
    keystore: env.BURSAR_KEYSTORE === undefined ? undefined : resolve(env.BURSAR_KEYSTORE),
    signerSocket: env.BURSAR_SIGNER_SOCKET,
    gasMaxFee: BigInt(env.BURSAR_GAS_MAX_FEE_GWEI) * 1_000_000_000n,
    gasStuckMs: env.BURSAR_GAS_STUCK_SECONDS * 1_000,
    cancellationsPerDay: {
      root: env.BURSAR_CANCELLATIONS_PER_ROOT,
      treasury: env.BURSAR_CANCELLATIONS_PER_TREASURY,
    },
    treasuryLow: env.BURSAR_TREASURY_LOW,
  };
}

/** Grants and payments. */
function paymentSettings(env: Environment) {
  return {
    maxValiditySeconds: env.BURSAR_MAX_VALIDITY_SECONDS,
    paymentFlows: [...new Set(['authorization', ...env.BURSAR_PAYMENT_FLOWS])],
    approvalSeconds: env.BURSAR_APPROVAL_SECONDS,
    twoPerson: env.BURSAR_TWO_PERSON,
    bounds: {
      alive: env.BURSAR_MAX_ALIVE_GRANTS,
      waiting: env.BURSAR_MAX_WAITING_APPROVALS,
      open: env.BURSAR_MAX_OPEN_PAYMENTS,
      events: env.BURSAR_MAX_EVENTS_PER_HOUR,
      bytes: env.BURSAR_MAX_BYTES_PER_HOUR,
    },
    batches: {
      maxBatch: env.BURSAR_MAX_BATCH,
      maxInFlight: env.BURSAR_MAX_BATCHES_IN_FLIGHT,
      maxWaiting: env.BURSAR_MAX_WAITING_PAYMENTS,
      maxWaitMs: env.BURSAR_MAX_PAYMENT_WAIT_MS,
    },
    maxGrantSeconds: env.BURSAR_MAX_GRANT_SECONDS,
  };
}

/** Tokens, sign-ins and how often callers may ask. */
function accessSettings(env: Environment) {
  return {
    issuer: env.BURSAR_ISSUER ?? DEFAULT_ISSUER,
    tokenTtlSeconds: env.BURSAR_TOKEN_TTL_SECONDS,
    dpopNonces: env.BURSAR_DPOP_NONCES,
    oidc:
      env.BURSAR_OIDC_ISSUER === undefined || env.BURSAR_OIDC_AUDIENCE === undefined
        ? undefined
        : {
            issuer: env.BURSAR_OIDC_ISSUER,
            audience: env.BURSAR_OIDC_AUDIENCE,
            roleClaim: env.BURSAR_OIDC_ROLE_CLAIM,
            treasuriesClaim: env.BURSAR_OIDC_TREASURIES_CLAIM,
            clientId: env.BURSAR_OIDC_CLIENT_ID,
            scope: env.BURSAR_OIDC_SCOPE,
          },
    consoleIdleSeconds: env.BURSAR_CONSOLE_IDLE_SECONDS,
    rateLimits: {
      address: env.BURSAR_RATE_LIMIT_PER_ADDRESS,
      // No grant takes more than half of what its root has.
      caller: Math.min(
        env.BURSAR_RATE_LIMIT_PER_CALLER,
        Math.max(1, Math.floor(env.BURSAR_RATE_LIMIT_PER_ROOT / 2)),
      ),
      root: env.BURSAR_RATE_LIMIT_PER_ROOT,
    },
  };
}

/** The log's witnesses, event streams and webhooks. */
function eventSettings(env: Environment) {
  return {
    witnessFile: env.BURSAR_WITNESS_FILE && resolve(env.BURSAR_WITNESS_FILE),
    witnessUrl: env.BURSAR_WITNESS_URL,
    tracesEndpoint: tracesEndpointOf(env),
    streams: { perCaller: env.BURSAR_STREAMS_PER_CALLER, perProcess: env.BURSAR_STREAMS },
    webhooks: {
      perTreasury: env.BURSAR_WEBHOOKS_PER_TREASURY,
      perRoot: env.BURSAR_WEBHOOKS_PER_ROOT,
      allow: env.BURSAR_WEBHOOK_ALLOW,
    },
  };
}

/** Keys, phrases and passwords of a valid environment. */
function secretsOf(env: Environment): GivenSecrets {
  return {
    masterSecret: env.BURSAR_MASTER_SECRET,
    walletMnemonic: env.BURSAR_WALLET_MNEMONIC,
    keystorePassword: env.BURSAR_KEYSTORE_PASSWORD,
    gasKey: env.BURSAR_GAS_KEY as `0x${string}` | undefined,
    facilitatorKey: env.BURSAR_FACILITATOR_KEY as `0x${string}` | undefined,
  };
}
