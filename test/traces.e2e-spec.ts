import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { loadConfig } from '../src/config/config.js';
import { Api, type EventAnswer, expectProblem, type Paid } from './support/api.js';
import { wrongInBooks } from './support/books.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { openStream } from './support/event-stream.js';
import {
  type OtlpReceiver,
  type ReceivedSpan,
  startOtlpReceiver,
} from './support/otlp-receiver.js';
import { type Receiver, startReceiver } from './support/receiver.js';
import { settle } from './support/settle.js';
import { decodeHeader, order } from './support/terms.js';
import { until } from './support/until.js';

jest.setTimeout(120_000);

interface TracedEvent extends EventAnswer {
  readonly traceId?: string;
  readonly spanId?: string;
}

let collector: OtlpReceiver;
let receiver: Receiver;
let stack: TestStack;
let admin: Api;

beforeAll(async () => {
  // Milliseconds between two batches of spans; a variable of OpenTelemetry, which leaves five seconds between them.
  process.env.OTEL_BSP_SCHEDULE_DELAY = '200';
  [collector, receiver] = await Promise.all([startOtlpReceiver(), startReceiver()]);
  stack = await startTestStack({
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
      BURSAR_WEBHOOK_ALLOW: '127.0.0.1',
    },
  });
  ({ admin } = stack);
}, 90_000);
afterAll(async () => {
  await stack?.stop();
  await collector?.stop();
  await receiver?.stop();
});
afterEach(async () => {
  expect(await wrongInBooks(stack)).toEqual([]);
});

/** The trace of a caller. */
function newTrace(flags = '01') {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-${flags}` } };
}

const spansOf = (traceId: string) => collector.spans.filter((span) => span.traceId === traceId);

/** Waits until a trace has spans of these names. */
async function arrived(traceId: string, ...names: string[]): Promise<Map<string, ReceivedSpan>> {
  for (const name of names) {
    await until(`a span ${name}`, () => spansOf(traceId).some((span) => span.name === name));
  }
  return new Map(spansOf(traceId).map((span) => [span.name, span]));
}

const eventsOf = (query: string) => admin.all<TracedEvent>(`/v1/audit/events?${query}`);

const pay = (api: Api, key: string, headers: Record<string, string>, body = order(stack.chain)) =>
  api.post<Paid & { traceId?: string }>('/v1/payments', body, {
    'idempotency-key': key,
    ...headers,
  });

describe('a payment', () => {
  it('is one trace from the request through batch and webhook to the settlement', async () => {
    const { grant, token } = await admin.mint({ budget: '5.00' });
    const made = await admin.post<{ webhook: { id: string }; secret: string }>('/v1/webhooks', {
      url: receiver.url,
      kinds: ['payment.*'],
    });
    const stream = await openStream(stack.service.url, token);
    const trace = newTrace();
    const paid = await pay(admin.as(token), 'one', trace.headers);
    expect(paid.status).toBe(201);
    const { payment } = paid.body;
    await settle(stack, paid.body);
    const spans = await arrived(
      trace.traceId,
      'POST /v1/payments',
      'payment decide',
      'ledger batch',
      'payment sign',
      'webhook deliver',
      'payment end',
    );
    const of = (name: string) => spans.get(name) as ReceivedSpan;

    const server = of('POST /v1/payments');
    expect(server.parentSpanId).toBe(trace.spanId);
    expect(server.resource['service.name']).toBe('bursar');
    expect(server.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/v1/payments',
      'http.response.status_code': '201',
    });
    const decide = of('payment decide');
    expect(decide.parentSpanId).toBe(server.spanId);
    expect(decide.attributes).toEqual({
      'bursar.grant.id': grant.id,
      'bursar.payment.id': payment.id,
      'bursar.amount': payment.amount,
      'bursar.currency': 'USDC',
      'bursar.network': payment.network,
      'bursar.payee': payment.payTo,
      'bursar.remaining': paid.body.grant.remaining,
      'bursar.outcome': 'reserved',
    });
    expect(of('ledger batch').parentSpanId).toBe(decide.spanId);
    expect(of('payment sign').parentSpanId).toBe(server.spanId);
    const end = of('payment end');
    expect(end.parentSpanId).toBe(decide.spanId);
    expect(end.attributes).toMatchObject({
      'bursar.payment.id': payment.id,
      'bursar.grant.id': grant.id,
      'bursar.amount': payment.amount,
      'bursar.payee': payment.payTo,
      'bursar.outcome': 'settled',
    });
    expect(end.attributes['bursar.transaction']).toMatch(/^0x[0-9a-f]{64}$/);

    // The events, as they are listed, streamed and sent.
    await until('all is delivered', () =>
      receiver.received.some(({ body }) => body.type === 'payment.settled'),
    );
    const events = await eventsOf(`paymentId=${payment.id}`);
    const kinds = events.map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['payment.authorized', 'payment.settled']));
    for (const event of events) {
      expect(event).toMatchObject({ traceId: trace.traceId, spanId: decide.spanId });
    }
    const streamed = await stream.next('it', ({ kind }) => kind === 'payment.authorized');
    expect(streamed.record).toMatchObject({ traceId: trace.traceId });
    stream.close();
    for (const { body, headers } of receiver.received) {
      expect(body.data).toMatchObject({ traceId: trace.traceId });
      expect(headers.traceparent).toContain(`00-${trace.traceId}-`);
    }
    const sent = receiver.received.map(({ headers }) => String(headers.traceparent).split('-')[2]);
    const delivered = spansOf(trace.traceId).filter(({ name }) => name === 'webhook deliver');
    expect(delivered.map(({ spanId }) => spanId)).toEqual(expect.arrayContaining(sent.slice(0, 1)));
    expect(delivered[0]?.attributes).toMatchObject({
      'bursar.webhook.id': made.body.webhook.id,
      'bursar.outcome': 'delivered',
      'http.response.status_code': '200',
    });
    await admin.call('DELETE', `/v1/webhooks/${made.body.webhook.id}`);

    // Nothing that came has a secret in it.
    const { payload } = decodeHeader(paid.body.header.value) as unknown as {
      payload: { signature: string };
    };
    const texts = collector.texts.join('\n');
    for (const secret of [token, admin.token, made.body.secret, payload.signature]) {
      expect(secret?.length).toBeGreaterThan(20);
      expect(texts).not.toContain(secret);
    }
    expect(collector.requests.every(({ path }) => path === '/v1/traces')).toBe(true);
  });

  it('has the job that seals its event in its trace', async () => {
    const { token } = await admin.mint({ budget: '5.00' });
    const requests = new Map<string, string | undefined>();
    const sealed = await until('a seal in the trace of what asked for it', async () => {
      const trace = newTrace();
      const paid = await pay(admin.as(token), trace.traceId, trace.headers);
      const spans = await arrived(trace.traceId, 'POST /v1/payments');
      requests.set(trace.traceId, spans.get('POST /v1/payments')?.spanId);
      // Commits that come close together share one job, which is of the first one's trace.
      await until('its event is sealed', async () => {
        const events = await eventsOf(`paymentId=${paid.body.payment.id}`);
        return events.every(({ leafIndex }) => leafIndex !== null);
      });
      return collector.spans.find(
        ({ name, traceId }) => name === 'job audit.seal' && requests.has(traceId),
      );
    });
    expect(sealed.parentSpanId).toBe(requests.get(sealed.traceId));
  });

  it('that is refused: the problem, its event and its span have one trace', async () => {
    const { grant, token } = await admin.mint({ budget: '5.00', maxPerPayment: '0.001' });
    const trace = newTrace();
    const refused = await pay(admin.as(token), 'refused', trace.headers);
    expectProblem(refused, 403, 'per_payment_exceeded');
    expect(refused.body.traceId).toBe(trace.traceId);
    const [event] = await eventsOf(`grantId=${grant.id}&kind=payment.refused`);
    expect(event?.traceId).toBe(trace.traceId);
    const spans = await arrived(trace.traceId, 'POST /v1/payments', 'payment decide');
    expect(spans.get('payment decide')?.attributes).toMatchObject({
      'bursar.grant.id': grant.id,
      'bursar.refused_by': grant.id,
      'bursar.outcome': 'refused',
      'error.type': 'per_payment_exceeded',
      'bursar.payee': expect.stringMatching(/^0x/),
    });
    const server = spans.get('POST /v1/payments');
    expect(server?.attributes['error.type']).toBe('per_payment_exceeded');
    expect(server?.statusCode ?? 0).toBe(0);
  });

  it('that is refused as a tool: the problem has the trace of its request', async () => {
    const { token } = await admin.mint({ budget: '5.00', maxPerPayment: '0.001' });
    const trace = newTrace();
    const answer = await fetch(`${stack.service.url}/mcp`, {
      method: 'POST',
      headers: {
        ...trace.headers,
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: {
          name: 'pay',
          arguments: { ...order(stack.chain), idempotencyKey: 'refused-tool' },
        },
      }),
    });
    const text = await answer.text();
    expect(text).toContain('per_payment_exceeded');
    expect(text).toContain(`"traceId":"${trace.traceId}"`);
  });

  it('of a batch: each keeps its own trace, and the batch is linked with all of them', async () => {
    const { grant, token } = await admin.mint({ budget: '5.00' });
    const traces = Array.from({ length: 12 }, () => newTrace());
    const blocker = await stack.db.connect();
    // Holds the first batch up, so that the others come together behind it.
    await blocker.query('BEGIN; SELECT 1 FROM grants FOR UPDATE');
    const paying = traces.map(({ headers }, n) => pay(admin.as(token), `batch-${n}`, headers));
    await until('one waits', async () => {
      const { rows } = await stack.db.query(
        `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
      );
      return rows.length > 0;
    });
    await blocker.query('ROLLBACK');
    blocker.release();
    const answers = await Promise.all(paying);
    expect(answers.map(({ status }) => status)).toEqual(traces.map(() => 201));
    const events = await eventsOf(`grantId=${grant.id}&kind=payment.authorized`);
    const traceOf = new Map(events.map(({ paymentId, traceId }) => [paymentId, traceId]));
    for (const [n, { body }] of answers.entries()) {
      expect(traceOf.get(body.payment.id)).toBe(traces[n]?.traceId);
    }
    const decided = await until('all of them', () => {
      const found = traces.map(({ traceId }) =>
        spansOf(traceId).find(({ name }) => name === 'payment decide'),
      );
      return found.every((span) => span !== undefined) && found;
    });
    const shared = decided.filter((span) => (span?.links.length ?? 0) > 0);
    expect(shared.length).toBeGreaterThanOrEqual(10);
    const [link] = shared[0]?.links ?? [];
    const batch = await until('the batch', () =>
      collector.spans.find(({ spanId }) => spanId === link?.spanId),
    );
    expect(batch).toMatchObject({ name: 'ledger batch', parentSpanId: undefined });
    expect(traces.map(({ traceId }) => traceId)).not.toContain(batch.traceId);
    expect(batch.links).toHaveLength(Number(batch.attributes['bursar.orders']));
    const linked = shared.map((span) => span?.links[0]?.spanId);
    expect(batch.links.length).toBe(linked.filter((id) => id === batch.spanId).length);
    for (const { traceId } of batch.links) {
      expect(traces.map((each) => each.traceId)).toContain(traceId);
    }
  });
});

describe('a caller', () => {
  it('that does not record its trace: its id stands on events and problems, and no span is sent', async () => {
    const unrecorded = newTrace('00');
    const { token } = await admin.mint({ budget: '5.00' });
    const paid = await pay(admin.as(token), 'unrecorded', unrecorded.headers);
    const [event] = await eventsOf(`paymentId=${paid.body.payment.id}`);
    expect(event?.traceId).toBe(unrecorded.traceId);
    expect(event).not.toHaveProperty('spanId');
    const recorded = newTrace();
    await pay(admin.as(token), 'recorded', recorded.headers);
    await arrived(recorded.traceId, 'POST /v1/payments');
    expect(spansOf(unrecorded.traceId)).toEqual([]);
  });

  it.each([
    ['none', undefined],
    ['no traceparent', 'nonsense'],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`],
    ['capitals', `00-${'A'.repeat(32)}-${'1'.repeat(16)}-01`],
    ['the version that is none', `ff-${'a'.repeat(32)}-${'1'.repeat(16)}-01`],
    ['more than version 00 has', `00-${'a'.repeat(32)}-${'1'.repeat(16)}-01-x`],
  ])('that sends %s gets a trace of the service', async (_, traceparent) => {
    const headers = traceparent === undefined ? {} : { traceparent };
    const answer = await admin.call<{ traceId?: string }>('GET', '/v1/nowhere', undefined, headers);
    expectProblem(answer, 404, 'not_found');
    expect(answer.body.traceId).toMatch(/^(?!0{32}|a{32})[0-9a-f]{32}$/);
  });

  it('that asks for a secret path: no span has it', async () => {
    const link = randomBytes(16).toString('base64url');
    const trace = newTrace();
    await admin.call('GET', `/approve/${link}?token=${link}`, undefined, trace.headers);
    await arrived(trace.traceId, 'GET /approve/:link');
    expect(collector.texts.join('\n')).not.toContain(link);
  });
});

describe('an amendment', () => {
  it('and its event have the trace of its request', async () => {
    const { grant } = await admin.mint({ budget: '5.00' });
    const trace = newTrace();
    await admin.call('PATCH', `/v1/grants/${grant.id}`, { budget: '6.00' }, trace.headers);
    const [event] = await eventsOf(`grantId=${grant.id}&kind=grant.amended`);
    expect(event?.traceId).toBe(trace.traceId);
  });
});

describe('a collector that fails', () => {
  it('holds nothing up', async () => {
    collector.status = 500;
    const { token } = await admin.mint({ budget: '5.00' });
    const trace = newTrace();
    expect((await pay(admin.as(token), 'failing', trace.headers)).status).toBe(201);
    await until('it was asked', () => spansOf(trace.traceId).length > 0);
    collector.status = 200;
  });
});

describe('without an endpoint', () => {
  it('no event, problem or payment has a trace', async () => {
    const replica = await startReplica(stack);
    try {
      const trace = newTrace();
      const { grant, token } = await admin.mint({ budget: '5.00' });
      const here = new Api(replica.url, token);
      const paid = await pay(here, 'untraced', trace.headers);
      expect(paid.status).toBe(201);
      const refused = await pay(
        here,
        'untraced',
        trace.headers,
        order(stack.chain, { amount: '7' }),
      );
      expectProblem(refused, 409, 'idempotency_mismatch');
      expect(refused.text).not.toContain('traceId');
      const events = await eventsOf(`grantId=${grant.id}&kind=payment.authorized`);
      expect(events).toHaveLength(1);
      expect(events[0]).not.toHaveProperty('traceId');
      const { rows } = await stack.db.query('SELECT traceparent FROM payments WHERE id = $1', [
        paid.body.payment.id,
      ]);
      expect(rows).toEqual([{ traceparent: null }]);
    } finally {
      await replica.stop();
    }
  });
});

describe('the configuration', () => {
  const endpoint = (environment: Record<string, string>) => loadConfig(environment).tracesEndpoint;
  const all = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

  it('takes the endpoint for traces as it is, or that for all signals with a path behind it', () => {
    expect(endpoint({})).toBeUndefined();
    expect(endpoint(all)).toBe('http://collector:4318/v1/traces');
    const own = { ...all, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces/in' };
    expect(endpoint(own)).toBe('https://traces/in');
    expect(endpoint({ ...own, OTEL_SDK_DISABLED: 'true' })).toBeUndefined();
    const wrong = { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' };
    expect(() => endpoint(wrong)).toThrow('OTEL_EXPORTER_OTLP_ENDPOINT: must be an http(s) URL');
  });
});
