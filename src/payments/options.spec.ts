import { describe, expect, it } from '@jest/globals';
import type { Asset } from '../domain/network.js';
import { parseResource, type Resource } from '../domain/scope.js';
import { parsePaymentRequired } from '../x402/parse.js';
import { matchableOffers, type PayableTerms, sortOptions, whyUnpayable } from './options.js';

const NETWORK = 'eip155:84532';
const TOKEN = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const PAYEE = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const USDC = {
  address: TOKEN,
  currency: 'USDC',
  name: 'USDC',
  version: '2',
} as unknown as Asset;

const requested = parseResource('https://api.example.com/data/7') as Resource;

/** A configuration that knows one network and one token. */
function here(changes: { flows?: string[] | undefined; isReady?: boolean } = {}): PayableTerms {
  const { flows = ['authorization'], isReady = true } = changes;
  return {
    networks: {
      find: (network: string) => (network === NETWORK ? { chainId: 84_532 } : undefined),
      asset: (network: string, asset: string) =>
        network === NETWORK && asset === TOKEN ? USDC : undefined,
      health: () => (isReady ? { ready: true } : { ready: false, reason: 'its RPC is away' }),
    } as unknown as PayableTerms['networks'],
    paymentFlows: flows,
  };
}

function entry(changes: object = {}) {
  return {
    scheme: 'exact',
    network: NETWORK,
    amount: '10000',
    asset: TOKEN,
    payTo: PAYEE,
    maxTimeoutSeconds: 60,
    extra: { name: 'USDC', version: '2' },
    ...changes,
  };
}

function terms(entries: readonly object[], resource: object = { url: 'https://api.example.com/' }) {
  return parsePaymentRequired({ x402Version: 2, resource, accepts: entries });
}

describe('an entry that contradicts what would be signed for it', () => {
  it.each([
    ['name', { name: 'GatewayWalletBatched', version: '1' }],
    ['name', { name: 'USD Coin', version: '2' }],
    ['name', { name: 7 }],
    ['version', { name: 'USDC', version: '1' }],
    ['version', { version: 2 }],
    ['verifyingContract', { verifyingContract: PAYEE }],
    ['verifyingContract', { verifyingContract: [TOKEN] }],
    ['chainId', { chainId: 8453 }],
    ['chainId', { chainId: 'eip155:8453' }],
    ['chainId', { chainId: { id: 84_532 } }],
  ])('in extra.%s is left aside, and its neighbour is paid: %j', (member, extra) => {
    const sorted = sortOptions(terms([entry({ extra, amount: '1' }), entry()]), requested, here());
    expect(sorted.payable.map(({ index }) => index)).toEqual([1]);
    const [{ index, problem } = {}] = sorted.unusable;
    expect(index).toBe(0);
    expect(problem).toMatchObject({
      code: 'requirements_invalid',
      detail: expect.stringContaining(`extra.${member} contradicts token`),
      fields: { sellerText: expect.stringMatching(/^untrusted, from the seller: /) },
    });
    expect(problem?.detail).not.toMatch(/Gateway|USD Coin/);
  });

  it.each([
    undefined,
    null,
    {},
    { name: null, version: null, verifyingContract: null, chainId: null },
    { verifyingContract: TOKEN.toLowerCase() },
    { chainId: 84_532 },
    { chainId: '84532' },
    { chainId: NETWORK },
    { assetTransferMethod: 'eip3009', paymentFlow: 'authorization' },
    { anything: 'else' },
  ])('is not one with the extra %j', (extra) => {
    const sorted = sortOptions(terms([entry({ extra })]), requested, here());
    expect(sorted.payable.map(({ index }) => index)).toEqual([0]);
  });

  it('stands for no earlier payment', () => {
    const contradicting = entry({ extra: { name: 'GatewayWalletBatched' } });
    const upfront = entry({ extra: { paymentFlow: 'upfront' } });
    const matchable = (flows?: string[]) =>
      matchableOffers(terms([contradicting, upfront, entry()]), here({ flows })).map(
        ({ index }) => index,
      );
    expect(matchable()).toEqual([2]);
    expect(matchable(['authorization', 'upfront'])).toEqual([1, 2]);
  });
});

describe('sortOptions', () => {
  it('pays upfront only where the configuration allows it', () => {
    const upfront = terms([entry({ extra: { paymentFlow: 'upfront' } })]);
    expect(sortOptions(upfront, requested, here()).unusable[0]?.problem).toMatchObject({
      code: 'scheme_not_supported',
      detail: expect.stringContaining('BURSAR_PAYMENT_FLOWS'),
    });
    const allowed = sortOptions(upfront, requested, here({ flows: ['upfront'] }));
    expect(allowed.payable).toMatchObject([{ index: 0, isUpfront: true }]);
  });

  it('leaves every entry aside whose network is not ready, and still matches it', () => {
    const given = terms([entry()]);
    const away = here({ isReady: false });
    expect(sortOptions(given, requested, away)).toMatchObject({
      payable: [],
      unusable: [{ problem: { code: 'unavailable' } }],
    });
    expect(matchableOffers(given, away)).toHaveLength(1);
  });

  it('names each fault of its own, in the order of the entries', () => {
    const given = terms([
      entry({ network: 'eip155:1' }),
      entry({ scheme: 'upto' }),
      entry({ asset: PAYEE }),
      null as unknown as object,
      entry(),
    ]);
    const { payable, unusable } = sortOptions(given, requested, here());
    expect(payable.map(({ index }) => index)).toEqual([4]);
    expect(unusable.map(({ index, problem }) => [index, problem.code])).toEqual([
      [0, 'network_not_supported'],
      [1, 'scheme_not_supported'],
      [2, 'asset_not_supported'],
      [3, 'requirements_invalid'],
    ]);
  });

  it('holds a declared resource against the scope only when it names another public host', () => {
    const hostsOf = (url: string) =>
      sortOptions(terms([entry()], { url }), requested, here()).payable[0]?.resources.map(
        ({ host }) => host,
      );
    expect(hostsOf('http://10.0.0.7:3000/data')).toEqual(['api.example.com']);
    expect(hostsOf('/data/7')).toEqual(['api.example.com']);
    expect(hostsOf('mcp://tool/weather')).toEqual(['api.example.com']);
    expect(hostsOf('https://other.example/')).toEqual(['api.example.com', 'other.example']);
  });

  it('refuses an entry whose header would not fit, before anything is reserved', () => {
    const given = terms([entry({ extra: { name: 'USDC', more: 'x'.repeat(8_000) } }), entry()]);
    const { payable, unusable } = sortOptions(given, requested, here());
    expect(payable.map(({ index }) => index)).toEqual([1]);
    expect(unusable[0]?.problem).toMatchObject({
      code: 'requirements_invalid',
      detail: expect.stringContaining('servers take 8192'),
    });
  });
});

describe('whyUnpayable', () => {
  const given = terms([entry({ scheme: 'upto' }), entry({ asset: PAYEE })]);
  const { unusable } = sortOptions(given, requested, here());

  it('tells the fault of the entry that is nearest to being payable', () => {
    expect(whyUnpayable(given, unusable, undefined)).toMatchObject({
      code: 'asset_not_supported',
      detail: expect.stringContaining('none of the 2 entries of accepts can be paid'),
    });
  });

  it('tells the fault of the entry that the agent chose', () => {
    expect(whyUnpayable(given, unusable, 0).code).toBe('scheme_not_supported');
  });

  it('says that there are no entries', () => {
    expect(whyUnpayable(terms([]), [], undefined).detail).toContain('accepts is empty');
  });

  it('says how many entries were not read', () => {
    const many = terms(Array.from({ length: 70 }, () => entry({ scheme: 'upto' })));
    const { detail } = whyUnpayable(many, sortOptions(many, requested, here()).unusable, undefined);
    expect(detail).toContain('none of the 70 entries of accepts, of which the first 64 were read');
  });
});
