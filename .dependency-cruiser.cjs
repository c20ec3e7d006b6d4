// Which way dependencies run, as docs/architecture.md ("Rooms") has it. `npm run deps` checks it.

/**
 * What each shared room of src/ may import beside itself. `domain` comes first and knows nobody.
 */
const ROOMS = {
  domain: [],
  config: ['domain', 'evm.ts'],
  x402: ['domain', 'evm.ts'],
  database: ['make-directory.ts'],
  tracing: ['domain', 'config', 'version.ts', 'within.ts'],
  http: ['domain', 'database', 'tracing', 'ids.ts'],
  ledger: ['domain', 'database', 'tracing', 'ids.ts', 'config'],
  outbox: ['database', 'tracing', 'config', 'terminal.ts', 'within.ts'],
  access: ['domain', 'database', 'http', 'ledger', 'outbox', 'config'],
  // Judges the ledger and the settlement from outside: it may share nothing with them.
  check: [
    'domain',
    'database/describe.ts',
    'database/embedded-postgres.ts',
    'config',
    'command-line.ts',
    'evm.ts',
    'options.ts',
  ],
  // The commands of agents and people, and the tree of all: it loads none of the operators' code.
  cli: [
    ...['domain', 'audit/verify-options.ts', 'check/options.ts', 'setup/options.ts'],
    ...['command-line.ts', 'options.ts', 'terminal.ts', 'version.ts'],
  ],
  treasury: [
    ...['domain', 'x402', 'database', 'http', 'access', 'ledger', 'outbox'],
    ...['ids.ts', 'config', 'evm.ts', 'options.ts', 'shared.ts', 'terminal.ts', 'within.ts'],
  ],
  catalog: [
    ...['domain', 'x402', 'database', 'http', 'access', 'ledger', 'outbox', 'treasury'],
    ...['ids.ts', 'config', 'evm.ts'],
  ],
};

/** Features use the shared rooms, and of one another at most the module. */
const FEATURES = [
  'grants',
  'payments',
  'settlement',
  'audit',
  'reports',
  'oauth',
  'ops',
  'console',
  'gateway',
];
const FEATURES_MAY_USE = [
  ...Object.keys(ROOMS),
  'ids.ts',
  'config',
  'evm.ts',
  'shared.ts',
  'within.ts',
  'command-line.ts',
  'options.ts',
  'version.ts',
];

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

/**
 * The MCP endpoint is a second door to the same services: it may use those of the features, and the schemas of their
 * routes. What runs on an agent's machine uses the client library.
 */
const mcp = {
  name: 'room-mcp',
  severity: 'error',
  comment:
    'src/mcp may import the shared rooms, and of grants and payments the services and the schemas',
  from: { path: '^src/mcp/', pathNot: SPEC },
  to: {
    path: '^src/',
    pathNot: [
      ...['mcp', 'make-directory.ts', ...FEATURES_MAY_USE].map(inSrc),
      '^src/(grants|payments)/[^/]+\\.(service|dto|module)\\.ts$',
    ],
  },
};

/** Streams and webhooks read the log through its feed, and show records as the log's own lists do. */
const events = {
  name: 'room-events',
  severity: 'error',
  comment:
    'src/events may import the shared rooms, of audit the event feed, and the approval links',
  from: { path: '^src/events/', pathNot: SPEC },
  to: {
    path: '^src/',
    pathNot: [
      ...['events', ...FEATURES_MAY_USE].map(inSrc),
      '^src/audit/(event-feed|old-records|audit\\.module)\\.ts$',
      '^src/approval-links/approval-links\\.(service|module)\\.ts$',
    ],
  },
};

/** A link is a third door to the decisions about payments and raises. */
const approvalLinks = {
  name: 'room-approval-links',
  severity: 'error',
  comment:
    'src/approval-links may import the shared rooms, and of grants and payments the services and the schemas',
  from: { path: '^src/approval-links/', pathNot: SPEC },
  to: {
    path: '^src/',
    pathNot: [
      ...['approval-links', ...FEATURES_MAY_USE].map(inSrc),
      '^src/(grants|payments)/[^/]+\\.(service|dto|module)\\.ts$',
    ],
  },
};

const setup = {
  name: 'room-setup',
  severity: 'error',
  comment: "src/setup edits hosts' files: it needs nothing of the service",
  from: { path: '^src/setup/', pathNot: SPEC },
  to: { path: '^src/', pathNot: ['setup', 'options.ts', 'make-directory.ts'].map(inSrc) },
};

module.exports = {
  forbidden: [
    ...rooms,
    ...features,
    events,
    mcp,
    approvalLinks,
    setup,
    {
      name: 'every-room-is-known',
      severity: 'error',
      comment: 'A new folder of src/ is entered in ROOMS or FEATURES above',
      from: {
        path: '^src/[^/]+/',
        pathNot: [
          ...Object.keys(ROOMS),
          ...FEATURES,
          'approval-links',
          'events',
          'mcp',
          'setup',
        ].map(inSrc),
      },
      to: {},
    },
    {
      name: 'common-files',
      severity: 'error',
      comment: 'evm.ts, ids.ts, shared.ts and within.ts import nothing of src/',
      from: { path: '^src/(evm|ids|shared|within)\\.ts$' },
      to: { path: '^src/', pathNot: '^src/evm\\.ts$' },
    },
    {
      name: 'controllers-ask-services',
      severity: 'error',
      comment: 'A controller has the routes of a service: it reads no rows and locks none',
      from: { path: '\\.controller\\.ts$' },
      to: { path: '^src/(database|ledger)/' },
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
          '^src/config/config\\.ts$',
          '^src/core\\.module\\.ts$',
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
          '^src/((x402|domain)/|evm\\.ts$)',
          '^node_modules/@x402/(core|evm)/',
          // It can fetch did:web documents: offer-receipt.ts hands it keys and did:key only.
          '^node_modules/@x402/extensions/dist/[^/]+/offer-receipt/',
          '^node_modules/viem/',
          '^node_modules/(zod|lru-cache)/',
        ],
      },
    },
    {
      name: 'commands-start-at-once',
      severity: 'error',
      comment: 'What agents run reaches neither the service nor a library that is slow to load',
      from: { path: '^src/(cli/|command-line\\.ts$)', pathNot: SPEC },
      to: {
        path: '^node_modules/(?!(commander|ipaddr\\.js|canonicalize|@types)/)|^src/(commands\\.ts$|config/)',
        reachable: true,
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
      name: 'sdk-core-needs-nobody',
      severity: 'error',
      comment:
        'The core of the SDK imports only itself: no package, nothing of Node or the service',
      from: { path: '^clients/typescript/src/', pathNot: '^clients/typescript/src/tools/' },
      to: { pathNot: '^clients/typescript/src/[^/]+\\.ts$' },
    },
    {
      name: 'sdk-tools-adapt',
      severity: 'error',
      comment: 'Each adapter of the SDK may import the one package that it adapts to',
      from: { path: '^clients/typescript/src/tools/' },
      to: {
        pathNot: [
          '^clients/typescript/src/',
          'node_modules/(ai|@langchain/core|@openai/agents-core)/',
        ],
      },
    },
    {
      name: 'console-in-the-browser',
      severity: 'error',
      comment:
        'The console imports itself, the SDK and what runs in a browser: nothing of the service or of Node',
      from: { path: '^console/src/' },
      to: {
        pathNot: [
          '^console/src/',
          // By its name where it is not built: the bundler takes its sources.
          '^@bursar/sdk|^clients/typescript/(src|dist)/',
          '(^|/)node_modules/(qr|react|react-dom|@mantine/(core|hooks)|@tanstack/react-(query|virtual)|@types/react(-dom)?)/',
        ],
      },
    },
    {
      name: 'migrations-at-the-top',
      severity: 'error',
      comment: 'Only open-database.ts and restore.ts migrate the database',
      from: { path: '^src/', pathNot: ['^src/(open-database|restore)\\.ts$', SPEC] },
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
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], pathNot: '^@bursar/sdk(/openapi)?$' },
    },
    {
      name: 'resolvable',
      severity: 'error',
      comment: 'Every import leads somewhere',
      from: {},
      to: { couldNotResolve: true, pathNot: '^@bursar/sdk(/openapi)?$' },
    },
  ],
  options: {
    doNotFollow: { path: ['^node_modules/', '^src/database/generated/'] },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.cjs', '.json'],
    },
  },
};
