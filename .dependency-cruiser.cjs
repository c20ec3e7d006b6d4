// Which way dependencies run, as docs/architecture.md ("Rooms") has it. `npm run deps` checks it.

/**
 * What each shared room of src/ may import beside itself. `domain` comes first and knows nobody.
 */
const ROOMS = {
  domain: [],
  x402: ['domain'],
  database: [],
  http: ['domain', 'database'],
  ledger: ['domain', 'database', 'ids.ts', 'config.ts'],
  outbox: ['database', 'config.ts', 'within.ts'],
  access: ['domain', 'database', 'http', 'ledger', 'outbox', 'config.ts'],
  // Judges the ledger and the settlement from outside: it may share nothing with them.
  check: ['domain', 'database/embedded-postgres.ts', 'config.ts'],
  treasury: ['domain', 'x402', 'database', 'http', 'access', 'ledger', 'ids.ts', 'config.ts'],
};

/** Features use the shared rooms, and of one another at most the module. */
const FEATURES = ['grants', 'payments', 'settlement', 'audit', 'oauth', 'ops'];
const FEATURES_MAY_USE = [...Object.keys(ROOMS), 'ids.ts', 'config.ts', 'within.ts'];

/** A spec may use what its subject may not. */
const SPEC = '\\.spec\\.ts$';

/** The pattern of a room (`ledger`) or of a file of src/ itself (`ids.ts`). */
const inSrc = (name) =>
  name.endsWith('.ts') ? `^src/${name.replace('.', '\\.')}$` : `^src/${name}/`;

const rooms = Object.entries(ROOMS).map(([room, allowed]) => ({
  name: `room-${room}`,
  severity: 'error',
  comment: `src/${room} may import of src/ only itself and: ${allowed.join(', ') || 'nothing'}`,
  from: { path: inSrc(room), pathNot: SPEC },
  to: { path: '^src/', pathNot: [room, ...allowed].map(inSrc) },
}));

const features = FEATURES.map((feature) => ({
  name: `feature-${feature}`,
  severity: 'error',
  comment: `src/${feature} may import the shared rooms, and of another feature only its module`,
  from: { path: inSrc(feature), pathNot: SPEC },
  to: {
    path: '^src/',
    pathNot: [...[feature, ...FEATURES_MAY_USE].map(inSrc), '^src/([^/]+)/\\1\\.module\\.ts$'],
  },
}));

module.exports = {
  forbidden: [
    ...rooms,
    ...features,
    {
      name: 'every-room-is-known',
      severity: 'error',
      comment: 'A new folder of src/ is entered in ROOMS or FEATURES above',
      from: { path: '^src/[^/]+/', pathNot: [...Object.keys(ROOMS), ...FEATURES].map(inSrc) },
      to: {},
    },
    {
      name: 'common-files',
      severity: 'error',
      comment: 'ids.ts and within.ts import nothing of src/, config.ts the domain only',
      from: { path: '^src/(ids|within|config)\\.ts$' },
      to: { path: '^src/', pathNot: '^src/domain/' },
    },
    {
      name: 'app-module-takes-modules',
      severity: 'error',
      comment: 'app.module.ts joins modules; only what every room shares comes from elsewhere',
      from: { path: '^src/app\\.module\\.ts$' },
      to: {
        path: '^src/',
        pathNot: [
          '^src/([^/]+)/\\1\\.module\\.ts$',
          '^src/config\\.ts$',
          '^src/database/database\\.ts$',
          '^src/http/problem\\.filter\\.ts$',
        ],
      },
    },
    {
      name: 'domain-is-pure',
      severity: 'error',
      comment:
        'The domain does no I/O: of npm it may use canonicalize and ipaddr.js, of Node only crypto',
      from: { path: '^src/domain/', pathNot: SPEC },
      to: {
        pathNot: ['^src/domain/', '^(node:)?crypto$', '^node_modules/(canonicalize|ipaddr\\.js)/'],
      },
    },
    {
      name: 'x402-does-no-io',
      severity: 'error',
      comment:
        'Wire formats are parsed and written, never fetched: no framework, database or Node I/O',
      from: { path: '^src/x402/', pathNot: SPEC },
      to: {
        pathNot: [
          '^src/(x402|domain)/',
          '^node_modules/@x402/(core|evm)/',
          // It can fetch did:web documents: offer-receipt.ts hands it keys and did:key only.
          '^node_modules/@x402/extensions/dist/[^/]+/offer-receipt/',
          '^node_modules/viem/',
          '^node_modules/zod/',
        ],
      },
    },
    {
      name: 'ledger-without-nest',
      severity: 'error',
      comment: 'The ledger is plain TypeScript over pg; Nest meets it in its module only',
      from: { path: '^src/ledger/', pathNot: ['^src/ledger/ledger\\.module\\.ts$', SPEC] },
      to: { path: '^node_modules/@nestjs/' },
    },
    {
      name: 'src-stands-alone',
      severity: 'error',
      comment: 'The service never imports the sandbox, the benchmark, the fault runner or tests',
      from: { path: '^(src|prisma)/', pathNot: SPEC },
      to: { path: '^(sandbox|bench|faults|test)/' },
    },
    {
      name: 'migrations-at-the-top',
      severity: 'error',
      comment: 'Only open-database.ts migrates the database',
      from: { path: '^src/', pathNot: ['^src/open-database\\.ts$', SPEC] },
      to: { path: '^prisma/' },
    },
    {
      name: 'sandbox-without-tests',
      severity: 'error',
      comment: 'The sandbox, the benchmark and the fault runner never import tests',
      from: { path: '^(sandbox|bench|faults)/' },
      to: { path: '^test/' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Two files that need each other are one file, or three',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-dev-dependencies',
      severity: 'error',
      comment: 'What the service runs on stands in "dependencies"; types may come from anywhere',
      from: { path: '^(src|prisma)/', pathNot: SPEC },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      comment: 'A package that is imported stands in package.json',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      comment: 'Every import leads somewhere',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: ['^node_modules/', '^src/database/generated/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.cjs', '.json'],
    },
  },
};
