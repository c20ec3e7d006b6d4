import type { EnvironmentVariable } from './environment.js';

/** Variables that one text explains. */
export interface GuideEntry {
  readonly names: readonly EnvironmentVariable[];
  /** Plain text, in lines of at most 115 characters. It says the unit and the range. */
  readonly text: string;
  /** Shown for a variable without a default. */
  readonly example?: string;
}

/** Meaning of every variable of the service, by topic. `.env.example` and `docs/configuration.md` are made of it. */
export const CONFIGURATION_GUIDE: Readonly<Record<string, readonly GuideEntry[]>> = {
  HTTP: [
    { names: ['PORT'], text: 'Port of the API. 0 takes a free one.' },
    {
      names: ['BURSAR_HOST'],
      text: 'Address the API listens on. 0.0.0.0 listens on all. A reverse proxy terminates TLS.',
    },
    {
      names: ['BURSAR_METRICS_PORT', 'BURSAR_METRICS_HOST'],
      text:
        'Port and address of /metrics. The listener is apart from the API because it shows balances. Port 0 takes a free\n' +
        'one, off serves none. Several processes on one machine need a port each.',
    },
    {
      names: ['BURSAR_PUBLIC_URL'],
      text:
        'URL at which callers reach the service behind a proxy. It stands in metadata, and DPoP proofs are compared with\n' +
        "it. Unset: each request's own Host.",
      example: 'https://bursar.example.com',
    },
    {
      names: ['BURSAR_TRUSTED_PROXIES'],
      text: 'Addresses or CIDR ranges, with commas between, of proxies whose X-Forwarded-* headers are believed.',
    },
    {
      names: ['BURSAR_CORS_ORIGINS'],
      text: 'Origins, with commas between, whose pages may read answers (CORS). None by default.',
    },
    {
      names: ['BURSAR_BODY_LIMIT_BYTES'],
      text: 'Largest request body, in bytes (1024 to 1048576).',
    },
    {
      names: ['BURSAR_RATE_LIMIT_PER_ADDRESS', 'BURSAR_RATE_LIMIT_PER_CALLER'],
      text: 'Requests in ten seconds, of one address and of one caller. More are answered with 429.',
    },
    {
      names: ['BURSAR_RATE_LIMIT_PER_ROOT'],
      text:
        'Requests in ten seconds of a root grant and all grants below it together. One caller gets at most half of\n' +
        'them.',
    },
    {
      names: ['BURSAR_STREAMS_PER_CALLER', 'BURSAR_STREAMS'],
      text:
        'Event streams (GET /v1/events) at once, of one caller and of one process (1 to 100000). One tree of grants has\n' +
        "at most half of a process's streams.",
    },
    {
      names: ['BURSAR_DRAIN_SECONDS'],
      text: 'Time that a process goes on answering after SIGTERM, so that load balancers notice, in seconds (0 to 300).',
    },
  ],
  'Processes and storage': [
    {
      names: ['BURSAR_ROLE'],
      text: 'Role of the process. api answers HTTP and notifies the queues. worker and all do the jobs, too.',
    },
    {
      names: ['DATABASE_URL'],
      text:
        'Postgres. Unset: an embedded server under BURSAR_DATA_DIR. Set: BURSAR_WALLET_MNEMONIC is required. The example\n' +
        'is the server of docker-compose.yml.',
      example: 'postgres://bursar:bursar@127.0.0.1:5432/bursar',
    },
    {
      names: ['BURSAR_DATABASE_CONNECTIONS'],
      text:
        'Connections that one process may open for its own queries (4 to 500). Three tenths are for payments only,\n' +
        'three tenths for reads only (lists, exports, summaries), the rest for everything else.',
    },
    {
      names: ['REDIS_URL'],
      text: 'Redis for the queues. It must not evict keys (maxmemory-policy noeviction). Unset: queues on Postgres.',
      example: 'redis://127.0.0.1:6379',
    },
    {
      names: ['BURSAR_DATA_DIR'],
      text: 'Folder of the embedded database and of the secrets made on first use. It belongs to one service.',
    },
    {
      names: ['BURSAR_WORKER_SILENCE_SECONDS'],
      text:
        'Time in which a worker may neither take nor end an offered job before /readyz reports it as hung and a new\n' +
        'worker replaces it, in seconds (1 to 3600).',
    },
    {
      names: ['BURSAR_LOG_LEVEL'],
      text: 'Log level: fatal, error, warn, info, debug, trace or silent.',
    },
  ],
  'Networks and payments': [
    {
      names: ['BURSAR_NETWORKS'],
      text:
        'Networks payments may be made on: a JSON array, or the path of a file that holds one. Unset: Base Sepolia.\n' +
        'Members of a network:\n' +
        '  network   CAIP-2, such as eip155:8453\n' +
        '  rpcUrls   the quorum. A payment ends, and a balance is believed, only as all of them say. Two of different\n' +
        '            providers are safer than one\n' +
        '  finality  "finalized" (default), "safe", or { "blocks": 10 }\n' +
        '  pollMs    interval at which the chain is read, in milliseconds (default 2000)\n' +
        '  maxClockSkewSeconds  distance of the newest block from now within which payments are made (default 300)\n' +
        '  assets    [{ "currency", "address", "decimals", "name", "version" }], the whole list of EIP-3009 tokens. By\n' +
        '            default the tokens of the network that x402 knows (USDC, USDT0, ...). See docs/operating.md',
      example: `'[{"network":"eip155:84532","rpcUrls":["https://sepolia.base.org"]}]'`,
    },
    {
      names: ['BURSAR_TREASURY_LOW'],
      text:
        'Free funds of a treasury below which the event treasury.low is written, in currency units. Unset: the amount that\n' +
        'it spent in the last 24 hours.',
      example: '25.00',
    },
    {
      names: ['BURSAR_MAX_VALIDITY_SECONDS'],
      text: 'Longest life of a signature, in seconds, whatever a seller asks (10 to 300).',
    },
    {
      names: ['BURSAR_PAYMENT_FLOWS'],
      text:
        'Payment flows (`paymentFlow` of an x402 entry) that are signed, with commas between: authorization, upfront.\n' +
        'With upfront the seller settles the payment before it serves the request. authorization is always allowed.',
      example: 'authorization',
    },
    {
      names: ['BURSAR_MAX_GRANT_SECONDS'],
      text: 'Longest life of a grant, in seconds (60 to 315360000). A mint that asks for more is refused.',
    },
    {
      names: ['BURSAR_APPROVAL_SECONDS'],
      text:
        "Time that a payment above a grant's approvalAbove waits for its approval, in seconds. Once it is approved, the\n" +
        'agent has the same time again to collect it.',
    },
    {
      names: [
        'BURSAR_MAX_ALIVE_GRANTS',
        'BURSAR_MAX_WAITING_APPROVALS',
        'BURSAR_MAX_OPEN_PAYMENTS',
        'BURSAR_MAX_EVENTS_PER_HOUR',
        'BURSAR_MAX_BYTES_PER_HOUR',
      ],
      text:
        'Bounds of what callers may make, as grant/root/treasury: one grant with all below it, one root with all below\n' +
        'it, one treasury. A grant below a root has at most half of its root. More is 429. See docs/operating.md.\n' +
        'In order: grants neither revoked nor expired; payments that wait for an approval; payments signed and not\n' +
        'ended; events of an hour that move no money; characters of grants and of such events in an hour.',
    },
    {
      names: ['BURSAR_MAX_BATCH', 'BURSAR_MAX_BATCHES_IN_FLIGHT', 'BURSAR_MAX_WAITING_PAYMENTS'],
      text:
        'Group commit: payments that one transaction decides at most; transactions at once (one is best while all\n' +
        'grants share a wallet pool); payments that may wait before callers are told to come back.',
    },
    {
      names: ['BURSAR_MAX_PAYMENT_WAIT_MS'],
      text:
        'Longest expected wait of a payment for its answer, in milliseconds (50 to 60000). A payment that would wait\n' +
        'longer is refused at once with 503 and Retry-After.',
    },
  ],
  'Wallets and secrets': [
    {
      names: ['BURSAR_WALLET_MNEMONIC'],
      text: "BIP-39 phrase of the treasury's wallets (m/44'/60'/0'/0/n). Unset: made once, in BURSAR_DATA_DIR.",
    },
    { names: ['BURSAR_WALLET_COUNT'], text: 'Wallets taken from the phrase (1 to 256).' },
    {
      names: ['BURSAR_KEYSTORE', 'BURSAR_KEYSTORE_PASSWORD'],
      text:
        'Encrypted keystores instead of a phrase (Web3 Secret Storage v3, scrypt): a folder of *.json, or one file, and\n' +
        'their password. A treasury other than main has its own in the subfolder of its name.',
    },
    {
      names: ['BURSAR_SIGNER_SOCKET'],
      text: 'Unix socket of a signer in a process of its own, which has the keys instead: npx bursar signer --socket PATH.',
    },
    {
      names: ['BURSAR_GAS_KEY'],
      text: "Private key of the account that pays the gas of cancellations. Unset: m/44'/60'/0'/1/0 of the phrase.",
    },
    {
      names: ['BURSAR_GAS_MAX_FEE_GWEI'],
      text: 'Highest bid of a cancellation, in gwei per gas (1 to 100000).',
    },
    {
      names: ['BURSAR_GAS_STUCK_SECONDS'],
      text: 'Time after which the bid for a transaction that is not mined is raised, in seconds (1 to 3600).',
    },
    {
      names: ['BURSAR_CANCELLATIONS_PER_ROOT', 'BURSAR_CANCELLATIONS_PER_TREASURY'],
      text:
        'Cancellations that grant holders may ask for in 24 hours, within one root grant and within one treasury (0 to\n' +
        '1000000). Admins are not refused, but their cancellations count.',
    },
    {
      names: ['BURSAR_FACILITATOR_KEY'],
      text:
        'Private key of the account that pays the gas where a gateway verifies and settles by itself (`facilitator: self`).\n' +
        'See docs/gateway.md.',
    },
    {
      names: ['BURSAR_MASTER_SECRET'],
      text:
        'Seals the signing keys of tokens and checkpoints in the database: 32 characters or more, made by\n' +
        'openssl rand -base64 32. Every process of one database needs the same. Unset: made once, in BURSAR_DATA_DIR.',
    },
  ],
  'Audit log': [
    {
      names: ['BURSAR_WITNESS_FILE', 'BURSAR_WITNESS_URL'],
      text:
        "Witnesses keep the log's signed checkpoints where its operator cannot rewrite them: a file of the worker's\n" +
        'machine that is appended to, the URL of a C2SP tlog-witness (without /add-checkpoint), or both.',
    },
  ],
  'Tokens and sign-in': [
    {
      names: ['BURSAR_ISSUER'],
      text: 'Issuer of the tokens minted: a URL. Tokens of another issuer are refused. Unset: urn:bursar.',
    },
    {
      names: ['BURSAR_TOKEN_TTL_SECONDS'],
      text: 'Longest life of a grant token, in seconds (60 or more). Its holder renews it meanwhile.',
    },
    {
      names: ['BURSAR_DPOP_NONCES'],
      text: 'true: DPoP proofs of key-bound grants must carry a nonce that the service hands out.',
    },
    {
      names: [
        'BURSAR_OIDC_ISSUER',
        'BURSAR_OIDC_AUDIENCE',
        'BURSAR_OIDC_ROLE_CLAIM',
        'BURSAR_OIDC_TREASURIES_CLAIM',
      ],
      text:
        'Sign-in for admins through an OpenID provider: its issuer; the audience its tokens must name; the claim that\n' +
        'holds a role (admin, approver, auditor; dots lead into objects); the claim that lists ids of treasuries (unset:\n' +
        'all treasuries). See docs/sign-in.md.',
    },
    {
      names: ['BURSAR_OIDC_CLIENT_ID', 'BURSAR_OIDC_SCOPE'],
      text:
        'The public client that the console signs people in as at that provider (authorization code with PKCE), and the\n' +
        'scopes it asks for, with spaces between. Needs BURSAR_PUBLIC_URL where the console is not on loopback.',
    },
    {
      names: ['BURSAR_TWO_PERSON'],
      text:
        'true: no admin approves a payment under a grant that he minted, resumed, or was ever handed a token of. No\n' +
        'holder approves.',
    },
    {
      names: ['BURSAR_CONSOLE_IDLE_SECONDS'],
      text: 'Time without use after which the console signs a person out, in seconds (60 to 43200).',
    },
  ],
  Traces: [
    {
      names: ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'],
      text:
        'Where spans are sent, by OTLP over HTTP with JSON: the URL of a collector, which /v1/traces is put behind, or the\n' +
        'whole URL for traces, which goes first. Unset: no traces. See docs/operating.md.',
      example: 'http://127.0.0.1:4318',
    },
    {
      names: ['OTEL_SDK_DISABLED'],
      text: 'true: no traces, whatever endpoint is set.',
    },
  ],
  Webhooks: [
    {
      names: ['BURSAR_WEBHOOKS_PER_TREASURY', 'BURSAR_WEBHOOKS_PER_ROOT'],
      text: 'Webhooks of one treasury, and of one root grant with all grants below it (0 to 10000).',
    },
    {
      names: ['BURSAR_WEBHOOK_ALLOW'],
      text:
        'Addresses or CIDR ranges, with commas between, that webhooks may be sent to although they are private or\n' +
        'loopback. http is allowed only there. Anybody who may register a webhook can reach these addresses.',
    },
  ],
};
