import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { Api, type EventAnswer, type Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { openStream, type StreamReader } from './support/event-stream.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** Streams that are open at once on one process. */
const STREAMS = 1_000;

/** Payments that all of them hear of. */
const PAYMENTS = 60;

/** Percentiles of the delays from commit to client that `BURSAR_TEST_FIGURES=1` prints. */
const PERCENTILES = [50, 95, 99, 100];

jest.setTimeout(300_000);

let stack: TestStack;
let grants: Minted[];

beforeAll(async () => {
  stack = await startTestStack({
    environment: { BURSAR_STREAMS_PER_CALLER: String(STREAMS), BURSAR_STREAMS: '4000' },
  });
  const root = await stack.admin.mint({ budget: '100.00', delegationDepth: 1 });
  grants = [root];
  for (let n = 0; n < 4; n += 1) {
    grants.push(await stack.admin.as(root.token).mint({ budget: '20.00' }));
  }
}, 60_000);
afterAll(() => stack?.stop());

it('gives each of a thousand streams every event it may see, in the order of the log', async () => {
  const admin = stack.admin.token ?? '';
  // A stream starts at what is sealed: all of them start at the same place.
  await until('every event is sealed', async () => {
    const events = await stack.admin.all<EventAnswer>('/v1/audit/events');
    return events.every(({ leafIndex }) => leafIndex !== null);
  });
  const tokens = [admin, ...grants.map(({ token }) => token)];
  const streams: { token: string; reader: StreamReader }[] = [];
  for (let n = 0; n < STREAMS; n += 50) {
    const opening = Array.from({ length: 50 }, async (_, k) => {
      const token = tokens[(n + k) % tokens.length] ?? '';
      return { token, reader: await openStream(stack.service.url, token) };
    });
    streams.push(...(await Promise.all(opening)));
  }
  expect(streams.map(({ reader }) => reader.status)).toEqual(Array(STREAMS).fill(200));
  for (let n = 0; n < PAYMENTS; n += 1) {
    const payer = grants[1 + (n % 4)]?.token ?? '';
    await new Api(stack.service.url, payer).paid(order(stack.chain));
  }
  const last = await stack.admin
    .as(grants[0]?.token)
    .post(`/v1/grants/${grants[1]?.grant.id}/suspend`);
  expect(last.status).toBe(200);
  const all = streams.filter(({ token }) => token === admin).map(({ reader }) => reader);
  await until('an admin has it all', () => all[0]?.events.at(-1)?.kind === 'grant.suspended');
  const told = all[0]?.events ?? [];
  expect(told.filter(({ kind }) => kind === 'payment.authorized')).toHaveLength(PAYMENTS);
  for (const [index, token] of tokens.entries()) {
    const own = grants[index - 1]?.grant.id;
    const isSeen = (grantId: string | null) =>
      own === undefined ||
      grantId === own ||
      (index === 1 && grants.some(({ grant }) => grant.id === grantId));
    const expected = told.filter(({ record }) => isSeen(record.grantId)).map(({ text }) => text);
    for (const { reader } of streams.filter((each) => each.token === token)) {
      await until('its events', () => reader.events.length >= expected.length);
      expect(reader.events.map(({ text }) => text)).toEqual(expected);
    }
  }
  if (process.env.BURSAR_TEST_FIGURES) report(streams.map(({ reader }) => reader));
  for (const { reader } of streams) reader.close();
});

/** Prints how long events took from their commit (the database's time of the change) to the clients. */
function report(readers: readonly StreamReader[]): void {
  const delays = readers
    .flatMap(({ events }) =>
      events.map(({ at, record }) => performance.timeOrigin + at - Date.parse(record.at)),
    )
    .sort((a, b) => a - b);
  const figures = PERCENTILES.map((percent) => {
    const delay = delays[Math.ceil((percent / 100) * delays.length) - 1] ?? 0;
    return `p${percent} ${Math.round(delay)} ms`;
  });
  process.stdout.write(
    `${readers.length} streams, ${delays.length} events: ${figures.join(', ')}\n`,
  );
}
