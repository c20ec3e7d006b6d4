import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { verifyLog } from '../src/audit/verify.js';
import { canonicalJson } from '../src/domain/canonical.js';
import {
  type Api,
  type EventAnswer,
  expectProblem,
  type Minted,
  type ProblemAnswer,
} from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { linesOf } from './support/log.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** Figures of the grants above, each of which appears nowhere else. */
const ROOT_BUDGET = '7654.321';
const PARENT_BUDGET = '5432.109';
const APPROVAL_ABOVE = '43.219';
const TELLTALE = /7654[.]?321|5432[.]?109|43[.]?219/;

let stack: TestStack;
let admin: Api;
let root: Minted;
let parent: Minted;
let leaf: Minted;
let holder: Api;

beforeAll(async () => {
  stack = await startTestStack();
  admin = stack.admin;
  root = await admin.mint({
    budget: ROOT_BUDGET,
    approvalAbove: APPROVAL_ABOVE,
    delegationDepth: 3,
  });
  parent = await admin.as(root.token).mint({
    budget: PARENT_BUDGET,
    delegationDepth: 2,
    windows: [{ seconds: 3600, amount: '60' }],
  });
  leaf = await admin.as(parent.token).mint({
    budget: '1000',
    approvalAbove: '40',
    delegationDepth: 1,
    windows: [{ seconds: 3600, amount: '60' }],
  });
  holder = admin.as(leaf.token);
  await admin.as(parent.token).paid(order(stack.chain, { amount: '30000000' }));
  await holder.paid(order(stack.chain));
}, 60_000);

afterAll(() => stack?.stop());

const eventsOf = (api: Api, kind: string) =>
  api.all<EventAnswer>(`/v1/audit/events?grantId=${leaf.grant.id}&kind=${kind}`);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** The opening of a commitment, as an auditor finds it. */
async function openingOf(commitment: unknown): Promise<Record<string, unknown>> {
  const opened = await admin.all<EventAnswer>('/v1/audit/events?kind=audit.opened');
  const entries = opened.flatMap(({ data }) => data.openings as Record<string, unknown>[]);
  const { commitment: named, ...opening } =
    entries.find((each) => each.commitment === commitment) ?? {};
  expect(named).toBe(sha256(canonicalJson(opening)));
  expect(opening.salt).toMatch(/^[0-9a-f]{32}$/);
  return opening;
}

async function proofOf(api: Api, id: string) {
  return until('the event is sealed', async () => {
    const answer = await api.get<{ record: string }>(`/v1/audit/events/${id}/proof`);
    return answer.status !== 503 && answer;
  });
}

describe('a holder', () => {
  it('reads no counter of a grant above its own in its payment’s record, and may prove it', async () => {
    const [event] = await eventsOf(holder, 'payment.authorized');
    if (!event) throw new Error('no event');
    expect(JSON.stringify(event)).not.toMatch(TELLTALE);
    expect(event.data).toMatchObject({
      ancestors: expect.stringMatching(/^[0-9a-f]{64}$/),
      grant: { id: leaf.grant.id, budget: '1000000000', reserved: '0', payments: 0 },
    });
    const { nonce, decision } = event.data;
    expect(nonce).toBe(`0x${sha256(canonicalJson(decision))}`);
    const proof = await proofOf(holder, event.id);
    expect(proof.status).toBe(200);
    expect(proof.text).not.toMatch(TELLTALE);
  });

  it('is told by a grant above which one refuses and why, and no figure of it', async () => {
    const dear = order(stack.chain, { amount: '35000000' });
    const refused = await holder.pay(dear);
    expectProblem(refused, 403, 'window_exceeded', {
      grantId: parent.grant.id,
      retryAfter: expect.any(Number) as unknown as number,
      limit: undefined,
      remaining: undefined,
    });
    const quoted = await holder.post<{ options: { reasons: unknown[] }[] }>(
      '/v1/payments/quote',
      dear,
    );
    const reasons = quoted.body.options.flatMap((option) => option.reasons);
    expect(reasons).toMatchObject([{ code: 'window_exceeded', grantId: parent.grant.id }]);
    for (const reason of reasons) {
      expect(reason).not.toHaveProperty('limit');
      expect(reason).not.toHaveProperty('remaining');
    }
    const [event] = await eventsOf(holder, 'payment.refused');
    expect(event?.data).toMatchObject({
      code: 'window_exceeded',
      refusedBy: parent.grant.id,
      limit: null,
      remaining: null,
    });
    for (const text of [refused.text, quoted.text, JSON.stringify(event)]) {
      expect(text).not.toMatch(/60\.00|30\.00/);
      expect(text).not.toMatch(TELLTALE);
    }
    expect(await openingOf(event?.data.ancestors)).toMatchObject({
      limit: '60.00',
      remaining: '29.99',
      detail: expect.stringContaining('29.99 of 60.00'),
    });
  });

  it('is told every figure of its own grant, and of one below', async () => {
    const below = await holder.mint({ budget: '0.05', windows: [] });
    const body = order(stack.chain, { amount: '60000' });
    expectProblem(await admin.as(below.token).pay(body), 403, 'budget_exceeded', {
      limit: '0.05',
      remaining: '0.05',
    });
    const [event] = await holder.all<EventAnswer>(
      `/v1/audit/events?grantId=${below.grant.id}&kind=payment.refused`,
    );
    expect(event?.data).toMatchObject({ ancestors: null, limit: '0.05', remaining: '0.05' });
  });

  it('is not told the amount above which a grant above asks for an approval', async () => {
    const dear = order(stack.chain, { amount: '44000000' });
    const quoted = await admin
      .as(parent.token)
      .post<{ options: { reasons: unknown[] }[] }>('/v1/payments/quote', dear);
    expect(quoted.text).not.toMatch(TELLTALE);
    const fresh = await admin.as(root.token).mint({ budget: '100', approvalAbove: '43' });
    const api = admin.as(fresh.token);
    const waiting = await api.pay(dear);
    expect(waiting.status).toBe(202);
    const asked = await api.post<{ options: { reasons: unknown[] }[] }>('/v1/payments/quote', dear);
    expect(asked.body.options[0]?.reasons).toEqual([
      expect.objectContaining({ code: 'approval_required', grantId: root.grant.id }),
    ]);
    const [event] = await api.all<EventAnswer>('/v1/audit/events?kind=payment.pending');
    expect(event?.data).toMatchObject({ askedBy: root.grant.id, approvalAbove: null });
    for (const text of [waiting.text, asked.text, JSON.stringify(event)]) {
      expect(text).not.toMatch(TELLTALE);
    }
    expect(await openingOf(event?.data.ancestors)).toMatchObject({ approvalAbove: '43219000' });
  });

  it('that delegates is told of no figure of a grant above', async () => {
    const asked = await holder.post('/v1/grants', {
      holder: 'carved',
      budget: '999',
      funding: 'reserved',
      ttlSeconds: 60,
    });
    expect(asked.status).toBe(201);
    const more = await admin.as(parent.token).post<ProblemAnswer>(`/v1/grants`, {
      holder: 'carved',
      budget: '5000',
      funding: 'reserved',
      ttlSeconds: 60,
    });
    expectProblem(more, 403, 'budget_exceeded', { grantId: parent.grant.id });
  });

  it('is not told what the treasury has', async () => {
    const rich = await admin.mint({ budget: '999999999' });
    const refused = await admin
      .as(rich.token)
      .pay(order(stack.chain, { amount: '999000000000000' }));
    expectProblem(refused, 503, 'treasury_insufficient', { remaining: undefined });
  });
});

describe('an auditor', () => {
  it('reads in a record of its own what the grants above were, and no holder does', async () => {
    const [event] = await eventsOf(admin, 'payment.authorized');
    expect(await openingOf(event?.data.ancestors)).toMatchObject({
      chain: [
        { id: root.grant.id, budget: '7654321000', reserved: '30000000', payments: 1 },
        { id: parent.grant.id, budget: '5432109000', reserved: '30000000', payments: 1 },
      ],
    });
    const [opened] = await admin.all<EventAnswer>('/v1/audit/events?kind=audit.opened');
    for (const one of [root, parent, leaf]) {
      const api = admin.as(one.token);
      expect(await api.all('/v1/audit/events?kind=audit.opened')).toEqual([]);
      expectProblem(await api.get(`/v1/audit/events/${opened?.id}/proof`), 404, 'not_found');
    }
  });

  it('verifies the openings offline, and misses one that is gone', async () => {
    await until('every event is sealed', async () => {
      const { rows } = await stack.db.query('SELECT 1 FROM unsealed_events');
      return rows.length === 0;
    });
    const directory = await mkdtemp(join(tmpdir(), 'bursar-disclosure-'));
    try {
      const lines = linesOf((await admin.get('/v1/audit/export')).text);
      const file = join(directory, 'log.jsonl');
      const verify = async (some: readonly string[]) => {
        await writeFile(file, some.map((line) => `${line}\n`).join(''));
        return verifyLog({ file, checkpoints: [], key: undefined, chains: undefined });
      };
      expect((await verify(lines)).replay.unknownKinds).toEqual([]);
      const isOpening = (line: string) => line.includes('"kind":"audit.opened"');
      expect(lines.filter(isOpening).length).toBeGreaterThan(2);
      await expect(verify(lines.filter((line) => !isOpening(line)))).rejects.toThrow(
        /nothing before it opens its commitment/,
      );
      await expect(
        verify(lines.map((line) => (isOpening(line) ? line.replace('"30000000"', '"1"') : line))),
      ).rejects.toThrow(/of other figures than its opening/);
    } finally {
      await rm(directory, { recursive: true });
    }
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('alone gets the proof of an old record, which holds the figures in clear', async () => {
    const record = {
      actor: `grant:${leaf.grant.id}`,
      at: new Date().toISOString(),
      data: {
        chain: [root, parent, leaf].map(({ grant }) => ({ id: grant.id, budget: '7654321000' })),
        nonce: '0x1',
      },
      grantId: leaf.grant.id,
      id: 'evt_01kb0000000000000000000000',
      kind: 'payment.authorized',
      paymentId: null,
      reason: null,
      requestId: null,
      treasuryId: leaf.grant.treasuryId,
      version: 'bursar.event.v1',
    };
    await stack.db.query(
      `INSERT INTO events (treasury_id, id, kind, grant_id, actor, record, created_at)
       VALUES ($1, $2, $3, $4, $5, $6, now())`,
      [
        record.treasuryId,
        record.id,
        record.kind,
        record.grantId,
        record.actor,
        canonicalJson(record),
      ],
    );
    const [shown] = await eventsOf(holder, 'payment.authorized');
    expect(shown).toMatchObject({ id: record.id, data: { chain: [{ id: leaf.grant.id }] } });
    expect(shown?.data.chain).toHaveLength(1);
    const [whole] = await eventsOf(admin, 'payment.authorized');
    expect(whole).toMatchObject({ id: record.id, data: record.data });
    expectProblem(await holder.get(`/v1/audit/events/${record.id}/proof`), 403, 'forbidden');
    expect((await proofOf(admin, record.id)).status).toBe(200);
    expect((await proofOf(admin.as(root.token), record.id)).status).toBe(200);
  });
});
