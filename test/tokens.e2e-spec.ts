import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Address } from 'viem';
import type { ChainToken } from '../sandbox/chain.js';
import { assetOf } from '../sandbox/stack.js';
import { loadConfig } from '../src/config/config.js';
import { currencyOf } from '../src/domain/money.js';
import { createLogger } from '../src/ops/logger.js';
import { type Service, startService } from '../src/service.js';
import { Api, expectProblem, type Minted, type Paid, type WalletAnswer } from './support/api.js';
import { wrongBesideChain } from './support/books.js';
import { environmentOf, startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { metricsOf } from './support/metrics.js';
import { ended, settle } from './support/settle.js';
import { decodeHeader, order, requirement } from './support/terms.js';
import { until } from './support/until.js';

interface Funds extends WalletAnswer {
  readonly asset: string;
  readonly currency: string;
}
interface Summary {
  readonly currency: string;
  readonly exposure: { readonly payments: number; readonly amount: string };
  readonly spent: string;
  readonly funds: { readonly balance: string; readonly reserved: string; readonly free: string };
}

/** Balance of a wallet in each token when the stack starts, in units. */
const WALLET_UNITS = 1_000_000n;

/** The further tokens, and a hundredth of their unit in atomic units: the seller's price. */
const FURTHER = [
  ['EURC', 10_000n],
  ['TUSD18', 10_000_000_000_000_000n],
] as const;

let stack: TestStack;
let wallets: number;
const grants: Record<string, Minted> = {};

beforeAll(async () => {
  stack = await startTestStack({ everyToken: true, movableClock: true });
  wallets = stack.service.walletAddresses.length;
  for (const currency of ['USDC', 'EURC', 'TUSD18']) {
    grants[currency] = await stack.admin.mint({
      currency,
      budget: '2000000.00',
      delegationDepth: 1,
    });
  }
}, 60_000);
afterAll(() => stack?.stop());

const tokenOf = (symbol: string): ChainToken => {
  const token = stack.chain.tokens.find((each) => each.symbol === symbol);
  if (!token) throw new Error(`the chain has no ${symbol}`);
  return token;
};
const grantOf = (currency: string): Minted => {
  const grant = grants[currency];
  if (!grant) throw new Error(`no grant in ${currency}`);
  return grant;
};
const agentOf = (currency: string): Api => stack.admin.as(grantOf(currency).token);
const summaryOf = (currency: string) =>
  stack.admin.read<Summary>(`/v1/summary?currency=${currency}`);

/** A requirement of so many atomic units of a token. */
const asking = (symbol: string, amount: bigint) => {
  const { address, name, version } = tokenOf(symbol);
  return requirement(stack.chain, {
    asset: address,
    amount: amount.toString(),
    extra: { name, version },
  });
};

/** Reserved amounts of the wallets, by token: nothing where nothing is. */
async function reservedByToken(): Promise<Record<string, bigint>> {
  const { rows } = await stack.db.query<{ asset: string; reserved: string }>(
    'SELECT asset, sum(reserved) AS reserved FROM wallet_balances GROUP BY asset HAVING sum(reserved) > 0',
  );
  return Object.fromEntries(
    rows.map(({ asset, reserved }) => [
      stack.chain.tokens.find(({ address }) => address === asset)?.symbol ?? asset,
      BigInt(reserved),
    ]),
  );
}

/** Balances of the wallets on chain, and as the database believes, by token. */
async function balancesByToken(): Promise<{ onChain: bigint[]; read: bigint[] }> {
  const { rows } = await stack.db.query<{ asset: string; balance: string }>(
    'SELECT asset, sum(balance) AS balance FROM wallet_balances GROUP BY asset',
  );
  const onChain = stack.chain.tokens.map(async ({ address }) => {
    const each = stack.service.walletAddresses.map((wallet) =>
      stack.chain.balanceOf(address, wallet as Address),
    );
    return (await Promise.all(each)).reduce((sum, balance) => sum + balance, 0n);
  });
  return {
    onChain: await Promise.all(onChain),
    read: stack.chain.tokens.map(({ address }) =>
      BigInt(rows.find(({ asset }) => asset === address)?.balance ?? -1),
    ),
  };
}

/** The counters of a grant, in atomic units, as stored. */
async function countersOf(grantId: string): Promise<{ reserved: bigint; spent: bigint }> {
  const { rows } = await stack.db.query('SELECT reserved, spent FROM grants WHERE id = $1', [
    grantId,
  ]);
  return { reserved: BigInt(rows[0].reserved), spent: BigInt(rows[0].spent) };
}

describe.each(FURTHER)('a grant in %s', (currency, cent) => {
  it('buys from a real seller, and every count is exact to the atomic unit', async () => {
    const { chain, seller } = stack;
    const { id } = grantOf(currency).grant;
    const url = `${seller.url}/${currency.toLowerCase()}/data/7`;
    const before = await balancesByToken();
    const earned = await chain.balanceOf(tokenOf(currency).address, seller.payTo);

    const unpaid = await fetch(url);
    expect(unpaid.status).toBe(402);
    const { payment, header, grant } = await agentOf(currency).paid({
      paymentRequired: unpaid.headers.get('payment-required'),
      request: { method: 'GET', url },
    });
    expect(payment).toMatchObject({
      amount: '0.01',
      currency,
      asset: tokenOf(currency).address,
      status: 'authorized',
    });
    expect(grant.remaining).toBe('1999999.99');
    expect(await countersOf(id)).toEqual({ reserved: cent, spent: 0n });
    expect(await reservedByToken()).toEqual({ [currency]: cent });
    expect(await summaryOf(currency)).toMatchObject({
      exposure: { payments: 1, amount: '0.01' },
      funds: { balance: '4000000.00', reserved: '0.01', free: '3999999.99' },
    });

    const paid = await fetch(url, { headers: { [header.name]: header.value } });
    expect({ status: paid.status, body: await paid.json() }).toMatchObject({
      status: 200,
      body: { page: '7' },
    });
    await stack.finalize();
    await ended(stack, payment.id, 'settled');
    expect(await countersOf(id)).toEqual({ reserved: 0n, spent: cent });
    expect(await reservedByToken()).toEqual({});
    expect(await chain.balanceOf(tokenOf(currency).address, seller.payTo)).toBe(earned + cent);

    const place = chain.tokens.indexOf(tokenOf(currency));
    const less = (balances: bigint[]) =>
      balances.map((balance, token) => (token === place ? balance - cent : balance));
    expect(await balancesByToken()).toEqual({
      onChain: less(before.onChain),
      read: less(before.read),
    });
    expect(await summaryOf(currency)).toMatchObject({
      currency,
      exposure: { payments: 0, amount: '0.00' },
      spent: '0.01',
      funds: { balance: '3999999.99', reserved: '0.00', free: '3999999.99' },
    });
  });

  it('has children in its own currency and in no other', async () => {
    const agent = agentOf(currency);
    const child = await agent.mint({ budget: '1.00' });
    expect(child.grant.currency).toBe(currency);
    const other = await agent.post('/v1/grants', { holder: 'a', budget: '1.00', currency: 'USDC' });
    expectProblem(other, 403, 'attenuation_violation', { field: 'currency', limit: currency });
    const unknown = await agent.post('/v1/grants', { holder: 'a', budget: '1', currency: 'DOGE' });
    expectProblem(unknown, 400, 'invalid_request', { field: 'currency' });
  });

  it('cancels on chain with the domain of its token', async () => {
    const agent = agentOf(currency);
    const paid = await agent.paid(order(stack.chain, {}, { options: [asking(currency, cent)] }));
    const { id } = paid.payment;
    expect((await agent.post(`/v1/payments/${id}/cancel`, {})).status).toBe(202);
    await until('the cancellation is final', async () => {
      await stack.chain.mineBlocks(1);
      return (await stack.admin.payment(id)).status === 'cancelled';
    });
    expect(await reservedByToken()).toEqual({});
  });

  it('takes the entry of its currency, whatever others cost', async () => {
    const options = [
      asking('USDC', 1n),
      asking(currency, 2n * cent),
      asking(currency === 'EURC' ? 'TUSD18' : 'EURC', 1n),
    ];
    const paid = await agentOf(currency).paid(order(stack.chain, {}, { options }));
    expect(paid.payment).toMatchObject({ amount: '0.02', currency });
    expect(await reservedByToken()).toEqual({ [currency]: 2n * cent });
    await settle(stack, paid);
    expect(await reservedByToken()).toEqual({});
  });
});

describe('a grant in USDC', () => {
  it.each(['EURC', 'TUSD18'])(
    'that is asked for %s only is refused, and holds nothing',
    async (symbol) => {
      const url = `${stack.seller.url}/${symbol.toLowerCase()}/data/7`;
      const unpaid = await fetch(url);
      const body = {
        paymentRequired: unpaid.headers.get('payment-required'),
        request: { method: 'GET', url },
      };
      const agent = agentOf('USDC');
      expectProblem(await agent.pay(body), 422, 'asset_not_supported');
      expect(await reservedByToken()).toEqual({});
      expect(await countersOf(grantOf('USDC').grant.id)).toEqual({ reserved: 0n, spent: 0n });
      const quote = await agent.post<{ options: { currency: string }[] }>(
        '/v1/payments/quote',
        body,
      );
      expect(quote.status).toBe(200);
      expect(quote.body).toMatchObject({
        decision: 'deny',
        options: [{ decision: 'deny', amount: '0.01', currency: symbol }],
      });
    },
  );
});

describe('the balances of a wallet', () => {
  it('are not drawn on by a payment of another token, however much there is of it', async () => {
    // In atomic units the wallets hold 10^12 times as much TUSD18.
    const tooMuch = WALLET_UNITS * 1_000_000n + 1n;
    const options = [asking('EURC', tooMuch)];
    const answer = await agentOf('EURC').pay(order(stack.chain, {}, { options }));
    expectProblem(answer, 503, 'treasury_insufficient', { limit: '1000000.000001' });
    expect(await reservedByToken()).toEqual({});
  });

  it('can each be reserved whole and at once', async () => {
    const paid: Paid[] = [];
    const price = { USDC: 999_999_000_000n, EURC: 999_999_000_000n, TUSD18: 999_999n * 10n ** 18n };
    for (const [symbol, amount] of Object.entries(price)) {
      const options = [asking(symbol, amount)];
      paid.push(await agentOf(symbol).paid(order(stack.chain, {}, { options })));
    }
    expect(await reservedByToken()).toEqual(price);
    for (const each of paid) await settle(stack, each);
    expect(await reservedByToken()).toEqual({});
  });
});

describe('answers about several tokens', () => {
  it('list the funds of every wallet by token', async () => {
    const items = await stack.admin.all<Funds>('/v1/wallets');
    expect(items).toHaveLength(3 * wallets);
    for (const { symbol, address } of stack.chain.tokens) {
      const own = items.filter(({ asset }) => asset === address);
      expect(own.map(({ currency }) => currency)).toEqual(Array(wallets).fill(symbol));
      expect(own.filter(({ balance }) => balance === '1000000.00').length).toBeGreaterThan(1);
    }
  });

  it('sum one currency at a time', async () => {
    const spent = { USDC: '999999.00', EURC: '999999.03', TUSD18: '999999.03' };
    const left = { USDC: '3000001.00', EURC: '3000000.97', TUSD18: '3000000.97' };
    for (const currency of ['USDC', 'EURC', 'TUSD18'] as const) {
      expect(await summaryOf(currency)).toMatchObject({
        currency,
        exposure: { payments: 0, amount: '0.00' },
        spent: spent[currency],
        funds: { balance: left[currency], reserved: '0.00', free: left[currency] },
      });
    }
    expect((await stack.admin.read<Summary>('/v1/summary')).currency).toBe('USDC');
    expectProblem(await stack.admin.get('/v1/summary?currency=DOGE'), 400, 'invalid_request', {
      field: 'currency',
    });
  });

  it('measure each token of a wallet, in units', async () => {
    const text = await metricsOf(stack.service);
    for (const { symbol, address } of stack.chain.tokens) {
      const lines = text
        .split('\n')
        .filter((line) => line.startsWith('bursar_wallet_free{') && line.includes(address));
      expect(lines).toHaveLength(wallets);
      for (const line of lines) expect(line).toContain(`currency="${symbol}"`);
      expect(lines.filter((line) => line.endsWith(' 1000000')).length).toBeGreaterThan(1);
      expect(text).toContain(`bursar_exposure{treasury="main",currency="${symbol}"} 0`);
    }
  });

  it('name the currencies there are when a mint asks for another', async () => {
    const answer = await stack.admin.post('/v1/grants', {
      holder: 'a',
      budget: '1.00',
      currency: 'DOGE',
      ttlSeconds: 60,
    });
    expectProblem(answer, 400, 'invalid_request', {
      field: 'currency',
      detail: 'currency "DOGE" is not known here; use one of: EURC, TUSD18, USDC',
    });
  });

  it('leave the books in order', async () => {
    expect(await brokenInvariants(stack.db)).toEqual([]);
    expect(await brokenOnChain(stack.db, stack.chain.rpcUrl)).toEqual([]);
    expect(await wrongBesideChain(stack)).toEqual([]);
  });
});

describe('tokens that share a currency', () => {
  let shared: TestStack;

  beforeAll(async () => {
    shared = await startTestStack({
      network: ({ network, rpcUrl, tokens }) => ({
        network,
        rpcUrls: [rpcUrl],
        finality: { blocks: 2 },
        pollMs: 500,
        assets: tokens.slice(0, 2).map((token) => ({ ...assetOf(token), currency: 'STABLE' })),
      }),
    });
  }, 60_000);
  afterAll(() => shared?.stop());

  it('are paid by one budget, each from its own balance', async () => {
    const [usdc, eurc] = shared.chain.tokens as [ChainToken, ChainToken, ChainToken];
    const { grant, token } = await shared.admin.mint({ currency: 'STABLE', budget: '0.03' });
    const agent = shared.admin.as(token);
    const of = ({ address: asset, name, version }: ChainToken, amount: string) =>
      order(shared.chain, { asset, amount, extra: { name, version } });
    const paid = [await agent.paid(of(usdc, '10000')), await agent.paid(of(eurc, '15000'))];
    expectProblem(await agent.pay(of(eurc, '5001')), 403, 'budget_exceeded', {
      limit: '0.03',
      remaining: '0.005',
    });
    const { rows } = await shared.db.query(
      'SELECT asset, reserved FROM wallet_balances WHERE reserved > 0 ORDER BY reserved',
    );
    expect(rows).toEqual([
      { asset: usdc.address, reserved: '10000' },
      { asset: eurc.address, reserved: '15000' },
    ]);
    expect(await shared.admin.read<Summary>('/v1/summary?currency=STABLE')).toMatchObject({
      funds: { balance: '8000000.00', reserved: '0.025', free: '7999999.975' },
    });
    for (const each of paid) await settle(shared, each);
    expect(await shared.admin.grant(grant.id)).toMatchObject({ spent: '0.025', reserved: '0.00' });
    expect(await brokenInvariants(shared.db)).toEqual([]);
  });

  it('are each a measure of their own', async () => {
    const text = await metricsOf(shared.service);
    const lines = text.split('\n').filter((line) => line.startsWith('bursar_wallet_free{'));
    expect(lines).toHaveLength(2 * shared.service.walletAddresses.length);
  });

  it('leave nothing for a default mint when none of them is USDC', async () => {
    const answer = await shared.admin.post('/v1/grants', {
      holder: 'a',
      budget: '1.00',
      ttlSeconds: 60,
    });
    expectProblem(answer, 400, 'invalid_request', {
      field: 'currency',
      detail: 'currency "USDC" is not known here; use one of: STABLE',
    });
  });
});

describe('a service whose configuration has changed', () => {
  const start = (assets: object[]): Promise<Service> => {
    const [network] = JSON.parse(environmentOf(stack).BURSAR_NETWORKS ?? '[]');
    const config = loadConfig({
      ...environmentOf(stack),
      BURSAR_NETWORKS: JSON.stringify([{ ...network, assets }]),
      PORT: '0',
      BURSAR_METRICS_PORT: '0',
      BURSAR_ROLE: 'api',
    });
    return startService(config, createLogger('silent'));
  };

  it('lists what is kept in a currency that it no longer names, and pays nothing with it', async () => {
    // Kept by the database alone: no configuration of this process ever named it.
    await stack.db.query(`INSERT INTO currencies (code, decimals) VALUES ('KEPT', 8)`);
    const replica = await startReplica(stack);
    try {
      expect(currencyOf('KEPT')).toEqual({ code: 'KEPT', decimals: 8 });
      const admin = new Api(replica.url, stack.admin.token);
      const { grant, token } = grantOf('TUSD18');
      expect(await admin.grant(grant.id)).toMatchObject({
        currency: 'TUSD18',
        spent: '999999.03',
      });
      for (const path of [
        '/v1/grants',
        '/v1/payments',
        '/v1/wallets',
        '/v1/summary?currency=TUSD18',
        '/v1/summary?currency=KEPT',
      ]) {
        expect({ path, status: (await admin.get(path)).status }).toEqual({ path, status: 200 });
      }
      expect(await metricsOf(replica)).toContain(
        'bursar_exposure{treasury="main",currency="TUSD18"} 0',
      );
      const agent = admin.as(token);
      expect((await agent.mint({ budget: '1.00' })).grant.currency).toBe('TUSD18');
      const options = [asking('TUSD18', 1n)];
      const answer = await agent.pay(order(stack.chain, {}, { options }));
      expectProblem(answer, 422, 'asset_not_supported');
      expectProblem(
        await admin.post('/v1/grants', {
          holder: 'a',
          budget: '1.00',
          currency: 'TUSD18',
          ttlSeconds: 60,
        }),
        400,
        'invalid_request',
        { field: 'currency', detail: expect.stringMatching(/use one of: USDC$/) as never },
      );
    } finally {
      await replica.stop();
    }
  });

  it('learns of a currency that another process records, and lists its grants', async () => {
    // A configuration of a later deployment, which only another process has.
    await stack.db.query(`INSERT INTO currencies (code, decimals) VALUES ('LATER', 2)`);
    await until('the currency is known', () => {
      try {
        return currencyOf('LATER').decimals === 2;
      } catch {
        return false;
      }
    });
    const summary = await stack.admin.read<Summary>('/v1/summary?currency=LATER');
    expect(summary).toMatchObject({ currency: 'LATER', spent: '0.00' });
  });

  it('ends an open payment in a token that it no longer names, as the chain says', async () => {
    const options = [asking('TUSD18', 7n)];
    const paid = await agentOf('TUSD18').paid(order(stack.chain, {}, { options }));
    await stack.service.stop();
    const replica = await startReplica(stack, 'all');
    try {
      const paymentPayload = decodeHeader(paid.header.value);
      const response = await fetch(`${stack.facilitator.url}/settle`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          x402Version: 2,
          paymentPayload,
          paymentRequirements: paymentPayload.accepted,
        }),
      });
      expect(await response.json()).toMatchObject({ success: true });
      // The logs of a token that is not configured are not followed. At its end, a payment is looked up.
      await stack.passTime(65);
      await stack.chain.mineBlocks(3);
      const admin = new Api(replica.url, stack.admin.token);
      await until('it is settled', async () => {
        return (await admin.payment(paid.payment.id)).status === 'settled';
      });
      expect(await reservedByToken()).toEqual({});
      expect(await brokenInvariants(stack.db)).toEqual([]);
    } finally {
      await replica.stop();
    }
  });

  it('does not start when it counts a currency differently than the database does', async () => {
    const usdc = assetOf(tokenOf('USDC'));
    const eurc = { ...assetOf(tokenOf('EURC')), currency: 'TUSD18' };
    await expect(start([usdc, eurc])).rejects.toMatchObject({
      name: 'ConfigError',
      problems: [
        'BURSAR_NETWORKS: TUSD18 has 6 decimals under assets, but this database keeps its amounts with 18; ' +
          'put the token with 18 decimals back, or give the other token another currency code',
      ],
    });
  });

  it('is not ready for a token that the chain has with other decimals or another domain, or not at all', async () => {
    const usdc = assetOf(tokenOf('USDC'));
    const eurc = assetOf(tokenOf('EURC'));
    const nowhere = '0x9999999999999999999999999999999999999999';
    for (const [wrong, reason] of [
      [{ ...eurc, currency: 'WRONG8', decimals: 8 }, `token ${eurc.address} has 6 decimals, not 8`],
      [{ ...eurc, version: '1' }, `token ${eurc.address} has another EIP-712 domain than "EURC"`],
      [
        { ...eurc, address: nowhere },
        `token ${nowhere} (EURC) does not answer DOMAIN_SEPARATOR() and decimals(); correct its address`,
      ],
    ] as const) {
      const replica = await start([usdc, wrong]);
      try {
        const admin = new Api(replica.url, stack.admin.token);
        const { networks } = await admin.read<{ networks: Record<string, string> }>('/v1/summary');
        expect(networks[stack.chain.network]).toContain(reason);
      } finally {
        await replica.stop();
      }
    }
  });
});
