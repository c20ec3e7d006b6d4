import type { LookupAddress } from 'node:dns';
import dns from 'node:dns/promises';
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { createServer, type Server } from 'node:net';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';
import { appendEvents } from '../src/ledger/events.js';
import { type Api, type EventAnswer, expectProblem, type Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { metricsOf } from './support/metrics.js';
import { isSigned, type Received, type Receiver, startReceiver } from './support/receiver.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

jest.setTimeout(120_000);

interface WebhookAnswer {
  readonly webhook: {
    readonly id: string;
    readonly status: string;
    readonly grantId: string | null;
    readonly failingSince: string | null;
    readonly statusReason: string | null;
  };
  readonly secret: string;
  readonly oldValidUntil: string;
}

interface DeliveryAnswer {
  readonly id: string;
  readonly messageId: string;
  readonly kind: string;
  readonly origin: string;
  readonly status: string;
  readonly tries: number;
  readonly nextTryAt: string | null;
  readonly attempts: { status: number | null; error: string | null; answer: string | null }[];
}

let stack: TestStack;
let admin: Api;
let root: Minted;
let child: Minted;
let receiver: Receiver;

beforeAll(async () => {
  stack = await startTestStack({
    movableClock: true,
    environment: {
      BURSAR_WEBHOOKS_PER_ROOT: '3',
      BURSAR_WEBHOOKS_PER_TREASURY: '8',
      BURSAR_MAX_GRANT_SECONDS: '3000000',
      // Not the whole of loopback: 127.0.0.2 is an address inside that nobody allowed.
      BURSAR_WEBHOOK_ALLOW: '127.0.0.1',
    },
  });
  admin = stack.admin;
  root = await admin.mint({ budget: '50.00', delegationDepth: 2, ttlSeconds: 2_900_000 });
  child = await admin.as(root.token).mint({ budget: '1.00' });
}, 60_000);
afterAll(() => stack?.stop());
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  for (const { id } of await admin.all<{ id: string }>('/v1/webhooks')) {
    await admin.call('DELETE', `/v1/webhooks/${id}`);
  }
  await receiver.stop();
});

async function register(
  body: Record<string, unknown> = {},
  token = admin.token,
): Promise<WebhookAnswer> {
  // It begins with what is not sealed yet.
  await until('every event is sealed', async () => {
    const { rows } = await stack.db.query('SELECT FROM unsealed_events');
    return rows.length === 0;
  });
  const kinds = ['grant.*', 'payment.*'];
  const answer = await admin
    .as(token)
    .post<WebhookAnswer>('/v1/webhooks', { url: receiver.url, kinds, ...body });
  if (answer.status !== 201) throw new Error(`not registered: ${answer.text}`);
  return answer.body;
}

const deliveriesOf = (id: string) => admin.all<DeliveryAnswer>(`/v1/webhooks/${id}/deliveries`);
const holders = (deliveries: readonly Received[]) =>
  deliveries.map(({ body }) => (body.data as { data?: { holder?: string } }).data?.holder);
const suspend = (id: string) => admin.post(`/v1/grants/${id}/suspend`, {});
const resume = (id: string) => admin.post(`/v1/grants/${id}/resume`, {});

/** Mints grants one after another. */
async function mintAll(...names: string[]): Promise<void> {
  for (const holder of names) await admin.mint({ budget: '0.01', holder, ttlSeconds: 3_600 });
}

describe('a webhook', () => {
  it('gets what happens from now on, in the order of the log, signed, with the record byte for byte', async () => {
    const { webhook, secret } = await register();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    await mintAll('a', 'b', 'c', 'd');
    await until('all four', () => receiver.received.length >= 4);
    expect(holders(receiver.received)).toEqual(['a', 'b', 'c', 'd']);
    for (const delivery of receiver.received) {
      expect(isSigned(delivery, secret)).toBe(true);
      expect(isSigned({ ...delivery, text: `${delivery.text} ` }, secret)).toBe(false);
      const { id, kind } = delivery.body.data;
      expect(delivery.body.type).toBe(kind);
      expect(delivery.headers['webhook-id']).toBe(id);
      const { record } = await admin.read<{ record: string }>(`/v1/audit/events/${id}/proof`);
      expect(delivery.text).toContain(`"data":${record}}`);
    }
    const listed = await deliveriesOf(webhook.id);
    expect(listed).toHaveLength(4);
    expect(listed[0]).toMatchObject({
      status: 'delivered',
      origin: 'log',
      attempts: [{ status: 200, error: null, answer: 'thanks' }],
    });
  });

  it('of a holder gets the events of its own tree, and ends after that of its revocation', async () => {
    const grant = await admin.as(root.token).mint({ budget: '5.00', delegationDepth: 1 });
    const below = await admin.as(grant.token).mint({ budget: '1.00' });
    const { webhook } = await register({}, grant.token);
    const ofPart = { grantId: below.grant.id, kinds: ['grant.suspended'] };
    const part = (await register(ofPart, grant.token)).webhook;
    let failures = 1;
    receiver.answer = (response, { body }) => {
      const isFailing = body.type === 'grant.revoked' && failures-- > 0;
      response.writeHead(isFailing ? 500 : 200).end();
    };
    expect(webhook.grantId).toBe(grant.grant.id);
    await admin.as(child.token).paid(order(stack.chain));
    await admin.as(below.token).paid(order(stack.chain));
    await admin.post(`/v1/grants/${grant.grant.id}/revoke`, { reason: 'enough' });
    await until('it was tried', () => failures === 0);
    await until('it is noted', async () => {
      const [last] = await deliveriesOf(webhook.id);
      return last?.kind === 'grant.revoked' && last.tries === 1;
    });
    const status = async () =>
      (await admin.get<WebhookAnswer>(`/v1/webhooks/${webhook.id}`)).body.webhook;
    await stack.passTime(6);
    await until('it ends', async () => (await status()).status === 'ended');
    const told = receiver.received.map(({ body }) => [body.type, body.data.grantId]);
    expect(told).toEqual([
      ['payment.authorized', below.grant.id],
      ['grant.revoked', grant.grant.id],
      ['grant.revoked', grant.grant.id],
    ]);
    // The events stand where the owner is, and not at the part of its tree that a webhook tells of.
    const ends = await until('both have ended', async () => {
      const events = await admin.all<EventAnswer>('/v1/audit/events?kind=webhook.ended');
      return events.length === 2 ? events : undefined;
    });
    expect(ends.map(({ grantId }) => grantId)).toEqual([grant.grant.id, grant.grant.id]);
    expect(ends.map(({ data }) => data.webhookId).sort()).toEqual([webhook.id, part.id].sort());
  });

  it('of a holder does not end before its last delivery', async () => {
    const grant = await admin.mint({ budget: '1.00' });
    const { webhook } = await register({}, grant.token);
    receiver.answer = (response) => void response.writeHead(500).end();
    await admin.post(`/v1/grants/${grant.grant.id}/revoke`, { reason: 'enough' });
    // It has come to the end of the log, and its delivery failed.
    const looked = async () => {
      const { rows } = await stack.db.query<{ version: string }>(
        `SELECT w.xmin::text AS version FROM webhooks w
         WHERE w.id = $1 AND w.lease IS NULL
           AND w.place >= (SELECT max(c.size) FROM log_checkpoints c WHERE c.treasury_id = w.treasury_id)
           AND NOT EXISTS (SELECT FROM unsealed_events u WHERE u.treasury_id = w.treasury_id)
           AND EXISTS (SELECT FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.status = 'pending' AND d.tries > 0)`,
        [webhook.id],
      );
      return rows[0]?.version;
    };
    const before = await until('it was tried', looked);
    // A worker that looks at it has it for a moment, which makes another version of its row.
    await until('it was looked at again', async () => {
      const now = await looked();
      return now !== undefined && now !== before;
    });
    const status = async () =>
      (await admin.get<WebhookAnswer>(`/v1/webhooks/${webhook.id}`)).body.webhook.status;
    expect(await status()).toBe('active');
    receiver.answer = (response) => void response.writeHead(200).end();
    await stack.passTime(6);
    await until('it ends', async () => (await status()) === 'ended');
  });

  it('is seen and steered by holders of its tree and by admins, and by nobody else', async () => {
    const own = await register({}, child.token);
    const admins = await register();
    const beside = await admin.mint({ budget: '1.00' });
    const ids = async (token: string | undefined) =>
      (await admin.as(token).all<{ id: string }>('/v1/webhooks')).map(({ id }) => id);
    expect(await ids(root.token)).toEqual([own.webhook.id]);
    expect(await ids(beside.token)).toEqual([]);
    expect((await ids(admin.token)).sort()).toEqual([own.webhook.id, admins.webhook.id].sort());
    for (const [token, id] of [
      [beside.token, own.webhook.id],
      [child.token, admins.webhook.id],
    ] as const) {
      const caller = admin.as(token);
      expectProblem(await caller.get(`/v1/webhooks/${id}/deliveries`), 404, 'not_found');
      expectProblem(await caller.post(`/v1/webhooks/${id}/rotate`), 404, 'not_found');
      expectProblem(await caller.call('DELETE', `/v1/webhooks/${id}`), 404, 'not_found');
    }
    const outside = { url: receiver.url, kinds: ['*'], grantId: beside.grant.id };
    expectProblem(
      await admin.as(child.token).post('/v1/webhooks', outside),
      400,
      'invalid_request',
    );
  });

  it('is refused for an address that may not be reached, for kinds that are none, and past its bounds', async () => {
    for (const url of ['http://10.0.0.1/', 'https://169.254.169.254/', 'https://a@example.com/']) {
      const refused = await admin.post('/v1/webhooks', { url, kinds: ['*'] });
      expectProblem(refused, 400, 'invalid_request', { field: 'url' });
    }
    const wrong = await admin.post('/v1/webhooks', { url: receiver.url, kinds: ['payment.paid'] });
    expectProblem(wrong, 400, 'invalid_request');
    for (let n = 0; n < 3; n += 1) await register({}, n % 2 === 0 ? root.token : child.token);
    const body = { url: receiver.url, kinds: ['*'] };
    expectProblem(await admin.as(child.token).post('/v1/webhooks', body), 409, 'conflict');
    await register();
  });

  it('signs with both secrets for a day after a rotation, and then with the new one', async () => {
    const { webhook, secret } = await register();
    const rotated = await admin.post<WebhookAnswer>(`/v1/webhooks/${webhook.id}/rotate`);
    await mintAll('overlap');
    await until('it', () => receiver.received.length >= 1);
    const [first] = receiver.received;
    expect(first && [isSigned(first, secret), isSigned(first, rotated.body.secret)]).toEqual([
      true,
      true,
    ]);
    await stack.db.query(`UPDATE webhooks SET old_secret_until = now() - interval '1 day'`);
    await mintAll('after');
    await until('it', () => receiver.received.length >= 2);
    const second = receiver.received[1];
    expect(second && [isSigned(second, secret), isSigned(second, rotated.body.secret)]).toEqual([
      false,
      true,
    ]);
    const { rows } = await stack.db.query('SELECT secret, old_secret FROM webhooks');
    expect(JSON.stringify(rows)).not.toContain(secret.slice(6));
  });

  it('sends tests, redelivers and replays, each with the webhook-id it had', async () => {
    const { webhook, secret } = await register();
    const from = new Date(Date.now() - 60_000).toISOString();
    await mintAll('x', 'y');
    await until('both', () => receiver.received.length >= 2);
    const path = `/v1/webhooks/${webhook.id}`;
    await admin.post(`${path}/test`);
    await until('the test', () => receiver.received.length >= 3);
    expect(receiver.received[2]?.body).toMatchObject({
      type: 'webhook.test',
      data: { webhookId: webhook.id },
    });
    expect(receiver.received[2] && isSigned(receiver.received[2], secret)).toBe(true);
    const first = (await deliveriesOf(webhook.id)).at(-1);
    await admin.post(`${path}/deliveries/${first?.id}/redeliver`);
    await until('it again', () => receiver.received.length >= 4);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(ids[3]).toBe(ids[0]);
    const to = new Date(Date.now() + 3_600_000).toISOString();
    const { body } = await admin.post<{ deliveries: number }>(`${path}/replay`, { from, to });
    expect(body.deliveries).toBeGreaterThanOrEqual(2);
    await until(
      'both again',
      () => holders(receiver.received).filter((name) => name === 'y').length >= 2,
    );
    const again = receiver.received.slice(4).map(({ headers }) => headers['webhook-id']);
    expect(again.slice(-2)).toEqual(ids.slice(0, 2));
  });

  it('replays what lies in a span of time, both ends included, each event once', async () => {
    const { webhook } = await register({ kinds: ['grant.minted'] });
    const names = ['a', 'b', 'c', 'd', 'e'];
    await mintAll(...names);
    await until('all five', () => receiver.received.length >= 5);
    const first = [...receiver.received];
    const times = first.map(({ body }) => body.timestamp);
    expect(new Set(times).size).toBe(5);
    const span = { from: times[1], to: times[3] };
    const path = `/v1/webhooks/${webhook.id}`;
    const { body, status } = await admin.post<{ deliveries: number }>(`${path}/replay`, span);
    expect([status, body.deliveries]).toEqual([202, 3]);
    // An event that comes later is sent once the replay is over.
    await mintAll('f');
    await until('the next one', () => holders(receiver.received).includes('f'));
    const origins = async () =>
      (await deliveriesOf(webhook.id)).map(({ origin, status, tries }) => [origin, status, tries]);
    await until('all are noted', async () =>
      (await origins()).every(([, status]) => status === 'delivered'),
    );
    expect(holders(receiver.received)).toEqual([...names, 'b', 'c', 'd', 'f']);
    const idsOf = (some: readonly Received[]) => some.map(({ headers }) => headers['webhook-id']);
    expect(idsOf(receiver.received.slice(5, 8))).toEqual(idsOf(first.slice(1, 4)));
    expect((await origins()).filter(([origin]) => origin === 'replay')).toEqual(
      Array(3).fill(['replay', 'delivered', 1]),
    );
  });

  it('tells that a breaker tripped, to an admin and to the holder of the grant', async () => {
    const breaker = { refusals: 2, seconds: 600 };
    const terms = { budget: '1.00', maxPerPayment: '0.001', ttlSeconds: 3_600, breaker };
    const { grant, token } = await admin.mint(terms);
    await register({ kinds: ['grant.tripped'] });
    const own = await startReceiver();
    await register({ kinds: ['grant.*'], url: own.url }, token);
    for (const _ of [1, 2]) {
      expect((await admin.as(token).pay(order(stack.chain))).status).toBe(403);
    }
    for (const { received } of [receiver, own]) {
      await until('the trip', () => received.length >= 1);
      expect(received.map(({ body }) => body)).toEqual([
        expect.objectContaining({
          type: 'grant.tripped',
          data: expect.objectContaining({
            grantId: grant.id,
            actor: 'system:breaker',
            data: expect.objectContaining({ refusals: 2, to: 'suspended' }),
          }),
        }),
      ]);
    }
    await own.stop();
  });

  it('is paused and resumed by whoever it belongs to, and sends what happened meanwhile', async () => {
    const { webhook } = await register({ kinds: ['grant.minted'] });
    const path = `/v1/webhooks/${webhook.id}`;
    expect((await admin.post(`${path}/pause`, { reason: 'it moves' })).status).toBe(200);
    expectProblem(await admin.post(`${path}/pause`, {}), 409, 'invalid_transition');
    expectProblem(await admin.post(`${path}/test`), 409, 'invalid_transition');
    await mintAll('meanwhile');
    const moved = await startReceiver();
    await admin.call('PATCH', path, { url: moved.url });
    await admin.post(`${path}/resume`, {});
    await until('it', () => moved.received.length >= 1);
    expect(holders(moved.received)).toEqual(['meanwhile']);
    expect(receiver.received).toEqual([]);
    await moved.stop();
    const kinds = (await admin.all<EventAnswer>('/v1/audit/events')).map(({ kind }) => kind);
    expect(kinds).toEqual(
      expect.arrayContaining([
        'webhook.created',
        'webhook.paused',
        'webhook.changed',
        'webhook.resumed',
      ]),
    );
  });
});

describe('a webhook', () => {
  it('that is paused in the middle of a delivery sends no more, and forgets nothing', async () => {
    const { webhook } = await register();
    const path = `/v1/webhooks/${webhook.id}`;
    let finish = () => {};
    receiver.answer = (response) => {
      finish = () => void response.end();
    };
    await mintAll('one', 'two', 'three');
    await until('the first is under way', () => receiver.received.length === 1);
    await until('all are written down', async () => (await deliveriesOf(webhook.id)).length === 3);
    await admin.post(`${path}/pause`, {});
    receiver.answer = (response) => void response.end();
    finish();
    await until('the worker lets go', async () => {
      const { rows } = await stack.db.query('SELECT lease FROM webhooks WHERE id = $1', [
        webhook.id,
      ]);
      return rows[0].lease === null;
    });
    expect(receiver.received).toHaveLength(1);
    // Delivered ones are forgotten after a month, pending ones are not.
    await stack.db.query(
      `UPDATE webhook_deliveries SET created_at = now() - interval '31 days'
       WHERE webhook_id = $1 AND leaf_index < (SELECT max(leaf_index) FROM webhook_deliveries WHERE webhook_id = $1)`,
      [webhook.id],
    );
    await until('it is forgotten', async () => (await deliveriesOf(webhook.id)).length === 2);
    await stack.db.query(`UPDATE webhook_deliveries SET created_at = now() WHERE webhook_id = $1`, [
      webhook.id,
    ]);
    await admin.post(`${path}/resume`, {});
    await until('the others', () => receiver.received.length >= 3);
    expect(holders(receiver.received)).toEqual(['one', 'two', 'three']);
    await admin.post(`${path}/pause`, {});
    expect((await admin.post(`${path}/resume`, {})).status).toBe(200);
  });

  it('more than a treasury may have is refused, however many are registered at once', async () => {
    const body = { url: receiver.url, kinds: ['*'] };
    const all = await Promise.all(
      Array.from({ length: 20 }, () => admin.post('/v1/webhooks', body)),
    );
    expect(all.filter(({ status }) => status === 201)).toHaveLength(8);
    for (const refused of all.filter(({ status }) => status !== 201)) {
      expectProblem(refused, 409, 'conflict');
    }
  });
});

describe('a webhook with much to send', () => {
  it('sends more than is put down at once, all of it, once and in order', async () => {
    const { webhook } = await register({ kinds: ['admin.signed_in'] });
    await admin.post(`/v1/webhooks/${webhook.id}/pause`, {});
    const client = await stack.db.connect();
    const { treasuryId } = root.grant;
    const roles = Array.from({ length: 120 }, (_, n) => String(n));
    await appendEvents(
      client,
      new Date(),
      roles.map((role) => ({
        treasuryId,
        kind: 'admin.signed_in',
        actor: 'system:test',
        data: { role },
      })),
    );
    client.release();
    await admin.post(`/v1/webhooks/${webhook.id}/resume`, {});
    await until('the last one', () => receiver.received.length >= roles.length);
    const sent = receiver.received.map(
      ({ body }) => (body.data as { data?: { role?: string } }).data?.role,
    );
    expect(sent).toEqual(roles);
  });
});

describe('a receiver that', () => {
  it.each([
    ['answers 500', (response) => void response.writeHead(500).end('broken')],
    ['redirects', (response) => void response.writeHead(302, { location: '/elsewhere' }).end()],
    ['hangs up', (response) => void response.destroy()],
  ] as [string, Receiver['answer']][])(
    '%s is tried again, and holds back what comes later',
    async (_what, fail) => {
      const { webhook } = await register();
      receiver.answer = fail;
      await mintAll('first', 'second');
      await until('it failed', () => receiver.received.length >= 1);
      await until('it is noted', async () => (await deliveriesOf(webhook.id)).at(-1)?.tries === 1);
      receiver.answer = (response) => void response.end();
      await stack.passTime(6);
      await until('both', () => receiver.received.length >= 3);
      expect(holders(receiver.received)).toEqual(['first', 'first', 'second']);
      const [again] = receiver.received.slice(1);
      expect(again?.headers['webhook-id']).toBe(receiver.received[0]?.headers['webhook-id']);
    },
  );

  it('fails for a day is given up for that event: eight tries, then a dead letter, and the next one', async () => {
    const { webhook } = await register();
    receiver.answer = (response, { body }) => {
      const isFirst = (body.data as { data?: { holder?: string } }).data?.holder === 'dead';
      response.writeHead(isFirst ? 500 : 200).end();
    };
    await mintAll('dead', 'alive');
    const tries = [5, 300, 1_800, 7_200, 18_000, 36_000, 86_400];
    let passed = 0;
    for (const [n, at] of tries.entries()) {
      await until(
        `try ${n + 1}`,
        async () => (await deliveriesOf(webhook.id)).at(-1)?.tries === n + 1,
      );
      await stack.passTime(at - passed);
      passed = at;
    }
    await until('the next one', () => holders(receiver.received).includes('alive'));
    const listed = await admin.all<DeliveryAnswer>(
      `/v1/webhooks/${webhook.id}/deliveries?status=dead`,
    );
    expect(listed).toMatchObject([{ tries: 8, nextTryAt: null, status: 'dead' }]);
    expect(listed[0]?.attempts).toHaveLength(8);
    expect(holders(receiver.received)).toEqual([...Array(8).fill('dead'), 'alive']);
  });

  it('fails is seen in the metrics, by treasury and state', async () => {
    const figure = async (name: string) => {
      const text = await metricsOf(stack.service);
      return Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')[1],
      );
    };
    await register();
    receiver.answer = (response) => void response.writeHead(500).end();
    await mintAll('first');
    const retrying = 'bursar_webhook_deliveries{treasury="main",state="retrying"}';
    await until('it is tried again', async () => (await figure(retrying)) === 1);
    await mintAll('second');
    const behind = 'bursar_webhook_events_behind{treasury="main",status="active"}';
    await until('the next waits behind it', async () => (await figure(behind)) >= 1);
    await stack.passTime(3);
    const oldest = 'bursar_webhook_oldest_seconds{treasury="main",state="retrying"}';
    await until('its age is told', async () => (await figure(oldest)) >= 3);
    expect(await figure('bursar_webhooks{treasury="main",status="active"}')).toBe(1);
    expect(await figure('bursar_waiting_decisions{treasury="main",what="raise"}')).toBe(0);
    const { token } = await admin.mint({ budget: '1.00', ttlSeconds: 3_600 });
    const asked = await admin
      .as(token)
      .post('/v1/grant-requests', { budget: '2.00', reason: 'more' });
    expect(asked.status).toBe(202);
    const raises = 'bursar_waiting_decisions{treasury="main",what="raise"}';
    await until('a raise waits', async () => (await figure(raises)) === 1);
    await until(
      'its event is counted',
      async () => (await figure('bursar_events_sealed_total{kind="grant_request.created"}')) === 1,
    );
  });

  it('fails for three days has its webhook paused, with an event', async () => {
    const { webhook } = await register({ kinds: ['grant.suspended'] });
    receiver.answer = (response) => void response.writeHead(503).end();
    const { grant } = await admin.mint({ budget: '1.00', ttlSeconds: 3_600 });
    await suspend(grant.id);
    const state = async () =>
      (await admin.all<WebhookAnswer['webhook']>('/v1/webhooks')).find(
        ({ id }) => id === webhook.id,
      );
    await until('it fails', async () => (await state())?.failingSince);
    await stack.db.query(`UPDATE webhooks SET failing_since = now() - interval '73 hours'`);
    await stack.passTime(6);
    await until('it is paused', async () => (await state())?.status === 'paused');
    expect((await state())?.statusReason).toMatch(/three days/);
    const [event] = await admin.all<EventAnswer>('/v1/audit/events?kind=webhook.paused');
    expect(event).toMatchObject({ actor: 'system:webhooks', data: { webhookId: webhook.id } });
    receiver.answer = (response) => void response.end();
    await admin.post(`/v1/webhooks/${webhook.id}/resume`, {});
    await until(
      'it is delivered',
      async () => (await deliveriesOf(webhook.id))[0]?.status === 'delivered',
    );
    await resume(grant.id);
  });

  it('answers 200 slowly gets each delivery once', async () => {
    const { webhook } = await register();
    receiver.answer = (response) => {
      response.writeHead(200).write('than');
      setTimeout(() => response.end('ks'), 1_500);
    };
    await mintAll('slow', 'too');
    await until('both', async () => {
      const listed = await deliveriesOf(webhook.id);
      return listed.length === 2 && listed.every(({ status }) => status === 'delivered');
    });
    expect(holders(receiver.received)).toEqual(['slow', 'too']);
    expect((await deliveriesOf(webhook.id)).map(({ tries }) => tries)).toEqual([1, 1]);
  });

  it('never answers holds up its own webhook and no other', async () => {
    const other = await startReceiver();
    const stuck = await register();
    const { webhook } = await register({ url: other.url });
    receiver.answer = () => {};
    await mintAll('held', 'up');
    await until('the other has both', () => other.received.length >= 2);
    await until(
      'it is given up',
      async () => (await deliveriesOf(stuck.webhook.id)).at(-1)?.tries === 1,
    );
    expect((await deliveriesOf(stuck.webhook.id)).at(-1)?.attempts[0]).toMatchObject({
      status: null,
      error: expect.stringMatching(/time/),
    });
    expect(receiver.received).toHaveLength(1);
    expect(await deliveriesOf(webhook.id)).toHaveLength(2);
    await other.stop();
    receiver.answer = (response) => void response.end();
    await stack.passTime(6);
    await until('it has both', () => receiver.received.length >= 3);
    expect(holders(receiver.received)).toEqual(['held', 'held', 'up']);
  });
});

describe('a receiver whose name', () => {
  /** A name that nobody else resolves, and where it leads. */
  const NAME = 'hooks.test';
  const { lookup } = dns;
  let addresses: string[] = [];
  /** A server at an address inside, and how often it was connected to. */
  let inside: Server | undefined;
  let connections = 0;

  beforeAll(() => {
    const resolve = async (name: string, options: object): Promise<LookupAddress[]> =>
      name === NAME
        ? addresses.map((address) => ({ address, family: 4 }))
        : lookup(name, { ...options, all: true });
    Object.assign(dns, { lookup: resolve });
    syncBuiltinESMExports();
  });
  afterAll(() => {
    inside?.close();
    Object.assign(dns, { lookup });
    syncBuiltinESMExports();
  });

  it('leads inside is refused at each delivery, and never connected to', async () => {
    const { port } = new URL(receiver.url);
    inside = createServer((socket) => {
      connections += 1;
      socket.destroy();
    }).listen(Number(port), '127.0.0.2');
    await once(inside, 'listening');
    addresses = ['127.0.0.1'];
    // Registered while it leads to an address that is allowed, and pointed elsewhere later.
    const { webhook } = await register({ url: `http://${NAME}:${port}/hook` });
    await mintAll('before');
    await until('the first', () => receiver.received.length === 1);
    const refusedOf = async () =>
      Number(
        /^bursar_webhook_attempts_total\{outcome="refused"\} (\d+)$/m.exec(
          await metricsOf(stack.service),
        )?.[1] ?? 0,
      );
    const refusedBefore = await refusedOf();
    addresses = ['127.0.0.2'];
    await mintAll('after');
    const attemptsOf = async () =>
      (await deliveriesOf(webhook.id)).find(({ status }) => status === 'pending')?.attempts ?? [];
    const refused = (error: string) => expect.objectContaining({ status: null, error });
    await until('it is refused', async () => (await attemptsOf()).length === 1);
    // A name that has an allowed address too may not lead elsewhere by another one.
    addresses = ['127.0.0.1', '10.0.0.1'];
    await stack.passTime(6);
    await until('it is refused again', async () => (await attemptsOf()).length === 2);
    expect(await attemptsOf()).toEqual([
      refused('127.0.0.2 is no public address (loopback)'),
      refused('10.0.0.1 is no public address (private)'),
    ]);
    await until('both are counted', async () => (await refusedOf()) === refusedBefore + 2);
    expect(connections).toBe(0);
    expect(receiver.received).toHaveLength(1);
    addresses = ['127.0.0.1'];
    await stack.passTime(300);
    await until('it comes once the name leads back', () => receiver.received.length >= 2);
    expect(holders(receiver.received)).toEqual(['before', 'after']);
  });
});
