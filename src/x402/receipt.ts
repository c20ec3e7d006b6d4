import { z } from 'zod';
import { Problem } from '../domain/problem.js';
import { readHeader } from './untrusted.js';

/** Bounds on a receipt. Inclusive. Extensions may ride on one, so it is not only a few fields. */
const LIMITS = Object.freeze({ jsonCharacters: 12_288, depth: 8, schemaDepth: 16 });

/** Not `max()`: zod measures with it whatever has a `length`, and throws where that is no number. */
const short = (characters: number) =>
  z
    .string()
    .refine((text) => text.length <= characters, { error: 'is too long' })
    .nullish();

const receiptSchema = z.looseObject({
  success: z.boolean(),
  // Empty where nothing was sent; what else a network calls its transactions is not ours to know.
  transaction: short(256),
  network: short(128),
  payer: short(128),
  // Error strings differ between the spec and the code: any is taken.
  errorReason: short(1_024),
});

/** What a seller says became of a payment. A hint, and nobody's proof. */
export type Receipt = z.infer<typeof receiptSchema>;

/**
 * Parses the base64 value of a `PAYMENT-RESPONSE` (v2) or `X-PAYMENT-RESPONSE` (v1) header: a
 * `SettlementResponse` of the x402 spec.
 *
 * @throws Problem `invalid_request` saying what is wrong with it.
 */
export function parseReceipt(value: string): Receipt {
  const { json } = readHeader(value, LIMITS, invalid);
  const parsed = receiptSchema.safeParse(json);
  if (parsed.success) return Object.freeze(parsed.data);
  const [issue] = parsed.error.issues;
  throw invalid(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`);
}

function invalid(what: string): Problem {
  return new Problem('invalid_request', `paymentResponse ${what}`, { field: 'paymentResponse' });
}
