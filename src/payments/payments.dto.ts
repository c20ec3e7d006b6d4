import { z } from 'zod';
import { PAYMENT_STATUSES } from '../domain/payment.js';
import { parseResource } from '../domain/scope.js';
import { addressSchema } from '../evm.js';
import { idText, labelFilter, networkText, text, timeText } from '../http/contract.js';
import { pageOf, pageQueryOf } from '../http/paging.js';
import { MAX_TERMS_CHARACTERS } from '../x402/parse.js';
import { MAX_RECEIPT_CHARACTERS } from '../x402/receipt.js';
import { SIGNATURE_OUTCOMES } from '../x402/receipt-signature.js';

/** Body of `POST /v1/payments`. */
export const paySchema = z
  .strictObject({
    paymentRequired: z
      .union([z.string().max(MAX_TERMS_CHARACTERS), z.record(z.string(), z.unknown())], {
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
          .max(20)
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
  })
  .meta({
    id: 'NewPayment',
    example: {
      paymentRequired: {
        x402Version: 2,
        resource: { url: 'https://api.example.com/data/7' },
        accepts: [
          {
            scheme: 'exact',
            network: 'eip155:84532',
            amount: '20000',
            asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
            payTo: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
            maxTimeoutSeconds: 60,
            extra: { name: 'USDC', version: '2' },
          },
        ],
      },
      request: { method: 'GET', url: 'https://api.example.com/data/7' },
      memo: 'page 7',
      maxAmount: '0.05',
    },
  });
/** See {@link paySchema}. */
export type PayBody = z.infer<typeof paySchema>;

/** Body of `POST /v1/payments/:id/receipt`. */
export const receiptSchema = z
  .strictObject({
    paymentResponse: z
      .string()
      .max(MAX_RECEIPT_CHARACTERS)
      .describe(
        'the value of the PAYMENT-RESPONSE (v2) or X-PAYMENT-RESPONSE (v1) header, the whole header line, its JSON text, or a transaction hash',
      ),
  })
  .meta({
    id: 'NewReceipt',
    example: {
      paymentResponse: '0x2d7a2f3bb4b1ccd2a5a5a9d3f0a1a31a1b87b9d94f1ef0e6e6a8d8b1c6f5e4d3',
    },
  });
/** See {@link receiptSchema}. */
export type ReceiptBody = z.infer<typeof receiptSchema>;

/** Query of `GET /v1/payments`. */
export const listSchema = pageQueryOf('pay').extend({
  treasuryId: idText('trs').optional().describe('admins only'),
  grantId: idText('grt').optional().describe('includes the tree below it'),
  holder: text(1, 200).optional().describe('of the paying grant'),
  status: z.enum(PAYMENT_STATUSES).optional(),
  network: networkText().optional(),
  idempotencyKey: text(1, 255).optional().describe('the Idempotency-Key it was asked with'),
  payTo: addressSchema('must be an EVM address: 0x and 40 hex digits').optional(),
  host: z
    .string()
    .max(2_048)
    .transform((value, context) => parseHostFilter(value) ?? notAHost(context))
    .optional()
    .describe('of the URL that was asked: a host of any port, or host:port'),
  label: labelFilter().optional().describe('name:value of a label of the paying grant'),
  from: timeText().optional().describe('made at this time or later'),
  to: timeText().optional().describe('made at this time or earlier'),
  order: z.enum(['asc', 'desc']).default('asc').describe('asc: oldest first; desc: newest first'),
});

/** A host, and a port where one was given. */
export interface HostFilter {
  /** The host as `URL.hostname` has it. */
  readonly host: string;
  /** The port as it stands in an authority; undefined for any. */
  readonly port: string | undefined;
}

function parseHostFilter(value: string): HostFilter | undefined {
  const port = /:([0-9]{1,5})$/.exec(value)?.[1];
  const resource = /[/?#@\\\s]/.test(value) ? undefined : parseResource(`https://${value}/`);
  return resource && { host: resource.host, port };
}

function notAHost(context: z.RefinementCtx): HostFilter {
  context.addIssue('must be a host, such as api.example.com, or host:port');
  return z.NEVER;
}

/** See {@link listSchema}. */
export type ListQuery = z.infer<typeof listSchema>;

/** A payment as the contract shows it. */
export const paymentSchema = z
  .object({
    id: z.string(),
    grantId: z.string(),
    status: z.enum(PAYMENT_STATUSES),
    amount: z.string().describe('what is signed, the most that is paid; currency units'),
    paid: z
      .string()
      .nullable()
      .describe('what the chain moved, currency units; null unless it is settled'),
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
    received: z
      .object({
        x402Version: z.int(),
        requirement: z.unknown().describe('the entry of accepts that is paid'),
        resource: z.unknown().describe('`resource` of a v2 402; null where it had none'),
        extensions: z.unknown().describe('`extensions` of the 402; null where it had none'),
      })
      .optional()
      .describe(
        "the 402 as the agent handed it in, untrusted: the seller's text; of one payment only, never in lists",
      ),
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
      .describe(
        'what was handed in as evidence, oldest first; of one payment only, never in lists',
      ),
  })
  .meta({
    id: 'Payment',
    example: {
      id: 'pay_01kb5w9t0cf6ha7t0x6k3v5y2m',
      grantId: 'grt_01kb5w8m4sfq5r3h3c2j8y0x7d',
      status: 'authorized',
      amount: '0.02',
      paid: null,
      currency: 'USDC',
      network: 'eip155:84532',
      scheme: 'exact',
      payTo: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
      asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
      idempotencyKey: 'market-scan-page-7',
      wallet: '0x9858EfFD232B4033E47d90003D41EC34EcaEda94',
      nonce: '0x8f3c1b0a9d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a',
      validBefore: '2026-11-21T10:02:00.000Z',
      resource: 'https://api.example.com/data/7',
      declaredResource: 'https://api.example.com/data/7',
      resourceMismatch: false,
      memo: 'page 7',
      transaction: null,
      seen: null,
      cancelRequestedAt: null,
      createdAt: '2026-11-21T10:01:00.000Z',
      settledAt: null,
    },
  });
/** Answer of `GET /v1/payments`. */
export const paymentPageSchema = pageOf(paymentSchema);

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
  .describe('which option was selected, and why each other one was not')
  .meta({ id: 'Selection' });
/** See {@link selectionSchema}. */
export type Selection = z.infer<typeof selectionSchema>;

/** Body of `POST /v1/payments/:id/approve` and `/reject`. */
export const verdictSchema = z
  .strictObject({ reason: text(1, 1000).optional() })
  .meta({ id: 'Verdict', example: { reason: 'known vendor' } });
/** See {@link verdictSchema}. */
export type VerdictBody = z.infer<typeof verdictSchema>;

/** Answer of `POST /v1/payments/:id/approve` and `/reject`. */
export const changedPaymentSchema = z
  .object({ payment: paymentSchema })
  .meta({ id: 'ChangedPayment' });

/** Answer 202 of `POST /v1/payments`. */
export const pendingSchema = z
  .object({
    payment: paymentSchema,
    selection: selectionSchema,
    grant: z.object({ remaining: z.string() }),
  })
  .meta({ id: 'PendingPayment' });

const headerSchema = z
  .object({ name: z.enum(['PAYMENT-SIGNATURE', 'X-PAYMENT']), value: z.string() })
  .describe('the header to retry the request with')
  .meta({ id: 'PaymentHeader' });

/** Answer of `POST /v1/payments`. */
export const paidSchema = z
  .object({
    payment: paymentSchema,
    header: headerSchema,
    selection: selectionSchema,
    grant: z.object({ remaining: z.string() }),
  })
  .meta({ id: 'AuthorizedPayment' });

/** Answer of `GET /v1/payments/:id/header`. */
export const handedOutSchema = z
  .object({ payment: paymentSchema, header: headerSchema })
  .meta({ id: 'CollectedHeader' });

const reasonSchema = z.object({
  code: z.string(),
  detail: z.string(),
  sellerText: z.string().optional().describe('the text at fault: untrusted, cut and escaped'),
  grantId: z.string().optional().describe('which grant of the chain says no, or asks for approval'),
  limit: z.string().optional(),
  remaining: z.string().optional(),
  reopensAt: z.iso.datetime().optional().describe('when a new period of the window begins'),
  retryAfter: z.int().optional().describe('seconds, where waiting helps'),
});

/** Answer of `POST /v1/payments/quote`. */
export const quoteSchema = z
  .object({
    decision: z
      .enum(['allow', 'require_approval', 'deny'])
      .describe('what a payment would meet now'),
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
    catalog: z
      .object({
        catalogId: z.string(),
        amount: z.string().describe('currency units, as listed'),
        currency: z.string(),
        drift: z
          .enum(['none', 'dearer', 'cheaper'])
          .describe('how the price that is asked now compares with the listed one'),
        otherPayee: z.boolean().describe('whether another payee is asked for than the listed one'),
        seenAt: z.iso.datetime().describe('when the listing was read'),
      })
      .optional()
      .describe('what a catalog lists of the request; absent where none lists it'),
    grant: z.object({
      remaining: z.string().describe('what the grant could spend now, whatever the decision'),
      remainingAfter: z
        .string()
        .nullable()
        .describe('what it could still spend after the payment of `selected`; null for none'),
    }),
  })
  .meta({ id: 'Quote' });
/** See {@link quoteSchema}. */
export type QuoteView = z.infer<typeof quoteSchema>;
/** One option of a quote. */
export type QuotedOption = QuoteView['options'][number];
