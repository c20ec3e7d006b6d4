import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { inclusionRoot, isConsistent, leafHash } from '../src/domain/merkle.js';
import { isSignedBy, parseCheckpoint, parseNote, parseVerifierKey } from '../src/domain/note.js';
import { Api, type EventAnswer, expectProblem, type Minted } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { headOf, linesOf, rootOf } from './support/log.js';
import { OTHER_PAYEE, order, requirement } from './support/terms.js';
import { until } from './support/until.js';

interface Proof {
  readonly record: string;
  readonly leafIndex: string;
  readonly leafHash: string;
  readonly treeSize: string;
  readonly inclusionProof: string[];
  readonly checkpoint: string;
}

interface Consistency {
  readonly from: string;
  readonly to: string;
  readonly fromRoot: string;
  readonly toRoot: string;
  readonly consistencyProof: string[];
}

let stack: TestStack;
let admin: Api;
let root: Minted;
let child: Minted;
let beside: Minted;

beforeAll(async () => {
  stack = await startTestStack();
  admin = stack.admin;
  root = await admin.mint({ budget: '5.00', delegationDepth: 2 });
  child = await admin.as(root.token).mint({ budget: '1.00' });
  beside = await admin.mint({ budget: '5.00' });
  await admin.as(child.token).paid(order(stack.chain));
  await admin.as(beside.token).paid(order(stack.chain));
}, 60_000);

afterAll(() => stack?.stop());

const bytes = (hashes: readonly string[]) => hashes.map((hash) => Buffer.from(hash, 'base64'));
const key = async () => parseVerifierKey((await admin.get('/v1/audit/key')).text.trim());
const checkpoint = async () => (await admin.get('/v1/audit/checkpoint')).text;

async function sealed(): Promise<EventAnswer[]> {
  return until('every event is sealed', async () => {
    const events = await admin.all<EventAnswer>('/v1/audit/events');
    return events.every(({ leafIndex }) => leafIndex !== null) && events;
  });
}

describe('checkpoints', () => {
  it('are signed notes of the log, under the key that the log names', async () => {
    await sealed();
    const answer = await admin.get('/v1/audit/checkpoint');
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
    const note = parseNote(answer.text);
    expect(isSignedBy(note, await key())).toBe(true);
    const { origin, size } = parseCheckpoint(note.text);
    expect(origin).toBe(`bursar/${root.grant.treasuryId}`);
    expect(size).toBe(linesOf((await admin.get('/v1/audit/export')).text).length);
  });

  it('follow a change within a second', async () => {
    await sealed();
    const { size } = headOf(await checkpoint());
    await admin.mint({ budget: '1.00' });
    const changed = performance.now();
    await until('there is a new checkpoint', async () => headOf(await checkpoint()).size > size);
    expect(performance.now() - changed).toBeLessThan(1_000);
  });

  it('come of one sequencer, however many seal at once, and every event is sealed once', async () => {
    const replica = await startReplica(stack, 'all');
    try {
      const apis = [stack.service, replica].map(({ url }) => new Api(url, admin.token));
      await Promise.all(
        Array.from({ length: 30 }, (_, n) => (apis[n % 2] as Api).mint({ budget: '0.01' })),
      );
      await sealed();
    } finally {
      await replica.stop();
    }
    const { rows } = await stack.db.query<{ size: string; note: string }>(
      'SELECT size, note FROM log_checkpoints ORDER BY size',
    );
    const lines = linesOf((await admin.get('/v1/audit/export')).text);
    const own = await key();
    for (const { size, note } of rows) {
      expect(isSignedBy(parseNote(note), own)).toBe(true);
      expect(headOf(note)).toEqual({
        size: Number(size),
        root: rootOf(lines.slice(0, Number(size))),
      });
    }
    expect(Number(rows.at(-1)?.size)).toBe(lines.length);
    expect(new Set(lines.map((line) => JSON.parse(line).id)).size).toBe(lines.length);
  });
});

describe('proofs', () => {
  it('show every event in the newest checkpoint', async () => {
    for (const event of await sealed()) {
      const proof = await admin.read<Proof>(`/v1/audit/events/${event.id}/proof`);
      const note = parseNote(proof.checkpoint);
      expect(isSignedBy(note, await key())).toBe(true);
      const { size, root: head } = parseCheckpoint(note.text);
      const leaf = leafHash(proof.record);
      expect(proof).toMatchObject({
        leafIndex: event.leafIndex,
        leafHash: leaf.toString('base64'),
        treeSize: String(size),
      });
      expect(JSON.parse(proof.record)).toMatchObject({ id: event.id, kind: event.kind });
      const shown = inclusionRoot(Number(proof.leafIndex), size, leaf, bytes(proof.inclusionProof));
      expect(shown).toEqual(Buffer.from(head));
    }
  });

  it('show every earlier size as the beginning of the newest', async () => {
    await sealed();
    const { size, root: newest } = headOf(await checkpoint());
    for (let from = 0; from <= size; from += 1) {
      const proof = await admin.read<Consistency>(`/v1/audit/consistency?from=${from}&to=${size}`);
      const [old, now] = [
        { size: from, root: Buffer.from(proof.fromRoot, 'base64') },
        { size, root: Buffer.from(proof.toRoot, 'base64') },
      ];
      expect(proof.toRoot).toBe(newest);
      expect(isConsistent(old, now, bytes(proof.consistencyProof))).toBe(true);
    }
    const unnamed = await admin.read<Consistency>('/v1/audit/consistency?from=2');
    expect(Number(unnamed.to)).toBeGreaterThanOrEqual(size);
  });

  it.each([
    ['a size the log does not have', 'from=1&to=100000', 'to'],
    ['no earlier size', '', 'from'],
    ['an earlier size that is later', 'from=3&to=2', 'from'],
    ['no number', 'from=-1', 'from'],
    ['a fraction', 'from=1.5', 'from'],
    ['a parameter nobody knows', 'from=1&size=2', 'query'],
  ])('are not made for %s', async (_what, query, field) => {
    expectProblem(await admin.get(`/v1/audit/consistency?${query}`), 400, 'invalid_request', {
      field,
    });
  });

  it('are not made for an event that is not there', async () => {
    const proof = (id: string) => admin.get(`/v1/audit/events/${id}/proof`);
    expectProblem(await proof('evt_00000000000000000000000000'), 404, 'not_found');
    for (const id of ['evt_1', root.grant.id, '%27']) {
      expectProblem(await proof(id), 400, 'invalid_request', { field: 'id' });
    }
  });
});

describe('a holder', () => {
  it('sees the events and proofs of its tree, and none beside or above it', async () => {
    const events = await sealed();
    const holder = admin.as(child.token);
    const own = await holder.all<EventAnswer>('/v1/audit/events');
    expect(own.map(({ kind }) => kind)).toEqual(['payment.authorized', 'grant.delegated']);
    for (const { id } of own) await holder.read(`/v1/audit/events/${id}/proof`);
    const others = events.filter(({ id }) => !own.some((each) => each.id === id));
    expect(others.length).toBeGreaterThan(5);
    for (const { id } of others) {
      expectProblem(await holder.get(`/v1/audit/events/${id}/proof`), 404, 'not_found');
    }
    const hidden = await holder.get(`/v1/audit/events?grantId=${beside.grant.id}`);
    expectProblem(hidden, 400, 'invalid_request', { field: 'grantId' });
  });

  it('reads the checkpoints of its own treasury, and of no other', async () => {
    const holder = admin.as(child.token);
    const own = await holder.get(`/v1/audit/checkpoint?treasuryId=${child.grant.treasuryId}`);
    expect(own.status).toBe(200);
    for (const path of ['checkpoint', 'key', 'consistency?from=1']) {
      const separator = path.includes('?') ? '&' : '?';
      const other = `${separator}treasuryId=trs_00000000000000000000000000`;
      expectProblem(await holder.get(`/v1/audit/${path}${other}`), 404, 'not_found');
      expectProblem(await admin.get(`/v1/audit/${path}${other}`), 404, 'not_found');
    }
  });
});

describe('the export', () => {
  it('gives any stretch of the log, and nothing beyond its end', async () => {
    await sealed();
    const lines = linesOf((await admin.get('/v1/audit/export')).text);
    const part = async (query: string) =>
      linesOf((await admin.get(`/v1/audit/export?${query}`)).text);
    expect(await part('from=3')).toEqual(lines.slice(3));
    expect(await part('to=3')).toEqual(lines.slice(0, 4));
    expect(await part('from=2&to=2')).toEqual(lines.slice(2, 3));
    expect(await part('from=3&to=2')).toEqual([]);
    expect(await part('from=100000')).toEqual([]);
    expect(await part('to=100000')).toEqual(lines);
  });

  it('is a table too, in which no text becomes a formula', async () => {
    const reason = '=HYPERLINK("https://evil.example","click, ""me""")';
    const { grant } = await admin.mint({ budget: '1.00' });
    await admin.post(`/v1/grants/${grant.id}/revoke`, { reason });
    await sealed();
    const answer = await admin.get('/v1/audit/export?format=csv');
    expect(answer.headers.get('content-type')).toMatch(/^text\/csv/);
    const rows = answer.text.split('\r\n');
    expect(rows[0]).toBe('leafIndex,id,at,kind,actor,grantId,paymentId,requestId,reason,data');
    const row = rows.find((each) => each.includes('grant.revoked') && each.includes(grant.id));
    expect(row).toContain(`,"'${reason.replaceAll('"', '""')}",`);
    const lines = linesOf((await admin.get('/v1/audit/export')).text);
    expect(rows).toHaveLength(lines.length + 2);
  });
});

describe('events', () => {
  it('tell who did it, in which request and why', async () => {
    const { grant } = await admin.mint({ budget: '1.00' });
    await admin.post(`/v1/grants/${grant.id}/revoke`, { reason: 'no longer needed' });
    const [revoked] = await admin.all<EventAnswer>(`/v1/audit/events?grantId=${grant.id}`);
    expect(revoked).toMatchObject({
      kind: 'grant.revoked',
      actor: 'admin:tester',
      reason: 'no longer needed',
      requestId: expect.stringMatching(/./),
    });
  });

  it('are found by each filter of the contract', async () => {
    const events = await sealed();
    const find = async (query: string) =>
      (await admin.all<EventAnswer>(`/v1/audit/events?${query}`)).map(({ id }) => id);
    const expected = (match: (event: EventAnswer & { at: string }) => boolean) =>
      (events as (EventAnswer & { at: string })[]).filter(match).map(({ id }) => id);
    const some = events.find(({ paymentId }) => paymentId !== null) as EventAnswer & { at: string };
    for (const [query, match] of [
      [`grantId=${child.grant.id}`, (e: EventAnswer) => e.grantId === child.grant.id],
      [`paymentId=${some.paymentId}`, (e: EventAnswer) => e.paymentId === some.paymentId],
      ['kind=grant.minted', (e: EventAnswer) => e.kind === 'grant.minted'],
      ['actor=admin:tester', (e: EventAnswer) => e.actor === 'admin:tester'],
      [`from=${some.at}`, (e: EventAnswer & { at: string }) => e.at >= some.at],
      [`to=${some.at}`, (e: EventAnswer & { at: string }) => e.at <= some.at],
    ] as const) {
      const found = await find(query);
      expect(found.length).toBeGreaterThan(0);
      expect(found).toEqual(expected(match));
    }
  });

  it('tell of the treasury, its wallets and every key that was made', async () => {
    const kinds = (await sealed()).map(({ kind, data }) => [kind, data.use ?? data.address ?? '']);
    expect(kinds).toEqual(
      expect.arrayContaining([
        ['treasury.created', ''],
        ['wallet.added', stack.service.walletAddresses[0]],
        ['key.created', 'log'],
        ['key.created', 'tokens'],
      ]),
    );
  });
});

describe('a flood of refusals', () => {
  it('is told in full up to a bound, and past it in one event that says how many', async () => {
    const { grant, token } = await admin.mint({ budget: '1.00', scope: { payTo: [OTHER_PAYEE] } });
    const flood = order(stack.chain, { payTo: requirement(stack.chain).payTo });
    const refusals = 60;
    for (let sent = 0; sent < refusals; sent += 1) {
      expectProblem(await admin.as(token).pay(flood, randomUUID()), 403, 'payee_not_allowed');
    }
    const told = () => admin.all<EventAnswer>(`/v1/audit/events?grantId=${grant.id}`);
    const refused = (await told()).filter(({ kind }) => kind === 'payment.refused');
    expect(refused.length).toBeLessThan(refusals);
    // The period is over, as far as the database knows.
    await stack.db.query(
      `UPDATE refusal_tallies SET since = since - interval '1 hour' WHERE grant_id = $1`,
      [grant.id],
    );
    const more = await until('the rest is told', async () =>
      (await told()).find(({ kind }) => kind === 'payment.refused_more'),
    );
    expect(more).toMatchObject({
      actor: 'system:audit',
      reason: 'payee_not_allowed',
      data: { code: 'payee_not_allowed', refusals: String(refusals - refused.length) },
    });
  });
});
