import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { build, killPrograms, startProgram } from './support/program.js';
import { until } from './support/until.js';

beforeAll(async () => {
  await build();
  await run('npm', ['run', '--silent', 'build', '--workspace', 'clients/typescript']);
}, 180_000);
afterAll(killPrograms);

const run = promisify(execFile);
const BENCH = [process.execPath, 'dist/bench/bench.js'] as const;

function environment(): Record<string, string> {
  const { TEST_POSTGRES_URL = '', TMPDIR = '' } = process.env;
  return { DATABASE_URL: TEST_POSTGRES_URL, TMPDIR };
}

// Speed is nobody's business here: only that each part runs, counts and checks.
test('a short benchmark runs every part against the real service, and its invariants hold', async () => {
  const program = startProgram(environment(), [
    ...BENCH,
    ...['--json', '--seconds', '0.2', '--rounds', '1', '--settle', '20'],
    ...['--only', 'hot-root', '--api', 'all', '--clients', '1', '--clients', '8'],
    ...['--only', 'growth', '--growth', '100x200'],
    ...['--only', 'listening'],
    ...['--only', 'revoking', '--trees', '1', '--trees', '50'],
    ...['--only', 'settling'],
    ...['--only', 'sdk'],
  ]);
  const code = await program.exited;
  const { stdout, stderr } = program.output();
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const report = JSON.parse(stdout);
  const some = expect.any(Number);
  expect(report.payments).toMatchObject([
    {
      shape: 'hot-root',
      topology: 'all',
      readyMs: some,
      points: [
        { clients: 1, perSecond: some, p50Ms: some, p99Ms: some, errors: [] },
        { clients: 8, perSecond: some, p50Ms: some, p99Ms: some, errors: [] },
      ],
      violations: [],
    },
  ]);
  expect(report.payments[0].points[0].perSecond).toBeGreaterThan(0);
  expect(report.growth).toMatchObject({
    grants: 100,
    payments: 200,
    timesFaster: { empty: some },
    violations: [],
  });
  expect(report.listening).toMatchObject({
    timesFaster: {
      '50 streams and a webhook': some,
      'one of the streams gets every payment': some,
    },
    violations: [],
  });
  expect(report.revoking).toMatchObject({
    trees: [
      { grants: 1, times: 1 },
      { grants: 50, times: 1 },
    ],
    violations: [],
  });
  expect(report.settling).toMatchObject({
    settledPayments: 20,
    rpcCallsPer1000Payments: some,
    violations: [],
  });
  expect(report.sdk).toMatchObject({
    calls: some,
    byHand: { p50Ms: some, p99Ms: some },
    byFetch: { p50Ms: some, p99Ms: some },
    addedMs: some,
    violations: [],
  });
  expect(report.sdk.calls).toBeGreaterThan(0);
  expect(report.settling.sealedEvents).toBeGreaterThanOrEqual(report.settling.settledPayments);
}, 300_000);

test('an interrupted benchmark ends what it started, drops its databases and exits by the signal', async () => {
  const program = startProgram(environment(), [...BENCH, '--only', 'hot-root', '--clients', '4']);
  await until('it measures', () => /clients:/.test(program.output().stderr) || undefined, 90_000);
  program.signal('SIGINT');
  expect(await program.exited).toBe(130);
  expect(program.output().stderr).toMatch(/all is cleaned up/);
  const db = new pg.Client({ connectionString: process.env.TEST_POSTGRES_URL });
  await db.connect();
  const { rows } = await db.query(`SELECT datname FROM pg_database WHERE datname ~ 'bench'`);
  await db.end();
  expect(rows).toEqual([]);
}, 180_000);

test('a wrong option is refused before anything is started', async () => {
  const program = startProgram({}, [...BENCH, '--only', 'nothing']);
  expect(await program.exited).toBe(1);
  expect(program.output().stderr).toMatch(/--only is one of: hot-root, roots, depth-8, peers/);
});
