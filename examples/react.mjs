// An orchestrator that reacts to events and polls nothing: it raises a grant that is exhausted, approves what waits, and
// stops when a grant is revoked. The events come by a stream or by a webhook:
//   BURSAR_URL=... BURSAR_TOKEN=... SELLER=... node examples/react.mjs stream|webhook
// A webhook to this machine needs a service that allows it (BURSAR_WEBHOOK_ALLOW), as the sandbox does.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { ApprovalRequired, Bursar, BursarError } from '@bursar/sdk';
import { Webhook } from 'standardwebhooks';

const { SELLER } = process.env;
const KINDS = [
  'payment.refused',
  'payment.pending',
  'payment.approved',
  'grant.amended',
  'grant.revoked',
];

const bursar = Bursar.fromEnv();
const inbox = { seen: [], waiting: [] };
const stop = await (process.argv[2] === 'webhook' ? byWebhook() : byStream());

// A worker with money for two pages that wants three.
const reader = await bursar.delegate({ holder: 'reader', budget: '0.02', ttlSeconds: 600 });
// A worker whose payments wait for an approval.
const buyer = await bursar.delegate({
  holder: 'buyer',
  budget: '0.50',
  approvalAbove: '0.001',
  ttlSeconds: 600,
});
await Promise.all([read(reader), buy(buyer), obey(reader)]);
await stop();

/** Reacts to an event, as the orchestrator. */
async function react({ kind, grantId, paymentId, data }) {
  if (kind === 'payment.refused' && data.code === 'budget_exceeded') {
    console.log('exhausted: raise the budget');
    await bursar.grants.amend(grantId, { budget: '0.03', reason: 'one page more' });
  }
  if (kind === 'payment.pending') {
    console.log('waiting: approve the payment');
    await bursar.payments.approve(paymentId, 'a page that is needed');
  }
}

/** Buys three pages. Where the budget ends, it waits for the raise and buys on. */
async function read(agent) {
  for (const page of [1, 2, 3]) {
    const buyPage = () =>
      agent.fetch(`${SELLER}/data/${page}`, { intent: `${agent.grant.id} ${page}` });
    await buyPage().catch(async (error) => {
      if (!(error instanceof BursarError) || error.code !== 'budget_exceeded') throw error;
      await event('grant.amended', agent);
      await buyPage();
    });
  }
  console.log('read three pages');
  await bursar.grants.revoke(agent.grant.id, { reason: 'the work is done' });
}

/** Buys one page, as soon as somebody approves. */
async function buy(agent) {
  const buyPage = () => agent.fetch(`${SELLER}/data/7`, { intent: `${agent.grant.id} 7` });
  await buyPage().catch(async (error) => {
    if (!(error instanceof ApprovalRequired)) throw error;
    await event('payment.approved', agent);
    await buyPage();
  });
  console.log('bought an approved page');
}

/** Ends an agent whose grant was revoked. */
async function obey(agent) {
  const { reason } = await event('grant.revoked', agent);
  console.log(`stopped: ${reason}`);
}

/** The first event of a kind about an agent's grant, when it comes. */
function event(kind, agent) {
  const isIt = (each) => each.kind === kind && each.grantId === agent.grant.id;
  const seen = inbox.seen.find(isIt);
  return seen ?? new Promise((resolve) => inbox.waiting.push({ isIt, resolve }));
}

/** Takes an event. It may come twice by webhook. */
function take(record) {
  if (inbox.seen.some(({ id }) => id === record.id)) return;
  inbox.seen.push(record);
  for (const { isIt, resolve } of inbox.waiting) if (isIt(record)) resolve(record);
  void react(record);
}

async function byStream() {
  const ended = new AbortController();
  let opened;
  const open = new Promise((resolve) => {
    opened = resolve;
  });
  const following = (async () => {
    const options = { types: KINDS, signal: ended.signal, onOpen: opened };
    for await (const each of bursar.events(options)) take(each);
  })();
  await Promise.race([open, following]);
  return async () => {
    ended.abort();
    await following;
  };
}

async function byWebhook() {
  let webhook;
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    try {
      // Throws unless it is signed, and new.
      take(webhook.verify(text, request.headers).data);
      response.end();
    } catch {
      response.writeHead(400).end();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/`;
  const call = (method, path, body) =>
    fetch(`${process.env.BURSAR_URL}/v1/webhooks${path}`, {
      method,
      headers: { authorization: `Bearer ${bursar.token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  const registered = await call('POST', '', { url, kinds: KINDS });
  if (!registered.ok) throw new Error(await registered.text());
  const made = await registered.json();
  webhook = new Webhook(made.secret);
  return async () => {
    await call('DELETE', `/${made.webhook.id}`);
    server.closeAllConnections();
    server.close();
  };
}
