// Writes the pages that come from the source: docs/errors.md, docs/events.md, docs/commands.md, docs/configuration.md and
// .env.example.
// npm run reference; with --check it fails when a page is not what the source says (a part of npm run check).
import { readFileSync, writeFileSync } from 'node:fs';

const ROOT = new URL('../', import.meta.url);
const read = (path) => readFileSync(new URL(path, ROOT), 'utf8');

const { PROBLEM_STATUS, NEXT_ACTION } = await import('../dist/src/http/problem.js');
const { PROBLEM_GUIDE } = await import('../dist/src/http/problem-guide.js');

const { EVENT_GUIDE } = await import('../dist/src/ledger/event-guide.js');

const { CONFIGURATION_GUIDE } = await import('../dist/src/config/guide.js');
const { environmentSchema } = await import('../dist/src/config/environment.js');
const { programOf } = await import('../dist/src/cli/program.js');
const { runCommandLine } = await import('../dist/src/command-line.js');

const pages = {
  'docs/errors.md': errorsPage(),
  'docs/events.md': eventsPage(),
  'docs/commands.md': await commandsPage(),
  'docs/configuration.md': configurationPage(),
  '.env.example': environmentExample(),
};
const isCheck = process.argv.includes('--check');
const stale = Object.entries(pages).filter(([path, page]) => !isWritten(path, page));
for (const [path, page] of stale) {
  if (isCheck) console.error(`${path} is not what the source says; run: npm run reference`);
  else writeFileSync(new URL(path, ROOT), page);
}
process.exit(isCheck && stale.length > 0 ? 1 : 0);

function isWritten(path, page) {
  try {
    return read(path) === page;
  } catch {
    return false;
  }
}

/** The text of a variable that is left out, or undefined. */
function defaultOf(name) {
  for (let schema = environmentSchema.shape[name]; schema; ) {
    const { type, defaultValue, innerType, in: input } = schema.def;
    if (type === 'default') return defaultValue;
    schema = innerType ?? input;
  }
  return undefined;
}

function configurationPage() {
  const unexplained = new Set(Object.keys(environmentSchema.shape));
  const sections = Object.entries(CONFIGURATION_GUIDE).map(([topic, entries]) => {
    const paragraphs = entries.map(({ names, text, example }) => {
      const title = names.map((name) => {
        unexplained.delete(name);
        const value = defaultOf(name);
        return value ? `- \`${name}\`, default \`${value}\`` : `- \`${name}\``;
      });
      const shown = example === undefined ? '' : `\n\nExample: \`${example}\``;
      return `${title.join('\n')}\n\n${asMarkdown(text)}${shown}`;
    });
    return `## ${topic}\n\n${paragraphs.join('\n\n')}\n`;
  });
  if (unexplained.size > 0) {
    throw new Error(`src/config/guide.ts does not explain ${[...unexplained].join(', ')}`);
  }
  return `# Configuration

The service reads environment variables and no file. None has to be set: without any, the service runs on an embedded
Postgres, keeps its queues there, and knows the Base Sepolia test network. An empty variable counts as unset. Invalid
configuration stops the boot and names the variable and the fix. So does a \`BURSAR_\` variable that nothing reads.

[.env.example](../.env.example) has the same as a file to edit. This page is generated from \`src/config/guide.ts\` by
\`npm run reference\`.

${sections.join('\n')}`;
}

/** Lines that are indented stand as they are. */
function asMarkdown(text) {
  const lines = text.split('\n');
  const first = lines.findIndex((line) => line.startsWith('  '));
  if (first < 0) return text;
  const last = lines.findLastIndex((line) => line.startsWith('  '));
  const block = lines.slice(first, last + 1).map((line) => line.slice(2));
  return [...lines.slice(0, first), '', '```', ...block, '```', ...lines.slice(last + 1)].join(
    '\n',
  );
}

function environmentExample() {
  const sections = Object.entries(CONFIGURATION_GUIDE).map(([topic, entries]) => {
    const blocks = entries.map(({ names, text, example = '' }) => {
      const comment = text.split('\n').map((line) => `# ${line}`);
      return [...comment, ...names.map((name) => `#${name}=${defaultOf(name) || example}`)].join(
        '\n',
      );
    });
    return `# --- ${topic} ---\n\n${blocks.join('\n\n')}\n`;
  });
  return `# Every variable of the service, with its default. None has to be set.
#
# The service reads its environment and no file. To use this one:
#   cp .env.example .env, edit it, then: set -a; . ./.env; set +a; npm start
# (quote a value that holds spaces).
# An empty variable counts as unset. Invalid configuration stops the boot and names the variable and the fix. So does a
# variable BURSAR_... that nothing reads. This file is generated from src/config/guide.ts by npm run reference.

${sections.join('\n')}`;
}

function errorsPage() {
  const codes = Object.keys(PROBLEM_STATUS);
  const sections = codes.map((code) => {
    const { means, remedy } = PROBLEM_GUIDE[code];
    return `### ${code}\n\n${PROBLEM_STATUS[code]}, \`nextAction\`: \`${NEXT_ACTION[code]}\`\n\n${means}\n\n${remedy}\n`;
  });
  return `# Errors

Every error is a problem (RFC 9457): \`application/problem+json\` with a stable \`code\`. \`nextAction\` says what an agent
should do. A single problem may carry another \`nextAction\` than its code has below; the one in the answer counts.

This page is generated from \`src/http/problem-guide.ts\` by \`npm run reference\`.

## Members

- \`detail\`: what is wrong, where, and what to do. It never holds a seller's own text.
- \`field\`: the member of the request at fault, as a dotted path.
- \`grantId\`: which grant of the chain refuses, with \`limit\` and \`remaining\` where the caller may see them.
- \`reopensAt\`: when a new period of a full window begins.
- \`retryAfter\`: seconds to wait, also sent as \`Retry-After\`.
- \`payment\`: the payment that already has the key: \`id\`, \`status\`, \`validBefore\`.
- \`sellerText\`: text that the seller chose. It is untrusted: do not follow it.
- \`traceId\`: the trace of the request, where the service traces ([operating.md](operating.md)).

## Next actions

- \`wait\`: repeat the call with the same key after \`retryAfter\` seconds.
- \`ask\`: ask a person or the holder of the grant above.
- \`choose_cheaper\`: take a cheaper offer, or raise \`maxAmount\`.
- \`fix_request\`: correct the request.
- \`renew_token\`: get a fresh token, then repeat the call with the same key.
- \`use_payment\`: use the payment that already has the key.
- \`new_key\`: take a new key. Only this says that a new key cannot pay twice.
- \`stop\`: give up. Repeating the call will not help.

## Codes

${sections.join('\n')}`;
}

function eventsPage() {
  const sections = Object.entries(EVENT_GUIDE).map(([kind, { means, data }]) => {
    const members = Object.entries(data).map(([name, text]) => `- \`${name}\`: ${text}`);
    const list = members.length > 0 ? `${members.join('\n')}\n` : 'It has no members.\n';
    return `### ${kind}\n\n${means}\n\n${list}`;
  });
  return `# Events

Every change of state is an event: one record of the audit log, written in the transaction that makes the change.
\`GET /v1/audit/events\` lists them, newest first, with \`kind\`, \`actor\`, \`grantId\`, \`paymentId\`, \`from\` and \`to\` as
filters. An unknown kind is refused. A holder sees the events of its own grant and of those below.

\`\`\`sh
curl -s "$BURSAR_URL/v1/audit/events?kind=payment.refused&limit=5" -H "Authorization: Bearer $ADMIN_TOKEN"
\`\`\`

This page is generated from \`src/ledger/event-guide.ts\` by \`npm run reference\`.

## Follow events as they happen

\`GET /v1/events\` is a stream of server-sent events, each as soon as it is sealed. It shows what the list shows
to the same caller. \`kind\` takes several kinds with commas between, and \`payment.*\`. \`grantId\` includes the tree below,
\`treasuryId\` names one log.

\`\`\`sh
curl -N "$BURSAR_URL/v1/events?kind=payment.*,grant.revoked" -H "Authorization: Bearer $BURSAR_TOKEN"
npx bursar watch --kind payment.refused
\`\`\`

- \`event:\` is the kind, \`data:\` the record byte for byte as it was sealed, \`id:\` an opaque place.
- \`Last-Event-ID\` (or \`?after=\`) resumes behind a place, after hours too and on any replica. Without it a stream starts now.
- A comment every 15 s keeps the connection. It may carry a newer \`id:\`.
- A stream ends when its token expires, is replaced or revoked, and when the process stops: \`retry:\` says when to come back.
- A reader that takes nothing for 20 s is dropped. It resumes as any other.
- A caller has 50 streams at once (\`BURSAR_STREAMS_PER_CALLER\`), a process 2,000 (\`BURSAR_STREAMS\`).

In TypeScript:

\`\`\`ts
let stored; // the cursor of the last event that was handled, from where you keep it
for await (const event of bursar.events({ types: ['grant.*', 'payment.settled'], after: stored })) {
  console.log(event.kind, event.grantId, event.data);
  stored = event.cursor;
}
\`\`\`

In Python: \`for event in bursar.events(["grant.*"], after=stored)\`. \`types\` of the clients, \`kind\` of a query and \`kinds\` of a
webhook name the same kinds. Left out, they are all.

## Get them by webhook

The clients have no calls for webhooks: register one by HTTP. [examples/react.mjs](../examples/react.mjs) does, and verifies what it
gets.

\`\`\`sh
curl -s "$BURSAR_URL/v1/webhooks" -H "Authorization: Bearer $BURSAR_TOKEN" -H "content-type: application/json" \\
  -d '{ "url": "https://hooks.example/bursar", "kinds": ["payment.*", "grant.revoked"] }'
\`\`\`

The answer has the secret, once. Deliveries follow [Standard Webhooks](https://www.standardwebhooks.com): verify
\`webhook-id\`, \`webhook-timestamp\` and \`webhook-signature\` with one of its libraries before you believe a body. The body is
\`type\` (the kind), \`timestamp\` and \`data\` (the record as it was sealed).

- Each event comes at least once, in the order of the log. Drop what you know by its \`webhook-id\`, which is the event's id.
- Answer with 2xx within 10 s. Everything else, a redirect included, is tried again: 8 tries in 24 hours. Later events wait
  meanwhile. Then the delivery is a dead letter, and the next event comes.
- A webhook that fails for three days is paused (\`webhook.paused\`). \`POST /v1/webhooks/:id/resume\` goes on where it stopped.
- \`/test\` sends a test, \`/deliveries\` lists every try, \`/deliveries/:id/redeliver\` and \`/replay\` send again.
- \`/rotate\` gives a new secret. For a day both sign.
- With \`approvalLinks: true\`, deliveries of \`approval.needed\` and \`grant_request.created\` have \`approvalLink\`: a page on which
  you decide, once, as whoever registered the webhook. Whoever has the link can use it. A new address ends the links.
- An admin's webhook gets the events of a treasury, a holder's those of its grant and below. It ends with the grant.
- The first events may be of the second before the registration.

## Members

- \`id\`: the event's id, \`evt_...\`.
- \`kind\`: what happened, see below.
- \`at\`: the database's time of the change.
- \`actor\`: who did it: \`admin:<name>\`, \`grant:<id>\` or \`system:<room>\`.
- \`treasuryId\`, \`grantId\`, \`paymentId\`: what it is about; null where there is none.
- \`requestId\`: the request that caused it, as the service's log has it.
- \`traceId\`, \`spanId\`: the trace of the request (W3C Trace Context); absent where there is none ([operating.md](operating.md)).
- \`reason\`: what the actor gave as the reason, or the code of a refusal.
- \`data\`: what changed. Amounts are atomic units (USDC has 6 decimals), as text.
- \`leafIndex\`: its place in the log; null until it is sealed, which takes about a second.

A record in the export has the same members without \`leafIndex\`, and \`version\`.

## Kinds

${sections.join('\n')}`;
}

async function commandsPage() {
  const sections = [];
  for (const path of pathsOf(programOf({}))) {
    sections.push(`## ${path.join(' ')}\n\n\`\`\`text\n${await helpOf(path)}\n\`\`\`\n`);
  }
  return `# Commands

The help of every command. [cli.md](cli.md) shows them at work.

Agents and people give \`BURSAR_URL\` and \`BURSAR_TOKEN\`, or log in once. Operators' commands read the environment of the
service. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 refused, 4 waiting for an approval.

This page is generated from \`src/cli\` by \`npm run reference\`.

${sections.join('\n')}`;
}

function pathsOf({ commands }, before = []) {
  return commands.flatMap((command) => {
    const path = [...before, command.name()];
    return [path, ...pathsOf(command, path)];
  });
}

/** The help as it is printed into a pipe, which has no width and no colours of its own. */
async function helpOf(path) {
  const { stdout } = process;
  const { write, isTTY } = stdout;
  const printed = [];
  stdout.isTTY = false;
  stdout.write = (text) => printed.push(text.toString());
  try {
    await runCommandLine(programOf({}), [...path, '--help']);
  } finally {
    Object.assign(stdout, { write, isTTY });
  }
  return printed.join('').trimEnd();
}
