import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { type GatewayStack, startGatewayStack } from './support/gateway.js';
import { type OtlpReceiver, startOtlpReceiver } from './support/otlp-receiver.js';
import { until } from './support/until.js';

jest.setTimeout(60_000);

let collector: OtlpReceiver;
let stack: GatewayStack;

beforeAll(async () => {
  // Milliseconds between two batches of spans; a variable of OpenTelemetry, which leaves five seconds between them.
  process.env.OTEL_BSP_SCHEDULE_DELAY = '200';
  [collector, stack] = await Promise.all([startOtlpReceiver(), startGatewayStack()]);
  stack.environment.OTEL_EXPORTER_OTLP_ENDPOINT = collector.url;
});
afterAll(async () => {
  await stack?.stop();
  await collector?.stop();
});

it('traces a sale from its request to its settlement, in the trace of its caller, and names it in the log', async () => {
  const gateway = await stack.start();
  const payer = await stack.payer();
  const traceId = 'c'.repeat(32);
  const spanId = 'd'.repeat(16);
  const headers = { traceparent: `00-${traceId}-${spanId}-01` };
  expect((await payer.fetch(`${gateway.url}/things/7`, { headers })).status).toBe(200);
  const spans = await until('the spans of the 402 and of the sale', () => {
    const found = collector.spans.filter((span) => span.traceId === traceId);
    return found.filter(({ name }) => name === 'GET /things/{id}').length === 2 && found;
  });
  const sale = spans.find(
    ({ name, attributes }) =>
      name === 'GET /things/{id}' && attributes['http.response.status_code'] === '200',
  );
  expect(sale?.parentSpanId).toBe(spanId);
  expect(sale?.resource).toMatchObject({ 'bursar.role': 'gateway' });
  const below = spans.filter(({ parentSpanId }) => parentSpanId === sale?.spanId);
  expect(below.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['sale verify', 'upstream call', 'sale settle']),
  );
  expect(below.find(({ name }) => name === 'sale settle')?.attributes).toMatchObject({
    'bursar.amount': '0.01',
    'bursar.currency': 'USDC',
    'bursar.outcome': 'settled',
    'bursar.payee': stack.payTo,
  });
  const { rows } = await stack.db.query(`SELECT record FROM events WHERE kind = 'sale.settled'`);
  expect(JSON.parse(rows[0].record)).toMatchObject({ traceId });
  expect(collector.texts.join()).not.toContain('/things/7');
});
