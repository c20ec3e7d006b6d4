import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { wrapAxiosWithPayment } from '@x402/axios';
import { wrapFetchWithPayment } from '@x402/fetch';
import axios from 'axios';
import type { HttpService } from '../../../sandbox/ports.js';
import { startTestStack, type TestStack } from '../../../test/support/bursar.js';
import { startHonoSeller, startV1Seller } from '../../../test/support/sellers.js';
import { until } from '../../../test/support/until.js';
import { Bursar } from '../src/index.js';
import { bursarX402 } from '../src/x402.js';
import { askToPay, type HostileSeller, receipt, startHostileSeller } from './hostile-seller.js';

let stack: TestStack;
let sellers: Record<'v1' | 'v2', HttpService>;
let hostile: HostileSeller;
let stranger: HostileSeller;

beforeAll(async () => {
  stack = await startTestStack();
  const terms = {
    facilitatorUrl: stack.facilitator.url,
    payTo: stack.seller.payTo,
    network: stack.chain.network,
  } as const;
  sellers = { v1: await startV1Seller(terms), v2: await startHonoSeller(terms) };
  hostile = await startHostileSeller();
  stranger = await startHostileSeller();
});

afterAll(async () => {
  await Promise.all([sellers?.v1.stop(), sellers?.v2.stop(), hostile?.stop(), stranger?.stop()]);
  await stack?.stop();
});

/** A way to get a page with one of the published clients, paying through a grant of its own. */
async function buyer(kind: '@x402/fetch' | '@x402/axios') {
  const { grant, token } = await stack.admin.mint({ budget: '1' });
  const { client, fetch } = bursarX402(new Bursar({ url: stack.service.url, token }));
  const instance = axios.create({ adapter: 'fetch', env: { fetch } });
  const get =
    kind === '@x402/fetch'
      ? (
          (wrapped) =>
          async (url: string, headers = {}) =>
            (await wrapped(url, { headers })).json()
        )(wrapFetchWithPayment(fetch, client))
      : (
          (wrapped) =>
          async (url: string, headers = {}) =>
            (await wrapped.get(url, { headers })).data
        )(wrapAxiosWithPayment(instance, client));
  return { get, grantId: grant.id };
}

describe.each(['@x402/fetch', '@x402/axios'] as const)('the unmodified %s', (kind) => {
  it.each(['v1', 'v2'] as const)(
    'buys from a published %s seller, and it settles',
    async (version) => {
      const { get, grantId } = await buyer(kind);
      expect(await get(`${sellers[version].url}/data/7`)).toEqual({ page: '7' });
      await until('it is settled', async () => {
        await stack.finalize();
        return (await stack.admin.grant(grantId)).spent === '0.01';
      });
    },
  );

  it('keeps one key over a lost answer, with and without a name', async () => {
    hostile.behave(({ payment }, response) => {
      if (!payment) return askToPay(stack, response);
      if (hostile.payments().length % 2 === 1) return response.destroy();
      response.end('{"page":1}');
    });
    const { get, grantId } = await buyer(kind);
    for (const headers of [{}, { 'idempotency-key': 'page 1' }]) {
      await expect(get(hostile.url, headers)).rejects.toThrow();
      expect(await get(hostile.url, headers)).toEqual({ page: 1 });
    }
    expect(new Set(hostile.payments()).size).toBe(2);
    expect((await stack.admin.grant(grantId)).payments).toBe(2);
  });

  it('does not pay the stranger that a redirect leads to', async () => {
    hostile.behave((_seen, response) => response.writeHead(302, { location: stranger.url }).end());
    stranger.behave((_seen, response) => askToPay(stack, response));
    const { get, grantId } = await buyer(kind);
    await expect(get(hostile.url)).rejects.toThrow(/not_payable/);
    expect(stranger.payments()).toEqual([]);
    expect((await stack.admin.grant(grantId)).payments).toBe(0);
  });

  it('does not pay again for a 402 that says it was paid', async () => {
    hostile.behave(({ payment }, response) => {
      if (payment) response.setHeader('payment-response', receipt(true));
      askToPay(stack, response);
    });
    const { get, grantId } = await buyer(kind);
    await expect(get(hostile.url)).rejects.toThrow(/paid_not_delivered/);
    expect(hostile.payments()).toHaveLength(1);
    expect((await stack.admin.grant(grantId)).payments).toBe(1);
  });

  it('says so when it is given another fetch', async () => {
    const { token } = await stack.admin.mint({ budget: '1' });
    const { client } = bursarX402(new Bursar({ url: stack.service.url, token }));
    hostile.behave((_seen, response) => askToPay(stack, response));
    const call =
      kind === '@x402/fetch'
        ? wrapFetchWithPayment(fetch, client)(hostile.url)
        : wrapAxiosWithPayment(axios.create(), client).get(hostile.url);
    await expect(call).rejects.toThrow(/wrap the fetch that bursarX402 returned/);
  });
});
