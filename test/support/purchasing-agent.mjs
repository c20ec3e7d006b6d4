// An agent that buys one page, as its own process, so that a test can kill it between any two steps. It
// knows its purchase by the idempotency key alone: nothing else survives a restart.
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';

const { url, bursar, token, key, run, dieAt, attempts } = JSON.parse(process.env.PURCHASE);

/** Writes synchronously, so that a report made before the kill is never lost. */
function report(line) {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

let attempt = 0;

/** Ends this process with SIGKILL when the test asked for this step of this attempt. */
function mark(step) {
  if (dieAt?.attempt !== attempt || dieAt?.step !== step) return;
  report({ killedAt: step });
  process.kill(process.pid, 'SIGKILL');
  // No further instruction of this program may run while the signal is on its way.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

/** One HTTP exchange; `steps` are marked once the request is written and once the answer's head is here. */
async function exchange(target, { body, steps = {}, ...options }) {
  // On a connected socket the request is with the kernel once it is written, and survives this process.
  const { hostname, port } = new URL(target);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const request = httpRequest(target, {
    ...options,
    headers: { ...options.headers, connection: 'close' },
    createConnection: () => socket,
  });
  const written = once(request, 'finish');
  const answered = once(request, 'response');
  request.end(body);
  await written;
  mark(steps.written);
  const [response] = await answered;
  mark(steps.answered);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode, headers: response.headers, text };
}

/** Asks Bursar for the payment of one 402, under the key of the purchase. */
async function pay({ headers, text }) {
  const paymentRequired = headers['payment-required'] ?? JSON.parse(text);
  const answer = await exchange(`${bursar}/v1/payments`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'idempotency-key': key,
    },
    body: JSON.stringify({ paymentRequired, request: { method: 'GET', url } }),
    steps: { written: 'asked', answered: 'answered' },
  });
  const body = JSON.parse(answer.text);
  report({ bursar: { status: answer.status, body } });
  if (answer.status !== 201) process.exit(3);
  return body.header;
}

while (attempt < attempts) {
  attempt += 1;
  const unpaid = await exchange(url, { headers: { accept: 'application/json' } });
  if (unpaid.status !== 402) throw new Error(`an unpaid request got ${unpaid.status}`);
  mark('got-402');
  const header = await pay(unpaid);
  mark('got-header');
  const { status, headers, text } = await exchange(url, {
    headers: { accept: 'application/json', [header.name]: header.value, 'x-run': run },
    steps: { written: 'sent', answered: 'served' },
  });
  mark('read');
  const receipt = headers['payment-response'] ?? headers['x-payment-response'];
  report({ seller: { status, receipt, text } });
  if (status === 200) process.exit(0);
}
process.exit(2);
