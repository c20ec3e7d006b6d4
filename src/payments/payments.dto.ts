import { z } from 'zod';
import { text } from '../http/contract.js';
import { pageQuery } from '../http/paging.js';
import { idPattern } from '../ids.js';

/** Body of `POST /v1/payments`. */
export const paySchema = z.strictObject({
  paymentRequired: z
    .union([z.string(), z.record(z.string(), z.unknown())], {
      error: 'must be the x402 PaymentRequired object, or its base64 header value',
    })
    .describe('the x402 v2 PaymentRequired or v1 402 body, or the PAYMENT-REQUIRED header value'),
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
});
/** See {@link paySchema}. */
export type PayBody = z.infer<typeof paySchema>;

/** Query of `GET /v1/payments`. */
export const listSchema = pageQuery.extend({
  grantId: z
    .string()
    .regex(idPattern('grt'), 'must be a grt_ id')
    .optional()
    .describe('includes the tree below it'),
  status: z.enum(['authorized', 'settled', 'released', 'cancelled']).optional(),
});
/** See {@link listSchema}. */
export type ListQuery = z.infer<typeof listSchema>;

/** A payment as the contract shows it. */
export const paymentSchema = z.object({
  id: z.string(),
  grantId: z.string(),
  status: z.enum(['authorized', 'settled', 'released', 'cancelled']),
  amount: z.string().describe('currency units'),
  currency: z.string(),
  network: z.string(),
  scheme: z.string(),
  payTo: z.string(),
  asset: z.string(),
  wallet: z.string().describe("the paying wallet's address"),
  nonce: z.string().describe('the EIP-3009 nonce: SHA-256 of the decision record'),
  validBefore: z.iso.datetime(),
  resource: z.string(),
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
});
/** See {@link paymentSchema}. */
export type PaymentView = z.infer<typeof paymentSchema>;

/** Answer of `POST /v1/payments`. */
export const paidSchema = z.object({
  payment: paymentSchema,
  header: z
    .object({ name: z.enum(['PAYMENT-SIGNATURE', 'X-PAYMENT']), value: z.string() })
    .describe('the header to retry the request with'),
  grant: z.object({ remaining: z.string() }),
});
