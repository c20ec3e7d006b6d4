import { describe, expect, it } from '@jest/globals';
import { authorizationTypes } from '@x402/evm';
import fc from 'fast-check';
import { bytesToHex, hashTypedData } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { isNative, signByWasm, signDigest } from './ecdsa.js';
import { digestOf, type FlatTypedData } from './eip712.js';

const TOKEN = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const CANCEL = {
  CancelAuthorization: [
    { name: 'authorizer', type: 'address' },
    { name: 'nonce', type: 'bytes32' },
  ],
} as const;

const hex = (bytes: number) =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((array) => `0x${Buffer.from(array).toString('hex')}` as const);
const uint = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });
const domains = fc.record({
  name: fc.string(),
  version: fc.string(),
  chainId: fc.integer({ min: 1, max: 2 ** 40 }),
  verifyingContract: hex(20),
});
const transfers = fc.record({
  from: hex(20),
  to: hex(20),
  value: uint,
  validAfter: uint,
  validBefore: uint,
  nonce: hex(32),
});

describe('digestOf', () => {
  it("gives viem's bytes for every transfer and cancellation", () => {
    fc.assert(
      fc.property(domains, transfers, (domain, message) => {
        for (const data of [
          { domain, types: authorizationTypes, primaryType: 'TransferWithAuthorization', message },
          {
            domain,
            types: CANCEL,
            primaryType: 'CancelAuthorization',
            message: { authorizer: message.from, nonce: message.nonce },
          },
        ] as const) {
          const digest = digestOf(data as FlatTypedData);
          expect(bytesToHex(digest)).toBe(hashTypedData(data as never));
          // Once more, now that the domain and the type are known.
          expect(bytesToHex(digestOf(data as FlatTypedData))).toBe(hashTypedData(data as never));
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['a negative value', { value: -1n }],
    ['a value of 257 bits', { value: 2n ** 256n }],
    ['a short address', { to: '0x12' }],
    ['a nonce of 31 bytes', { nonce: `0x${'1'.repeat(62)}` }],
    ['a missing member', { from: undefined }],
  ])('refuses %s', (_what, changes) => {
    const message = {
      from: TOKEN,
      to: TOKEN,
      value: 1n,
      validAfter: 0n,
      validBefore: 1n,
      nonce: `0x${'1'.repeat(64)}`,
      ...changes,
    };
    const data = {
      domain: {},
      types: authorizationTypes,
      primaryType: 'TransferWithAuthorization',
      message,
    };
    expect(() => digestOf(data as unknown as FlatTypedData)).toThrow();
  });
});

describe.each([
  ['signDigest', signDigest],
  ['signByWasm', signByWasm],
])('%s', (_, sign) => {
  it("gives viem's bytes: RFC 6979 nonces, low s, 27 or 28", async () => {
    await fc.assert(
      fc.asyncProperty(hex(32), hex(32), async (key, digest) => {
        fc.pre(BigInt(key) > 0n && BigInt(key) < 2n ** 255n);
        const expected = await privateKeyToAccount(key).sign({ hash: digest });
        const made = sign(Buffer.from(key.slice(2), 'hex'), Buffer.from(digest.slice(2), 'hex'));
        expect(made).toBe(expected);
      }),
      { numRuns: 200 },
    );
  });
});

it('signs by machine code where the package brings it', () => {
  const brought = ['linux-x64', 'darwin-arm64', 'win32-x64'];
  expect(isNative).toBe(brought.includes(`${process.platform}-${process.arch}`));
});
