import { z } from 'zod';
import { idText, labelFilter, text } from '../http/contract.js';
import { amount, grantSchema } from './grants.dto.js';

/** How many grants one act may stop. */
export const MAX_BULK = 500;

/** How many of them a preview shows whole. */
export const BULK_SHOWN = 10;

const filter = {
  act: z.enum(['suspend', 'revoke']),
  grantId: idText('grt').optional().describe('the grant and all below it'),
  treasuryId: idText('trs').optional(),
  holder: text(1, 200).optional(),
  label: labelFilter().optional().describe('name:value'),
  exclude: z.array(idText('grt')).max(MAX_BULK).default([]).describe('grants to leave as they are'),
};

const NEEDS_FILTER = {
  error:
    'needs a holder, a label or a grantId; to stop everything, suspend the treasury (POST /v1/treasuries/:id/suspend)',
};

function isNarrow({ grantId, holder, label }: Pick<BulkFilter, 'grantId' | 'holder' | 'label'>) {
  return grantId !== undefined || holder !== undefined || label !== undefined;
}

/** Body of `POST /v1/grants/bulk/preview`. */
export const bulkPreviewSchema = z
  .strictObject(filter)
  .refine(isNarrow, NEEDS_FILTER)
  .meta({ id: 'BulkFilter', example: { act: 'revoke', label: 'task:t-42' } });
/** See {@link bulkPreviewSchema}. */
export type BulkFilter = z.infer<z.ZodObject<typeof filter>>;

/** Body of `POST /v1/grants/bulk`. */
export const bulkSchema = z
  .strictObject({
    ...filter,
    expected: z
      .array(idText('grt'))
      .max(MAX_BULK)
      .describe('`ids` of the preview: finding another grant is a conflict, and nothing is done'),
    reason: text(1, 1000),
    cancelOutstanding: z
      .boolean()
      .optional()
      .describe('with revoke: see POST /v1/grants/:id/revoke'),
  })
  .refine(isNarrow, NEEDS_FILTER)
  .meta({
    id: 'BulkAct',
    example: {
      ...{ act: 'revoke', label: 'task:t-42', reason: 'the task is done' },
      expected: ['grt_01kb5w8m4sfq5r3h3c2j8y0x7d'],
    },
  });
/** See {@link bulkSchema}. */
export type BulkBody = z.infer<typeof bulkSchema>;

/** Answer of `POST /v1/grants/bulk/preview`. */
export const bulkPreviewedSchema = z
  .object({
    grants: z.int().describe('how many grants the filter finds that the act would change'),
    ids: z.array(z.string()),
    first: z.array(grantSchema).describe(`the first ${BULK_SHOWN} of them`),
    stopped: z.int().describe('how many grants would stop, all below included'),
    exposure: z
      .array(
        z.object({
          currency: z.string(),
          payments: z.int(),
          amount,
          lastValidBefore: z.iso.datetime().nullable(),
        }),
      )
      .describe('signed and unsettled: what may still be spent whatever is decided now'),
  })
  .meta({ id: 'BulkPreview' });

/** Answer of `POST /v1/grants/bulk`. */
export const bulkDoneSchema = z
  .object({
    changed: z.int().describe('how many grants were changed'),
    results: z.array(
      z.object({
        grantId: z.string(),
        outcome: z
          .enum(['changed', 'unchanged', 'failed'])
          .describe('unchanged: it had ended, or stopped, before; such as with a grant above it'),
        code: z.string().optional().describe('of a failure'),
        detail: z.string().optional(),
      }),
    ),
  })
  .meta({ id: 'BulkOutcome' });
