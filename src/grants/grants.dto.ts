import { z } from 'zod';
import { holderKeySchema } from '../access/holder-key.js';
import { MAX_BREAKER_REFUSALS, MAX_BREAKER_SECONDS } from '../domain/breaker.js';
import { MAX_DELEGATION_DEPTH, MAX_TTL_SECONDS } from '../domain/grant.js';
import { Problem } from '../domain/problem.js';
import { MAX_SCOPE_ENTRIES, MAX_URL_LENGTH, parsePattern } from '../domain/scope.js';
import { MAX_WINDOWS } from '../domain/window.js';
import { parseAddress } from '../evm.js';
import { idText, labelFilter, networkText, text, timeText } from '../http/contract.js';
import { pageOf, pageQueryOf } from '../http/paging.js';

/** A grant's scope, in bodies and answers. */
export const scopeSchema = z.strictObject({
  networks: z.array(networkText()).max(MAX_SCOPE_ENTRIES).optional(),
  payTo: z
    .array(
      z
        .string()
        .max(42)
        .refine(
          (address) => parseAddress(address) !== undefined,
          'must be an EVM address with a valid checksum',
        )
        .overwrite((address) => parseAddress(address) ?? address),
    )
    .max(MAX_SCOPE_ENTRIES)
    .optional(),
  resources: z
    .array(z.string().max(MAX_URL_LENGTH).superRefine(refusePattern))
    .max(MAX_SCOPE_ENTRIES)
    .optional()
    .describe('https://host[:port]/path; * as the leftmost host label or at the end of the path'),
});

const labelsSchema = z
  .record(
    z
      .string()
      .max(63)
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/,
        'label names are letters, digits, "_", "." and "-"',
      )
      .refine((name) => name !== 'constructor' && name !== 'prototype', 'is not a label name'),
    text(0, 255),
  )
  .refine((labels) => Object.keys(labels).length <= 16, 'at most 16 labels');

/** An amount of money. */
export const amount = z.string().max(104).describe('currency units, such as "25.00"');

/** A number of payments. */
export const count = z.int().min(0).max(2_147_483_647);

const windowSchema = z
  .strictObject({
    seconds: z.int().min(1).max(MAX_TTL_SECONDS),
    amount: amount.optional(),
    payments: count.optional(),
  })
  .refine((window) => window.amount !== undefined || window.payments !== undefined, {
    error: 'needs an amount, a number of payments, or both',
  });

/** A grant's windows, in bodies and answers. */
export const windowsSchema = z
  .array(windowSchema)
  .max(MAX_WINDOWS)
  .describe('limits by period; periods are counted from startsAt');

const breakerSchema = z
  .strictObject({
    refusals: z.int().min(1).max(MAX_BREAKER_REFUSALS),
    seconds: z.int().min(1).max(MAX_BREAKER_SECONDS),
  })
  .describe('suspends the grant when its subtree is refused so often in so many seconds');

const APPROVE_NEW_PAYEES =
  'the first payment to a payee the grant does not know waits for an approval';

/** Body of `POST /v1/grants`. */
export const mintSchema = z
  .strictObject({
    holder: text(1, 200),
    budget: amount,
    currency: z.string().max(16).optional(),
    maxPerPayment: amount.optional(),
    maxPayments: count.optional(),
    windows: windowsSchema.optional(),
    approvalAbove: amount.optional().describe('payments of more wait for an approval'),
    scope: scopeSchema.optional(),
    startsAt: timeText().optional(),
    ttlSeconds: z.int().min(1).max(MAX_TTL_SECONDS).optional(),
    expiresAt: timeText().optional(),
    delegationDepth: z.int().min(0).max(MAX_DELEGATION_DEPTH).optional(),
    approveNewPayees: z.boolean().optional().describe(APPROVE_NEW_PAYEES),
    breaker: breakerSchema.optional(),
    funding: z
      .enum(['shared', 'reserved'])
      .default('shared')
      .describe('shared: a ceiling; reserved: set aside from the parent at minting'),
    purpose: text(0, 1000).optional(),
    labels: labelsSchema.optional(),
    parentId: idText('grt').optional().describe('admins only'),
    treasuryId: idText('trs').optional().describe('admins only'),
    holderKey: holderKeySchema.optional(),
  })
  .meta({
    id: 'NewGrant',
    example: {
      holder: 'research-agent-7',
      budget: '25.00',
      maxPerPayment: '0.50',
      windows: [{ seconds: 3600, amount: '5.00', payments: 200 }],
      scope: { networks: ['eip155:84532'], resources: ['https://api.example.com/data/*'] },
      ttlSeconds: 86400,
      delegationDepth: 1,
      purpose: 'quarterly market scan',
      labels: { task: 't-42' },
    },
  });
/** See {@link mintSchema}. */
export type MintBody = z.infer<typeof mintSchema>;

/** Body of `POST /v1/grants/:id/revoke`. */
export const revokeSchema = z
  .strictObject({
    reason: text(1, 1000).optional(),
    cancelOutstanding: z
      .boolean()
      .optional()
      .describe(
        'also ask the chain to cancel what is signed and unsettled: payments above 0, the largest first, as many as the gas of a day allows a holder',
      ),
  })
  .meta({ id: 'Revocation', example: { reason: 'task done', cancelOutstanding: false } });
/** See {@link revokeSchema}. */
export type RevokeBody = z.infer<typeof revokeSchema>;

/** Body of `POST /v1/grants/:id/suspend` and `/resume`. */
export const reasonSchema = z
  .strictObject({ reason: text(1, 1000).optional() })
  .meta({ id: 'Reason', example: { reason: 'looks odd' } });
/** See {@link reasonSchema}. */
export type ReasonBody = z.infer<typeof reasonSchema>;

/** Body of `PATCH /v1/grants/:id`. */
export const amendSchema = z
  .strictObject({
    budget: amount.optional(),
    maxPerPayment: amount.nullable().optional().describe('null takes the limit away'),
    maxPayments: count.nullable().optional().describe('null takes the limit away'),
    approvalAbove: amount
      .nullable()
      .optional()
      .describe('payments of more wait for an approval; null asks for none'),
    expiresAt: timeText().optional(),
    labels: labelsSchema.optional().describe('replaces all labels'),
    purpose: text(0, 1000).nullable().optional(),
    reason: text(1, 1000).optional(),
  })
  .refine(
    ({ reason: _reason, ...terms }) => Object.values(terms).some((each) => each !== undefined),
    {
      error: 'names no term to amend',
    },
  )
  .meta({ id: 'Amendment', example: { budget: '50.00', reason: 'more pages than expected' } });
/** See {@link amendSchema}. */
export type AmendBody = z.infer<typeof amendSchema>;

/** Query of `GET /v1/grants`. */
export const listSchema = pageQueryOf('grt').extend({
  parentId: idText('grt').optional(),
  depth: z
    .string()
    .max(1)
    .regex(/^[0-9]$/, 'must be a whole number from 0 to 9')
    .transform(Number)
    .optional()
    .describe('0 for the roots'),
  status: z.enum(['active', 'suspended', 'revoked', 'expired', 'not_started']).optional(),
  holder: text(0, 200).optional(),
  label: labelFilter().optional(),
});
/** Query of `GET /v1/grants/:id/tree`. */
export const treeQuery = pageQueryOf('grt');
/** See {@link treeQuery}. */
export type TreeQuery = z.infer<typeof treeQuery>;
/** See {@link listSchema}. */
export type ListQuery = z.infer<typeof listSchema>;

/** A grant as the contract shows it. */
export const grantSchema = z
  .object({
    id: z.string(),
    treasuryId: z.string(),
    parentId: z.string().nullable(),
    rootId: z.string(),
    depth: z.int(),
    status: z.enum(['active', 'suspended', 'revoked', 'expired', 'not_started']),
    suspendedBy: z
      .string()
      .nullable()
      .describe(
        'the actor who suspended it, as events name actors; null unless it is suspended itself',
      ),
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
    approveNewPayees: z.boolean().describe(APPROVE_NEW_PAYEES),
    breaker: breakerSchema.nullable(),
    funding: z.enum(['shared', 'reserved']),
    holderKey: z
      .record(z.string(), z.string())
      .nullable()
      .describe('the public JWK it is bound to'),
    purpose: z.string().nullable(),
    labels: z.record(z.string(), z.string()),
    createdAt: z.iso.datetime(),
    reserved: amount,
    spent: amount,
    allocated: amount,
    remaining: amount.describe('what could be spent now, ancestors included'),
    limitedBy: z
      .object({
        grantId: z.string().describe('the grant itself, or one above it'),
        by: z.enum(['status', 'budget', 'payments', 'window']),
        windowSeconds: z.int().optional().describe('the length of the window that binds'),
        reopensAt: z.iso.datetime().optional().describe('when a new period of it begins'),
      })
      .describe('the limit that `remaining` comes from'),
    payments: z.int(),
  })
  .meta({
    id: 'Grant',
    example: {
      id: 'grt_01kb5w8m4sfq5r3h3c2j8y0x7d',
      treasuryId: 'trs_01kb5w7z9ge8vb2q5t4n6m1c0a',
      parentId: null,
      rootId: 'grt_01kb5w8m4sfq5r3h3c2j8y0x7d',
      depth: 0,
      status: 'active',
      suspendedBy: null,
      holder: 'research-agent-7',
      currency: 'USDC',
      budget: '25.00',
      maxPerPayment: '0.50',
      maxPayments: null,
      windows: [{ seconds: 3600, amount: '5.00', payments: 200 }],
      approvalAbove: null,
      scope: { networks: ['eip155:84532'], resources: ['https://api.example.com/data/*'] },
      startsAt: '2026-11-21T10:00:00.000Z',
      expiresAt: '2026-11-22T10:00:00.000Z',
      delegationDepth: 1,
      approveNewPayees: false,
      breaker: null,
      funding: 'shared',
      holderKey: null,
      purpose: 'quarterly market scan',
      labels: { task: 't-42' },
      createdAt: '2026-11-21T10:00:00.000Z',
      reserved: '0.02',
      spent: '0.00',
      allocated: '0.00',
      remaining: '4.98',
      limitedBy: {
        grantId: 'grt_01kb5w8m4sfq5r3h3c2j8y0x7d',
        by: 'window',
        windowSeconds: 3600,
        reopensAt: '2026-11-21T11:00:00.000Z',
      },
      payments: 1,
    },
  });
/** Answer of `GET /v1/grants`. */
export const grantPageSchema = pageOf(grantSchema);

/** See {@link grantSchema}. */
export type GrantView = z.infer<typeof grantSchema>;

/** Answer of `POST /v1/grants`. */
export const mintedSchema = z
  .object({
    grant: grantSchema,
    token: z.string(),
    tokenExpiresAt: z.iso
      .datetime()
      .describe('when the token ends; POST /v1/grants/:id/token gives a fresh one before'),
  })
  .meta({ id: 'MintedGrant' });

/** Answer of `POST /v1/grants/:id/suspend` and `/resume`. */
export const shownSchema = z.object({ grant: grantSchema }).meta({ id: 'ChangedGrant' });

const exposureSchema = z
  .object({
    payments: z.int(),
    amount,
    lastValidBefore: z.iso.datetime().nullable(),
  })
  .describe('signed and unsettled: what may still be spent whatever is decided now');

/** Answer of `PATCH /v1/grants/:id`. */
export const amendedSchema = z
  .object({ grant: grantSchema, exposure: exposureSchema })
  .meta({ id: 'AmendedGrant' });

/** Answer of `POST /v1/grants/:id/revoke`. */
export const revokedSchema = z
  .object({
    grant: grantSchema,
    revokedGrants: z.int().describe('how many grants ended by this, the grant itself included'),
    exposure: exposureSchema,
  })
  .meta({ id: 'RevokedGrant' });

/** Answer of `GET /v1/grants/:id/revocation`. */
export const revocationSchema = z
  .object({
    grant: grantSchema,
    revokedGrants: z.int().describe('how many grants would end, the grant itself included'),
    waitingApprovals: z.int().describe('payments of them that wait for an approval'),
    exposure: exposureSchema,
    networks: z
      .array(
        z.object({
          network: z.string(),
          payments: z.int(),
          amount,
          lastValidBefore: z.iso.datetime(),
        }),
      )
      .describe('the exposure by network'),
  })
  .meta({ id: 'RevocationPreview' });

function refusePattern(pattern: string, context: z.RefinementCtx<string>): void {
  try {
    parsePattern(pattern);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    context.addIssue({ code: 'custom', message: error.detail });
  }
}

/** Answer of `GET /v1/grants/:id/tree`: a page of the tree, and what all of it comes to. */
export const treeSchema = pageOf(grantSchema)
  .extend({
    totals: z
      .object({
        grants: z.int().describe('grants neither revoked nor expired'),
        payments: z.int().describe('payments open or settled'),
        openPayments: z.int().describe('payments signed and not settled'),
        reserved: amount,
        spent: amount,
        allocated: amount,
        remaining: amount,
      })
      .describe('of the whole tree, not of this page'),
  })
  .meta({ id: 'GrantTree' });
