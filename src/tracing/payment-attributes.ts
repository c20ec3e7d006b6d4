import type { Attributes } from '@opentelemetry/api';
import { currencyOf, formatAmount } from '../domain/money.js';

/** Attributes that the spans of a payment have in common. The amount, atomic units, is shown in currency units. */
export function paymentAttributes({
  amount,
  currency,
  network,
  payTo,
}: {
  readonly amount: bigint;
  readonly currency: string;
  readonly network: string;
  readonly payTo: string;
}): Attributes {
  return {
    'bursar.amount': formatAmount(amount, currencyOf(currency)),
    'bursar.currency': currency,
    'bursar.network': network,
    'bursar.payee': payTo,
  };
}
