import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import { createPublicClient, type Hex, http, parseEventLogs } from 'viem';
import { testUsdcAbi } from '../sandbox/contract/testUsdc.js';
import type { PaymentView } from '../src/payments/payments.dto.js';
import {
  type Api,
  type EventAnswer,
  expectProblem,
  type Listed,
  type Minted,
  type WalletAnswer,
} from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants } from './support/invariants.js';
import { headOf, linesOf, rootOf } from './support/log.js';
import { atomic, decodeHeader, OTHER_PAYEE, order, PAYEE, RESOURCE_URL } from './support/terms.js';
import { until } from './support/until.js';

let stack: TestStack;
let admin: Api;

beforeAll(async () => {
  stack = await startTestStack();
  ({ admin } = stack);
}, 60_000);

afterAll(() => stack?.stop());

describe('the main job', () => {
  let root: Minted;
  let child: Minted;
  let bought: PaymentView;

  it('lets an orchestrator hand a sub-agent narrower authority than its own', async () => {
    const { seller, chain } = stack;
    root = await admin.mint({
      holder: 'orchestrator',
      budget: '25.00',
      maxPerPayment: '0.50',
      delegationDepth: 1,
      scope: { networks: [chain.network], resources: [`${seller.url}/*`] },
    });
    expect(root.grant).toMatchObject({
      parentId: null,
      rootId: root.grant.id,
      depth: 0,
      status: 'active',
      budget: '25.00',
      remaining: '25.00',
      reserved: '0.00',
      spent: '0.00',
      payments: 0,
    });

    child = await admin.as(root.token).mint({
      holder: 'sub-agent',
      budget: '1.00',
      maxPerPayment: '0.05',
      scope: { payTo: [seller.payTo], resources: [`${seller.url}/data/*`] },
    });
    expect(child.grant).toMatchObject({
      parentId: root.grant.id,
      rootId: root.grant.id,
      depth: 1,
      budget: '1.00',
      delegationDepth: 0,
      // Inherited where the child's request left it out.
      scope: {
        networks: [chain.network],
        payTo: [seller.payTo],
        resources: [`${seller.url}/data/*`],
      },
    });
  });

  it('gets a sub-agent the data it met a 402 on, and settles what it cost', async () => {
    const { seller, chain } = stack;
    const agent = admin.as(child.token);
    const sellerBefore = await chain.usdcBalance(seller.payTo);
    const url = `${seller.url}/data/7`;
    const unpaid = await fetch(url);
    expect(unpaid.status).toBe(402);

    const { payment, header, grant } = await agent.paid({
      paymentRequired: unpaid.headers.get('payment-required'),
      request: { method: 'GET', url },
      memo: 'page 7',
    });
    expect(payment).toMatchObject({
      grantId: child.grant.id,
      status: 'authorized',
      amount: '0.01',
      currency: 'USDC',
      network: chain.network,
      scheme: 'exact',
      payTo: seller.payTo,
      asset: chain.token.address,
      resource: url,
      memo: 'page 7',
      transaction: null,
      settledAt: null,
    });
    expect(grant.remaining).toBe('0.99');
    expect(header.name).toBe('PAYMENT-SIGNATURE');
    expect(await agent.grant(child.grant.id)).toMatchObject({ reserved: '0.01', payments: 1 });
    expect(await admin.grant(root.grant.id)).toMatchObject({ reserved: '0.01', payments: 1 });

    const answer = await fetch(url, { headers: { [header.name]: header.value } });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ page: '7', rows: ['alpha', 'beta', 'gamma'] });

    bought = await settled(agent, payment.id);
    expect(bought.settledAt).toMatch(/Z$/);
    const client = createPublicClient({ transport: http(chain.rpcUrl) });
    const receipt = await client.getTransactionReceipt({ hash: bought.transaction as Hex });
    expect(receipt.status).toBe('success');
    const transfers = parseEventLogs({
      abi: testUsdcAbi,
      logs: receipt.logs,
      eventName: 'Transfer',
    });
    expect(transfers.map(({ args }) => args)).toEqual([
      { from: bought.wallet, to: seller.payTo, value: 10_000n },
    ]);
    expect(await chain.usdcBalance(seller.payTo)).toBe(sellerBefore + 10_000n);
  });

  it('keeps a ledger that equals the chain', async () => {
    for (const id of [child.grant.id, root.grant.id]) {
      expect(await admin.grant(id)).toMatchObject({
        reserved: '0.00',
        spent: '0.01',
        payments: 1,
        remaining: id === child.grant.id ? '0.99' : '24.99',
      });
    }
    const { items: wallets } = await admin.read<Listed<WalletAnswer>>('/v1/wallets');
    expect(wallets).toHaveLength(4);
    for (const wallet of wallets) {
      const onChain = await stack.chain.usdcBalance(wallet.address as Hex);
      expect({ balance: atomic(wallet.balance), reserved: wallet.reserved }).toEqual({
        balance: onChain,
        reserved: '0.00',
      });
    }
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });

  it('shows an admin all events and a holder those of its own tree', async () => {
    const stranger = await admin.mint({ budget: '1.00' });
    const kinds = async (api: Api) =>
      (await api.all<EventAnswer>('/v1/audit/events')).map(({ kind }) => kind).reverse();

    // Whether a payment is seen before its block is final is a matter of when the chain is read.
    const certain = async (api: Api) =>
      (await kinds(api)).filter((kind) => kind !== 'payment.seen');

    expect(await certain(admin.as(child.token))).toEqual([
      'grant.delegated',
      'payment.authorized',
      'payment.settled',
    ]);
    expect(await certain(admin.as(root.token))).toEqual([
      'grant.minted',
      'grant.delegated',
      'payment.authorized',
      'payment.settled',
    ]);
    expect(await kinds(admin.as(stranger.token))).toEqual(['grant.minted']);
    const all = await kinds(admin);
    expect(all).toEqual(expect.arrayContaining(['treasury.created', 'wallet.added']));
    const { rows } = await stack.db.query('SELECT count(*)::int AS count FROM events');
    expect(all).toHaveLength(rows[0].count);

    const told = (await admin.all<EventAnswer>(`/v1/audit/events?paymentId=${bought.id}`)).filter(
      ({ kind }) => kind !== 'payment.seen',
    );
    expect(told).toMatchObject([
      {
        kind: 'payment.settled',
        actor: 'system:settlement',
        data: { transaction: bought.transaction, value: '10000' },
      },
      { kind: 'payment.authorized', actor: `grant:${child.grant.id}`, grantId: child.grant.id },
    ]);
  });
});

describe('a refusal', () => {
  let root: Minted;
  let rootHolder: Api;

  beforeAll(async () => {
    root = await admin.mint({ holder: 'orchestrator', budget: '5.00', delegationDepth: 2 });
    rootHolder = admin.as(root.token);
  });

  const refused = async (
    grant: Minted,
    body: unknown,
    status: number,
    code: string,
    members: Record<string, unknown>,
  ) => {
    const before = await snapshot();
    const answer = await admin.as(grant.token).pay(body);
    expectProblem(answer, status, code, members);
    expect(answer.text).not.toContain('signature');
    expect(await snapshot()).toEqual(before);
    const [event] = await admin.all<EventAnswer>(
      `/v1/audit/events?grantId=${grant.grant.id}&kind=payment.refused`,
    );
    expect(event).toMatchObject({ reason: code, grantId: grant.grant.id });
  };

  /** All that a refusal must not touch. */
  const snapshot = async () => {
    const { rows } = await stack.db.query(
      `SELECT (SELECT json_agg((id, reserved, spent, payments) ORDER BY id) FROM grants) AS grants,
         (SELECT json_agg((wallet_id, reserved) ORDER BY wallet_id) FROM wallet_balances) AS wallets,
         (SELECT count(*) FROM payments) AS payments`,
    );
    return rows[0];
  };

  it('stops a payment above maxPerPayment, naming the grant and the limit', async () => {
    const grant = await rootHolder.mint({ budget: '1.00', maxPerPayment: '0.05' });
    const body = order(stack.chain, { amount: '50001' });
    await refused(grant, body, 403, 'per_payment_exceeded', {
      grantId: grant.grant.id,
      limit: '0.05',
      remaining: '1.00',
    });
  });

  it('stops a payment above the budget, and says what remains', async () => {
    const grant = await rootHolder.mint({ budget: '0.03' });
    await admin.as(grant.token).paid(order(stack.chain, { amount: '20000' }));
    await refused(grant, order(stack.chain, { amount: '10001' }), 403, 'budget_exceeded', {
      grantId: grant.grant.id,
      limit: '0.03',
      remaining: '0.01',
    });
  });

  it("stops a payment above an ancestor's budget, though the child's own would do", async () => {
    const parent = await rootHolder.mint({ budget: '0.02', delegationDepth: 1 });
    const first = await admin.as(parent.token).mint({ budget: '0.02' });
    const second = await admin.as(parent.token).mint({ budget: '0.02' });
    await admin.as(first.token).paid(order(stack.chain, { amount: '15000' }));
    await refused(second, order(stack.chain), 403, 'budget_exceeded', {
      grantId: parent.grant.id,
      limit: undefined,
      remaining: undefined,
    });
  });

  it('stops one payment more than maxPayments', async () => {
    const grant = await rootHolder.mint({ budget: '1.00', maxPayments: 1 });
    await admin.as(grant.token).paid(order(stack.chain));
    await refused(grant, order(stack.chain), 403, 'payments_exceeded', {
      grantId: grant.grant.id,
      limit: '1',
      remaining: '0',
    });
  });

  it('stops a payment to a payee outside the scope', async () => {
    const grant = await rootHolder.mint({ budget: '1.00', scope: { payTo: [PAYEE] } });
    await refused(grant, order(stack.chain, { payTo: OTHER_PAYEE }), 403, 'payee_not_allowed', {
      grantId: grant.grant.id,
      limit: PAYEE,
    });
  });

  it('stops a payment for a resource outside the scope', async () => {
    const pattern = 'https://api.example.com/data/*';
    const grant = await rootHolder.mint({ budget: '1.00', scope: { resources: [pattern] } });
    await admin.as(grant.token).paid(order(stack.chain));
    const denial = { grantId: grant.grant.id, limit: pattern };
    for (const url of [
      'https://api.example.com/private/7',
      'https://api.example.com/data/../private',
      'https://api.example.com/data/..%2fprivate',
      'https://api.example.com:8443/data/7',
      'https://api.example.com.evil.example/data/7',
    ]) {
      await refused(grant, order(stack.chain, {}, { url }), 403, 'resource_not_allowed', denial);
    }
  });

  it('stops a payment whose declared resource is outside the scope, though the URL is inside', async () => {
    const grant = await rootHolder.mint({ budget: '1.00', scope: { resources: [RESOURCE_URL] } });
    const body = order(stack.chain, {}, { resourceUrl: 'https://other.example.net/data/7' });
    await refused(grant, body, 403, 'resource_not_allowed', { grantId: grant.grant.id });
  });

  it('stops a payment on a network outside the scope', async () => {
    const grant = await rootHolder.mint({ budget: '1.00', scope: { networks: ['eip155:8453'] } });
    await refused(grant, order(stack.chain), 403, 'network_not_allowed', {
      grantId: grant.grant.id,
      limit: 'eip155:8453',
    });
  });

  it('stops every payment below a revoked root, naming the root', async () => {
    const top = await admin.mint({ budget: '5.00', delegationDepth: 2 });
    const middle = await admin.as(top.token).mint({ budget: '4.00' });
    const bottom = await admin.as(middle.token).mint({ budget: '3.00' });
    await admin.as(bottom.token).paid(order(stack.chain));

    const revoked = await admin.post(`/v1/grants/${top.grant.id}/revoke`, { reason: 'enough' });
    expect(revoked.status).toBe(200);
    for (const grant of [bottom, middle, top]) {
      await refused(grant, order(stack.chain), 403, 'grant_revoked', { grantId: top.grant.id });
    }
    expect(await admin.as(bottom.token).read('/v1/grants/self')).toMatchObject({
      status: 'revoked',
      remaining: '0.00',
    });
  });
});

describe('the audit log', () => {
  it('exports line by line what the events say, and its hashes can be checked offline', async () => {
    const events = await until('every event is sealed', async () => {
      const all = await admin.all<EventAnswer>('/v1/audit/events');
      return all.every(({ leafIndex }) => leafIndex !== null) && all;
    });
    const ordered = events.sort((a, b) => Number(a.leafIndex) - Number(b.leafIndex));
    expect(ordered.map(({ leafIndex }) => leafIndex)).toEqual(ordered.map((_, n) => String(n)));

    const exported = await admin.get('/v1/audit/export');
    expect(exported.status).toBe(200);
    expect(exported.headers.get('content-type')).toMatch(/^application\/jsonl/);
    const lines = linesOf(exported.text);
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      ordered.map(({ leafIndex: _index, ...event }) => ({
        version: 'bursar.event.v1',
        ...event,
      })),
    );
    for (const line of lines) expect(canonicalize(JSON.parse(line))).toBe(line);
    const head = headOf((await admin.get('/v1/audit/checkpoint')).text);
    expect(head).toEqual({ size: lines.length, root: rootOf(lines) });

    const part = await admin.get('/v1/audit/export?from=2&to=4');
    expect(linesOf(part.text)).toEqual(lines.slice(2, 5));
  });

  it('notices one changed character, one dropped line and two swapped ones', async () => {
    const lines = linesOf((await admin.get('/v1/audit/export')).text);
    const root = rootOf(lines);
    const [first = '', second = '', ...rest] = lines;
    expect(rootOf([first.replace('"at"', '"aT"'), second, ...rest])).not.toBe(root);
    expect(rootOf([second, ...rest])).not.toBe(root);
    expect(rootOf([second, first, ...rest])).not.toBe(root);
  });

  it('holds the decision each signature commits to, and no signature or token', async () => {
    const { token } = await admin.mint({ budget: '1.00' });
    const { payment, header } = await admin.as(token).paid(order(stack.chain));
    const { payload } = decodeHeader(header.value);
    expect(payload.authorization).toMatchObject({ nonce: payment.nonce, from: payment.wallet });
    const text = await until('the payment is in the export', async () => {
      const exported = await admin.get('/v1/audit/export');
      return exported.text.includes(payment.nonce) && exported.text;
    });
    expect(text).not.toContain(payload.signature.slice(2));
    expect(text).not.toContain(token);
  });

  it('leaves every invariant whole', async () => {
    expect(await brokenInvariants(stack.db)).toEqual([]);
  });
});

/** Mines until the service says that the payment is settled. */
async function settled(api: Api, id: string): Promise<PaymentView> {
  await stack.finalize();
  return until(`payment ${id} is settled`, async () => {
    const payment = await api.payment(id);
    return payment.status === 'settled' && payment;
  });
}
