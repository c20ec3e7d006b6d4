import { canonicalJson } from '../domain/canonical.js';
import type { OrderedOffer } from '../ledger/order.js';
import type { PaymentRecord } from '../ledger/payment-rows.js';
import { declaresIdentifier } from '../x402/payment-identifier.js';
import type { FixedPayment } from '../x402/scheme.js';

/** Members that a header wraps an authorization in. */
export type Wrapper = Pick<
  FixedPayment,
  'x402Version' | 'requirementJson' | 'resourceJson' | 'extensionsJson'
>;

/**
 * Wrapper of a replay's header, when the 402 at hand is another one than the
 * payment was made with.
 *
 * @param offer - the entry of the 402 at hand that is for the payment.
 * @returns undefined for the first header, byte for byte: nothing changed, a seller knows its
 *   payment-identifier, or the new echoes do not fit.
 */
export function wrapperOf(
  payment: PaymentRecord,
  { json, echo }: OrderedOffer,
  x402Version: 1 | 2,
): Wrapper | undefined {
  const { requirement, resourceEcho, extensionsEcho } = payment;
  if (!echo || declaresIdentifier(extensionsEcho)) return undefined;
  const { resourceJson, extensionsJson } = echo;
  const isSame =
    payment.x402Version === x402Version &&
    sameJson(requirement, json) &&
    sameJson(resourceEcho, resourceJson) &&
    sameJson(extensionsEcho, extensionsJson);
  return isSame ? undefined : { x402Version, requirementJson: json, resourceJson, extensionsJson };
}

function sameJson(a: string | undefined, b: string | undefined): boolean {
  if (a === b || a === undefined || b === undefined) return a === b;
  return canonicalJson(JSON.parse(a)) === canonicalJson(JSON.parse(b));
}
