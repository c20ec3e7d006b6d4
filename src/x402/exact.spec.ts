import { beforeAll, describe, expect, it } from '@jest/globals';
import { verifyTypedData } from 'viem';
import type { Asset } from '../domain/network.js';
import { Problem } from '../domain/problem.js';
import { MnemonicSigner } from '../treasury/signer.js';
import { exact, exactTypedData } from './exact.js';
import { parsePaymentRequired } from './parse.js';
import type { FixedPayment } from './scheme.js';

const PAYEE = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const ASSET: Asset = {
  currency: 'USDC',
  address: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
  decimals: 6,
  name: 'USDC',
  version: '2',
};
const signer = new MnemonicSigner('test test test test test test test test test test test junk', 1);
beforeAll(() => signer.wallets({ position: 0 }));
const WALLET = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';

const REQUIREMENT = {
  scheme: 'exact',
  payTo: PAYEE.toLowerCase(),
  amount: '50000',
  network: 'eip155:84532',
  asset: ASSET.address.toLowerCase(),
  extra: { version: '2', name: 'USDC' },
  maxTimeoutSeconds: 60,
};
const RESOURCE = { mimeType: 'text/plain', url: 'https://api.example.com/data/7', description: '' };

function payment(changes: Partial<FixedPayment> = {}): FixedPayment {
  return {
    id: 'pay_01jd5v9n6qe8rb3k2m7xw4hzcy',
    x402Version: 2,
    chainId: 84_532,
    from: WALLET,
    to: PAYEE,
    value: 50_000n,
    validAfter: 0n,
    validBefore: 1_795_255_260n,
    nonce: `0x${'5a'.repeat(32)}`,
    requirementJson: JSON.stringify(REQUIREMENT),
    resourceJson: JSON.stringify(RESOURCE),
    extensionsJson: undefined,
    ...changes,
  };
}

/** The terms as a seller's 402 with that `extra` makes them, through the parser. */
function paymentWithExtra(extra: unknown): FixedPayment {
  const [offer] = parsePaymentRequired({
    x402Version: 2,
    resource: RESOURCE,
    accepts: [{ ...REQUIREMENT, extra }],
  }).offers;
  if (!offer) throw new Error('the offer was not usable');
  return payment({
    requirementJson: offer.json,
    to: offer.payTo,
    value: offer.amount,
  });
}

describe('exact.variant', () => {
  it.each([
    [{}, false],
    [{ assetTransferMethod: 'eip3009', paymentFlow: 'authorization' }, false],
    [{ assetTransferMethod: null, paymentFlow: null }, false],
    [{ paymentFlow: 'upfront' }, true],
  ])('takes %j, and its being upfront is %j', (extra, isUpfront) => {
    expect(exact.variant(extra, 'accepts[0]')).toEqual({ isUpfront });
  });

  it.each<[string, unknown]>([
    ['assetTransferMethod', 'permit2'],
    ['assetTransferMethod', 'EIP3009'],
    ['assetTransferMethod', ['eip3009']],
    ['assetTransferMethod', ''],
    ['paymentFlow', 'Upfront'],
    ['paymentFlow', 'escrow'],
    ['paymentFlow', true],
    ['paymentFlow', ''],
  ])('refuses %s %j and shows it only as the seller\u2019s text', (member, value) => {
    let refusal: unknown;
    try {
      exact.variant({ [member]: value }, 'accepts[3]');
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(Problem);
    const { code, detail, fields } = refusal as Problem;
    expect(code).toBe('scheme_not_supported');
    expect(detail).toMatch(
      new RegExp(`^accepts\\[3\\]: extra.${member} is not supported, \\w+ is$`),
    );
    expect(fields.sellerText).toMatch(/^untrusted, from the seller: /);
  });
});

describe('exact.contradiction', () => {
  const lower = ASSET.address.toLowerCase();

  it.each<Record<string, unknown>>([
    {},
    { name: 'USDC', version: '2' },
    { name: null, version: null, verifyingContract: null, chainId: null },
    { verifyingContract: ASSET.address, chainId: 84_532 },
    { verifyingContract: lower, chainId: '84532' },
    { verifyingContract: `0x${lower.slice(2).toUpperCase()}`, chainId: 'eip155:84532' },
    { salt: `0x${'11'.repeat(32)}`, domain: { name: 'DAI' }, decimals: 18 },
  ])('finds none in %j', (extra) => {
    expect(exact.contradiction(extra, ASSET, 84_532)).toBeUndefined();
  });

  it.each<[string, unknown[]]>([
    ['name', ['USD Coin', 'usdc', 'USDC ', '', 1, ['USDC'], {}, false]],
    ['version', ['1', '', 2, ['2'], '2.0']],
    ['verifyingContract', [PAYEE, '', 'USDC', ASSET.address.slice(2), [ASSET.address], 1, {}]],
    [
      'chainId',
      [1, '1', '0x14a34', 'eip155:1', '', [84_532], {}, true, { toString: 1, valueOf: 1 }],
    ],
  ])('finds every %s that is not the registered token\u2019s', (member, values) => {
    for (const value of values) {
      const extra = { name: 'USDC', version: '2', [member]: value };
      expect([value, exact.contradiction(extra, ASSET, 84_532)]).toEqual([value, member]);
    }
  });

  it('finds the Circle Gateway entry that is cheaper and useless', () => {
    const gateway = { name: 'GatewayWalletBatched', version: '1' };
    expect(exact.contradiction(gateway, ASSET, 84_532)).toBe('name');
    const renamed = { verifyingContract: '0x0077777d7EBA4688BDeF3E311b846F25870A19B9' };
    expect(exact.contradiction(renamed, ASSET, 84_532)).toBe('verifyingContract');
  });
});

describe('exactTypedData', () => {
  it("is EIP-3009's TransferWithAuthorization on the registered token's domain", () => {
    const data = exactTypedData(payment(), ASSET);
    expect(data).toEqual({
      domain: {
        name: 'USDC',
        version: '2',
        chainId: 84_532,
        verifyingContract: ASSET.address,
      },
      types: {
        TransferWithAuthorization: [
          { name: 'from', type: 'address' },
          { name: 'to', type: 'address' },
          { name: 'value', type: 'uint256' },
          { name: 'validAfter', type: 'uint256' },
          { name: 'validBefore', type: 'uint256' },
          { name: 'nonce', type: 'bytes32' },
        ],
      },
      primaryType: 'TransferWithAuthorization',
      message: {
        from: WALLET,
        to: PAYEE,
        value: 50_000n,
        validAfter: 0n,
        validBefore: 1_795_255_260n,
        nonce: `0x${'5a'.repeat(32)}`,
      },
    });
  });

  it.each([
    ['another name', { name: 'Evil Dollar', version: '2' }],
    ['another version', { name: 'USDC', version: '1' }],
    ['another contract', { verifyingContract: PAYEE, chainId: 1 }],
    ['a whole domain', { domain: { name: 'DAI', version: '1', chainId: 1 } }],
    ['a salt', { salt: `0x${'11'.repeat(32)}` }],
    ['nothing', undefined],
    ['null', null],
  ])('signs the same bytes whatever extra says: %s', async (_what, extra) => {
    const honest = paymentWithExtra({ name: 'USDC', version: '2' });
    const mutated = paymentWithExtra(extra);
    expect(mutated.requirementJson).not.toBe(honest.requirementJson);
    expect(await signer.sign(WALLET, exactTypedData(mutated, ASSET))).toBe(
      await signer.sign(WALLET, exactTypedData(honest, ASSET)),
    );
  });

  it("is signed so that the token recovers the treasury's wallet", async () => {
    const data = exactTypedData(payment(), ASSET);
    const signature = await signer.sign(WALLET, data);
    expect(await verifyTypedData({ address: WALLET, ...data, signature })).toBe(true);
    expect(await verifyTypedData({ address: PAYEE, ...data, signature })).toBe(false);
  });

  it.each([
    ['payee', { to: WALLET }, {}],
    ['value', { value: 50_001n }, {}],
    ['start', { validAfter: 1n }, {}],
    ['end', { validBefore: 1_795_255_261n }, {}],
    ['nonce', { nonce: `0x${'5b'.repeat(32)}` }, {}],
    ['chain', { chainId: 8_453 }, {}],
    ['token', {}, { address: PAYEE }],
    ['domain name', {}, { name: 'USD Coin' }],
    ['domain version', {}, { version: '1' }],
  ] as [string, Partial<FixedPayment>, Partial<Asset>][])(
    'signs the %s: the signature is worthless for another',
    async (_what, changes, assetChanges) => {
      const signature = await signer.sign(WALLET, exactTypedData(payment(), ASSET));
      const other = exactTypedData(payment(changes), { ...ASSET, ...assetChanges });
      expect(await verifyTypedData({ address: WALLET, ...other, signature })).toBe(false);
      expect(await signer.sign(WALLET, other)).not.toBe(signature);
    },
  );
});
