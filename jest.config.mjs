// Two projects, so that unit specs alone start no Postgres: only the second one has a globalSetup,
// which Jest runs only when one of its specs does.

const common = {
  testEnvironment: 'node',
  testRunner: '<rootDir>/test/support/native-runner.mjs',
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  // Node loads the suites: native-runner.mjs says how.
  transform: {},
};

const BENCH = 'bench.e2e-spec.ts';

/**
 * Suites that start the programs many times, wait for real time to pass, or spoil the books a hundred times.
 * `npm run test:long` runs them; `npm test` does when a path is named.
 */
const LONG = [
  ...[
    'audit-verify',
    'boot',
    'bounds',
    'cancel',
    'check',
    'check-columns',
    'cli',
    'console',
    'console-login',
    'console-measures',
    'console-pages',
    'console-points',
  ],
  ...['crash', 'dependencies', 'downtime', 'edge', 'event-streams', 'events', 'examples', 'gas'],
  ...['gateway-crash', 'gateway-sales', 'gateway-start', 'grant-life', 'mcp-inspector'],
  ...['mcp-stdio', 'metrics', 'outside-spends', 'published-clients', 'published-seller'],
  ...['queues', 'quorum', 'reconcile', 'releases', 'restore', 'rpc-faults', 'shutdown'],
  ...['sign-in', 'signals', 'stop', 'texts', 'thousand-streams', 'tokens', 'treasury-low'],
  ...['tutorial', 'wallet-code', 'webhook-faults', 'webhooks', 'workers'],
].map((name) => `${name}.e2e-spec.ts`);
LONG.push(
  ...['database', 'interleavings', 'openapi-documents', 'stores'].map(
    (name) => `${name}.int-spec.ts`,
  ),
);
const namesPath = process.argv.slice(2).some((argument) => !argument.startsWith('-'));
const leftOut = namesPath ? [BENCH] : [BENCH, ...LONG];

const database = {
  ...common,
  roots: ['<rootDir>/test', '<rootDir>/clients/typescript/test'],
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
};

export default {
  // The suites start programs, chains and databases: more of them at once only wait for each other.
  maxWorkers: 2,
  // A worker keeps the modules of all its suites, which is what makes it fast. Beyond this it has a leak: start anew.
  workerIdleMemoryLimit: '2GB',
  testTimeout: 90_000,
  reporters: ['default', '<rootDir>/test/support/progress.mjs'],
  // The benchmark's own test is a step of CI by itself: it is long, and the others would slow it.
  projects: process.env.BURSAR_TEST_BENCH
    ? [{ ...database, displayName: 'bench', testMatch: [`**/${BENCH}`] }]
    : process.env.BURSAR_TEST_LONG
      ? [{ ...database, displayName: 'long', testMatch: LONG.map((name) => `**/test/${name}`) }]
      : [
          {
            ...common,
            displayName: 'unit',
            roots: [
              '<rootDir>/src',
              '<rootDir>/sandbox',
              '<rootDir>/test',
              '<rootDir>/clients/typescript/test',
            ],
            testMatch: ['**/*.spec.ts'],
          },
          {
            ...database,
            displayName: 'database',
            testMatch: ['**/*.int-spec.ts', '**/*.e2e-spec.ts'],
            testPathIgnorePatterns: ['/node_modules/', ...leftOut.map((name) => `/test/${name}`)],
          },
        ],
};
