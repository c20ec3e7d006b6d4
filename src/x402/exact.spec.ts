import { beforeAll, describe, expect, it } from '@jest/globals';
import { verifyTypedData } from 'viem';
import type { Asset } from '../domain/network.js';
import { MnemonicSigner } from '../treasury/signer.js';
import { exactTypedData } from './exact.js';
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
