import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { startChain } from '../sandbox/chain.js';
import { serve } from '../sandbox/ports.js';
import { Api, expectProblem, type Listed, type WalletAnswer } from './support/api.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { flood } from './support/flood.js';
import { receiptOf, settleCall, submit } from './support/on-chain.js';
import {
  build,
  bursar,
  deadPort,
  killPrograms,
  memoryFromNow,
  type Program,
  peakMemory,
  startProgram,
} from './support/program.js';
import { order, PAYEE, RESOURCE_URL } from './support/terms.js';
import { until } from './support/until.js';

/** A BIP-39 test vector. */
const MNEMONIC = 'letter advice cage absurd amount doctor acoustic avoid letter advice cage above';
const MASTER_SECRET = 'canary-master-secret-0123456789abcdefghijklmnop';
const NETWORK = 'eip155:84532';
const USDC = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';

const folders: string[] = [];
const databases: TestDatabase[] = [];
/** Everything that must never be printed, and every program that could have. */
const secrets = new Set([MNEMONIC, MASTER_SECRET]);
const programs: Program[] = [];

beforeAll(build, 120_000);

afterAll(async () => {
  await killPrograms();
  for (const database of databases) await database.drop();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

function start(environment: Record<string, string>): Program {
  const program = startProgram({ BURSAR_LOG_LEVEL: 'trace', ...environment });
  programs.push(program);
  return program;
}

async function dataDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bursar-boot-'));
  folders.push(folder);
  return folder;
}

/** A network whose RPC does not answer. */
async function deadNetwork(): Promise<string> {
  const rpcUrl = `http://127.0.0.1:${await deadPort()}`;
  return JSON.stringify([{ network: NETWORK, rpcUrls: [rpcUrl], pollMs: 500 }]);
}

/** A whole configuration on a database of its own, and a chain that cannot be reached. */
async function wholeEnvironment(): Promise<Record<string, string>> {
  const database = await createTestDatabase();
  databases.push(database);
  return {
    DATABASE_URL: database.url,
    BURSAR_DATA_DIR: await dataDir(),
    BURSAR_WALLET_MNEMONIC: MNEMONIC,
    BURSAR_MASTER_SECRET: MASTER_SECRET,
    BURSAR_NETWORKS: await deadNetwork(),
  };
}

async function adminOf(url: string, environment: Record<string, string>): Promise<Api> {
  const token = await bursar(environment, 'admin-token');
  secrets.add(token);
  return new Api(url, token);
}

async function expectFailure(program: Program): Promise<string[]> {
  expect(await program.exited).toBe(1);
  const lines = program.output().stderr.trimEnd().split('\n');
  for (const line of lines) expect(line).toMatch(/^bursar: /);
  return lines;
}

describe('bursar keys', () => {
  it('lists, rotates and retires, beside the service and without a restart of it', async () => {
    const environment = await wholeEnvironment();
    const url = await start(environment).ready();
    const keys = (...args: string[]) => bursar(environment, 'keys', ...args);
    const states = async () =>
      (await keys('list')).split('\n').map((line) => line.split(/ +/).slice(0, 2).join(' '));
    const [line = ''] = (await keys('list')).split('\n');
    expect(line).toMatch(/^[A-Za-z0-9_-]{43} signing {3}since 20[0-9T:.-]+Z$/);
    const old = line.slice(0, 43);
    const before = await adminOf(url, environment);

    const made = await keys('rotate', '--in', '1h');
    expect(await states()).toEqual([`${made} next`, `${old} signing`]);
    await expect(keys('retire', old)).rejects.toThrow(/signs the tokens now/);
    // The hour is over.
    const db = new pg.Client({ connectionString: environment.DATABASE_URL });
    await db.connect();
    await db.query('UPDATE signing_keys SET signs_from = now() WHERE kid = $1', [made]);
    await db.end();
    expect(await states()).toEqual([`${made} signing`, `${old} verifying`]);
    const after = await adminOf(url, environment);
    for (const admin of [before, after]) expect((await admin.get('/v1/grants')).status).toBe(200);

    expect(await keys('retire', old)).toBe('');
    expect(await states()).toEqual([`${made} signing`, `${old} retired`]);
    await until(
      'the service has heard',
      async () => (await before.get('/v1/grants')).status === 401,
    );
    expect((await after.get('/v1/grants')).status).toBe(200);
  });

  it.each([
    [['keys'], /keys takes one of/],
    [['keys', 'list', 'more'], /keys takes one of/],
    [['keys', 'retire'], /keys takes one of/],
    [['keys', 'retire', 'x', 'y'], /too many words/],
    // One key in 64 has such an id.
    [['keys', 'retire', `-${'k'.repeat(42)}`], /there is no key -k{42};/],
    [['keys', 'retire', '--', `--${'k'.repeat(41)}`], /there is no key --k{41};/],
    [['keys', 'retire', `--${'k'.repeat(41)}`], /there is no key --k{41};/],
    [['keys', 'retire', '-k'], /there is no option -k/],
    [['keys', 'rotate', '--in', '5s'], /--in must be 10s at least/],
    [['keys', 'rotate', '--in', 'soon'], /--in must be a time/],
    [['admin-token', '--treasury', 'trs_none'], /there is no treasury trs_none/],
    [['admin-token', '--name', 'oidc:ann'], /--name takes/],
    [['admin-token', '--ttl', '0s'], /--ttl must be a time/],
  ])('of %j says in one line what is wrong', async (args, message) => {
    const environment = { BURSAR_DATA_DIR: await dataDir(), ...(await wholeEnvironment()) };
    await expect(bursar(environment, ...args)).rejects.toThrow(message);
  });

  it('bursar admin-token --treasury makes an admin of that treasury alone', async () => {
    const environment = await wholeEnvironment();
    const url = await start(environment).ready();
    const all = await adminOf(url, environment);
    const [main] = (await all.read<Listed<{ id: string }>>('/v1/treasuries')).items;
    const token = await bursar(environment, 'admin-token', '--treasury', main?.id ?? '');
    secrets.add(token);
    const { treasuries } = JSON.parse(
      Buffer.from(token.split('.')[1] ?? '', 'base64url').toString(),
    );
    expect(treasuries).toEqual([main?.id]);
    expect((await all.as(token).get('/v1/grants')).status).toBe(200);
  });
});

describe('a configuration that cannot work', () => {
  it('is refused with a line for each variable at fault, before anything is started', async () => {
    const lines = await expectFailure(
      start({
        PORT: 'eighty',
        BURSAR_ROLE: 'boss',
        DATABASE_URL: 'mysql://root@db/bursar',
        BURSAR_WALLET_MNEMONIC: 'not twelve words',
        BURSAR_NETWORKS: '[{"network":"base"}]',
        BURSAR_MAX_VALIDITY_SECONDS: '86400',
        BURSAR_MASTER_SECRET: 'short',
        BURSAR_KEYSTORE: '/keys',
      }),
    );
    for (const variable of [
      'PORT',
      'BURSAR_ROLE',
      'DATABASE_URL',
      'BURSAR_WALLET_MNEMONIC',
      'BURSAR_NETWORKS',
      'BURSAR_MAX_VALIDITY_SECONDS',
      'BURSAR_MASTER_SECRET',
      'BURSAR_KEYSTORE',
    ]) {
      expect(lines.filter((line) => line.startsWith(`bursar: ${variable}: `))).toHaveLength(1);
    }
    expect(lines).toHaveLength(8);
    expect(lines.join()).not.toContain('not twelve words');
  });

  it('says which variable is missing where DATABASE_URL is given', async () => {
    const lines = await expectFailure(start({ DATABASE_URL: 'postgres://127.0.0.1/bursar' }));
    expect(lines).toEqual([expect.stringMatching(/^bursar: BURSAR_WALLET_MNEMONIC: is required/)]);
  });
});

describe('variables and directories that are not what was meant', () => {
  it('a variable that nothing reads stops the boot, with the nearest known name', async () => {
    const lines = await expectFailure(
      start({
        BURSAR_TWO_PERSONS: 'true',
        bursar_dpop_nonces: 'true',
        BURSAR_URL: 'http://127.0.0.1:1',
        BURSAR_TOKEN: 'x',
        BURSAR_TEST_BENCH: '1',
        // Kubernetes sets these for a Service named bursar.
        BURSAR_SERVICE_HOST: '10.0.0.1',
        BURSAR_PORT: 'tcp://10.0.0.1:4020',
        BURSAR_PORT_4020_TCP_ADDR: '10.0.0.1',
      }),
    );
    expect(lines).toEqual([
      'bursar: BURSAR_TWO_PERSONS: is not known; did you mean BURSAR_TWO_PERSON?',
      'bursar: bursar_dpop_nonces: is not known; did you mean BURSAR_DPOP_NONCES?',
    ]);
  });

  it.each(['/proc/bursar', '/dev/null/bursar'])(
    'a data directory %s that cannot be made is told in one line, at once',
    async (folder) => {
      const lines = await expectFailure(start({ BURSAR_DATA_DIR: folder }));
      expect(lines).toEqual([
        expect.stringMatching(
          `^bursar: BURSAR_DATA_DIR: ${folder} cannot be used .*; set BURSAR_DATA_DIR`,
        ),
      ]);
    },
  );

  it.each([
    ['wallets'],
    ['admin-token'],
    ['keys', 'list'],
    ['jobs'],
    ['signer', '--socket', '/tmp/none.sock'],
  ])('bursar %s in the wrong place makes no treasury', async (...args) => {
    const folder = join(await dataDir(), 'nothing');
    await expect(bursar({ BURSAR_DATA_DIR: folder }, ...args)).rejects.toThrow(
      /only the start of the service makes/,
    );
    expect(existsSync(folder)).toBe(false);
  });

  it('in the wrong place makes no database either, though it has the secrets', async () => {
    const folder = join(await dataDir(), 'nothing');
    const environment = { BURSAR_WALLET_MNEMONIC: MNEMONIC, BURSAR_MASTER_SECRET: MASTER_SECRET };
    await expect(
      bursar({ ...environment, BURSAR_DATA_DIR: folder }, 'keys', 'list'),
    ).rejects.toThrow(/there is no database in/);
    expect(existsSync(folder)).toBe(false);
  });
});

it('the lists of operators are JSON where that is asked for', async () => {
  const environment = await wholeEnvironment();
  await start(environment).ready();
  const json = async (...args: string[]) =>
    JSON.parse(await bursar(environment, ...args, '--json'));
  expect(await json('keys', 'list')).toMatchObject([{ state: 'signing', retiredAt: null }]);
  const { wallets } = await json('wallets');
  expect(wallets[0]).toMatchObject({ treasury: 'main', status: 'active', code: null });
  expect(await json('jobs')).toEqual([]);
  secrets.add(await bursar(environment, 'admin-token', '--name', 'ann'));
  expect(await json('admin-token', 'list')).toMatchObject([{ name: 'ann', lastUsedAt: null }]);
}, 240_000);

describe('bursar admin-token list, and revoke NAME', () => {
  it('shows what works, and ends it without having it', async () => {
    const environment = await wholeEnvironment();
    const url = await start(environment).ready();
    const ann = new Api(url, await bursar(environment, 'admin-token', '--name', 'ann'));
    const second = new Api(url, await bursar(environment, 'admin-token', '--name', 'ann'));
    const bob = new Api(
      url,
      await bursar(environment, 'admin-token', '--name', 'bob', '--role', 'auditor'),
    );
    for (const { token } of [ann, second, bob]) secrets.add(token ?? '');
    expect((await ann.get('/v1/grants')).status).toBe(200);
    const listed = await bursar(environment, 'admin-token', 'list');
    expect(listed).toMatch(/^ann {2}admin {2}until \S+Z {2}last used \S+Z$/m);
    expect(listed).toMatch(/^ann {2}admin {2}until \S+Z {2}never used$/m);
    expect(listed).toMatch(/^bob {2}auditor {2}until \S+Z {2}never used$/m);

    expect(await bursar(environment, 'admin-token', 'revoke', 'ann')).toBe(
      'ann: 2 tokens are revoked',
    );
    for (const revoked of [ann, second]) {
      expectProblem(await revoked.get('/v1/grants'), 401, 'invalid_token');
    }
    expect((await bob.get('/v1/grants')).status).toBe(200);
    expect(await bursar(environment, 'admin-token', 'list')).not.toContain('ann');
    await expect(bursar(environment, 'admin-token', 'revoke', 'ann')).rejects.toThrow(
      /no admin token of "ann" works/,
    );
    const { items } = await bob.read<Listed<{ data: object }>>(
      '/v1/audit/events?kind=admin.token_revoked',
    );
    expect(items.map(({ data }) => data)).toEqual([
      { name: 'ann', role: 'admin', tokenId: expect.any(String), expiresAt: expect.any(Number) },
      { name: 'ann', role: 'admin', tokenId: expect.any(String), expiresAt: expect.any(Number) },
    ]);
  });
});

it('bursar actor refuses without the issuer, whose names are others', async () => {
  await expect(bursar(await wholeEnvironment(), 'actor', 'somebody')).rejects.toThrow(
    /BURSAR_OIDC_ISSUER: is required/,
  );
});

describe('surroundings that are not there', () => {
  it('a port in use is told in one line', async () => {
    const taken = await serve((_request, response) => response.end());
    try {
      const { port } = new URL(taken.url);
      const lines = await expectFailure(start({ ...(await wholeEnvironment()), PORT: port }));
      expect(lines).toEqual([expect.stringMatching(new RegExp(`port ${port} .*in use.*PORT`))]);
    } finally {
      await taken.stop();
    }
  });

  it('a database that cannot be reached is told in one line, within 15 s', async () => {
    const port = await deadPort();
    const environment = await wholeEnvironment();
    const started = performance.now();
    const lines = await expectFailure(
      start({
        ...environment,
        DATABASE_URL: `postgres://bursar:canary-password@127.0.0.1:${port}/bursar`,
      }),
    );
    secrets.add('canary-password');
    expect(performance.now() - started).toBeLessThan(15_000);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`127.0.0.1:${port}`);
  });

  it('a master secret other than the one of the database is told in one line', async () => {
    const environment = await wholeEnvironment();
    await bursar(environment, 'admin-token');
    const other = 'another-master-secret-0123456789abcdefghij';
    const lines = await expectFailure(start({ ...environment, BURSAR_MASTER_SECRET: other }));
    expect(lines).toEqual([expect.stringMatching(/^bursar: BURSAR_MASTER_SECRET: /)]);
  });
});

describe('a service whose chain is not there yet', () => {
  it('says what is missing instead of that it is ready, and says that once it is', async () => {
    const port = await deadPort();
    const environment = {
      ...(await wholeEnvironment()),
      BURSAR_NETWORKS: JSON.stringify([
        {
          network: NETWORK,
          rpcUrls: [`http://127.0.0.1:${port}`],
          finality: { blocks: 2 },
          pollMs: 500,
        },
      ]),
    };
    const program = start(environment);
    const url = await program.ready();
    expect(await bursar(environment, 'wallets')).toContain(`${NETWORK}  no RPC tells its balance`);
    const { stdout } = program.output();
    expect(stdout).toContain(
      `Bursar listens on ${url}, but is not ready: network ${NETWORK}: its chain`,
    );
    expect(stdout).not.toContain('Bursar is ready');
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    const chain = await startChain({ port });
    try {
      await until(
        'it is ready',
        () => program.output().stdout.includes(`Bursar is ready on ${url}`),
        60_000,
      );
      expect((await fetch(`${url}/readyz`)).status).toBe(200);
      expect(await bursar(environment, 'wallets')).toMatch(
        new RegExp(
          `0x[0-9a-fA-F]{40}  pays the gas of cancellations  ${NETWORK}  0 of its coin, too little for a cancellation$`,
        ),
      );
    } finally {
      await chain.stop();
      program.signal('SIGTERM');
    }
    expect(await program.exited).toBe(0);
  }, 90_000);
});

describe('a running service', () => {
  let environment: Record<string, string>;
  let program: Program;
  let url: string;
  let admin: Api;

  beforeAll(async () => {
    environment = await wholeEnvironment();
    program = start(environment);
    url = await program.ready();
    admin = await adminOf(url, environment);
  }, 60_000);

  it('starts without its chain, says which network is missing, and pays nothing there', async () => {
    expect(await admin.read('/healthz')).toEqual({ status: 'ok', version: '0.1.0' });
    const { stdout } = program.output();
    const [, metricsUrl = ''] = /"metrics":"(http:[^"]+)"/.exec(stdout) ?? [];
    const metrics = await (await fetch(metricsUrl)).text();
    expect(metrics).toContain('bursar_build_info{version="0.1.0"} 1');
    const [line = ''] = stdout.split('\n');
    expect(JSON.parse(line)).toMatchObject({ msg: 'Bursar 0.1.0 starts', version: '0.1.0' });
    const readiness = await admin.get('/readyz');
    expectProblem(readiness, 503, 'unavailable');
    expect(readiness.body.detail).toContain(`network ${NETWORK}`);
    expect(Number(readiness.headers.get('retry-after'))).toBeGreaterThan(0);
    await until('the log tells that the chain is not read', () =>
      program.output().stdout.includes(`${NETWORK}: not read: an RPC has not checked out`),
    );

    const { grant, token } = await admin.mint({ budget: '1.00' });
    secrets.add(token);
    const requirement = {
      scheme: 'exact',
      network: NETWORK,
      amount: '10000',
      asset: USDC,
      payTo: PAYEE,
      maxTimeoutSeconds: 60,
      extra: { name: 'USDC', version: '2' },
    };
    const answer = await admin.as(token).pay({
      paymentRequired: {
        x402Version: 2,
        resource: { url: RESOURCE_URL },
        accepts: [requirement],
      },
      request: { method: 'GET', url: RESOURCE_URL },
    });
    expectProblem(answer, 503, 'unavailable');
    expect(answer.body.detail).toContain(NETWORK);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await admin.grant(grant.id)).toMatchObject({ reserved: '0.00', payments: 0 });
  });

  it('serves the page that describes its API, with the assets it needs', async () => {
    const page = await fetch(`${url}/docs`);
    expect(page.status).toBe(200);
    const html = await page.text();
    const scripts = [...html.matchAll(/src="([^"]+\.js)"/g)].map(([, path]) => path ?? '');
    expect(scripts.length).toBeGreaterThan(0);
    for (const path of scripts) {
      expect((await fetch(new URL(path, `${url}/docs`))).status).toBe(200);
    }
  });

  it('does not grow by 40 MB when it is sent 100 MB', async () => {
    const send = (isAnnounced: boolean) =>
      flood(`${url}/v1/grants`, admin.token ?? '', { isAnnounced, isPatient: false });
    // Once before measuring, so that what is loaded on first use does not count.
    await send(false);
    const before = await memoryFromNow(program.pid);
    for (const isAnnounced of [true, false, false]) {
      const { status, sent } = await send(isAnnounced);
      expect([413, undefined]).toContain(status);
      expect(sent).toBeLessThan(50 * 2 ** 20);
    }
    expect((await peakMemory(program.pid)) - before).toBeLessThan(40 * 2 ** 20);
    expect((await admin.get('/healthz')).status).toBe(200);
  });

  it('answers what is under way when it is told to stop, takes nothing new, and exits 0', async () => {
    const { grant } = await admin.mint({ budget: '1.00' });
    const db = new pg.Client({ connectionString: environment.DATABASE_URL });
    await db.connect();
    try {
      await db.query('BEGIN');
      await db.query('SELECT 1 FROM grants WHERE id = $1 FOR UPDATE', [grant.id]);
      const revoked = admin.post<{ grant: { status: string } }>(
        `/v1/grants/${grant.id}/revoke`,
        {},
      );
      await until('the request waits for the lock', async () => {
        const { rows } = await db.query(
          'SELECT 1 FROM pg_locks WHERE NOT granted AND pid = ANY (SELECT pid FROM pg_stat_activity WHERE datname = current_database())',
        );
        return rows.length > 0;
      });
      program.signal('SIGTERM');
      await until('it listens no more', () =>
        fetch(`${url}/healthz`).then(
          (response) => response.status === 503,
          () => true,
        ),
      );
      await db.query('ROLLBACK');
      const answer = await revoked;
      expect(answer).toMatchObject({ status: 200, body: { grant: { status: 'revoked' } } });
    } finally {
      await db.end();
    }
    expect(await program.exited).toBe(0);
    expect(program.output().stderr).toBe('');
  });
});

describe('the embedded mode', () => {
  it('needs nothing but a folder, and finds its grants, tokens and wallets there again', async () => {
    const environment = { BURSAR_DATA_DIR: await dataDir(), BURSAR_NETWORKS: await deadNetwork() };
    const first = start(environment);
    const admin = await adminOf(await first.ready(), environment);
    const { grant, token } = await admin.mint({ budget: '3.00', holder: 'survivor' });
    secrets.add(token);
    const wallets = await admin.read('/v1/wallets');
    for (const name of ['master-secret', 'wallet-mnemonic']) {
      secrets.add((await readFile(join(environment.BURSAR_DATA_DIR, name), 'utf8')).trim());
    }
    // It says that it made the only copy of the phrase, and where.
    expect(first.output().stdout).toContain(
      `its only copy is the file ${join(environment.BURSAR_DATA_DIR, 'wallet-mnemonic')}`,
    );
    // A second service is refused, naming the first; a command joins it.
    const lines = await expectFailure(start(environment));
    expect(lines).toEqual([expect.stringContaining(`is served by process ${first.pid} already`)]);
    expect(await bursar(environment, 'admin-token', 'list')).toContain('cli  admin  until');
    first.signal('SIGINT');
    first.signal('SIGINT');
    expect(await first.exited).toBe(0);

    const second = start(environment);
    const again = new Api(await second.ready(), admin.token);
    expect(await again.grant(grant.id)).toEqual(grant);
    expect(await again.as(token).read('/v1/grants/self')).toEqual(grant);
    expect(await again.read('/v1/wallets')).toEqual(wallets);
    second.signal('SIGTERM');
    expect(await second.exited).toBe(0);
  }, 180_000);
});

describe('keystores, and a signer in a process of its own', () => {
  const PASSWORD = 'canary-keystore-password';

  it('pay as the phrase does, with no key where HTTP is; without the signer nothing is lost', async () => {
    secrets.add(PASSWORD);
    const { BURSAR_WALLET_MNEMONIC: _phrase, ...environment } = await wholeEnvironment();
    const chain = await startChain();
    const folder = await dataDir();
    const socket = join(folder, 'signer.sock');
    try {
      const keys = join(folder, 'keys');
      const networks = JSON.stringify([
        { network: chain.network, rpcUrls: [chain.rpcUrl], finality: { blocks: 1 }, pollMs: 200 },
      ]);
      const made = await bursar(
        { BURSAR_KEYSTORE_PASSWORD: PASSWORD },
        'wallets',
        'new',
        '--dir',
        keys,
      );
      const [address = '', file = ''] = made.split(/\s+/);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      await chain.mintUsdc(address as `0x${string}`, 1_000_000n);
      await chain.mineBlocks(2);

      const startSigner = async () => {
        const signer = startProgram(
          {
            BURSAR_KEYSTORE: keys,
            BURSAR_KEYSTORE_PASSWORD: PASSWORD,
            BURSAR_NETWORKS: networks,
          },
          [process.execPath, 'dist/cli.js', 'signer', '--socket', socket],
        );
        programs.push(signer);
        await until('the signer is ready', () => signer.output().stdout.includes('is ready'));
        return signer;
      };
      const signer = await startSigner();
      const whole = { ...environment, BURSAR_NETWORKS: networks, BURSAR_SIGNER_SOCKET: socket };
      const program = start(whole);
      const url = await program.ready();
      const admin = await adminOf(url, whole);
      await until('its funds are final', async () => {
        const wallets = await admin.all<WalletAnswer>('/v1/wallets');
        return wallets.some(({ free }) => free === '1.00') && wallets;
      });
      expect(await bursar(whole, 'wallets')).toBe(
        `${address}  main  active  ${NETWORK}  1.00 USDC, 0.00 reserved`,
      );
      const { token } = await admin.mint({ budget: '1.00' });
      secrets.add(token);
      const agent = admin.as(token);
      const paid = await agent.paid(order(chain), 'first');
      const hash = await submit(chain, settleCall(paid.header.value));
      await until('its signature settles', () => receiptOf(chain, hash));
      expect(await receiptOf(chain, hash)).toMatchObject({ status: '0x1' });

      signer.signal('SIGTERM');
      expect(await signer.exited).toBe(0);
      const refused = await agent.pay(order(chain), 'second');
      expectProblem(refused, 503, 'unavailable');
      expectProblem(await admin.post(`/v1/payments/${paid.payment.id}/cancel`), 503, 'unavailable');
      const next = await startSigner();
      expect((await agent.pay(order(chain), 'second')).status).toBe(201);
      expect((await agent.paid(order(chain), 'first')).header).toEqual(paid.header);

      expect(await bursar(whole, 'wallets', 'draining', address, '--reason', 'rotation')).toBe(
        `${address} is draining`,
      );
      expectProblem(await agent.pay(order(chain), 'third'), 503, 'treasury_insufficient');
      next.signal('SIGTERM');
      program.signal('SIGTERM');
      expect(await program.exited).toBe(0);
    } finally {
      await chain.stop();
    }
  }, 120_000);
});

it('prints no secret, at the most talkative log level', () => {
  expect(secrets.size).toBeGreaterThanOrEqual(8);
  for (const program of programs) {
    const { stdout, stderr } = program.output();
    for (const secret of secrets) {
      // The parts count too: of a token, its signature alone would do.
      for (const part of [secret, secret.split('.')[2] ?? secret]) {
        expect(stdout.includes(part)).toBe(false);
        expect(stderr.includes(part)).toBe(false);
      }
    }
  }
});

describe('npm run sandbox -- --json', () => {
  it('prints one line with all that a test needs, and stops everything when npm is told to', async () => {
    const database = await createTestDatabase();
    databases.push(database);
    const program = startProgram({ DATABASE_URL: database.url }, [
      'npm',
      ...['run', '--silent', 'sandbox', '--', '--json'],
    ]);
    const line = await until(
      'the sandbox is ready',
      () => program.output().stdout.split('\n').slice(0, -1)[0],
      50_000,
    );
    expect(program.output().stderr).not.toContain('not read');
    const sandbox = JSON.parse(line);
    expect(sandbox).toEqual({
      url: expect.stringMatching(/^http:/),
      adminToken: expect.stringMatching(/^ey/),
      chain: { rpcUrl: expect.stringMatching(/^http:/), chainId: 84532, network: NETWORK },
      token: USDC,
      tokens: ['USDC', 'EURC', 'TUSD18'].map((currency) => expect.objectContaining({ currency })),
      facilitatorUrl: expect.stringMatching(/^http:/),
      sellerUrl: expect.stringMatching(/^http:/),
      sellerPayTo: expect.stringMatching(/^0x/),
      gatewayUrl: expect.stringMatching(/^http:/),
      dataDir: expect.stringMatching(/^\//),
    });
    const admin = new Api(sandbox.url, sandbox.adminToken);
    const { items } = await admin.read<Listed<WalletAnswer>>('/v1/wallets');
    expect(new Set(items.map(({ free }) => free))).toEqual(new Set(['1000000.00']));
    expect((await fetch(`${sandbox.sellerUrl}/data/7`)).status).toBe(402);
    expect((await fetch(`${sandbox.gatewayUrl}/data/7`)).status).toBe(402);

    program.signal('SIGTERM');
    expect(await program.exited).toBe(0);
    for (const url of [
      sandbox.url,
      sandbox.sellerUrl,
      sandbox.gatewayUrl,
      sandbox.facilitatorUrl,
      sandbox.chain.rpcUrl,
    ]) {
      await expect(fetch(url)).rejects.toThrow('fetch failed');
    }
  });

  it('says before it starts anything that PORT is in use', async () => {
    const other = await serve((_request, response) => response.end());
    try {
      const { port } = new URL(other.url);
      const program = startProgram({ PORT: port }, [process.execPath, 'dist/sandbox.js']);
      expect(await program.exited).toBe(1);
      expect(program.output()).toEqual({
        stdout: '',
        stderr: `sandbox: PORT is ${port}, which is in use or no port to listen on; set PORT to a free one, or leave it out\n`,
      });
    } finally {
      await other.stop();
    }
  });
});
