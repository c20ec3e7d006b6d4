import { isIP } from 'node:net';
import { z } from 'zod';
import type { Bound } from '../domain/bounds.js';
import { MAX_TTL_SECONDS } from '../domain/grant.js';
import { parseUrl } from '../domain/scope.js';
import { isMnemonic } from './mnemonic.js';

/** The payment flows of x402's `exact` scheme. */
const PAYMENT_FLOWS = ['authorization', 'upfront'];

const integer = (fallback: number, min: number, max: number) =>
  z
    .string()
    .regex(/^[0-9]{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .default(String(fallback))
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`);

/** Bounds of one grant, one root and one treasury, as `grant/root/treasury`. */
const bound = (grant: number, root: number, treasury: number) =>
  z
    .string()
    .regex(
      /^[1-9][0-9]{0,11}(\/[1-9][0-9]{0,11}){2}$/,
      `must be three whole numbers above 0, of a grant, a root and a treasury, such as ${grant}/${root}/${treasury}`,
    )
    .default(`${grant}/${root}/${treasury}`)
    .transform((text): Bound => {
      const [ofGrant = 0, ofRoot = 0, ofTreasury = 0] = text.split('/').map(Number);
      return { grant: ofGrant, root: ofRoot, treasury: ofTreasury };
    })
    .refine(
      ({ root: ofRoot, treasury: ofTreasury, grant: ofGrant }) =>
        ofGrant <= ofRoot && ofRoot <= ofTreasury,
      'must not give a grant more than its root, nor a root more than its treasury',
    );

const flag = z
  .enum(['true', 'false'], 'must be true or false')
  .default('false')
  .transform((text) => text === 'true');

const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' });

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

/** Every variable of the service, with its default and its form. */
export const environmentSchema = z.object({
  PORT: integer(4020, 0, 65_535),
  BURSAR_HOST: z.string().min(1).default('127.0.0.1'),
  BURSAR_METRICS_PORT: z
    .string()
    .regex(/^([0-9]{1,5}|off)$/, 'must be a whole number from 0 to 65535, or off')
    .default('4021')
    .transform((text) => (text === 'off' ? undefined : Number(text)))
    .refine((port) => (port ?? 0) <= 65_535, 'must be a whole number from 0 to 65535, or off'),
  BURSAR_METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  BURSAR_ROLE: z.enum(['api', 'worker', 'all'], 'must be api, worker or all').default('all'),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL; unset it to use the embedded server')
    .refine(
      (text) => parseUrl(text) !== undefined,
      'is not a valid URL; percent-encode special characters of the password',
    )
    .optional(),
  BURSAR_DATABASE_CONNECTIONS: integer(10, 4, 500),
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
  BURSAR_FACILITATOR_KEY: z
    .string()
    .regex(/^0x[0-9a-fA-F]{64}$/, 'must be a private key: 0x and 64 hexadecimal digits')
    .optional(),
  BURSAR_GAS_MAX_FEE_GWEI: integer(20, 1, 100_000),
  BURSAR_GAS_STUCK_SECONDS: integer(15, 1, 3_600),
  BURSAR_CANCELLATIONS_PER_ROOT: integer(100, 0, 1_000_000),
  BURSAR_CANCELLATIONS_PER_TREASURY: integer(1_000, 0, 1_000_000),
  BURSAR_MAX_VALIDITY_SECONDS: integer(120, 10, 300),
  BURSAR_PAYMENT_FLOWS: list(
    (entry) => PAYMENT_FLOWS.includes(entry),
    `must be a comma-separated list of: ${PAYMENT_FLOWS.join(', ')}`,
  ),
  BURSAR_APPROVAL_SECONDS: integer(3_600, 1, 2_592_000),
  BURSAR_MAX_ALIVE_GRANTS: bound(5_000, 10_000, 1_000_000),
  BURSAR_MAX_WAITING_APPROVALS: bound(100, 400, 10_000),
  BURSAR_MAX_OPEN_PAYMENTS: bound(250_000, 500_000, 1_000_000),
  BURSAR_MAX_EVENTS_PER_HOUR: bound(10_000, 50_000, 500_000),
  BURSAR_MAX_BYTES_PER_HOUR: bound(33_554_432, 134_217_728, 1_073_741_824),
  BURSAR_MAX_BATCH: integer(128, 1, 1_000),
  BURSAR_MAX_BATCHES_IN_FLIGHT: integer(1, 1, 16),
  BURSAR_MAX_WAITING_PAYMENTS: integer(2_000, 1, 100_000),
  BURSAR_MAX_PAYMENT_WAIT_MS: integer(400, 50, 60_000),
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
  BURSAR_OIDC_CLIENT_ID: z.string().min(1).max(255).optional(),
  BURSAR_OIDC_SCOPE: z.string().min(1).max(1_024).default('openid'),
  BURSAR_CONSOLE_IDLE_SECONDS: integer(1_800, 60, 43_200),
  BURSAR_TWO_PERSON: flag,
  BURSAR_WORKER_SILENCE_SECONDS: integer(45, 1, 3_600),
  BURSAR_DRAIN_SECONDS: integer(2, 0, 300),
  BURSAR_TREASURY_LOW: z
    .string()
    .regex(
      /^(?:0|[1-9][0-9]{0,20})(?:\.[0-9]{1,2})?$/,
      'must be an amount in currency units, such as 25.00',
    )
    .optional(),
  BURSAR_STREAMS_PER_CALLER: integer(50, 1, 100_000),
  BURSAR_STREAMS: integer(2_000, 1, 100_000),
  BURSAR_WEBHOOKS_PER_TREASURY: integer(100, 0, 10_000),
  BURSAR_WEBHOOKS_PER_ROOT: integer(20, 0, 10_000),
  BURSAR_WEBHOOK_ALLOW: list(
    isAddressRange,
    'must be IP addresses or CIDR ranges with commas between, such as 10.0.0.0/8',
  ),
  BURSAR_BODY_LIMIT_BYTES: integer(65_536, 1_024, 1_048_576),
  BURSAR_RATE_LIMIT_PER_ADDRESS: integer(100_000, 1, 1_000_000_000),
  BURSAR_RATE_LIMIT_PER_CALLER: integer(50_000, 1, 1_000_000_000),
  BURSAR_RATE_LIMIT_PER_ROOT: integer(100_000, 1, 1_000_000_000),
  BURSAR_TRUSTED_PROXIES: list(
    isAddressRange,
    'must be addresses or CIDR ranges with commas between, such as 10.0.0.0/8',
  ),
  BURSAR_CORS_ORIGINS: list(
    (entry) => parseUrl(entry)?.origin === entry,
    'must be origins with commas between, such as https://console.example.com',
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl.optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: httpUrl.optional(),
  OTEL_SDK_DISABLED: flag,
  BURSAR_LOG_LEVEL: z
    .enum(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'must be fatal, error, warn, info, debug, trace or silent',
    )
    .default('info'),
});

/** Name of a variable of the service. */
/** Values of the variables, where all are valid. */
export type Environment = z.infer<typeof environmentSchema>;

export type EnvironmentVariable = keyof typeof environmentSchema.shape;

/** Where spans are sent: the URL for traces as it is, or the one for all signals with OpenTelemetry's path behind it. */
export function tracesEndpointOf(env: {
  readonly OTEL_SDK_DISABLED: boolean;
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined;
  readonly OTEL_EXPORTER_OTLP_TRACES_ENDPOINT?: string | undefined;
}): string | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: all, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces } = env;
  if (env.OTEL_SDK_DISABLED) return undefined;
  return traces ?? (all && `${all.replace(/\/$/, '')}/v1/traces`);
}
