import { z } from 'zod';
import { PAYMENT_STATUSES } from '../domain/payment.js';
import { text } from '../http/contract.js';
import { pageQuery } from '../http/paging.js';
import { idPattern } from '../ids.js';
import { SIGNATURE_OUTCOMES } from '../x402/offer-receipt.js';

/** Body of `POST /v1/payments`. */
export const paySchema = z.strictObject({
  paymentRequired: z
    .union([z.string(), z.record(z.string(), z.unknown())], {
      error: 'must be the 402 as an object, as JSON text, or as its PAYMENT-REQUIRED header',
    })
    .describe(
      'the 402: the v2 PaymentRequired or v1 body as an object or as JSON text, the PAYMENT-REQUIRED header ' +
        '(its value or the whole line), an MCP tool result, a JSON-RPC error, or { "paymentRequired": ... }',
    ),
  request: z
    .strictObject({
      method: z
        .string()
        .regex(/^[A-Z]{1,20}$/, 'must be an HTTP method in capitals')
        .default('GET'),
      url: text(1, 2048),
    })
    .describe('the request that met the 402'),
  memo: text(0, 500).optional(),
  maxAmount: text(1, 110)
    .optional()
    .describe('currency units; what costs more is refused with max_amount_exceeded'),
  option: z
    .int()
    .min(0)
    .max(100_000)
    .optional()
    .describe('the position in accepts of the entry to take instead of the cheapest'),
});
/** See {@link paySchema}. */
export type PayBody = z.infer<typeof paySchema>;

/** Body of `POST /v1/payments/:id/receipt`. */
export const receiptSchema = z.strictObject({
  paymentResponse: z
    .string()
    .describe(
      'the value of the PAYMENT-RESPONSE (v2) or X-PAYMENT-RESPONSE (v1) header, the whole header line, its JSON text, or a transaction hash',
    ),
});
/** See {@link receiptSchema}. */
export type ReceiptBody = z.infer<typeof receiptSchema>;

/** Query of `GET /v1/payments`. */
export const listSchema = pageQuery.extend({
  grantId: z
    .string()
    .regex(idPattern('grt'), 'must be a grt_ id')
    .optional()
    .describe('includes the tree below it'),
  status: z.enum(PAYMENT_STATUSES).optional(),
  idempotencyKey: text(1, 255).optional().describe('the Idempotency-Key it was asked with'),
});
/** See {@link listSchema}. */
export type ListQuery = z.infer<typeof listSchema>;

/** A payment as the contract shows it. */
export const paymentSchema = z.object({
  id: z.string(),
  grantId: z.string(),
  status: z.enum(PAYMENT_STATUSES),
  amount: z.string().describe('currency units'),
  currency: z.string(),
  network: z.string(),
  scheme: z.string(),
  payTo: z.string(),
  asset: z.string(),
  idempotencyKey: z.string(),
  wallet: z.string().nullable().describe("the paying wallet's address"),
  nonce: z.string().nullable().describe('the EIP-3009 nonce: SHA-256 of the decision record'),
  validBefore: z.iso.datetime().nullable(),
  resource: z.string().describe('the URL that was asked'),
  declaredResource: z
    .string()
    .nullable()
    .describe('what the seller says it is for: unsigned and untrusted, any text'),
  resourceMismatch: z
    .boolean()
    .describe('whether the seller declares a resource on another public host than the one asked'),
  memo: z.string().nullable(),
  transaction: z.string().nullable(),
  seen: z
    .object({
      transaction: z.string(),
      blockNumber: z.string(),
      confirmations: z.int().describe('blocks from that one to the newest, both counted'),
    })
    .nullable()
    .describe('its transfer in a block that is not final yet; a reorganisation may take it back'),
  cancelRequestedAt: z.iso.datetime().nullable(),
  createdAt: z.iso.datetime(),
  settledAt: z.iso.datetime().nullable(),
  approval: z
    .object({
      lapsesAt: z.iso.datetime(),
      approvedAt: z.iso.datetime().nullable(),
      collectBefore: z.iso
        .datetime()
        .nullable()
        .describe('until when the agent must ask again, once it is approved'),
      decidedBy: z.string().nullable(),
      reason: z.string().nullable(),
    })
    .optional()
    .describe('of a payment that waits or waited for an approval'),
  receipts: z
    .array(
      z.object({
        receivedAt: z.iso.datetime(),
        success: z
          .boolean()
          .nullable()
          .describe('what the seller says; null for a transaction hash alone'),
        transaction: z.string().nullable().describe('what the seller says'),
        network: z.string().nullable().describe('what the seller says'),
        signature: z.object({
          outcome: z.enum(SIGNATURE_OUTCOMES),
          signer: z.string().nullable(),
          reason: z.string().nullable().describe('why it is invalid or unverifiable'),
        }),
      }),
    )
    .optional()
    .describe('what was handed in as evidence, oldest first; of one payment only, never in lists'),
});
/** See {@link paymentSchema}. */
export type PaymentView = z.infer<typeof paymentSchema>;

const selectionSchema = z
  .object({
    index: z.int().describe('position in accepts of the option that is paid'),
    notSelected: z.array(
      z.object({
        index: z.int(),
        code: z
          .string()
          .describe(
            'what refuses it; not_preferred when it could be paid, but costs more or leaves less free',
          ),
        detail: z.string().optional(),
        sellerText: z.string().optional().describe('the text at fault: untrusted, cut and escaped'),
        grantId: z.string().optional().describe('which grant of the chain refuses it'),
      }),
    ),
    unread: z.int().optional().describe('how many entries behind the first 64 were not read'),
  })
  .describe('which option was selected, and why each other one was not');
/** See {@link selectionSchema}. */
export type Selection = z.infer<typeof selectionSchema>;

/** Body of `POST /v1/payments/:id/approve` and `/reject`. */
export const verdictSchema = z.strictObject({ reason: text(1, 1000).optional() });
/** See {@link verdictSchema}. */
export type VerdictBody = z.infer<typeof verdictSchema>;

/** Answer of `POST /v1/payments/:id/approve` and `/reject`. */
export const decidedSchema = z.object({ payment: paymentSchema });

/** Answer 202 of `POST /v1/payments`. */
export const pendingSchema = z.object({
  payment: paymentSchema,
  selection: selectionSchema,
  grant: z.object({ remaining: z.string() }),
});

const headerSchema = z
  .object({ name: z.enum(['PAYMENT-SIGNATURE', 'X-PAYMENT']), value: z.string() })
  .describe('the header to retry the request with');

/** Answer of `POST /v1/payments`. */
export const paidSchema = z.object({
  payment: paymentSchema,
  header: headerSchema,
  selection: selectionSchema,
  grant: z.object({ remaining: z.string() }),
});

/** Answer of `GET /v1/payments/:id/header`. */
export const handedOutSchema = z.object({ payment: paymentSchema, header: headerSchema });

const reasonSchema = z.object({
  code: z.string(),
  detail: z.string(),
  sellerText: z.string().optional().describe('the text at fault: untrusted, cut and escaped'),
  grantId: z.string().optional().describe('which grant of the chain says no, or asks for approval'),
  limit: z.string().optional(),
  remaining: z.string().optional(),
});

/** Answer of `POST /v1/payments/quote`. */
export const quoteSchema = z.object({
  decision: z.enum(['allow', 'require_approval', 'deny']).describe('what a payment would meet now'),
  selected: z.int().nullable().describe('the index of the option that would be paid'),
  unread: z.int().optional().describe('how many entries behind the first 64 were not read'),
  options: z
    .array(
      z.object({
        index: z.int().describe('position in accepts'),
        decision: z.enum(['allow', 'require_approval', 'deny']),
        reasons: z.array(reasonSchema).describe('why not, or not without approval; else empty'),
        scheme: z.string().nullable(),
        network: z.string().nullable(),
        asset: z.string().nullable(),
        payTo: z.string().nullable(),
        amount: z.string().nullable().describe('currency units; null where it cannot be read'),
        currency: z.string().nullable(),
      }),
    )
    .describe('every entry of accepts, in its order'),
  grant: z.object({
    remaining: z.string().describe('what could still be spent after that payment'),
  }),
});
/** See {@link quoteSchema}. */
export type QuoteView = z.infer<typeof quoteSchema>;
/** One option of a quote. */
export type QuotedOption = QuoteView['options'][number];
