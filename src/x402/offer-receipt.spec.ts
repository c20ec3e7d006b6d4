import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  createEIP712OfferReceiptIssuer,
  createJWSOfferReceiptIssuer,
  type SignedReceipt,
} from '@x402/extensions/offer-receipt';
import { CompactSign, exportJWK, generateKeyPair, type JWK } from 'jose';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { judgeReceipt, type ReceiptSubject } from './offer-receipt.js';

const URL_PAID = 'https://api.example.com/data/7?x=1';
const PAYER = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const TRANSACTION = `0x${'ab'.repeat(32)}`;
const NOW = new Date();

const seller = privateKeyToAccount(generatePrivateKey());
const stranger = privateKeyToAccount(generatePrivateKey());

const SUBJECT: ReceiptSubject = {
  network: 'eip155:84532',
  payer: PAYER,
  payTo: seller.address,
  resources: [URL_PAID, 'http://inner:8080/data/7'],
  transactions: [TRANSACTION],
  authorizedAt: NOW,
  extensionsJson: undefined,
};

const eip712 = (account: typeof seller) =>
  createEIP712OfferReceiptIssuer(`did:pkh:eip155:1:${account.address}`, (data) =>
    account.signTypedData(data as never),
  );

function judge(receipt: unknown, changes: Partial<ReceiptSubject> = {}, now = NOW) {
  return judgeReceipt({ 'offer-receipt': { info: { receipt } } }, { ...SUBJECT, ...changes }, now);
}

const receiptBy = (account: typeof seller, transaction?: string) =>
  eip712(account).issueReceipt(URL_PAID, PAYER, SUBJECT.network, transaction);

/** The extensions of a 402 with one offer that this issuer signed. */
async function offered(issuer: ReturnType<typeof eip712>): Promise<string> {
  const offer = await issuer.issueOffer(URL_PAID, {
    acceptIndex: 0,
    scheme: 'exact',
    network: SUBJECT.network,
    asset: PAYER,
    payTo: SUBJECT.payTo,
    amount: '10000',
  });
  return JSON.stringify({ 'offer-receipt': { info: { offers: [offer] }, schema: {} } });
}

/** A key, and what signs with it under any header. */
async function keyOf(algorithm: 'ES256' | 'EdDSA') {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = await exportJWK(publicKey);
  const signWith = (payload: object, header: object) =>
    new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
      .setProtectedHeader({ alg: algorithm, ...header })
      .sign(privateKey);
  return { jwk, sign: signWith };
}

const PAYLOAD = {
  version: 1,
  network: SUBJECT.network,
  resourceUrl: URL_PAID,
  payer: PAYER,
  issuedAt: Math.floor(NOW.getTime() / 1000),
};

const didJwk = (jwk: JWK) => `did:jwk:${Buffer.from(JSON.stringify(jwk)).toString('base64url')}`;

describe('judgeReceipt', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['other extensions', { bazaar: {} }],
    ['the extension without a receipt', { 'offer-receipt': { info: {} } }],
    ['a list', []],
    ['text', 'offer-receipt'],
    ['null in its place', { 'offer-receipt': { info: { receipt: null } } }],
  ])('finds no signature in %s', async (_what, extensions) => {
    expect(await judgeReceipt(extensions, SUBJECT, NOW)).toEqual({ outcome: 'none' });
  });

  describe('of EIP-712', () => {
    it('takes the payee’s signature, with and without the transaction', async () => {
      const valid = { outcome: 'valid', signer: seller.address };
      expect(await judge(await receiptBy(seller))).toEqual(valid);
      expect(await judge(await receiptBy(seller, TRANSACTION))).toEqual(valid);
    });

    it('takes the signature of who signed the offer, and of nobody else', async () => {
      const offer = { payTo: PAYER, extensionsJson: await offered(eip712(seller)) };
      expect(await judge(await receiptBy(seller), offer)).toMatchObject({ outcome: 'valid' });
      expect(await judge(await receiptBy(stranger), offer)).toMatchObject({
        outcome: 'invalid',
        signer: stranger.address,
        reason: expect.stringContaining(seller.address),
      });
    });

    it('cannot verify a stranger’s where no offer says who signs', async () => {
      expect(await judge(await receiptBy(stranger))).toMatchObject({
        outcome: 'unverifiable',
        signer: stranger.address,
      });
    });

    it('finds every change after the signing', async () => {
      const offer = { extensionsJson: await offered(eip712(seller)) };
      const receipt = (await receiptBy(seller)) as SignedReceipt & { payload: typeof PAYLOAD };
      expect(await judge(receipt, offer)).toMatchObject({ outcome: 'valid' });
      for (const change of [
        { version: 2 },
        { network: 'eip155:1' },
        { resourceUrl: 'https://api.example.com/data/8' },
        { payer: stranger.address },
        { issuedAt: receipt.payload.issuedAt + 1 },
        { transaction: TRANSACTION },
      ]) {
        const changed = { ...receipt, payload: { ...receipt.payload, ...change } };
        expect(await judge(changed, offer)).toMatchObject({ outcome: 'invalid' });
      }
    });
  });

  describe('of JWS', () => {
    it.each(['ES256', 'EdDSA'] as const)(
      'takes %s by an embedded JWK and by a did:jwk',
      async (algorithm) => {
        const { jwk, sign } = await keyOf(algorithm);
        for (const header of [{ jwk }, { kid: didJwk(jwk) }, { kid: `${didJwk(jwk)}#0` }]) {
          expect(await judge({ format: 'jws', signature: await sign(PAYLOAD, header) })).toEqual({
            outcome: 'valid',
            signer: expect.stringMatching(
              /^urn:ietf:params:oauth:jwk-thumbprint:sha-256:[\w-]{43}$/,
            ),
          });
        }
      },
    );

    it('takes secp256k1 (ES256K) by an embedded JWK', async () => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
      const jwk = publicKey.export({ format: 'jwk' });
      const parts = [{ alg: 'ES256K', jwk }, PAYLOAD].map((part) =>
        Buffer.from(JSON.stringify(part)).toString('base64url'),
      );
      const input = parts.join('.');
      const signature = sign('sha256', Buffer.from(input), {
        key: privateKey,
        dsaEncoding: 'ieee-p1363',
      });
      const jws = `${input}.${signature.toString('base64url')}`;
      expect(await judge({ format: 'jws', signature: jws })).toMatchObject({ outcome: 'valid' });
    });

    it('takes Ed25519 by a did:key, as the published issuer signs it', async () => {
      const { kid, issuer } = await didKeyIssuer();
      const receipt = await issuer.issueReceipt(URL_PAID, PAYER, SUBJECT.network);
      expect(await judge(receipt)).toEqual({ outcome: 'valid', signer: kid });
      const { issuer: other } = await didKeyIssuer();
      const offer = { extensionsJson: await offered(issuer as never) };
      expect(await judge(receipt, offer)).toMatchObject({ outcome: 'valid' });
      const foreign = await other.issueReceipt(URL_PAID, PAYER, SUBJECT.network);
      expect(await judge(foreign, offer)).toMatchObject({ outcome: 'invalid' });
    });

    it('finds a change after the signing, and a signature of another key', async () => {
      const { jwk, sign } = await keyOf('ES256');
      const { jwk: other } = await keyOf('ES256');
      const jws = await sign(PAYLOAD, { jwk });
      const [head, , tail] = jws.split('.');
      const body = Buffer.from(JSON.stringify({ ...PAYLOAD, issuedAt: PAYLOAD.issuedAt + 1 }));
      for (const signature of [
        `${head}.${body.toString('base64url')}.${tail}`,
        await sign(PAYLOAD, { jwk: other }),
        `${Buffer.from(JSON.stringify({ alg: 'none', jwk })).toString('base64url')}.${jws.split('.')[1]}.AA`,
        `${Buffer.from(JSON.stringify({ alg: 'HS256', jwk })).toString('base64url')}.${jws.split('.')[1]}.AA`,
      ]) {
        expect(await judge({ format: 'jws', signature })).toMatchObject({ outcome: 'invalid' });
      }
    });

    describe('whose key is elsewhere', () => {
      let server: Server;
      let asked = 0;
      let port = 0;

      beforeAll(async () => {
        server = createServer((_request, response) => {
          asked += 1;
          response.end('{}');
        });
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        ({ port } = server.address() as { port: number });
      });
      afterAll(() => new Promise((resolve) => server.close(resolve)));

      it('is unverifiable, and nobody is asked for it', async () => {
        const { jwk, sign } = await keyOf('ES256');
        for (const header of [
          {},
          { kid: 'key-1' },
          { kid: `did:web:127.0.0.1%3A${port}` },
          { kid: `did:web:localhost%3A${port}#key-1` },
          { kid: `http://127.0.0.1:${port}/key` },
          { jku: `http://127.0.0.1:${port}/keys`, kid: '1' },
          { x5u: `http://127.0.0.1:${port}/cert` },
          { kid: `did:key:https://127.0.0.1:${port}/` },
          { kid: `did:key:z${'1'.repeat(129)}` },
          { kid: 'did:key:z6MkNoSuchKey' },
          { kid: didJwk({ kty: 'RSA', n: 'AQAB', e: 'AQAB' }) },
          { kid: didJwk({ kty: 'oct', k: 'AQAB' }) },
          { jwk: { ...jwk, kty: 'RSA' } },
        ]) {
          const signature = await sign(PAYLOAD, header);
          expect(await judge({ format: 'jws', signature })).toEqual({
            outcome: 'unverifiable',
            reason: expect.stringMatching(/key/),
          });
        }
        expect(asked).toBe(0);
      });
    });
  });

  it.each<[string, object, Partial<ReceiptSubject>?]>([
    ['another network', { network: 'eip155:1' }],
    ['another payer', { payer: stranger.address }],
    ['another resource', { resourceUrl: 'https://api.example.com/data/7' }],
    ['another host', { resourceUrl: 'https://api.example.org/data/7?x=1' }],
    ['another transaction', { transaction: `0x${'cd'.repeat(32)}` }],
    ['a time before the payment', { issuedAt: PAYLOAD.issuedAt - 601 }],
    ['a time to come', { issuedAt: PAYLOAD.issuedAt + 601 }],
    ['another version', { version: 2 }],
    ['no payer', { payer: undefined }],
    ['a payer that is no text', { payer: {} }],
  ])('refuses a well-signed receipt that names %s', async (_what, change) => {
    const { jwk, sign } = await keyOf('ES256');
    const signature = await sign({ ...PAYLOAD, ...change }, { jwk });
    expect(await judge({ format: 'jws', signature })).toMatchObject({ outcome: 'invalid' });
  });

  it.each<[string, object]>([
    ['http instead of https', { resourceUrl: URL_PAID.replace('https:', 'http:') }],
    ['the declared resource', { resourceUrl: 'http://inner:8080/data/7' }],
    ['the payer in lower case', { payer: PAYER.toLowerCase() }],
    ['the network as x402 v1 does', { network: 'base-sepolia' }],
    ['the transaction, in capitals', { transaction: `0x${'AB'.repeat(32)}` }],
  ])('takes one that names %s', async (_what, change) => {
    const { jwk, sign } = await keyOf('ES256');
    const signature = await sign({ ...PAYLOAD, ...change }, { jwk });
    expect(await judge({ format: 'jws', signature })).toMatchObject({ outcome: 'valid' });
  });

  it.each<[string, unknown]>([
    ['a number', 7],
    ['no format', {}],
    ['another format', { format: 'pgp', signature: 'x' }],
    ['a JWS of two parts', { format: 'jws', signature: 'a.b' }],
    ['a JWS of nothing', { format: 'jws', signature: 'e30.e30.AA' }],
    ['a JWS that is no JSON', { format: 'jws', signature: 'AA.AA.AA' }],
    ['a short signature', { format: 'eip712', payload: PAYLOAD, signature: '0x00' }],
    [
      'a signature of zeros',
      { format: 'eip712', payload: PAYLOAD, signature: `0x${'00'.repeat(65)}` },
    ],
    ['no payload', { format: 'eip712', signature: `0x${'11'.repeat(65)}` }],
  ])('calls %s invalid, and says why', async (_what, receipt) => {
    expect(await judge(receipt)).toEqual({
      outcome: 'invalid',
      reason: expect.stringMatching(/./),
    });
  });

  it('reads offers of any shape in the 402', async () => {
    const receipt = await receiptBy(seller);
    for (const offers of [
      undefined,
      7,
      {},
      [7, null, { format: 'eip712' }],
      Array(1000).fill({}),
    ]) {
      const extensionsJson = JSON.stringify({ 'offer-receipt': { info: { offers } } });
      expect(await judge(receipt, { extensionsJson })).toMatchObject({ outcome: 'valid' });
    }
  });
});

/** An issuer of the published extension with an Ed25519 key, named by its did:key. */
async function didKeyIssuer() {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true });
  const { x = '' } = await exportJWK(publicKey);
  const kid = `did:key:z${base58(Buffer.concat([Buffer.of(0xed, 0x01), Buffer.from(x, 'base64url')]))}`;
  const issuer = createJWSOfferReceiptIssuer(kid, {
    kid,
    format: 'jws',
    algorithm: 'EdDSA',
    sign: async (input: Uint8Array) =>
      Buffer.from(
        await crypto.subtle.sign('Ed25519', privateKey as never, input as never),
      ).toString('base64url'),
  });
  return { kid, issuer };
}

function base58(bytes: Buffer): string {
  const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
  let text = '';
  for (let rest = BigInt(`0x${bytes.toString('hex')}`); rest > 0n; rest /= 58n) {
    text = `${alphabet[Number(rest % 58n)]}${text}`;
  }
  return text;
}
