import { pino } from 'pino';
import { createLogger } from '../src/ops/logger.js';
import { parseOptions } from '../src/options.js';
import { runUntilSignalled } from '../src/run.js';
import { startSandboxGateway } from './gateway.js';
import { isFree } from './ports.js';
import { assetOf, type Stack, startStack } from './stack.js';

/** The service's own default, when it is free. */
const PREFERRED_PORT = 4020;

const ADMIN_TOKEN_SECONDS = 86_400;

const HELP = `npm run sandbox -- [--json]

Starts the service with everything around it, all local: a chain with test tokens, a facilitator and a
paid API. Runs until it is signalled. --json prints one JSON line when ready, for programs.
DATABASE_URL, REDIS_URL, PORT, BURSAR_DATA_DIR and BURSAR_OIDC_* are honoured.
`;

await runUntilSignalled('sandbox', async (onStop, stopped) => {
  const { values } = parseOptions(
    { options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } },
    'npm run sandbox -- --help',
  );
  if (values.help) {
    process.stdout.write(HELP);
    return 'done';
  }
  const { DATABASE_URL, REDIS_URL, PORT, BURSAR_DATA_DIR, BURSAR_LOG_LEVEL } = process.env;
  // Standard output is for the answer; the log goes beside it.
  const logger = createLogger(
    BURSAR_LOG_LEVEL || 'warn',
    pino.destination({ dest: 2, sync: true }),
    process.stderr.isTTY === true,
  );
  const progress = (what: string) => {
    stopped.throwIfAborted();
    if (!values.json) process.stdout.write(`starting ${what}\n`);
  };
  const port = await portOf(PORT);
  const stack = await startStack({
    logger,
    dataDir: BURSAR_DATA_DIR || undefined,
    databaseUrl: DATABASE_URL || undefined,
    redisUrl: REDIS_URL || undefined,
    environment: identityProvider(process.env),
    port,
    progress,
  });
  onStop(() => stack.stop());
  progress('a gateway that sells the same data');
  const gateway = await startSandboxGateway(stack, logger);
  onStop(() => gateway.stop());
  const adminToken = await stack.service.mintAdminToken(
    { name: 'sandbox', role: 'admin' },
    ADMIN_TOKEN_SECONDS,
  );
  process.stdout.write(
    values.json
      ? `${asJson(stack, gateway.url, adminToken)}\n`
      : asText(stack, gateway.url, adminToken, await mintAgentToken(stack, adminToken)),
  );
  return 'running';
});

/**
 * The service's port, checked before anything is started.
 *
 * @throws Error with one line where the given one cannot be listened on.
 */
async function portOf(given: string | undefined): Promise<number> {
  if (!given) return (await isFree(PREFERRED_PORT)) ? PREFERRED_PORT : 0;
  const port = Number(given);
  if (await isFree(port)) return port;
  throw new Error(
    `PORT is ${given}, which is in use or no port to listen on; set PORT to a free one, or leave it out`,
  );
}

/** The variables of an identity provider to sign in with. */
function identityProvider(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      name.startsWith('BURSAR_OIDC_') && value !== undefined ? [[name, value]] : [],
    ),
  );
}

function asJson(
  { service, chain, facilitator, seller, dataDir }: Stack,
  gatewayUrl: string,
  adminToken: string,
) {
  return JSON.stringify({
    url: service.url,
    adminToken,
    chain: { rpcUrl: chain.rpcUrl, chainId: chain.chainId, network: chain.network },
    token: chain.token.address,
    tokens: chain.tokens.map(assetOf),
    facilitatorUrl: facilitator.url,
    sellerUrl: seller.url,
    sellerPayTo: seller.payTo,
    gatewayUrl,
    dataDir,
  });
}

/** A grant to try the commands with, as an admin mints it over HTTP. */
async function mintAgentToken({ service }: Stack, adminToken: string): Promise<string> {
  const response = await fetch(`${service.url}/v1/grants`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      holder: 'sandbox-agent',
      budget: '10.00',
      approvalAbove: '1.00',
      delegationDepth: 2,
      ttlSeconds: ADMIN_TOKEN_SECONDS,
    }),
  });
  const { token } = (await response.json()) as { token?: string };
  if (token === undefined) throw new Error(`the sandbox's grant was refused: ${response.status}`);
  return token;
}

function asText(
  { service, chain, facilitator, seller, operatorEnvironment }: Stack,
  gatewayUrl: string,
  adminToken: string,
  agentToken: string,
): string {
  return `
The sandbox is ready. In another terminal, as an agent with 10.00 USDC:

export BURSAR_URL=${service.url} SELLER=${seller.url}
export BURSAR_TOKEN=${agentToken}

  npx bursar fetch $SELLER/data/7

As an admin, for the steps of docs/tutorial.md and docs/orchestrators.md:

export PAY_TO=${seller.payTo} RPC=${chain.rpcUrl}
export ADMIN_TOKEN=${adminToken}

As an operator, for npx bursar check, wallets, jobs and the like:

export ${Object.entries(operatorEnvironment)
    .map(([name, value]) => `${name}='${value.replaceAll("'", "'\\''")}'`)
    .join(' ')}

  API         ${service.url}/docs
  paid API    ${seller.url}/data/7 ($0.01), ${seller.url}/report ($2.50),
              ${seller.url}/eurc/data/7 (0.01 EURC), ${seller.url}/tusd18/data/7 (0.01 TUSD18)
  gateway     ${gatewayUrl}/data/7 ($0.01), the same data sold through the gateway
  chain       ${chain.rpcUrl} (${chain.network})
${chain.tokens.map(({ symbol, address }) => `  ${symbol.padEnd(11)} ${address}`).join('\n')}
  facilitator ${facilitator.url}

Ctrl-C stops everything and removes what it made.
`;
}
