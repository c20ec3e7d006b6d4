import { beforeAll, describe, expect, it } from '@jest/globals';
import { decodePaymentSignatureHeader } from '@x402/core/http';
import { parsePaymentPayload } from '@x402/core/schemas';
import { verifyTypedData } from 'viem';
import type { Asset } from '../domain/network.js';
import { MnemonicSigner } from '../treasury/signer.js';
import { type ExactPayment, exactHeader, exactTypedData } from './exact.js';
import { parsePaymentRequired } from './parse.js';

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

// Odd orders and unknown members on purpose: all of it must come back as it was.
const REQUIREMENT = {
  zeta: [3, { b: null, a: 'caf\u00e9 \u20ac \ud83d\ude00' }],
  scheme: 'exact',
  payTo: PAYEE.toLowerCase(),
  amount: '50000',
  network: 'eip155:84532',
  asset: ASSET.address.toLowerCase(),
  extra: { version: '2', name: 'USDC', note: { deep: [true] } },
  maxTimeoutSeconds: 60,
  alpha: 1.5,
};
const RESOURCE = { mimeType: 'text/plain', url: 'https://api.example.com/data/7', description: '' };
const EXTENSIONS = { 'payment-identifier': { required: false }, bazaar: { info: {} } };

function payment(changes: Partial<ExactPayment> = {}): ExactPayment {
  return {
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
    extensionsJson: JSON.stringify(EXTENSIONS),
    ...changes,
  };
}

const V1_REQUIREMENT = {
  scheme: 'exact',
  network: 'base-sepolia',
  maxAmountRequired: '50000',
  resource: 'https://api.example.com/data/7',
  description: '',
  payTo: PAYEE,
  asset: ASSET.address,
  maxTimeoutSeconds: 60,
  extra: { name: 'USDC', version: '2' },
};

function v1Payment(): ExactPayment {
  return payment({
    x402Version: 1,
    requirementJson: JSON.stringify(V1_REQUIREMENT),
    resourceJson: undefined,
    extensionsJson: undefined,
  });
}

const AUTHORIZATION = {
  from: WALLET,
  to: PAYEE,
  value: '50000',
  validAfter: '0',
  validBefore: '1795255260',
  nonce: `0x${'5a'.repeat(32)}`,
};

/** The terms as a seller's 402 with that `extra` makes them, through the parser. */
function paymentWithExtra(extra: unknown): ExactPayment {
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

describe('exactHeader', () => {
  it('gives a v2 seller the header that its own library decodes and accepts', () => {
    const { name, value } = exactHeader(payment(), '0xsigned');
    expect(name).toBe('PAYMENT-SIGNATURE');
    const decoded = decodePaymentSignatureHeader(value);
    expect(parsePaymentPayload(decoded).success).toBe(true);
    expect(decoded).toEqual({
      x402Version: 2,
      resource: RESOURCE,
      accepted: REQUIREMENT,
      payload: { signature: '0xsigned', authorization: AUTHORIZATION },
      extensions: EXTENSIONS,
    });
  });

  it('echoes requirement, resource and extensions byte for byte, in the order they came', () => {
    const decoded = decodePaymentSignatureHeader(exactHeader(payment(), '0x').value);
    expect(JSON.stringify(decoded.accepted)).toBe(JSON.stringify(REQUIREMENT));
    expect(JSON.stringify(decoded.resource)).toBe(JSON.stringify(RESOURCE));
    expect(JSON.stringify(decoded.extensions)).toBe(JSON.stringify(EXTENSIONS));
  });

  it('echoes what the parser read from a header, which is what the seller sent', () => {
    const sent = {
      x402Version: 2,
      extensions: EXTENSIONS,
      accepts: [{ ...REQUIREMENT, scheme: 'upto' }, REQUIREMENT],
      resource: RESOURCE,
    };
    const terms = parsePaymentRequired(Buffer.from(JSON.stringify(sent)).toString('base64'));
    const [offer] = terms.offers;
    const { resourceJson, extensionsJson } = terms;
    const echoed = payment({ requirementJson: offer?.json ?? '', resourceJson, extensionsJson });
    const decoded = decodePaymentSignatureHeader(exactHeader(echoed, '0x').value);
    expect(JSON.stringify(decoded.accepted)).toBe(JSON.stringify(sent.accepts[1]));
    expect(JSON.stringify(decoded.resource)).toBe(JSON.stringify(sent.resource));
    expect(JSON.stringify(decoded.extensions)).toBe(JSON.stringify(sent.extensions));
  });

  it('leaves out the extensions and the resource that the seller did not send', () => {
    const bare = payment({ resourceJson: undefined, extensionsJson: undefined });
    const decoded = decodePaymentSignatureHeader(exactHeader(bare, '0x').value);
    expect(Object.keys(decoded)).toEqual(['x402Version', 'accepted', 'payload']);
    expect(parsePaymentPayload(decoded).success).toBe(true);
  });

  it("gives a v1 seller X-PAYMENT with v1's members only, the network by its v1 name", () => {
    const { name, value } = exactHeader(v1Payment(), '0xsigned');
    expect(name).toBe('X-PAYMENT');
    const decoded = JSON.parse(Buffer.from(value, 'base64').toString('utf8'));
    expect(parsePaymentPayload(decoded).success).toBe(true);
    expect(decoded).toEqual({
      x402Version: 1,
      scheme: 'exact',
      network: 'base-sepolia',
      payload: { signature: '0xsigned', authorization: AUTHORIZATION },
    });
  });

  it('writes numbers past 2^53 as exact decimal text', () => {
    const value = 2n ** 256n - 1n;
    const validBefore = 2n ** 53n + 1n;
    const header = exactHeader(payment({ value, validBefore }), '0x');
    expect(decodePaymentSignatureHeader(header.value).payload.authorization).toMatchObject({
      value: value.toString(),
      validBefore: '9007199254740993',
    });
  });

  it.each([
    ['v2', payment()],
    ['v1', v1Payment()],
  ])('is padded base64 on one line and the same every time in %s', (_version, given) => {
    const { value } = exactHeader(given, '0x');
    expect(value).toMatch(/^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/);
    expect(exactHeader(structuredClone(given), '0x').value).toBe(value);
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
  ] as [string, Partial<ExactPayment>, Partial<Asset>][])(
    'signs the %s: the signature is worthless for another',
    async (_what, changes, assetChanges) => {
      const signature = await signer.sign(WALLET, exactTypedData(payment(), ASSET));
      const other = exactTypedData(payment(changes), { ...ASSET, ...assetChanges });
      expect(await verifyTypedData({ address: WALLET, ...other, signature })).toBe(false);
      expect(await signer.sign(WALLET, other)).not.toBe(signature);
    },
  );
});
