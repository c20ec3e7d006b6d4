import { z } from 'zod';
import { POLICY_DENIALS } from '../domain/problem.js';
import { amount, count, scopeSchema, windowsSchema } from './grants.dto.js';

/** How many days a replay may look back. */
const MAX_REPLAY_DAYS = 90;

/** Body of `POST /v1/grants/:id/replay`. */
export const replaySchema = z
  .strictObject({
    days: z.int().min(1).max(MAX_REPLAY_DAYS).default(7).describe('how far to look back'),
    budget: amount.optional(),
    maxPerPayment: amount.nullable().optional().describe('null takes the limit away'),
    maxPayments: count.nullable().optional().describe('null takes the limit away'),
    approvalAbove: amount.nullable().optional().describe('null asks for no approval'),
    windows: windowsSchema.optional(),
    scope: scopeSchema.optional(),
  })
  .meta({ id: 'PolicyChange', example: { days: 7, maxPerPayment: '0.10' } });
/** See {@link replaySchema}. */
export type ReplayBody = z.infer<typeof replaySchema>;

const sumSchema = z.object({ payments: z.int(), amount });

/** Answer of `POST /v1/grants/:id/replay`. */
export const replayedSchema = z
  .object({
    grantId: z.string(),
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    allowed: sumSchema.describe('payments that these terms allow as well'),
    waiting: sumSchema.describe(
      'those of them that would have waited for an approval, and had none',
    ),
    refused: sumSchema.describe('payments that these terms would have refused'),
    refusedBy: z.array(sumSchema.extend({ code: z.enum(POLICY_DENIALS) })),
    examples: z
      .array(
        z.object({
          paymentId: z.string(),
          grantId: z.string().describe('the grant that paid'),
          at: z.iso.datetime(),
          amount,
          payTo: z.string(),
          url: z.string(),
          code: z.enum(POLICY_DENIALS),
          limit: z.string().nullable(),
          detail: z.string(),
        }),
      )
      .describe('the first refused payments, oldest first'),
  })
  .meta({ id: 'PolicyReplay' });
