import { LRUCache } from 'lru-cache';
import { type PaymentTerms, parsePaymentRequired } from './parse.js';

/** How much text is kept, in characters: what is known of it takes about as much again. */
const CAPACITY = 4_000_000;

/**
 * Payment requirements that were parsed before: many agents meet the same few sellers, whose 402s are the
 * same text again and again. The same text means the same terms, so nothing here can go stale.
 */
export class KnownTerms {
  readonly #terms = new LRUCache<string, PaymentTerms>({
    maxSize: CAPACITY,
    sizeCalculation: (_terms, text) => text.length + 1,
  });

  /** {@link parsePaymentRequired}, remembered. What cannot be parsed is not. */
  parse(paymentRequired: unknown): PaymentTerms {
    // An object and a string never give the same text: a string's begins with a quote.
    const text = JSON.stringify(paymentRequired) ?? '';
    const known = this.#terms.get(text);
    // JSON.parse reads 1e400 as Infinity, which JSON.stringify writes as null. The parser below tells the two apart.
    const isAmbiguous = text.includes('null') && holdsInfinity(paymentRequired);
    if (known && !isAmbiguous) return known;
    const terms = parsePaymentRequired(paymentRequired);
    if (isAmbiguous) return terms;
    this.#terms.set(text, terms);
    return terms;
  }
}

function holdsInfinity(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsInfinity);
}
