import { withPaymentIdentifier } from './payment-identifier.js';
import type { FixedPayment } from './scheme.js';

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
  const { requirementJson, resourceJson, extensionsJson } = payment;
  if (payment.x402Version === 1) {
    const { scheme, network } = JSON.parse(requirementJson);
    const body = JSON.stringify({ x402Version: 1, scheme, network, payload });
    return { name: 'X-PAYMENT', value: base64(body) };
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
  return { name: 'PAYMENT-SIGNATURE', value: base64(`{${members.join(',')}}`) };
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
