import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { GrantView } from '../src/grants/grants.dto.js';
import type { Service } from '../src/service.js';
import { Api, type EventAnswer, expectProblem, type Listed, type Minted } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { rowsRead } from './support/rows-read.js';
import { settle } from './support/settle.js';
import { CENT, order } from './support/terms.js';

let stack: TestStack;
let replica: Service;
let admin: Api;
let otherAdmin: Api;

beforeAll(async () => {
  stack = await startTestStack();
  replica = await startReplica(stack);
  ({ admin } = stack);
  otherAdmin = admin.as(
    await stack.service.mintAdminToken({ name: 'colleague', role: 'admin' }, 3600),
  );
}, 60_000);

afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});

afterEach(async () => {
  expect(await brokenInvariants(stack.db)).toEqual([]);
});

type Act = 'suspend' | 'resume' | 'revoke';
const act = (api: Api, what: Act, { grant }: Minted, body: unknown = {}) =>
  api.post<{ grant: GrantView }>(`/v1/grants/${grant.id}/${what}`, body);
const as = ({ token }: Minted) => admin.as(token);
const status = async ({ grant }: Minted) => (await admin.grant(grant.id)).status;
const plain = { holder: 'agent', budget: '0.10', ttlSeconds: 600 };

/** A root, a parent below it, two children of that, and a grant below the first. */
async function family() {
  const root = await admin.mint({ budget: '5.00', delegationDepth: 3 });
  const parent = await as(root).mint({ budget: '2.00' });
  const self = await as(parent).mint({ budget: '1.00' });
  const sibling = await as(parent).mint({ budget: '1.00' });
  const child = await as(self).mint({ budget: '1.00' });
  return { root, parent, self, sibling, child };
}

/** Events of a grant itself, oldest first, without its minting. */
async function told({ grant }: Minted): Promise<Partial<EventAnswer>[]> {
  const events = await admin.all<EventAnswer>(`/v1/audit/events?grantId=${grant.id}`);
  return events
    .filter(({ grantId, kind }) => grantId === grant.id && /ed$/.test(kind))
    .filter(({ kind }) => /^grant\.(suspended|resumed|revoked)$/.test(kind))
    .map(({ kind, actor, reason, data }) => ({ kind, actor, reason, data }))
    .reverse();
}

describe.each(['suspend', 'resume', 'revoke'] as const)('%s', (what) => {
  it('is for admins, the holder itself and holders above', async () => {
    for (const name of ['admin', 'self', 'parent', 'root'] as const) {
      const grants = await family();
      const caller = name === 'admin' ? admin : as(grants[name]);
      const answer = await act(caller, what, grants.self);
      expect(answer).toMatchObject({ status: 200, body: { grant: { id: grants.self.grant.id } } });
      const after = { suspend: 'suspended', resume: 'active', revoke: 'revoked' }[what];
      expect(answer.body.grant.status).toBe(after);
      expect([await status(grants.self), await status(grants.child)]).toEqual([after, after]);
      expect(await status(grants.sibling)).toBe('active');
    }
  });

  it('does not exist for who may not see the grant: beside, above and elsewhere', async () => {
    const grants = await family();
    const stranger = await admin.mint({ budget: '1.00' });
    for (const [caller, victim] of [
      [grants.sibling, grants.self],
      [grants.self, grants.sibling],
      [grants.self, grants.parent],
      [grants.child, grants.root],
      [stranger, grants.self],
    ] as const) {
      expectProblem(await act(as(caller), what, victim), 404, 'not_found');
    }
    expect(await status(grants.root)).toBe('active');
    expect(await status(grants.self)).toBe('active');
  });

  it('is forbidden to auditors and approvers, and refuses what it does not know', async () => {
    const { self } = await family();
    for (const role of ['auditor', 'approver'] as const) {
      const token = await stack.service.mintAdminToken({ name: 'reader', role }, 60);
      expectProblem(await act(admin.as(token), what, self), 403, 'forbidden');
    }
    for (const body of [{ why: 'x' }, { reason: '' }, { reason: 'r'.repeat(1001) }, []]) {
      expectProblem(await act(admin, what, self, body), 400, 'invalid_request');
    }
    expect(await told(self)).toEqual([]);
  });
});

describe('a suspension', () => {
  const RANKS = ['admin', 'root', 'parent', 'self'] as const;
  const pairs = RANKS.flatMap((by, above) =>
    RANKS.map((who, rank) => ({ by, who, may: rank <= above })),
  );

  it.each(pairs)('by $by: $who may resume it: $may', async ({ by, who, may }) => {
    const grants = await family();
    const caller = (name: (typeof RANKS)[number]) => (name === 'admin' ? admin : as(grants[name]));
    expect((await act(caller(by), 'suspend', grants.self)).status).toBe(200);
    const answer = await act(caller(who), 'resume', grants.self);
    if (may) expect(answer).toMatchObject({ status: 200, body: { grant: { status: 'active' } } });
    else expectProblem(answer, 403, 'forbidden', { grantId: grants.self.grant.id });
    expect(await status(grants.self)).toBe(may ? 'active' : 'suspended');
  });

  it('by one admin can be lifted by another', async () => {
    const { self } = await family();
    await act(admin, 'suspend', self);
    expect((await act(otherAdmin, 'resume', self)).status).toBe(200);
    expect(await status(self)).toBe('active');
  });

  it('is taken over by who stands higher, and never by who stands lower', async () => {
    const { parent, self } = await family();
    await act(as(self), 'suspend', self);
    await act(as(parent), 'suspend', self);
    expect(await admin.grant(self.grant.id)).toMatchObject({
      suspendedBy: `grant:${parent.grant.id}`,
    });
    expectProblem(await act(as(self), 'resume', self), 403, 'forbidden');
    await act(as(self), 'suspend', self);
    expectProblem(await act(as(self), 'resume', self), 403, 'forbidden');
    expect((await act(as(parent), 'resume', self)).body.grant).toMatchObject({ suspendedBy: null });
    expect((await told(self)).map(({ kind, actor }) => [kind, actor])).toEqual([
      ['grant.suspended', `grant:${self.grant.id}`],
      ['grant.suspended', `grant:${parent.grant.id}`],
      ['grant.resumed', `grant:${parent.grant.id}`],
    ]);
  });

  it('can be repeated, and so can its end: nothing more happens', async () => {
    const { self, child } = await family();
    for (const what of ['suspend', 'resume'] as const) {
      const first = await act(admin, what, self);
      for (const api of [admin, otherAdmin, as(self)]) {
        const again = await act(api, what, self);
        expect([again.status, again.body.grant]).toEqual([200, first.body.grant]);
      }
    }
    expect(await told(self)).toHaveLength(2);
    expect(await told(child)).toEqual([]);
  });

  it('of an ancestor pauses all below, and its end leaves those paused that were so themselves', async () => {
    const { root, parent, self, sibling, child } = await family();
    await act(admin, 'suspend', child);
    await act(admin, 'suspend', parent);
    for (const one of [parent, self, sibling, child]) {
      expect(await admin.grant(one.grant.id)).toMatchObject({
        status: 'suspended',
        remaining: '0.00',
      });
    }
    expect(await status(root)).toBe('active');
    // Below a paused grant there is nothing to resume; the pause stands higher.
    expect(await act(admin, 'resume', self)).toMatchObject({
      status: 200,
      body: { grant: { status: 'suspended' } },
    });
    await act(admin, 'resume', parent);
    expect(await Promise.all([parent, self, sibling, child].map(status))).toEqual([
      'active',
      'active',
      'active',
      'suspended',
    ]);
    expect((await admin.grant(self.grant.id)).remaining).toBe('1.00');
  });

  it('stops payments, retries and delegation below at once, whichever replica is asked', async () => {
    const { root, self } = await family();
    const there = (token: string | undefined) => new Api(replica.url, token);
    for (let round = 0; round < 10; round++) {
      const [here, far] = round % 2 ? [admin, there(admin.token)] : [there(admin.token), admin];
      const key = randomUUID();
      const first = await far.as(self.token).paid(order(stack.chain), key);
      expect((await act(here, 'suspend', root)).status).toBe(200);
      const denial = { grantId: root.grant.id, limit: undefined, remaining: undefined };
      const [payment, retry, delegation] = await Promise.all([
        far.as(self.token).pay(order(stack.chain)),
        far.as(self.token).pay(order(stack.chain), key),
        far.as(self.token).post('/v1/grants', plain),
      ]);
      for (const answer of [payment, retry, delegation]) {
        expectProblem(answer, 403, 'grant_suspended', denial);
      }
      expect((await act(far, 'resume', root)).status).toBe(200);
      const again = await here.as(self.token).paid(order(stack.chain), key);
      expect(again.header.value).toBe(first.header.value);
      await here.as(self.token).paid(order(stack.chain));
    }
  });
});

describe('a revocation', () => {
  it('is final: nothing of it can be suspended or resumed, nor of what is below', async () => {
    const { parent, self, child, sibling } = await family();
    await act(admin, 'suspend', child);
    await act(admin, 'suspend', self);
    expect(await act(as(parent), 'revoke', self)).toMatchObject({
      status: 200,
      body: { grant: { status: 'revoked' }, revokedGrants: 2 },
    });
    for (const one of [self, child]) {
      for (const what of ['suspend', 'resume'] as const) {
        expectProblem(await act(admin, what, one), 409, 'invalid_transition', {
          grantId: self.grant.id,
        });
      }
      expect(await status(one)).toBe('revoked');
    }
    expect(await status(sibling)).toBe('active');
    expect((await told(self)).map(({ kind }) => kind)).toEqual([
      'grant.suspended',
      'grant.revoked',
    ]);
  });

  it('counts each grant once, however a tree is ended piece by piece', async () => {
    const { root, parent, self, sibling, child } = await family();
    const revoked = async (one: Minted) =>
      ((await act(admin, 'revoke', one)).body as unknown as { revokedGrants: number })
        .revokedGrants;
    const grants = async (one: Minted) =>
      (await admin.read<{ totals: { grants: number } }>(`/v1/grants/${one.grant.id}/tree`)).totals
        .grants;
    expect(await grants(root)).toBe(5);
    expect(await revoked(self)).toBe(2);
    expect(await revoked(child)).toBe(0);
    expect([await grants(root), await grants(parent), await grants(self)]).toEqual([3, 2, 0]);
    expect(await revoked(self)).toBe(0);
    expect(await revoked(root)).toBe(3);
    expect(await revoked(sibling)).toBe(0);
    expect([await grants(root), await grants(sibling)]).toEqual([0, 0]);
  });

  it('reports exactly what of its tree is signed and unsettled', async () => {
    const { root, parent, self, sibling, child } = await family();
    const pay = (one: Minted, count: number, maxTimeoutSeconds = 60) =>
      as(one).paid(order(stack.chain, { amount: String(CENT * BigInt(count)), maxTimeoutSeconds }));
    await settle(stack, await pay(child, 1));
    const last = await pay(child, 2, 100);
    await pay(self, 3, 70);
    const beside = await pay(sibling, 4, 110);
    const above = await pay(root, 5, 90);
    const none = { payments: 0, amount: '0.00', lastValidBefore: null };
    const revoke = async (one: Minted) => (await act(admin, 'revoke', one)).body;
    expect(await revoke(await as(self).mint({ budget: '0.10' }))).toMatchObject({ exposure: none });
    expect(await revoke(self)).toMatchObject({
      exposure: { payments: 2, amount: '0.05', lastValidBefore: last.payment.validBefore },
    });
    expect(await revoke(parent)).toMatchObject({
      exposure: { payments: 3, amount: '0.09', lastValidBefore: beside.payment.validBefore },
    });
    expect(await revoke(root)).toMatchObject({
      exposure: { payments: 4, amount: '0.14', lastValidBefore: beside.payment.validBefore },
      grant: { reserved: '0.14', spent: '0.01' },
    });
    expect(above.payment.validBefore < beside.payment.validBefore).toBe(true);
    // A signature can still be spent; then it is exposure no more.
    await settle(stack, beside);
    expect(await revoke(root)).toMatchObject({
      // No later than this: the latest that was ever signed below it.
      exposure: { payments: 3, amount: '0.10', lastValidBefore: beside.payment.validBefore },
    });
  });
});

it('tells every change once, with who did it, why, and what changed', async () => {
  const { parent, self } = await family();
  await act(as(self), 'suspend', self, { reason: 'looks odd' });
  await act(as(self), 'resume', self, { reason: 'it was nothing' });
  await act(as(parent), 'suspend', self, { reason: 'not so sure' });
  await act(admin, 'suspend', self, { reason: 'nor we' });
  await act(otherAdmin, 'resume', self);
  await act(otherAdmin, 'revoke', self, { reason: 'over' });
  const changed = (from: string, to: string) => expect.objectContaining({ from, to });
  expect(await told(self)).toEqual([
    {
      kind: 'grant.suspended',
      actor: `grant:${self.grant.id}`,
      reason: 'looks odd',
      data: changed('active', 'suspended'),
    },
    {
      kind: 'grant.resumed',
      actor: `grant:${self.grant.id}`,
      reason: 'it was nothing',
      data: changed('suspended', 'active'),
    },
    {
      kind: 'grant.suspended',
      actor: `grant:${parent.grant.id}`,
      reason: 'not so sure',
      data: changed('active', 'suspended'),
    },
    {
      kind: 'grant.suspended',
      actor: 'admin:tester',
      reason: 'nor we',
      data: changed('suspended', 'suspended'),
    },
    {
      kind: 'grant.resumed',
      actor: 'admin:colleague',
      reason: null,
      data: changed('suspended', 'active'),
    },
    {
      kind: 'grant.revoked',
      actor: 'admin:colleague',
      reason: 'over',
      data: { from: 'active', to: 'revoked', revokedGrants: 2 },
    },
  ]);
  const [minted] = await admin.all<EventAnswer>(
    `/v1/audit/events?grantId=${self.grant.id}&kind=grant.delegated&actor=grant:${parent.grant.id}`,
  );
  expect(minted).toMatchObject({
    grantId: self.grant.id,
    data: { parentId: parent.grant.id, budget: '1000000', funding: 'shared', windows: [] },
  });
});

describe('a tree of 10,000 grants', () => {
  const MIDDLES = 99;
  const LEAVES = 100;
  const TOTAL = 1 + MIDDLES * (1 + LEAVES);
  const LIMIT = 50;

  let top: Minted;
  let middle: Minted;
  let leaf: Minted;

  type TreePage = Listed<GrantView> & { totals: { grants: number; remaining: string } };
  const idOf = (kind: number, n: number) => `grt_${kind}${String(n).padStart(25, '0')}`;
  const treePath = (cursor?: string | null) =>
    `/v1/grants/${top.grant.id}/tree?limit=${LIMIT}${cursor ? `&cursor=${cursor}` : ''}`;

  const tokenOf = async (id: string): Promise<Minted> =>
    (await admin.post<Minted>(`/v1/grants/${id}/token`)).body;

  /** Grows a tree of two levels below a root, its ids beginning with these two digits. */
  async function grow({ grant }: Minted, kinds: readonly [number, number], middles: number) {
    const columns = `treasury_id, id, parent_id, root_id, path, lineage, depth, holder, labels, delegation_depth,
      alive, budget, currency, scope, starts_at, expires_at, funding, minted_by, created_at`;
    const terms =
      'g.budget, g.currency, g.scope, g.starts_at, g.expires_at, g.funding, g.minted_by, g.created_at';
    const client = await stack.db.connect();
    try {
      // Foreign keys hold by the way it is made; checking each of them takes a minute.
      await client.query('SET session_replication_role = replica');
      await client.query(
        `INSERT INTO grants (${columns})
         SELECT g.treasury_id, m.id, g.id, g.id, g.path || m.id, g.lineage || '/' || m.id, 1, 'middle-' || n, '{}', 1, $2, ${terms}
         FROM grants g, generate_series(1, $3::int) n,
           LATERAL (SELECT 'grt_${kinds[0]}' || lpad(n::text, 25, '0') AS id) m
         WHERE g.id = $1`,
        [grant.id, LEAVES + 1, middles],
      );
      await client.query(
        `INSERT INTO grants (${columns})
         SELECT g.treasury_id, l.id, g.id, g.root_id, g.path || l.id, g.lineage || '/' || l.id, 2, 'leaf-' || n % 20,
           jsonb_build_object('batch', 'b-' || n), 0, 1, ${terms}
         FROM grants g, generate_series(1, $2::int) n, LATERAL (
           SELECT 'grt_${kinds[1]}' || lpad(right(g.id, 6) || lpad(n::text, 4, '0'), 25, '0') AS id) l
         WHERE g.parent_id = $1`,
        [grant.id, LEAVES],
      );
      const below = middles * (1 + LEAVES);
      await client.query('UPDATE grants SET alive = $2 WHERE id = $1', [grant.id, 1 + below]);
      await client.query('UPDATE treasury_usage SET alive = alive + $2 WHERE treasury_id = $1', [
        grant.treasuryId,
        below,
      ]);
    } finally {
      client.release(true);
    }
  }

  beforeAll(async () => {
    // One before it and one behind it in the order of the trees, which are none of its business.
    await grow(await admin.mint({ budget: '1.00' }), [2, 3], 20);
    top = await admin.mint({ budget: '50.00', delegationDepth: 2 });
    await grow(top, [0, 1], MIDDLES);
    await grow(await admin.mint({ budget: '1.00' }), [4, 5], 20);
    // Autovacuum leaves it so, but would come at a time of its own.
    await stack.db.query('VACUUM (ANALYZE) grants');
    middle = await tokenOf(idOf(0, 50));
    leaf = await tokenOf(idOf(1, 50 * 10_000 + 7));
  });

  it('comes page by page, each once, a parent before its children', async () => {
    const seen = new Set<string>();
    let pages = 0;
    for (let cursor: string | null | undefined; cursor !== null; pages++) {
      const query: string = cursor ? `&cursor=${cursor}` : '';
      const page: TreePage = await admin.read(`/v1/grants/${top.grant.id}/tree?limit=200${query}`);
      for (const { id, parentId } of page.items) {
        expect(seen.has(id)).toBe(false);
        if (id !== top.grant.id) expect(seen.has(parentId ?? '')).toBe(true);
        seen.add(id);
      }
      expect(page.totals.grants).toBe(TOTAL);
      cursor = page.nextCursor;
    }
    expect([seen.size, pages]).toEqual([TOTAL, TOTAL / 200]);
  });

  it('is read by the page, at its start as deep inside and for a holder', async () => {
    const deep = idOf(1, 80 * 10_000 + 42);
    const start = await readOfGrants(() => admin.read<TreePage>(treePath()));
    const inside = await readOfGrants(() => admin.read<TreePage>(treePath(deep)));
    const own = await readOfGrants(() =>
      as(top).read<TreePage>(`/v1/grants?limit=${LIMIT}&cursor=${deep}`),
    );
    for (const { answer, rows, blocks, statements } of [start, inside, own]) {
      expect(answer.items).toHaveLength(LIMIT);
      expect(statements).toBeGreaterThanOrEqual(3);
      // The page and one more to see whether it is the last, their ancestors, the grant asked for.
      expect(rows).toBeGreaterThanOrEqual(LIMIT);
      expect(rows).toBeLessThan(3 * LIMIT);
      expect(blocks).toBeLessThan(10 * LIMIT);
    }
    expect(inside.rows).toBeLessThan(start.rows + 10);
    expect((inside.answer.items[0]?.id ?? '') > deep).toBe(true);
  });

  it('is read by the page too when narrowed to one holder or one parent', async () => {
    for (const query of ['holder=leaf-3', `parentId=${middle.grant.id}`, 'holder=middle-50']) {
      const { answer, rows } = await readOfGrants(() =>
        as(top).read<Listed<GrantView>>(`/v1/grants?limit=${LIMIT}&${query}`),
      );
      expect(answer.items.length).toBe(query === 'holder=middle-50' ? 1 : LIMIT);
      expect(rows).toBeLessThan(6 * LIMIT);
    }
  });

  it('shows the holder of a grant in its midst exactly what is below it', async () => {
    const holder = as(middle);
    const expected = [
      middle.grant.id,
      ...Array.from({ length: LEAVES }, (_, n) => idOf(1, 50 * 10_000 + n + 1)),
    ];
    const ids = async (path: string) => (await holder.all<GrantView>(path)).map(({ id }) => id);
    expect(await ids('/v1/grants')).toEqual(expected);
    expect(await ids(`/v1/grants/${middle.grant.id}/tree`)).toEqual(expected);
    expect(await ids(`/v1/grants?parentId=${middle.grant.id}`)).toEqual(expected.slice(1));
    expect(await ids(`/v1/grants?parentId=${top.grant.id}`)).toEqual([middle.grant.id]);
    expect(await ids('/v1/grants?label=batch:b-7')).toEqual([expected[7]]);
    expect(await ids('/v1/grants?holder=leaf-3')).toHaveLength(LEAVES / 20);
    expect(await ids('/v1/grants?holder=leaf-3&label=batch:b-23')).toEqual([expected[23]]);
    expect(await ids('/v1/grants?holder=middle-49')).toEqual([]);
    // No list of this holder handed these out.
    for (const beside of [idOf(1, 49 * 10_000 + 1), idOf(1, 51 * 10_000 + 1)]) {
      const answer = await holder.get(`/v1/grants?cursor=${beside}`);
      expectProblem(answer, 400, 'invalid_request', { field: 'cursor' });
    }
    expect(await as(leaf).all('/v1/grants')).toHaveLength(1);
    for (const hidden of [top.grant.id, idOf(0, 49), idOf(1, 51 * 10_000 + 1)]) {
      expectProblem(await holder.get(`/v1/grants/${hidden}`), 404, 'not_found');
      expectProblem(await holder.get(`/v1/grants/${hidden}/tree`), 404, 'not_found');
    }
    expectProblem(await admin.get(`/v1/grants/${idOf(0, 777)}/tree`), 404, 'not_found');
  });

  it('tells its totals, and can be narrowed by status', async () => {
    await as(leaf).paid(order(stack.chain));
    await act(admin, 'suspend', middle);
    const paused = await admin.all<GrantView>('/v1/grants?status=suspended&label=batch:b-7');
    expect(paused.map(({ id }) => id)).toEqual([leaf.grant.id]);
    const { totals } = await admin.read<TreePage>(`/v1/grants/${middle.grant.id}/tree?limit=1`);
    expect(totals).toEqual({
      grants: LEAVES + 1,
      payments: 1,
      openPayments: 1,
      reserved: '0.01',
      spent: '0.00',
      allocated: '0.00',
      remaining: '0.00',
    });
    await act(admin, 'resume', middle);
    expect((await as(top).read<TreePage>(treePath())).totals.remaining).toBe('49.99');
    expect(await admin.all(`/v1/grants?status=revoked&parentId=${top.grant.id}`)).toEqual([]);
  });

  it('is revoked by writing one row, or one and those above it', async () => {
    const leafPaid = await as(leaf).paid(order(stack.chain));
    const revoked = await act(as(top), 'revoke', middle);
    expect(revoked.body).toMatchObject({
      revokedGrants: LEAVES + 1,
      exposure: { payments: 2, amount: '0.02', lastValidBefore: leafPaid.payment.validBefore },
    });
    expect(await writtenWith(middle)).toEqual([top.grant.id, middle.grant.id].sort());
    expectProblem(await as(leaf).pay(order(stack.chain)), 403, 'grant_revoked', {
      grantId: middle.grant.id,
    });

    const other = await tokenOf(idOf(1, 60 * 10_000 + 1));
    const all = await act(admin, 'revoke', top, { reason: 'all of it' });
    expect(all.body).toMatchObject({ revokedGrants: TOTAL - LEAVES - 1 });
    expect(await writtenWith(top)).toEqual([top.grant.id]);
    const denial = { grantId: top.grant.id };
    expectProblem(await as(other).pay(order(stack.chain)), 403, 'grant_revoked', denial);
    expectProblem(
      await new Api(replica.url, other.token).pay(order(stack.chain)),
      403,
      'grant_revoked',
      denial,
    );
    expect(await status(other)).toBe('revoked');
    const ended = await admin.all<GrantView>(`/v1/grants?parentId=${top.grant.id}&status=revoked`);
    expect(ended).toHaveLength(MIDDLES);
  });

  /** The rows that the transaction which last wrote a grant has written. */
  async function writtenWith({ grant }: Minted): Promise<string[]> {
    const { rows } = await stack.db.query<{ id: string }>(
      'SELECT id FROM grants WHERE xmin = (SELECT xmin FROM grants WHERE id = $1)',
      [grant.id],
    );
    return rows.map(({ id }) => id).sort();
  }
});

/** Rows of grants that a request reads; not those of the sweep, which comes when it comes. */
function readOfGrants<T>(request: () => Promise<T>) {
  const isOfGrants = (sql: string) => /FROM grants/.test(sql) && !/returned_at IS NULL/.test(sql);
  return rowsRead(stack.db, isOfGrants, request);
}
