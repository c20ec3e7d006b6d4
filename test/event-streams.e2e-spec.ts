import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { appendEvents, type NewEvent } from '../src/ledger/events.js';
import type { Service } from '../src/service.js';
import { Api, type EventAnswer, type Minted } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { openStream, type StreamReader } from './support/event-stream.js';
import { linesOf } from './support/log.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

jest.setTimeout(120_000);

let stack: TestStack;
let admin: Api;
let root: Minted;
let child: Minted;
let beside: Minted;
const readers: StreamReader[] = [];

beforeAll(async () => {
  stack = await startTestStack({ environment: { BURSAR_STREAMS_PER_CALLER: '3' } });
  admin = stack.admin;
  root = await admin.mint({ budget: '5.00', delegationDepth: 2 });
  child = await admin.as(root.token).mint({ budget: '1.00' });
  beside = await admin.mint({ budget: '5.00' });
}, 60_000);
afterAll(() => stack?.stop());
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close();
  await until('the streams are closed', async () => (await openStreams()) === 0);
});

async function open(
  token: string | undefined,
  options: Parameters<typeof openStream>[2] = {},
  url = stack.service.url,
): Promise<StreamReader> {
  const reader = await openStream(url, token ?? '', options);
  readers.push(reader);
  return reader;
}

async function openStreams(): Promise<number> {
  const text = await (await fetch(stack.service.metricsUrl ?? '')).text();
  return Number(/^bursar_event_streams (\d+)$/m.exec(text)?.[1]);
}

/** SHA-256: a list that differs is not printed in full. */
const digest = (text: string) => createHash('sha256').update(text).digest('hex');

/** Leaves of the log, once all events are sealed. */
async function sealedLog(): Promise<string[]> {
  await until('every event is sealed', async () => {
    const events = await admin.all<EventAnswer>('/v1/audit/events');
    return events.every(({ leafIndex }) => leafIndex !== null);
  });
  return linesOf((await admin.get('/v1/audit/export')).text);
}

const kindsOf = (reader: StreamReader) => reader.events.map(({ kind }) => kind);

describe('GET /v1/events', () => {
  it('tells what happens from now on: kind, place and the record byte for byte, in the order of the log', async () => {
    const before = (await sealedLog()).length;
    const reader = await open(admin.token);
    expect(reader.headers['content-type']).toBe('text/event-stream');
    expect(reader.headers['cache-control']).toBe('no-store');
    const { payment } = await admin.as(child.token).paid(order(stack.chain));
    await admin.post(`/v1/grants/${beside.grant.id}/suspend`, {});
    await admin.post(`/v1/grants/${beside.grant.id}/resume`, {});
    await reader.next('the resumption', ({ kind }) => kind === 'grant.resumed');
    const lines = (await sealedLog()).slice(before);
    expect(reader.events.map(({ text }) => text)).toEqual(lines.slice(0, reader.events.length));
    expect(kindsOf(reader)).toEqual(expect.arrayContaining(['payment.authorized']));
    const paid = reader.events.find(({ kind }) => kind === 'payment.authorized');
    expect(paid?.record).toMatchObject({ kind: 'payment.authorized', paymentId: payment.id });
  });

  it('resumes after any event without a gap or a double, on this process and on another', async () => {
    const first = await open(admin.token);
    for (let n = 0; n < 6; n += 1) await admin.mint({ budget: '0.01', holder: `h${n}` });
    await until(
      'six grants',
      () => kindsOf(first).filter((k) => k === 'grant.minted').length === 6,
    );
    const replica = await startReplica(stack, 'api');
    try {
      for (const url of [stack.service.url, replica.url]) {
        for (const [index, { id }] of first.events.entries()) {
          const again = await open(admin.token, { after: id }, url);
          const expected = first.events.slice(index + 1).map(({ text }) => text);
          await until('the rest', () => again.events.length >= expected.length);
          expect(again.events.slice(0, expected.length).map(({ text }) => text)).toEqual(expected);
          again.close();
          await until('it is closed', () => again.ended);
          await until('it is counted out', async () => (await openStreams()) < 3);
        }
      }
    } finally {
      await replica.stop();
    }
  });

  it('resumes from the beginning of the log, and gives the same as the export', async () => {
    const lines = await sealedLog();
    const reader = await open(admin.token, { after: '0-0' });
    await until('the whole log', () => reader.events.length >= lines.length);
    expect(reader.events.map(({ text }) => text).slice(0, lines.length)).toEqual(lines);
  });

  it('resumes over more events than one reading takes, and over more leaves than a filter passes at once', async () => {
    const begin = (await sealedLog()).length;
    const client = await stack.db.connect();
    const { treasuryId } = root.grant;
    for (let part = 0; part < 11; part += 1) {
      const events = Array.from({ length: 1_000 }, (_, n) => ({
        treasuryId,
        kind: 'admin.signed_in' as const,
        actor: 'system:test',
        data: { role: String(1_000 * part + n) },
      }));
      await appendEvents(client, new Date(), events);
    }
    client.release();
    await admin.mint({ budget: '0.01', holder: 'behind them' });
    const far = await open(admin.token, { after: `0-${begin}`, query: '?kind=grant.minted' });
    const { record } = await far.next(
      'the grant behind them',
      ({ kind }) => kind === 'grant.minted',
    );
    expect(record.data.holder).toBe('behind them');
    const all = await open(admin.token, { after: `0-${begin}`, query: '?kind=admin.signed_in' });
    await until('all of them', () => all.events.length >= 11_000);
    const roles = all.events.map((event) => event.record.data.role);
    expect(roles).toEqual(Array.from({ length: 11_000 }, (_, n) => String(n)));
  });

  it('takes the place from the query where no header can be sent, and prefers the header', async () => {
    const lines = await sealedLog();
    const byQuery = await open(admin.token, { query: `?after=0-${lines.length - 2}` });
    await until('the last two', () => byQuery.events.length >= 2);
    expect(byQuery.events[0]?.text).toBe(lines.at(-2));
    const byHeader = await open(admin.token, {
      query: '?after=0-0',
      after: `0-${lines.length - 1}`,
    });
    await until('the last', () => byHeader.events.length >= 1);
    expect(byHeader.events[0]?.text).toBe(lines.at(-1));
  });

  it.each(['x', '0', '0-1.0-2', '0-01', '0-999999999', '-1-0', `0-${'9'.repeat(16)}`])(
    'refuses a place that is none: %s',
    async (after) => {
      const reader = await open(admin.token, { after });
      expect(reader.status).toBe(400);
      expect(JSON.parse(reader.text)).toMatchObject({
        code: 'invalid_request',
        field: 'Last-Event-ID',
      });
    },
  );

  it('shows a holder the events of its own tree and no others, as its list does', async () => {
    await sealedLog();
    const reader = await open(child.token, { after: '0-0' });
    const below = await open(root.token, { after: '0-0' });
    await admin.as(beside.token).paid(order(stack.chain));
    await admin.as(child.token).paid(order(stack.chain));
    await sealedLog();
    for (const [stream, { token, grant }] of [
      [reader, child],
      [below, root],
    ] as const) {
      const listed = await admin.as(token).all<EventAnswer>('/v1/audit/events');
      await until('all of the list', () => stream.events.length >= listed.length);
      expect(stream.events.map(({ record }) => record.id)).toEqual(
        listed.map(({ id }) => id).reverse(),
      );
      expect(stream.events.map(({ record }) => record.data)).toEqual(
        listed.map(({ data }) => data).reverse(),
      );
      expect(grant.id).toBeDefined();
    }
    expect(kindsOf(below)).not.toContain('audit.opened');
  });

  it('shows an admin of some treasuries only these, and the logs of new treasuries to an admin of all', async () => {
    const { body: made } = await admin.post<{ id: string }>('/v1/treasuries', { name: 'second' });
    const narrow = await stack.service.mintAdminToken(
      { name: 'narrow', role: 'auditor', treasuries: [made.id] },
      600,
    );
    const [one, all] = [await open(narrow), await open(admin.token)];
    const grant = await admin.mint({ budget: '1.00', treasuryId: made.id });
    await admin.mint({ budget: '1.00' });
    const { body: third } = await admin.post<{ id: string }>('/v1/treasuries', { name: 'third' });
    await all.next('the third treasury', ({ record }) => record.treasuryId === third.id);
    await one.next('the grant', ({ record }) => record.grantId === grant.grant.id);
    expect(new Set(one.events.map(({ record }) => record.treasuryId))).toEqual(new Set([made.id]));
    const named = await open(admin.token, { query: `?treasuryId=${made.id}`, after: '1-0' });
    await named.next('the grant', ({ record }) => record.grantId === grant.grant.id);
    expect(new Set(named.events.map(({ record }) => record.treasuryId))).toEqual(
      new Set([made.id]),
    );
    const refused = await open(narrow, { query: `?treasuryId=${third.id}` });
    expect([refused.status, JSON.parse(refused.text).code]).toEqual([404, 'not_found']);
    // A place in several logs resumes in each.
    const last = all.events.at(-1)?.id ?? '';
    all.close();
    await until('it is closed', () => all.ended);
    await until('it is counted out', async () => (await openStreams()) < 3);
    const again = await open(admin.token, { after: last });
    await admin.mint({ budget: '1.00', treasuryId: made.id, holder: 'later' });
    const next = await again.next('the next', () => true);
    expect(next.record.data.holder).toBe('later');
  });

  it('keeps to the kinds and to the tree that are asked for', async () => {
    const reader = await open(admin.token, {
      query: `?kind=grant.suspended,payment.*&grantId=${root.grant.id}`,
    });
    await admin.post(`/v1/grants/${beside.grant.id}/suspend`, {});
    await admin.post(`/v1/grants/${beside.grant.id}/resume`, {});
    await admin.as(child.token).paid(order(stack.chain));
    await admin.post(`/v1/grants/${child.grant.id}/suspend`, {});
    await reader.next('the suspension', ({ kind }) => kind === 'grant.suspended');
    await admin.post(`/v1/grants/${child.grant.id}/resume`, {});
    expect(kindsOf(reader)).toEqual(['payment.authorized', 'grant.suspended']);
    const wrong = [
      '?kind=payment.paid',
      `?grantId=grt_${'7'.repeat(26)}`,
      '?since=1',
      '?kind=pay*',
    ];
    for (const query of wrong) expect((await open(admin.token, { query })).status).toBe(400);
    const hidden = await open(child.token, { query: `?grantId=${beside.grant.id}` });
    expect(hidden.status).toBe(400);
  });

  it('ends when the token is replaced, revoked or expired, and not before', async () => {
    const holder = await admin.mint({ budget: '1.00' });
    const short = await stack.service.mintAdminToken({ name: 'short', role: 'auditor' }, 5);
    const gone = await stack.service.mintAdminToken({ name: 'gone', role: 'auditor' }, 600);
    const streams = [await open(holder.token), await open(short), await open(gone)];
    const kept = await open(admin.token);
    await admin.post(`/v1/grants/${holder.grant.id}/token`);
    await admin.call('POST', '/v1/revoke', `token=${gone}`, {
      'content-type': 'application/x-www-form-urlencoded',
    });
    for (const stream of streams) {
      await until('it ends', () => stream.ended);
      expect(stream.ended).toBe('in order');
      expect(stream.comments.at(-1)).toMatch(/token has ended/);
    }
    expect(kept.ended).toBeUndefined();
    expect((await open(holder.token)).status).toBe(401);
  });

  it('bounds the streams of one caller, and says when to come back', async () => {
    for (let n = 0; n < 3; n += 1) expect((await open(beside.token)).status).toBe(200);
    const refused = await open(beside.token);
    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBe('5');
    expect((await open(root.token)).status).toBe(200);
  });
});

describe('a stream', () => {
  let replica: Service;
  afterEach(() => replica?.stop());

  it('of a process that stops ends in order with the time to reconnect, and resumes elsewhere', async () => {
    replica = await startReplica(stack, 'api');
    const reader = await open(admin.token, {}, replica.url);
    await admin.mint({ budget: '0.01' });
    await reader.next('the grant', ({ kind }) => kind === 'grant.minted');
    const opened = reader.retries;
    const draining = replica.drain(500);
    await until('it ends', () => reader.ended);
    // Another one than that with which it began.
    expect(reader.retries).toBe(opened + 1);
    expect(reader.ended).toBe('in order');
    expect(reader.comments.at(-1)).toMatch(/process stops/);
    expect(reader.retry).toBeGreaterThanOrEqual(1_000);
    await admin.mint({ budget: '0.01', holder: 'meanwhile' });
    const again = await open(admin.token, { after: reader.lastEventId });
    const next = await again.next('what came meanwhile', () => true);
    expect(next.record.data.holder).toBe('meanwhile');
    await draining;
  });

  it('of a reader that takes nothing costs bounded memory, is dropped, and resumes', async () => {
    const slow = await open(admin.token, { after: '0-0' });
    // The metric is some seconds old: without this, its 0 of before would pass for a reader that is dropped.
    await until('the metric counts it', async () => (await openStreams()) === 1);
    slow.pause();
    // More than the sockets and the stream itself hold: the rest waits in the log.
    const large = { actor: 'system:test', data: { role: 'x'.repeat(50_000) } } as const;
    const event = { ...large, treasuryId: root.grant.treasuryId, kind: 'admin.signed_in' } as const;
    const client = await stack.db.connect();
    for (let n = 0; n < 10; n += 1) {
      await appendEvents(client, new Date(), Array<NewEvent>(40).fill(event));
    }
    client.release();
    await until('the reader is dropped', async () => (await openStreams()) === 0);
    slow.resume();
    await until('it hears of it', () => slow.ended);
    expect(slow.ended).toBe('broken');
    // The log of one treasury: those of several come in an order of their own.
    const { treasuryId } = root.grant;
    const ofOne = (lines: readonly string[]) => lines.filter((line) => line.includes(treasuryId));
    const all = ofOne(await sealedLog());
    expect(slow.events.length).toBeLessThan(all.length);
    const again = await open(admin.token, { after: slow.lastEventId });
    const seen = () => ofOne([...slow.events, ...again.events].map(({ text }) => text));
    await until('the rest', () => seen().length >= all.length);
    expect(seen().slice(0, all.length).map(digest)).toEqual(all.map(digest));
  });
});
