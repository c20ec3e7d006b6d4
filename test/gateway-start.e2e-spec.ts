import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { type Chain, startChain } from '../sandbox/chain.js';
import { command } from './support/command.js';
import { signFor, startUpstream, THINGS, type UpstreamApi } from './support/gateway.js';
import { build, killPrograms, type Program, startProgram } from './support/program.js';
import { until } from './support/until.js';

// `npx bursar gateway` as its user meets it: a folder with nothing in it, and one that is in use. BURSAR_TEST_FIGURES=1 tells how
// long the first sale took from the start of the program, database and chain's finality included.

describe('npx bursar gateway', () => {
  let chain: Chain;
  let upstream: UpstreamApi;
  let directory: string;
  let environment: Record<string, string>;
  let file: string;

  beforeAll(async () => {
    await build();
    [chain, upstream] = await Promise.all([startChain({ blockTimeSeconds: 0.5 }), startUpstream()]);
  }, 300_000);
  afterAll(async () => {
    await Promise.all([chain?.stop(), upstream?.stop()]);
  });
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bursar-gateway-'));
    environment = {
      BURSAR_DATA_DIR: join(directory, 'data'),
      BURSAR_FACILITATOR_KEY: chain.accounts[0]?.privateKey ?? '',
      BURSAR_NETWORKS: JSON.stringify([
        { network: chain.network, rpcUrls: [chain.rpcUrl], finality: { blocks: 2 } },
      ]),
    };
    file = join(directory, 'gateway.yaml');
    await writeFile(join(directory, 'openapi.json'), JSON.stringify(THINGS));
    await writeFile(
      file,
      `openapi: ./openapi.json
upstream: ${upstream.url}
network: ${chain.network}
payTo: "${chain.accounts[1]?.address}"
facilitator: self
price: "0.001"
operations:
  getFree: { free: true }
port: 0
`,
    );
  });
  afterEach(async () => {
    await killPrograms();
    await rm(directory, { recursive: true, force: true });
  });

  const start = () => startProgram(environment, [process.execPath, 'dist/cli.js', 'gateway', file]);
  const ready = (program: Program) =>
    until('the gateway is ready', () => {
      const { stdout, stderr } = program.output();
      if (stderr.includes('bursar: ') && /\n[^{]*error/i.test(stderr)) throw new Error(stderr);
      return /The gateway is ready on (http:\S+), with 6 operations, 5 of them priced/.exec(
        stdout,
      )?.[1];
    });
  const buy = async (url: string) => {
    const account = privateKeyToAccount(generatePrivateKey());
    await chain.mintUsdc(account.address, 1_000_000n);
    return (await signFor({ account, fetch }, `${url}/things/7`)).send();
  };

  it('sells from an empty folder, and a second one joins its database', async () => {
    const began = performance.now();
    const first = start();
    expect((await buy(await ready(first))).status).toBe(200);
    if (process.env.BURSAR_TEST_FIGURES) {
      process.stdout.write(`first sale after ${Math.round(performance.now() - began)} ms\n`);
    }
    const second = start();
    const url = await ready(second);
    expect((await buy(url)).status).toBe(200);
    const books = await command(environment, ['check', '--json']);
    expect([0, 2]).toContain(books.code);
    const service = startProgram(environment);
    expect(await service.exited).not.toBe(0);
    expect(service.output().stderr).toContain('is served by process');
    second.signal('SIGTERM');
    expect(await second.exited).toBe(0);
    first.signal('SIGTERM');
    expect(await first.exited).toBe(0);
  });

  it('joins the database of a service that runs', async () => {
    const service = startProgram(environment);
    await service.ready();
    const gateway = start();
    expect((await buy(await ready(gateway))).status).toBe(200);
    gateway.signal('SIGTERM');
    expect(await gateway.exited).toBe(0);
    service.signal('SIGTERM');
    expect(await service.exited).toBe(0);
  });

  it('only checks a file with --check, and tells every problem with its line', async () => {
    const good = await command(environment, ['gateway', '--check', file]);
    expect(good).toMatchObject({ code: 0 });
    expect(good.stdout).toContain('0.001 USDC  settled after  GET /things/{id}');
    expect(good.stdout).toContain('free  GET /free');
    await writeFile(file, 'openapi: ./openapi.json\nprize: 1\nport: x\n');
    const bad = await command(environment, ['gateway', file]);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain('gateway.yaml:2: prize: is not known');
    expect(bad.stderr).toContain('gateway.yaml:3: port: ');
    expect(bad.stderr).toContain('payTo: is required');
  });
});
