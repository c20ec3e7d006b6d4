import { getAddress, isAddress } from 'viem';
import { z } from 'zod';
import { holderKeySchema } from '../access/holder-key.js';
import { MAX_DELEGATION_DEPTH, MAX_TTL_SECONDS } from '../domain/grant.js';
import { Problem } from '../domain/problem.js';
import { MAX_SCOPE_ENTRIES, parsePattern } from '../domain/scope.js';
import { MAX_WINDOWS } from '../domain/window.js';
import { text } from '../http/contract.js';
import { pageOf, pageQuery } from '../http/paging.js';
import { idPattern } from '../ids.js';

const scopeSchema = z.strictObject({
  networks: z
    .array(z.string().regex(/^eip155:[1-9][0-9]{0,15}$/, 'must be CAIP-2, such as eip155:8453'))
    .max(MAX_SCOPE_ENTRIES)
    .optional(),
  payTo: z
    .array(
      z
        .string()
        .refine(
          (address): boolean => isAddress(address),
          'must be an EVM address with a valid checksum',
        )
        .overwrite((address) => (isAddress(address) ? getAddress(address) : address)),
    )
    .max(MAX_SCOPE_ENTRIES)
    .optional(),
  resources: z
    .array(z.string().superRefine(refusePattern))
    .max(MAX_SCOPE_ENTRIES)
    .optional()
    .describe('https://host[:port]/path; * as the leftmost host label or at the end of the path'),
});

const labelsSchema = z
  .record(
    z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/,
        'label names are letters, digits, "_", "." and "-"',
      )
      .refine((name) => name !== 'constructor' && name !== 'prototype', 'is not a label name'),
    text(0, 255),
  )
  .refine((labels) => Object.keys(labels).length <= 16, 'at most 16 labels');

const amount = z.string().max(104).describe('currency units, such as "25.00"');

const count = z.int().min(0).max(2_147_483_647);

const windowSchema = z
  .strictObject({
    seconds: z.int().min(1).max(MAX_TTL_SECONDS),
    amount: amount.optional(),
    payments: count.optional(),
  })
  .refine((window) => window.amount !== undefined || window.payments !== undefined, {
    error: 'needs an amount, a number of payments, or both',
  });

const windowsSchema = z
  .array(windowSchema)
  .max(MAX_WINDOWS)
  .describe('limits by period; periods are counted from startsAt');

/** Body of `POST /v1/grants`. */
export const mintSchema = z.strictObject({
  holder: text(1, 200),
  budget: amount,
  currency: z.string().max(16).optional(),
  maxPerPayment: amount.optional(),
  maxPayments: count.optional(),
  windows: windowsSchema.optional(),
  approvalAbove: amount.optional().describe('payments of more wait for an approval'),
  scope: scopeSchema.optional(),
  startsAt: z.iso.datetime().optional(),
  ttlSeconds: z.int().min(1).max(MAX_TTL_SECONDS).optional(),
  expiresAt: z.iso.datetime().optional(),
  delegationDepth: z.int().min(0).max(MAX_DELEGATION_DEPTH).optional(),
  funding: z
    .enum(['shared', 'reserved'])
    .default('shared')
    .describe('shared: a ceiling; reserved: set aside from the parent at minting'),
  purpose: text(0, 1000).optional(),
  labels: labelsSchema.optional(),
  parentId: z
    .string()
    .regex(idPattern('grt'), 'must be a grt_ id')
    .optional()
    .describe('admins only'),
  treasuryId: z
    .string()
    .regex(idPattern('trs'), 'must be a trs_ id')
    .optional()
    .describe('admins only'),
  holderKey: holderKeySchema.optional(),
});
/** See {@link mintSchema}. */
export type MintBody = z.infer<typeof mintSchema>;

/** Body of `POST /v1/grants/:id/revoke`. */
export const revokeSchema = z.strictObject({
  reason: text(1, 1000).optional(),
  cancelOutstanding: z
    .boolean()
    .optional()
    .describe('also ask the chain to cancel what is signed and unsettled'),
});
/** See {@link revokeSchema}. */
export type RevokeBody = z.infer<typeof revokeSchema>;

/** Body of `POST /v1/grants/:id/suspend` and `/resume`. */
export const reasonSchema = z.strictObject({ reason: text(1, 1000).optional() });
/** See {@link reasonSchema}. */
export type ReasonBody = z.infer<typeof reasonSchema>;

/** Query of `GET /v1/grants`. */
export const listSchema = pageQuery.extend({
  parentId: z.string().regex(idPattern('grt'), 'must be a grt_ id').optional(),
  status: z.enum(['active', 'suspended', 'revoked', 'expired', 'not_started']).optional(),
  holder: text(0, 200).optional(),
  label: text(2, 320)
    .regex(/^[^:]{1,63}:/, 'must be name:value')
    .optional(),
});
/** Query of `GET /v1/grants/:id/tree`. */
export type TreeQuery = z.infer<typeof pageQuery>;
/** See {@link listSchema}. */
export type ListQuery = z.infer<typeof listSchema>;

/** A grant as the contract shows it. */
export const grantSchema = z.object({
  id: z.string(),
  treasuryId: z.string(),
  parentId: z.string().nullable(),
  rootId: z.string(),
  depth: z.int(),
  status: z.enum(['active', 'suspended', 'revoked', 'expired', 'not_started']),
  holder: z.string(),
  currency: z.string(),
  budget: amount,
  maxPerPayment: amount.nullable(),
  maxPayments: z.int().nullable(),
  windows: windowsSchema,
  approvalAbove: amount.nullable(),
  scope: scopeSchema,
  startsAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  delegationDepth: z.int(),
  funding: z.enum(['shared', 'reserved']),
  holderKey: z.record(z.string(), z.string()).nullable().describe('the public JWK it is bound to'),
  purpose: z.string().nullable(),
  labels: z.record(z.string(), z.string()),
  createdAt: z.iso.datetime(),
  reserved: amount,
  spent: amount,
  allocated: amount,
  remaining: amount.describe('what could be spent now, ancestors included'),
  payments: z.int(),
});
/** See {@link grantSchema}. */
export type GrantView = z.infer<typeof grantSchema>;

/** Answer of `POST /v1/grants`. */
export const mintedSchema = z.object({ grant: grantSchema, token: z.string() });

/** Answer of `POST /v1/grants/:id/suspend` and `/resume`. */
export const shownSchema = z.object({ grant: grantSchema });

/** Answer of `POST /v1/grants/:id/revoke`. */
export const revokedSchema = z.object({
  grant: grantSchema,
  revokedGrants: z.int().describe('how many grants ended by this, the grant itself included'),
  exposure: z
    .object({
      payments: z.int(),
      amount,
      lastValidBefore: z.iso.datetime().nullable(),
    })
    .describe('signed and unsettled: what may still be spent whatever is decided now'),
});

function refusePattern(pattern: string, context: z.RefinementCtx<string>): void {
  try {
    parsePattern(pattern);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    context.addIssue({ code: 'custom', message: error.detail });
  }
}

/** Answer of `GET /v1/grants/:id/tree`: a page of the tree, and what all of it comes to. */
export const treeSchema = pageOf(grantSchema).extend({
  totals: z
    .object({
      grants: z.int().describe('grants that no revocation has ended'),
      payments: z.int().describe('payments open or settled'),
      openPayments: z.int().describe('payments signed and not settled'),
      reserved: amount,
      spent: amount,
      allocated: amount,
      remaining: amount,
    })
    .describe('of the whole tree, not of this page'),
});
