// Two projects, so that unit specs alone start no Postgres: only the second one has a globalSetup,
// which Jest runs only when one of its specs does.

const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  // Sources import './x.js' as NodeNext wants; what there is before compiling is './x.ts'.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1.ts', '$1.js'] },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        sourceMaps: 'inline',
        module: { type: 'es6' },
        jsc: {
          target: 'es2022',
          keepClassNames: true,
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          // Or swc drops `with { type: 'json' }`, which the next Jest demands.
          experimental: { keepImportAttributes: true },
        },
      },
    ],
  },
};

const BENCH = 'bench.e2e-spec.ts';

const database = {
  ...common,
  roots: ['<rootDir>/test'],
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
};

export default {
  // The suites start programs, chains and databases: more of them at once only wait for each other.
  maxWorkers: 2,
  testTimeout: 90_000,
  // The benchmark's own test is a step of CI by itself: it is long, and the others would slow it.
  projects: process.env.BURSAR_TEST_BENCH
    ? [{ ...database, displayName: 'bench', testMatch: [`**/${BENCH}`] }]
    : [
        {
          ...common,
          displayName: 'unit',
          roots: ['<rootDir>/src', '<rootDir>/sandbox', '<rootDir>/test'],
          testMatch: ['**/*.spec.ts'],
        },
        {
          ...database,
          displayName: 'database',
          testMatch: ['**/*.int-spec.ts', '**/*.e2e-spec.ts'],
          testPathIgnorePatterns: ['/node_modules/', BENCH],
        },
      ],
};
