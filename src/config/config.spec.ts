import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { loadConfig } from './config.js';
import { ConfigError } from './config-error.js';
import { environmentSchema } from './environment.js';
import { CONFIGURATION_GUIDE } from './guide.js';
import { currenciesOf, tickerOf } from './networks.js';

const PHRASE = 'test test test test test test test test test test test junk';
const TOKEN = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const RPC = ['http://127.0.0.1:8545'];

/** The problems of an environment, as a user reads them: one line each. */
function problemsOf(environment: NodeJS.ProcessEnv): string[] {
  try {
    loadConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.message).toBe(error.problems.join('\n'));
    return [...error.problems];
  }
  throw new Error('it was accepted');
}

function networksOf(networks: unknown) {
  return loadConfig({ BURSAR_NETWORKS: JSON.stringify(networks) }).networks;
}

/** A made-up token's address. Digits alone carry no checksum. */
function addressOf(n: number): string {
  return `0x${String(n).repeat(40)}`;
}

function networksProblem(networks: unknown): string {
  const text = typeof networks === 'string' ? networks : JSON.stringify(networks);
  const [problem, ...others] = problemsOf({ BURSAR_NETWORKS: text });
  expect(others).toEqual([]);
  expect(problem).toMatch(/^BURSAR_NETWORKS: /);
  return problem ?? '';
}

const folder = mkdtempSync(join(tmpdir(), 'bursar-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('tickerOf', () => {
  it.each([
    ['USDC', 'USDC'],
    ['USDC.e', 'USDC.e'],
    ['USD₮0', 'USDT0'],
    ['USD₮', 'USDT'],
    ['Mezo USD', 'MezoUSD'],
    ['ＥＵＲ', 'EUR'],
    ['Código', 'Codigo'],
    ['A very long name of a token', 'Averylongnameofa'],
    ['円', ''],
  ])('makes "%s" the currency code "%s"', (symbol, code) => {
    expect(tickerOf(symbol)).toBe(code);
  });
});

describe('loadConfig', () => {
  it('needs nothing: it starts on this machine only, on a test network', () => {
    expect(loadConfig({})).toEqual({
      host: '127.0.0.1',
      port: 4020,
      metrics: { host: '127.0.0.1', port: 4021 },
      role: 'all',
      databaseUrl: undefined,
      databaseConnections: 10,
      redisUrl: undefined,
      dataDir: resolve('.bursar'),
      networks: [
        {
          network: 'eip155:84532',
          chainId: 84_532,
          rpcUrls: ['https://sepolia.base.org'],
          finality: 'finalized',
          pollMs: 2_000,
          maxClockSkewSeconds: 300,
          hasDefaultAssets: true,
          assets: [{ currency: 'USDC', address: TOKEN, decimals: 6, name: 'USDC', version: '2' }],
        },
      ],
      walletCount: 4,
      keystore: undefined,
      signerSocket: undefined,
      gasMaxFee: 20_000_000_000n,
      gasStuckMs: 15_000,
      cancellationsPerDay: { root: 100, treasury: 1_000 },
      drainMs: 2_000,
      workerSilenceMs: 45_000,
      maxValiditySeconds: 120,
      paymentFlows: ['authorization'],
      approvalSeconds: 3_600,
      batches: { maxBatch: 128, maxInFlight: 1, maxWaiting: 2_000, maxWaitMs: 400 },
      maxGrantSeconds: 315_360_000,
      issuer: 'urn:bursar',
      witnessFile: undefined,
      witnessUrl: undefined,
      streams: { perCaller: 50, perProcess: 2000 },
      treasuryLow: undefined,
      tokenTtlSeconds: 86_400,
      webhooks: { allow: [], perRoot: 20, perTreasury: 100 },
      publicUrl: undefined,
      dpopNonces: false,
      oidc: undefined,
      twoPerson: false,
      bodyLimitBytes: 65_536,
      rateLimits: { address: 100_000, caller: 50_000, root: 100_000 },
      bounds: {
        alive: { grant: 5_000, root: 10_000, treasury: 1_000_000 },
        waiting: { grant: 100, root: 400, treasury: 10_000 },
        open: { grant: 250_000, root: 500_000, treasury: 1_000_000 },
        events: { grant: 10_000, root: 50_000, treasury: 500_000 },
        bytes: { grant: 33_554_432, root: 134_217_728, treasury: 1_073_741_824 },
      },
      trustedProxies: [],
      consoleIdleSeconds: 1800,
      corsOrigins: [],
      secrets: {
        walletMnemonic: undefined,
        keystorePassword: undefined,
        gasKey: undefined,
        facilitatorKey: undefined,
        masterSecret: undefined,
      },
      logLevel: 'info',
    });
  });

  it('takes every variable', () => {
    expect(
      loadConfig({
        PORT: '0',
        BURSAR_HOST: '0.0.0.0',
        BURSAR_ROLE: 'worker',
        DATABASE_URL: 'postgresql://bursar@db/bursar',
        BURSAR_DATABASE_CONNECTIONS: '4',
        BURSAR_METRICS_PORT: 'off',
        BURSAR_METRICS_HOST: '0.0.0.0',
        REDIS_URL: 'rediss://cache:6380',
        BURSAR_DATA_DIR: '/var/lib/bursar',
        BURSAR_NETWORKS: JSON.stringify([{ network: 'eip155:8453', rpcUrls: RPC }]),
        BURSAR_WALLET_MNEMONIC: PHRASE,
        BURSAR_WALLET_COUNT: '256',
        BURSAR_GAS_KEY: `0x${'5a'.repeat(32)}`,
        BURSAR_GAS_MAX_FEE_GWEI: '3',
        BURSAR_GAS_STUCK_SECONDS: '60',
        BURSAR_CANCELLATIONS_PER_ROOT: '0',
        BURSAR_CANCELLATIONS_PER_TREASURY: '7',
        BURSAR_MAX_VALIDITY_SECONDS: '300',
        BURSAR_PAYMENT_FLOWS: 'authorization, upfront',
        BURSAR_MAX_GRANT_SECONDS: '86400',
        BURSAR_ISSUER: 'https://bursar.example.com',
        BURSAR_MASTER_SECRET: 's'.repeat(32),
        BURSAR_WITNESS_FILE: '/mnt/witness/log.txt',
        BURSAR_WITNESS_URL: 'https://witness.example.com/bursar',
        BURSAR_TOKEN_TTL_SECONDS: '60',
        BURSAR_PUBLIC_URL: 'https://bursar.example.com/pay/',
        BURSAR_DPOP_NONCES: 'true',
        BURSAR_OIDC_ISSUER: 'https://id.example.com/',
        BURSAR_OIDC_AUDIENCE: 'bursar',
        BURSAR_OIDC_ROLE_CLAIM: 'realm_access.roles',
        BURSAR_OIDC_TREASURIES_CLAIM: 'treasuries',
        BURSAR_OIDC_CLIENT_ID: 'bursar-console',
        BURSAR_OIDC_SCOPE: 'openid profile',
        BURSAR_TWO_PERSON: 'true',
        BURSAR_BODY_LIMIT_BYTES: '1024',
        BURSAR_RATE_LIMIT_PER_ADDRESS: '200',
        BURSAR_RATE_LIMIT_PER_CALLER: '100',
        BURSAR_RATE_LIMIT_PER_ROOT: '300',
        BURSAR_MAX_ALIVE_GRANTS: '1/2/3',
        BURSAR_MAX_WAITING_APPROVALS: '4/5/6',
        BURSAR_MAX_OPEN_PAYMENTS: '7/8/9',
        BURSAR_MAX_EVENTS_PER_HOUR: '10/11/12',
        BURSAR_MAX_BYTES_PER_HOUR: '13/14/15',
        BURSAR_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
        BURSAR_CORS_ORIGINS: 'https://console.example.com',
        BURSAR_LOG_LEVEL: 'silent',
      }),
    ).toMatchObject({
      host: '0.0.0.0',
      port: 0,
      role: 'worker',
      databaseUrl: 'postgresql://bursar@db/bursar',
      databaseConnections: 4,
      redisUrl: 'rediss://cache:6380',
      dataDir: '/var/lib/bursar',
      networks: [{ network: 'eip155:8453', chainId: 8_453, assets: [{ name: 'USD Coin' }] }],
      walletCount: 256,
      gasMaxFee: 3_000_000_000n,
      gasStuckMs: 60_000,
      cancellationsPerDay: { root: 0, treasury: 7 },
      maxValiditySeconds: 300,
      paymentFlows: ['authorization', 'upfront'],
      maxGrantSeconds: 86_400,
      issuer: 'https://bursar.example.com',
      witnessFile: '/mnt/witness/log.txt',
      witnessUrl: 'https://witness.example.com/bursar',
      tokenTtlSeconds: 60,
      publicUrl: 'https://bursar.example.com/pay',
      dpopNonces: true,
      oidc: {
        issuer: 'https://id.example.com/',
        audience: 'bursar',
        roleClaim: 'realm_access.roles',
        treasuriesClaim: 'treasuries',
        clientId: 'bursar-console',
        scope: 'openid profile',
      },
      twoPerson: true,
      bodyLimitBytes: 1_024,
      rateLimits: { address: 200, caller: 100, root: 300 },
      bounds: {
        alive: { grant: 1, root: 2, treasury: 3 },
        waiting: { grant: 4, root: 5, treasury: 6 },
        open: { grant: 7, root: 8, treasury: 9 },
        events: { grant: 10, root: 11, treasury: 12 },
        bytes: { grant: 13, root: 14, treasury: 15 },
      },
      trustedProxies: ['10.0.0.0/8', '::1'],
      corsOrigins: ['https://console.example.com'],
      secrets: {
        walletMnemonic: PHRASE,
        gasKey: `0x${'5a'.repeat(32)}`,
        masterSecret: 's'.repeat(32),
      },
      logLevel: 'silent',
    });
  });

  it('takes an empty variable for one that is not set, as compose files write it', () => {
    const empty = Object.fromEntries(
      [
        'PORT',
        'DATABASE_URL',
        'REDIS_URL',
        'BURSAR_NETWORKS',
        'BURSAR_KEYSTORE',
        'BURSAR_ISSUER',
      ].map((name) => [name, '']),
    );
    expect(loadConfig(empty)).toEqual(loadConfig({}));
  });

  it.each(['upfront', 'upfront,authorization', 'upfront, upfront'])(
    'always allows the authorization flow, also when BURSAR_PAYMENT_FLOWS is "%s"',
    (flows) => {
      const { paymentFlows } = loadConfig({ BURSAR_PAYMENT_FLOWS: flows });
      expect(paymentFlows).toEqual(['authorization', 'upfront']);
    },
  );

  it("leaves the machine's other variables alone", () => {
    expect(loadConfig({ PATH: '/bin', HOME: '/root' })).toEqual(loadConfig({}));
  });

  it.each([
    ['PORT', ['-1', '65536', '80a', '1e3', '0x50', ' 80', '8.5'], 'a whole number from 0 to 65535'],
    ['BURSAR_ROLE', ['both', 'API'], 'must be api, worker or all'],
    [
      'DATABASE_URL',
      ['db:5432', 'mysql://db/bursar'],
      'must be a postgres:// URL; unset it to use',
    ],
    [
      'DATABASE_URL',
      ['postgres://bursar:p/w#1@db/bursar', 'postgres://db:port/bursar'],
      'is not a valid URL; percent-encode special characters of the password',
    ],
    ['BURSAR_METRICS_PORT', ['-1', '65536', 'none'], 'from 0 to 65535, or off'],
    ['BURSAR_MAX_PAYMENT_WAIT_MS', ['49', '60001', 'long'], 'a whole number from 50 to 60000'],
    ['BURSAR_DATABASE_CONNECTIONS', ['3', '501', 'ten'], 'a whole number from 4 to 500'],
    ['REDIS_URL', ['localhost:6379', 'http://cache'], 'must be a redis:// URL; unset it to keep'],
    ['BURSAR_WALLET_COUNT', ['0', '257', '4.0'], 'a whole number from 1 to 256'],
    [
      'BURSAR_PAYMENT_FLOWS',
      ['escrow', 'authorization,Upfront', 'upfront;authorization'],
      'must be a comma-separated list of: authorization, upfront',
    ],
    ['BURSAR_MAX_VALIDITY_SECONDS', ['9', '301', '-1'], 'a whole number from 10 to 300'],
    [
      'BURSAR_MAX_GRANT_SECONDS',
      ['59', '315360001', 'forever'],
      'a whole number from 60 to 315360000',
    ],
    ['BURSAR_ISSUER', ['bursar', '/here'], 'must be a URL'],
    [
      'BURSAR_MASTER_SECRET',
      ['short'],
      'at least 32 characters; make one with: openssl rand -base64 32',
    ],
    [
      'BURSAR_WITNESS_URL',
      [
        'witness',
        'ftp://witness.example.com',
        'https://me:secret@witness.example.com/',
        'https://w.example.com/?a=b',
      ],
      'must be',
    ],
    ['BURSAR_BODY_LIMIT_BYTES', ['1023', '1048577', '64k'], 'a whole number from 1024 to 1048576'],
    [
      'BURSAR_LOG_LEVEL',
      ['verbose', 'INFO'],
      'must be fatal, error, warn, info, debug, trace or silent',
    ],
    [
      'BURSAR_KEYSTORE',
      ['/keys.json'],
      'the wallets come from BURSAR_WALLET_MNEMONIC already; set one of the two',
    ],
    ['BURSAR_SIGNER_SOCKET', ['/run/signer.sock'], 'come from BURSAR_WALLET_MNEMONIC already'],
    ['BURSAR_GAS_KEY', ['0x5a', 'word '.repeat(12)], 'must be a private key: 0x and 64'],
    ['BURSAR_GAS_MAX_FEE_GWEI', ['0', '0.5'], 'a whole number from 1 to 100000'],
    [
      'BURSAR_OIDC_ISSUER',
      [
        'id.example.com',
        'http://id.example.com',
        'https://u@id.example.com',
        'https://id.example/?a',
      ],
      'must be an https URL',
    ],
    ['BURSAR_OIDC_AUDIENCE', ['x'.repeat(256)], '255'],
    ['BURSAR_PUBLIC_URL', ['http://bursar.example.com', 'bursar'], 'must be an https URL'],
    ['BURSAR_TOKEN_TTL_SECONDS', ['59', '1h'], 'a whole number from 60'],
    ['BURSAR_DPOP_NONCES', ['yes', '1'], 'must be true or false'],
    ['BURSAR_TWO_PERSON', ['yes', '1'], 'must be true or false'],
    ['BURSAR_RATE_LIMIT_PER_ADDRESS', ['0', '-1'], 'a whole number from 1'],
    ['BURSAR_RATE_LIMIT_PER_CALLER', ['0', 'none'], 'a whole number from 1'],
    [
      'BURSAR_TRUSTED_PROXIES',
      ['proxy', '10.0.0.0/33', '10.0.0.0/8/8'],
      'addresses or CIDR ranges',
    ],
    ['BURSAR_CORS_ORIGINS', ['*', 'https://a.example/', 'a.example'], 'must be origins'],
  ])('names %s and its remedy when it is one of %j', (name, values, remedy) => {
    for (const value of values) {
      const problems = problemsOf({ BURSAR_WALLET_MNEMONIC: PHRASE, [name]: value });
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(new RegExp(`^${name}: `));
      expect(problems[0]).toContain(remedy);
    }
  });

  it('asks for the audience where an identity provider is named: any other application has tokens too', () => {
    expect(problemsOf({ BURSAR_OIDC_ISSUER: 'https://id.example.com' })).toEqual([
      expect.stringMatching(/^BURSAR_OIDC_AUDIENCE: is required with BURSAR_OIDC_ISSUER/),
    ]);
  });

  it('lists everything that is wrong at once', () => {
    const problems = problemsOf({
      PORT: 'http',
      BURSAR_ROLE: 'both',
      BURSAR_KEYSTORE: '/keys.json',
      BURSAR_NETWORKS: '[]',
      DATABASE_URL: 'postgres://db/bursar',
    });
    expect(problems.map((line) => line.split(':')[0]).toSorted()).toEqual([
      'BURSAR_KEYSTORE',
      'BURSAR_KEYSTORE_PASSWORD',
      'BURSAR_NETWORKS',
      'BURSAR_ROLE',
      'PORT',
    ]);
  });

  it('takes the wallets from keystores, or from a signer, instead of a phrase', () => {
    const DATABASE_URL = 'postgres://db/bursar';
    const keystores = { DATABASE_URL, BURSAR_KEYSTORE: folder, BURSAR_KEYSTORE_PASSWORD: 'secret' };
    expect(loadConfig(keystores)).toMatchObject({
      keystore: folder,
      secrets: { keystorePassword: 'secret' },
    });
    const signer = { DATABASE_URL, BURSAR_SIGNER_SOCKET: '/run/bursar/signer.sock' };
    expect(loadConfig(signer)).toMatchObject({ signerSocket: '/run/bursar/signer.sock' });
    expect(problemsOf({ BURSAR_SIGNER_SOCKET: 'signer.sock' })).toEqual([
      expect.stringMatching(/^BURSAR_SIGNER_SOCKET: must be the absolute path/),
    ]);
  });

  describe('with BURSAR_WALLET_MNEMONIC', () => {
    const abandon = (count: number, last: string) => `${'abandon '.repeat(count - 1)}${last}`;

    it.each([
      ['12 words', abandon(12, 'about')],
      ['24 words', abandon(24, 'art')],
    ])('takes %s of the BIP-39 test vectors', (_what, phrase) => {
      expect(loadConfig({ BURSAR_WALLET_MNEMONIC: phrase }).secrets.walletMnemonic).toBe(phrase);
    });

    it.each([
      ['another word of the list, which the checksum tells', abandon(12, 'ability')],
      [
        'two words swapped',
        'legal winner thank year wave sausage worth useful legal winner yellow thank',
      ],
      ['24 words with a wrong last one', abandon(24, 'about')],
      ['a word that is not of the list', abandon(12, 'bursar')],
      ['11 words', abandon(11, 'about')],
      ['a doubled space', abandon(12, 'about').replace(' ', '  ')],
      ['capitals', abandon(12, 'about').toUpperCase()],
      ['a line break at the end', `${abandon(12, 'about')}\n`],
      ['a private key', `0x${'5a'.repeat(32)}`],
    ])('refuses %s, rather than sign with wallets that nobody funded', (_what, phrase) => {
      const problems = problemsOf({ BURSAR_WALLET_MNEMONIC: phrase });
      expect(problems).toEqual([
        'BURSAR_WALLET_MNEMONIC: must be a valid BIP-39 phrase of 12 or 24 English words',
      ]);
    });

    it('left out asks for it as soon as several processes may share a database', () => {
      expect(problemsOf({ DATABASE_URL: 'postgres://db/bursar' })).toEqual([
        expect.stringMatching(
          /^BURSAR_WALLET_MNEMONIC: is required with DATABASE_URL.*give the BIP-39/,
        ),
      ]);
    });
  });

  it('never repeats a secret in what it prints', () => {
    const message = problemsOf({
      BURSAR_WALLET_MNEMONIC: PHRASE.replace('junk', 'canary'),
      BURSAR_MASTER_SECRET: 'canary',
      BURSAR_KEYSTORE_PASSWORD: 'canary',
      DATABASE_URL: 'mysql://bursar:canary@db/bursar',
      REDIS_URL: 'http://:canary@cache',
    }).join('\n');
    expect(message).toContain('BURSAR_MASTER_SECRET');
    expect(message).not.toContain('canary');
  });

  describe('with BURSAR_NETWORKS', () => {
    const asset = { currency: 'USDC', address: TOKEN, decimals: 6, name: 'Test', version: '1' };
    const local = { network: 'eip155:31337', rpcUrls: RPC, assets: [asset] };

    it('reads them from the variable', () => {
      const finality = { blocks: 2 };
      expect(networksOf([{ ...local, finality, pollMs: 250 }])).toEqual([
        {
          ...local,
          chainId: 31_337,
          finality,
          pollMs: 250,
          maxClockSkewSeconds: 300,
          hasDefaultAssets: false,
        },
      ]);
    });

    it('reads them from a file', () => {
      const path = file('networks.json', JSON.stringify([local]));
      expect(loadConfig({ BURSAR_NETWORKS: path }).networks).toEqual(networksOf([local]));
    });

    it.each([
      1, 50, 51, 137, 143, 1_328, 1_329, 8_453, 42_161, 43_114, 84_532, 421_614, 11_142_220,
    ])('knows the USDC of chain %i, as the x402 packages do', (chainId) => {
      const [network] = networksOf([{ network: `eip155:${chainId}`, rpcUrls: RPC }]);
      expect(network?.assets).toEqual([
        expect.objectContaining({ currency: 'USDC', decimals: 6, version: '2' }),
      ]);
    });

    it.each([
      [14, ['USDT0'], ['USD₮0']],
      [988, ['USDT0'], ['USDT0']],
      [2_201, ['USDT0'], ['USDT0']],
      [36_900, ['USDC.e'], ['USDC.e']],
      [42_220, ['USDC', 'USDT', 'USAT'], ['USDC', 'Tether USD', 'Tether America USD']],
      [181_228, ['USDC.e'], ['Bridged USDC']],
      [190_415, ['USDC.e'], ['Bridged USDC']],
    ])(
      'knows every EIP-3009 token of chain %i, each as a currency: %j',
      (chainId, codes, names) => {
        const [network] = networksOf([{ network: `eip155:${chainId}`, rpcUrls: RPC }]);
        expect(network?.assets.map(({ currency }) => currency)).toEqual(codes);
        expect(network?.assets.map(({ name }) => name)).toEqual(names);
        expect(network?.assets.map(({ decimals }) => decimals)).toEqual(codes.map(() => 6));
      },
    );

    it.each([4_326, 31_611, 31_612, 38_833, 72_344, 723_487])(
      'does not take the token of chain %i, which has no EIP-3009, by default',
      (chainId) => {
        const networks = [{ network: `eip155:${chainId}`, rpcUrls: RPC }];
        expect(networksProblem(networks)).toContain('no EIP-3009 token is known for eip155:');
      },
    );

    it('takes any EIP-3009 token, and several that share a currency of equal decimals', () => {
      const tokens = [
        { ...asset, currency: 'EURC', address: addressOf(1), name: 'EURC', version: '2' },
        { ...asset, currency: 'EURC', address: addressOf(2), name: 'Bridged EURC' },
        { ...asset, currency: 'TUSD18', address: addressOf(3), decimals: 18 },
      ];
      const networks = networksOf([
        { ...local, assets: [asset, ...tokens] },
        { ...local, network: 'eip155:31338', assets: [tokens[0]] },
      ]);
      expect(networks.map(({ assets }) => assets)).toEqual([[asset, ...tokens], [tokens[0]]]);
      expect([...currenciesOf(networks).values()]).toEqual([
        { code: 'USDC', decimals: 6 },
        { code: 'EURC', decimals: 6 },
        { code: 'TUSD18', decimals: 18 },
      ]);
    });

    it('lets two configurations of one process count a currency differently', () => {
      const token = { ...asset, currency: 'EITHER', decimals: 6 };
      expect(networksOf([{ ...local, assets: [token] }])[0]?.assets).toEqual([token]);
      const other = { ...token, decimals: 18 };
      expect(networksOf([{ ...local, assets: [other] }])[0]?.assets).toEqual([other]);
    });

    it('knows USDC on the networks of the x402 packages, and takes a lower-case address', () => {
      const [first, second] = networksOf([
        { network: 'eip155:8453', rpcUrls: RPC },
        { ...local, assets: [{ ...asset, address: TOKEN.toLowerCase() }] },
      ]);
      expect(first?.assets).toEqual([
        {
          currency: 'USDC',
          address: '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913',
          decimals: 6,
          name: 'USD Coin',
          version: '2',
        },
      ]);
      expect(second?.assets[0]?.address).toBe(TOKEN);
    });

    it('lets named assets take the place of the known ones', () => {
      const [network] = networksOf([{ ...local, network: 'eip155:84532' }]);
      expect(network?.assets).toEqual([asset]);
    });

    it.each([
      [
        'a file that is not there',
        '/nowhere/networks.json',
        'no file at "/nowhere/networks.json"; give',
      ],
      ['broken JSON', '[{', 'is not valid JSON'],
      ['an empty list', [], '>=1 items'],
      ['one network that is in no list', local, 'expected array'],
      ['a network twice', [local, local], 'names a network twice'],
      ['a v1 name', [{ ...local, network: 'base' }], 'must be CAIP-2, such as eip155:8453'],
      ['a chain id with a leading zero', [{ ...local, network: 'eip155:01' }], 'must be CAIP-2'],
      [
        'a network of which no token is known',
        [{ network: 'eip155:31337', rpcUrls: RPC }],
        'name its assets',
      ],
      ['a network without assets', [{ ...local, assets: [] }], 'name its assets'],
      [
        'a token of other decimals than its currency',
        [{ ...local, assets: [{ ...asset, decimals: 18 }] }],
        `USDC has 6 decimals in any configuration, and 18 for token ${TOKEN} of eip155:31337; give one of them another currency code`,
      ],
      [
        'two tokens of one currency with other decimals',
        [
          { ...local, assets: [{ ...asset, currency: 'EURC', address: addressOf(1) }] },
          {
            ...local,
            network: 'eip155:31338',
            assets: [{ ...asset, currency: 'EURC', address: addressOf(2), decimals: 18 }],
          },
        ],
        `EURC has 6 decimals for token ${addressOf(1)} of eip155:31337, and 18 for token ${addressOf(2)} of eip155:31338; give one`,
      ],
      [
        'one token as two currencies',
        [{ ...local, assets: [asset, { ...asset, currency: 'EURC' }] }],
        `assets name the token ${TOKEN} twice`,
      ],
      [
        'a currency that is no ticker',
        [{ ...local, assets: [{ ...asset, currency: 'USD₮0' }] }],
        'assets.0.currency: must be 1 to 16 ASCII letters, digits and dots',
      ],
      [
        'a currency by the name of a prototype',
        [{ ...local, assets: [{ ...asset, currency: '__proto__' }] }],
        'assets.0.currency: must be 1 to 16',
      ],
      [
        'more decimals than an amount may carry',
        [{ ...local, assets: [{ ...asset, currency: 'FINE', decimals: 31 }] }],
        'assets.0.decimals',
      ],
      [
        'a mistyped token',
        [{ ...local, assets: [{ ...asset, address: TOKEN.replace('Cb', 'cb') }] }],
        'is not a checksummed address',
      ],
      [
        'a token without a domain',
        [{ ...local, assets: [{ ...asset, name: '' }] }],
        'assets.0.name',
      ],
      ['no RPC URL', [{ ...local, rpcUrls: [] }], 'rpcUrls'],
      ['an RPC URL that is none', [{ ...local, rpcUrls: ['localhost'] }], 'rpcUrls.0'],
      ['an RPC URL of another scheme', [{ ...local, rpcUrls: ['ftp://x'] }], 'rpcUrls.0'],
      ['a finality of no blocks known', [{ ...local, finality: 'latest' }], 'finality'],
      ['a finality of negative blocks', [{ ...local, finality: { blocks: -1 } }], 'finality'],
      ['a chain that is read too often', [{ ...local, pollMs: 99 }], 'pollMs'],
      ['a mistyped member', [{ ...local, rpcUrl: 'x' }], 'rpcUrl'],
    ])('refuses %s and says so', (_what, networks, remedy) => {
      expect(networksProblem(networks)).toContain(remedy);
    });

    it('refuses a file of broken JSON, and a folder', () => {
      expect(networksProblem(file('broken.json', '{'))).toContain('is not valid JSON');
      expect(networksProblem(folder)).toContain('EISDIR');
    });
  });
});

describe('the guide', () => {
  it('explains every variable, and each once', () => {
    const explained = Object.values(CONFIGURATION_GUIDE)
      .flat()
      .flatMap(({ names }) => names);
    expect([...explained].sort()).toEqual(Object.keys(environmentSchema.shape).sort());
  });
});
