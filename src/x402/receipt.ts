import { z } from 'zod';
import { countMembers } from '../domain/json-text.js';
import { Problem } from '../domain/problem.js';
import { readHeader, refuseUnsafe } from './untrusted.js';

/** Bounds on a receipt. Inclusive. Extensions may ride on one, so it is not only a few fields. */
const LIMITS = Object.freeze({ jsonCharacters: 12_288, depth: 8, schemaDepth: 16 });

/** Bytes of a receipt as it is kept: 12,288 in base64, or as much of JSON text. */
const VALUE_BYTES = 16_384;

/** The longest text that a receipt may be handed in as: with its header's name in front. */
export const MAX_RECEIPT_CHARACTERS = VALUE_BYTES + 64;

/** The header's name, as it stands in front of its value when the whole line is handed in. */
const HEADER_NAME = /^(?:x-)?payment-response:/i;

const TRANSACTION_HASH = /^0x[0-9a-fA-F]{64}$/;

/** Not `max()`: zod measures with it whatever has a `length`, and throws where that is no number. */
const short = (characters: number) =>
  z
    .string()
    .refine((text) => text.length <= characters, { error: 'is too long' })
    .nullish();

/** A seller's name for something. It is shown to people: nothing that a terminal or a page would obey. */
const name = (characters: number) =>
  short(characters).refine((text) => !text || /^[\x20-\x7e]*$/.test(text), {
    error: 'holds other characters than printable ASCII',
  });

const receiptSchema = z.looseObject({
  success: z.boolean(),
  // Empty where nothing was sent; what else a network calls its transactions is not ours to know.
  transaction: name(256),
  network: name(128),
  payer: short(128),
  // Error strings differ between the spec and the code: any is taken.
  errorReason: short(1_024),
});

/** Seller's claim of what became of a payment. A hint, and no proof. */
export type Receipt = z.infer<typeof receiptSchema>;

/** A receipt as it was handed in. */
export interface HandedReceipt {
  /** The text to keep: the header's value, the JSON text or the transaction hash, unchanged. */
  readonly value: string;
  /** Undefined for a transaction hash alone. */
  readonly response: Receipt | undefined;
  /** The transaction it names; undefined when it names none. */
  readonly transaction: string | undefined;
}

/**
 * Reads a receipt: the base64 value of a `PAYMENT-RESPONSE` (v2) or `X-PAYMENT-RESPONSE` (v1) header, with
 * or without the header's name in front; its JSON text, a `SettlementResponse` of the x402 spec; or a
 * transaction hash alone.
 *
 * @throws Problem `invalid_request` saying what is wrong with it.
 */
export function readReceipt(text: string): HandedReceipt {
  const value = text.slice(0, MAX_RECEIPT_CHARACTERS).trim().replace(HEADER_NAME, '').trim();
  if (text.length > MAX_RECEIPT_CHARACTERS || Buffer.byteLength(value) > VALUE_BYTES) {
    throw invalid(`is longer than ${VALUE_BYTES} bytes`);
  }
  if (TRANSACTION_HASH.test(value)) return { value, response: undefined, transaction: value };
  const parsed = receiptSchema.safeParse(
    value.startsWith('{') ? readJson(value) : readHeader(value, LIMITS, invalid).json,
  );
  if (parsed.success) {
    const response = Object.freeze(parsed.data);
    return { value, response, transaction: response.transaction || undefined };
  }
  const [issue] = parsed.error.issues;
  throw invalid(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`);
}

function readJson(text: string): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid('begins like JSON, but is not JSON');
  }
  if (countMembers(text) !== refuseUnsafe(json, LIMITS, invalid)) {
    throw invalid('names a member twice; which of the two is meant is not for us to guess');
  }
  return json;
}

function invalid(what: string): Problem {
  return new Problem('invalid_request', `paymentResponse ${what}`, { field: 'paymentResponse' });
}
