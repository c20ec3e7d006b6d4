import {
  convertNetworkStringToCAIP2,
  extractJWSHeader,
  extractJWSPayload,
  extractPublicKeyFromKid,
  OFFER_RECEIPT,
  verifyOfferSignatureEIP712,
  verifyOfferSignatureJWS,
  verifyReceiptSignatureEIP712,
  verifyReceiptSignatureJWS,
} from '@x402/extensions/offer-receipt';
import { z } from 'zod';
import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import type { ReceiptSignature } from './receipt-signature.js';

/** The tolerated difference between the seller's clock and ours, in seconds. */
const CLOCK_TOLERANCE_SECONDS = 600;

/** The maximum of offers of a 402 whose signatures are verified. */
const MAX_OFFERS = 8;

/** The payment that a receipt has to be about. */
export interface ReceiptSubject {
  /** CAIP-2. */
  readonly network: string;
  readonly payer: string;
  readonly payTo: string;
  /** The URLs it may name: the one that was asked for, and the one the seller declared. */
  readonly resources: readonly string[];
  /** Transactions it may not contradict: those the seller and the chain name. */
  readonly transactions: readonly string[];
  readonly authorizedAt: Date;
  /** The `extensions` of the 402, as JSON text: its offers say who signs for the seller. */
  readonly extensionsJson: string | undefined;
}

const payloadSchema = z.object({
  version: z.literal(1),
  network: z.string(),
  resourceUrl: z.string(),
  payer: z.string(),
  issuedAt: z.int().nonnegative(),
  transaction: z.string().default(''),
});
type ReceiptPayload = z.infer<typeof payloadSchema>;

const JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

const signedSchema = z.discriminatedUnion('format', [
  z.object({
    format: z.literal('eip712'),
    payload: z.unknown(),
    signature: z.string().regex(/^0x[0-9a-fA-F]{130}$/),
  }),
  z.object({ format: z.literal('jws'), signature: z.string().regex(JWS) }),
]);
type SignedArtifact = z.infer<typeof signedSchema>;

/** Public members only, of the kinds of keys that the extension signs with. */
const jwkSchema = z.union([
  z.object({
    kty: z.literal('EC'),
    crv: z.enum(['P-256', 'secp256k1']),
    x: z.string().max(64),
    y: z.string().max(64),
  }),
  z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string().max(64) }),
]);

/** A key that stands in the signature itself, and what its holder is called. */
interface InlineKey {
  readonly key: Parameters<typeof verifyReceiptSignatureJWS>[1] & object;
  readonly signer: string;
}

/**
 * Judges the signed receipt of the `offer-receipt` extension, if a seller's answer holds one: whether it
 * is about this payment, and whether its signature is that of a key which is in it.
 *
 * Nothing is fetched. A key that a `kid` only points to (`did:web`, a URL) makes it unverifiable.
 *
 * An EIP-712 signature names no signer: of any 65 bytes some address can be recovered, and of a changed
 * receipt another one. It is valid when that address is the payee, or signed an offer of the 402. Where
 * the 402's offers are signed by known keys, a receipt of another key is invalid.
 *
 * @param extensions - the `extensions` of the seller's PAYMENT-RESPONSE, as parsed.
 */
export async function judgeReceipt(
  extensions: unknown,
  subject: ReceiptSubject,
  now: Date,
): Promise<ReceiptSignature> {
  const receipt = memberOf(memberOf(memberOf(extensions, OFFER_RECEIPT), 'info'), 'receipt');
  if (receipt === undefined || receipt === null) return { outcome: 'none' };
  const signed = signedSchema.safeParse(receipt);
  if (!signed.success) return invalid('it is not a signed receipt of a known format');
  const payload = payloadOf(signed.data);
  if (!payload) return invalid('what it signs is not a receipt of version 1');
  const contradiction = contradictionOf(payload, subject, now);
  if (contradiction !== undefined) return invalid(contradiction);
  return signed.data.format === 'eip712'
    ? judgeEip712(payload, signed.data.signature, subject)
    : judgeJws(signed.data.signature, subject);
}

async function judgeEip712(
  payload: ReceiptPayload,
  signature: string,
  subject: ReceiptSubject,
): Promise<ReceiptSignature> {
  let signer: string;
  try {
    ({ signer } = await verifyReceiptSignatureEIP712({ format: 'eip712', payload, signature }));
  } catch {
    return invalid('no signer can be recovered from its signature');
  }
  const expected = await offerSigners(subject, 'eip712');
  if (expected.includes(signer) || isSame(signer, subject.payTo)) {
    return { outcome: 'valid', signer };
  }
  if (expected.length > 0)
    return { ...invalid(`its signer is not the offer's, ${expected[0]}`), signer };
  return {
    outcome: 'unverifiable',
    signer,
    reason: 'the recovered signer is not the payee, and no offer of the 402 says who signs',
  };
}

async function judgeJws(jws: string, subject: ReceiptSubject): Promise<ReceiptSignature> {
  const found = await inlineKey(jws);
  if (typeof found === 'string') return { outcome: 'unverifiable', reason: found };
  const { key, signer } = found;
  try {
    await verifyReceiptSignatureJWS({ format: 'jws', signature: jws }, key);
  } catch {
    return { ...invalid('its signature is not that of the key in it'), signer };
  }
  const expected = await offerSigners(subject, 'jws');
  if (expected.length > 0 && !expected.includes(signer)) {
    return { ...invalid("its signer is not the offer's"), signer };
  }
  return { outcome: 'valid', signer };
}

/** Names the first contradiction between a receipt and the payment; undefined when they agree. */
function contradictionOf(
  receipt: ReceiptPayload,
  subject: ReceiptSubject,
  now: Date,
): string | undefined {
  if (networkOf(receipt.network) !== subject.network) return 'it names another network';
  if (!isSame(receipt.payer, subject.payer)) return 'it names another payer';
  if (!subject.resources.some((each) => resourceOf(each) === resourceOf(receipt.resourceUrl))) {
    return 'it names another resource';
  }
  const { transaction } = receipt;
  if (transaction !== '' && !subject.transactions.every((each) => isSame(each, transaction))) {
    return 'it names another transaction';
  }
  const authorizedAt = subject.authorizedAt.getTime() / 1000;
  if (receipt.issuedAt < authorizedAt - CLOCK_TOLERANCE_SECONDS) {
    return 'it was issued before the payment was made';
  }
  if (receipt.issuedAt > now.getTime() / 1000 + CLOCK_TOLERANCE_SECONDS) {
    return 'it was issued in the future';
  }
  return undefined;
}

/** The signers of the offers in the payment's 402, of those in the receipt's format. */
async function offerSigners(
  { extensionsJson }: ReceiptSubject,
  format: SignedArtifact['format'],
): Promise<string[]> {
  if (extensionsJson === undefined) return [];
  const info = memberOf(memberOf(JSON.parse(extensionsJson), OFFER_RECEIPT), 'info');
  const offers = memberOf(info, 'offers');
  if (!Array.isArray(offers)) return [];
  const signers = await Promise.all(
    offers.slice(0, MAX_OFFERS).map(async (offer) => {
      const signed = signedSchema.safeParse(offer);
      if (!signed.success || signed.data.format !== format) return [];
      try {
        if (signed.data.format === 'eip712') {
          return (await verifyOfferSignatureEIP712(signed.data as never)).signer;
        }
        const found = await inlineKey(signed.data.signature);
        if (typeof found === 'string') return [];
        await verifyOfferSignatureJWS(signed.data, found.key);
        return found.signer;
      } catch {
        return [];
      }
    }),
  );
  return signers.flat();
}

function payloadOf(signed: SignedArtifact): ReceiptPayload | undefined {
  try {
    const payload = signed.format === 'jws' ? extractJWSPayload(signed.signature) : signed.payload;
    return payloadSchema.safeParse(payload).data;
  } catch {
    return undefined;
  }
}

/** The key in a JWS's header: a `did:key` or `did:jwk` as kid, or a JWK. Else why there is none. */
async function inlineKey(jws: string): Promise<InlineKey | string> {
  let header: unknown;
  try {
    header = extractJWSHeader(jws);
  } catch {
    return 'its header cannot be read';
  }
  const kid = memberOf(header, 'kid');
  const [did = ''] = typeof kid === 'string' ? kid.split('#') : [];
  try {
    if (/^did:key:z[1-9A-HJ-NP-Za-km-z]{1,128}$/.test(did)) {
      // This method alone is given to the library, which would fetch what others name.
      return { key: await extractPublicKeyFromKid(did), signer: did };
    }
    const jwk = /^did:jwk:[A-Za-z0-9_-]{1,1024}$/.test(did)
      ? JSON.parse(Buffer.from(did.slice('did:jwk:'.length), 'base64url').toString('utf8'))
      : memberOf(header, 'jwk');
    if (jwk === undefined) return 'its key is not in it, and is not fetched';
    const key = jwkSchema.parse(jwk);
    const thumbprint = Buffer.from(sha256Hex(canonicalJson(key)), 'hex').toString('base64url');
    return { key, signer: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${thumbprint}` };
  } catch {
    return 'its key is not of a supported kind: Ed25519, P-256 or secp256k1';
  }
}

function invalid(reason: string): ReceiptSignature {
  return { outcome: 'invalid', reason };
}

/** An own member of an object of a stranger's. */
function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** CAIP-2, also for the names of x402 v1. */
function networkOf(network: string): string {
  try {
    return convertNetworkStringToCAIP2(network);
  } catch {
    return network;
  }
}

/** A URL for comparing: behind a proxy that ends TLS, a seller takes itself for its http twin. */
function resourceOf(url: string): string {
  if (!URL.canParse(url)) return url;
  const { protocol, host, pathname, search } = new URL(url);
  return /^https?:$/.test(protocol) ? `//${host}${pathname}${search}` : url;
}
