import { withPaymentIdentifier } from './payment-identifier.js';
import type { FixedPayment, WireScheme } from './scheme.js';

/** A header to retry the request with. */
export interface PaymentHeader {
  readonly name: 'PAYMENT-SIGNATURE' | 'X-PAYMENT';
  /** Base64 JSON. */
  readonly value: string;
}

/**
 * The header that pays, of any scheme. v2 echoes the selected requirement, the resource and the
 * extensions byte for byte as they were read (x402 v2 spec, section "PaymentPayload"), and fills
 * `payment-identifier` with the payment's id where the seller declares it; v1 names scheme and network
 * only.
 *
 * @param payload - what the payment's scheme makes of the signature.
 */
export function paymentHeader(payment: FixedPayment, payload: object): PaymentHeader {
  return {
    name: payment.x402Version === 1 ? 'X-PAYMENT' : 'PAYMENT-SIGNATURE',
    value: Buffer.from(headerJson(payment, payload), 'utf8').toString('base64'),
  };
}

/** The JSON text in {@link paymentHeader}. */
function headerJson(payment: FixedPayment, payload: object): string {
  const { requirementJson, resourceJson, extensionsJson } = payment;
  if (payment.x402Version === 1) {
    const { scheme, network } = JSON.parse(requirementJson);
    return JSON.stringify({ x402Version: 1, scheme, network, payload });
  }
  // Put together as text: parsing an echo to write it again would change what is in it.
  const members = [
    '"x402Version":2',
    ...(resourceJson === undefined ? [] : [`"resource":${resourceJson}`]),
    `"accepted":${requirementJson}`,
    `"payload":${JSON.stringify(payload)}`,
    ...(extensionsJson === undefined
      ? []
      : [`"extensions":${withPaymentIdentifier(extensionsJson, payment.id)}`]),
  ];
  return `{${members.join(',')}}`;
}

/** A payment whose members are as long as they get, but for the amount, and with empty echoes. */
const LONGEST = {
  id: `pay_${'7'.repeat(26)}`,
  x402Version: 2,
  chainId: 1,
  from: `0x${'f'.repeat(40)}`,
  to: `0x${'f'.repeat(40)}`,
  validAfter: 0n,
  validBefore: 99_999_999_999n,
  nonce: `0x${'f'.repeat(64)}`,
  requirementJson: '',
  resourceJson: '',
  extensionsJson: '',
} as const;

/**
 * The bytes of a v2 header's JSON text without its echoes, at most: what the header will take is known
 * before anything is reserved.
 *
 * @param amount - atomic units.
 * @param hasIdentifier - whether the payment's id goes into `payment-identifier`.
 */
export function bytesWithoutEcho(
  scheme: WireScheme,
  amount: bigint,
  hasIdentifier: boolean,
): number {
  const payment = { ...LONGEST, value: amount };
  const payload = scheme.payload(payment, `0x${'f'.repeat(130)}`);
  const id = hasIdentifier ? `,"id":${JSON.stringify(LONGEST.id)}`.length : 0;
  return headerJson(payment, payload).length + id;
}
