// Proof of money: does what goes wrong in production to several clients, and reads on chain what they paid.
// `npm run crash-test` prints the table of docs/agents.md. `-- --client Python --client stock` runs only these.
// Exits 1 if a client that pays through Bursar paid twice, too much, or a stranger.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createPublicClient, erc20Abi, http } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { findGuardrails } from '../../dist/bench/peers.js';
import { startStack } from '../../dist/sandbox/stack.js';
import { createLogger } from '../../dist/src/ops/logger.js';

const PRICE = 10_000n;
const PYTHON = '/usr/bin/python3';
const OURS = ['bursar.fetch', '@x402/fetch + bursar', '@x402/axios + bursar', 'Python'];
const CLIENTS = [...OURS, 'stock', 'stock + cdp-sdk'];

const { values } = parseArgs({
  options: { client: { type: 'string', multiple: true, default: CLIENTS } },
});
const leftOut = [];
const guardrails = values.client.includes('stock + cdp-sdk') ? await findControls() : undefined;
if (values.client.includes('Python') && !hasPython()) {
  leftOut.push(`Python: ${PYTHON} is not 3.9 or later`);
}
const clients = CLIENTS.filter(
  (client) =>
    values.client.includes(client) && !leftOut.some((each) => each.startsWith(`${client}:`)),
);

/** The spend controls of the cdp-sdk. They need its packages from a registry, and no network of theirs. */
async function findControls() {
  const found = await findGuardrails((what) => console.error(what));
  if ('path' in found) return found.path;
  leftOut.push(`stock + cdp-sdk: ${found.reason}`);
  return undefined;
}

function hasPython() {
  const check = 'import sys; sys.exit(sys.version_info < (3, 9))';
  try {
    execFileSync(PYTHON, ['-c', check], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const stack = await startStack({ logger: createLogger('silent') });
const { chain, facilitator, service } = stack;
const adminToken = await service.mintAdminToken({ name: 'crash-test', role: 'admin' }, 3_600);
const reader = createPublicClient({ transport: http(chain.rpcUrl) });

/** A seller that settles whatever it is sent, refuses what is settled already, and loses answers as told. */
async function startSeller(payTo, { answer = (response) => response.end('page'), redirect } = {}) {
  let payments = 0;
  const server = createServer(async (request, response) => {
    const payment = request.headers['payment-signature'];
    if (redirect) return response.writeHead(302, { location: redirect }).end();
    if (!payment) return ask(response);
    payments += 1;
    const paymentPayload = JSON.parse(Buffer.from(payment, 'base64').toString());
    const settlement = await post(`${facilitator.url}/settle`, {
      x402Version: 2,
      paymentPayload,
      paymentRequirements: paymentPayload.accepted,
    });
    if (!settlement.success) return ask(response);
    await answer(response, payments, ask);
  });
  function ask(response) {
    const terms = {
      x402Version: 2,
      resource: { url: 'https://api.example.com/page', description: '', mimeType: 'text/plain' },
      accepts: [
        {
          scheme: 'exact',
          network: chain.network,
          amount: String(PRICE),
          asset: chain.token.address,
          payTo,
          maxTimeoutSeconds: 60,
          extra: { name: chain.token.name, version: chain.token.version },
        },
      ],
    };
    const header = Buffer.from(JSON.stringify(terms)).toString('base64');
    response.writeHead(402, { 'payment-required': header }).end('{}');
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}/page`,
    payments: () => payments,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function post(url, body, token) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify(body),
  });
  return response.json();
}

/** Runs one agent to its end, whatever that is. */
async function runAgent(order) {
  const isPython = order.client === 'Python';
  const agent = fileURLToPath(new URL(isPython ? 'agent.py' : 'agent.mjs', import.meta.url));
  const child = spawn(isPython ? PYTHON : process.execPath, [agent], {
    env: {
      ...process.env,
      AGENT: JSON.stringify(order),
      PYTHONPATH: fileURLToPath(new URL('../python', import.meta.url)),
      PYTHONDONTWRITEBYTECODE: '1',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [, signal] = await once(child, 'exit');
  return signal;
}

/** Gives an agent something to spend: a grant of 5 cents, or a wallet. */
async function newBudget(client) {
  const { grant, token } = await post(
    `${service.url}/v1/grants`,
    { holder: 'crash-test', budget: '0.05', ttlSeconds: 3_600 },
    adminToken,
  );
  const privateKey = generatePrivateKey();
  await chain.mint(chain.token.address, privateKeyToAccount(privateKey).address, 100_000_000n);
  const { network, token: usdc } = chain;
  const bursar = service.url;
  const order = { client, bursar, token, privateKey, network, asset: usdc.address, guardrails };
  return { order, grant };
}

/** Runs a situation with a seller of its own, and counts in payments what reached it on chain. */
async function paidIn(sellerOptions, act) {
  const payTo = privateKeyToAccount(generatePrivateKey()).address;
  const seller = await startSeller(payTo, sellerOptions);
  try {
    await act(seller);
    const balance = await reader.readContract({
      address: chain.token.address,
      abi: erc20Abi,
      functionName: 'balanceOf',
      args: [payTo],
    });
    return Number(balance / PRICE);
  } finally {
    await seller.stop();
  }
}

const loseFirst = (response, payments) =>
  payments === 1 ? response.destroy() : response.end('page');

/** Each situation: how often a client paid too much for one purchase, over its budget, or to a stranger. */
const SITUATIONS = {
  async '50 parallel retries of one purchase (intent)'(client) {
    const { order } = await newBudget(client);
    const paid = await paidIn({}, ({ url }) =>
      runAgent({ ...order, url, intent: 'page', parallel: 50 }),
    );
    return { twice: paid - 1 };
  },
  async 'kill -9 at each step, then restart (intent)'(client) {
    let twice = 0;
    for (let killAt = 1; ; killAt++) {
      const { order } = await newBudget(client);
      let signal;
      const paid = await paidIn({}, async ({ url }) => {
        signal = await runAgent({ ...order, url, intent: 'page', killAt });
        if (signal) await runAgent({ ...order, url, intent: 'page', tries: 3 });
      });
      if (!signal) return { twice };
      twice += paid - 1;
    }
  },
  async 'answer lost, retried'(client) {
    const { order } = await newBudget(client);
    const paid = await paidIn({ answer: loseFirst }, ({ url }) =>
      runAgent({ ...order, url, tries: 3 }),
    );
    return { twice: paid - 1 };
  },
  async 'answer lost, restart without state (intent)'(client) {
    const { order } = await newBudget(client);
    const paid = await paidIn({ answer: loseFirst }, async ({ url }) => {
      await runAgent({ ...order, url, intent: 'page' });
      await runAgent({ ...order, url, intent: 'page', tries: 2 });
    });
    return { twice: paid - 1 };
  },
  async 'settled, but answered 500'(client) {
    const { order } = await newBudget(client);
    const answer = (response) => response.writeHead(500).end();
    const paid = await paidIn({ answer }, ({ url }) => runAgent({ ...order, url, tries: 3 }));
    return { twice: paid - 1 };
  },
  async 'settled, but unknown to the seller, which asks again'(client) {
    const { order } = await newBudget(client);
    const answer = (response, _payments, ask) => ask(response);
    const paid = await paidIn({ answer }, ({ url }) => runAgent({ ...order, url, tries: 3 }));
    return { twice: paid - 1 };
  },
  async 'redirect to a stranger that asks for money'(client) {
    const { order } = await newBudget(client);
    let strangers = 0;
    await paidIn({}, async (stranger) => {
      await paidIn({ redirect: stranger.url }, ({ url }) => runAgent({ ...order, url }));
      strangers = stranger.payments();
    });
    return { strangers };
  },
  async 'revoked in the middle'(client) {
    const { order, grant } = await newBudget(client);
    const paid = await paidIn({}, async ({ url }) => {
      await runAgent({ ...order, url });
      await post(`${service.url}/v1/grants/${grant.id}/revoke`, {}, adminToken);
      for (let calls = 0; calls < 2; calls++) await runAgent({ ...order, url });
    });
    return { over: paid - 1 };
  },
  async 'ten agents on one budget of five pages'(client) {
    const { order } = await newBudget(client);
    const paid = await paidIn({}, ({ url }) =>
      Promise.all(Array.from({ length: 10 }, () => runAgent({ ...order, url }))),
    );
    return { over: paid - 5 };
  },
};

let failed = false;
try {
  console.log(`| situation | ${clients.join(' | ')} |`);
  console.log(`| --- |${clients.map(() => ' --- |').join('')}`);
  for (const [situation, run] of Object.entries(SITUATIONS)) {
    const cells = [];
    for (const client of clients) {
      const { twice = 0, over = 0, strangers = 0 } = await run(client);
      const counts = [twice, over, strangers];
      cells.push(counts.join(', '));
      // Below 0 nothing was bought at all, which proves nothing.
      if (OURS.includes(client) && counts.some((count) => count !== 0)) failed = true;
    }
    console.log(`| ${situation} | ${cells.join(' | ')} |`);
  }
} finally {
  await stack.stop();
}
for (const reason of leftOut) console.log(`left out: ${reason}`);
console.log(failed ? 'failed: money was lost' : 'passed: 0, 0, 0 through Bursar');
process.exitCode = failed ? 1 : 0;
