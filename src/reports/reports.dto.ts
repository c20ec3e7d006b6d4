import { z } from 'zod';
import { idText, timeText } from '../http/contract.js';
import { reportLimit } from '../http/paging.js';

/** The dimensions of a report that have a name of their own. */
export const DIMENSIONS = [
  'day',
  'hour',
  'grant',
  'root',
  'holder',
  'payTo',
  'host',
  'network',
  'status',
] as const;
/** One of {@link DIMENSIONS}, or `label:<key>`. */
export type Dimension = (typeof DIMENSIONS)[number] | `label:${string}`;

/** How many dimensions a report may have. */
const MAX_DIMENSIONS = 3;

const LABEL = /^label:[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

function isDimension(name: string): name is Dimension {
  return (DIMENSIONS as readonly string[]).includes(name) || LABEL.test(name);
}

const groupBySchema = z
  .string()
  .max(3 * 70)
  .transform((text, context): Dimension[] => {
    const names = text === '' ? [] : text.split(',');
    const wrong = names.find((name) => !isDimension(name));
    if (wrong !== undefined) {
      context.addIssue(`${wrong}: must be one of ${DIMENSIONS.join(', ')} and label:<key>`);
    } else if (new Set(names).size < names.length) {
      context.addIssue('names a dimension twice');
    } else if (names.length > MAX_DIMENSIONS) {
      context.addIssue(`must be at most ${MAX_DIMENSIONS} dimensions`);
    }
    return names as Dimension[];
  })
  .default([])
  .describe(
    'up to three dimensions with commas between: day, hour, grant, root, holder, payTo, host, network, status, label:<key>',
  );

/** Query of `GET /v1/reports/spend`. */
export const spendQuery = z.strictObject({
  groupBy: groupBySchema,
  from: timeText().optional().describe('payments made at this time or later'),
  to: timeText().optional().describe('payments made at this time or earlier'),
  grantId: idText('grt').optional().describe('includes the tree below it'),
  treasuryId: idText('trs').optional(),
  limit: reportLimit,
  cursor: z
    .string()
    .max(16_384)
    .transform((value, context) => {
      const place = parseCursor(value);
      if (place) return place;
      context.addIssue('must be a nextCursor that this report answered with');
      return z.NEVER;
    })
    .optional(),
});
/** See {@link spendQuery}. */
export type SpendQuery = z.infer<typeof spendQuery>;

/** The sorting keys of the last item of a page. */
function parseCursor(value: string): string[] | undefined {
  try {
    const keys: unknown = JSON.parse(Buffer.from(value, 'base64url').toString('utf8'));
    return z
      .array(z.string().refine((key) => !key.includes('\0')))
      .min(1)
      .max(MAX_DIMENSIONS + 1)
      .parse(keys);
  } catch {
    return undefined;
  }
}

/** The cursor that {@link parseCursor} reads. */
export function formatCursor(keys: readonly string[]): string {
  return Buffer.from(JSON.stringify(keys)).toString('base64url');
}

const amount = z.string().describe('currency units');

/** One group of a report. */
export const spendItemSchema = z
  .object({
    group: z
      .record(z.string(), z.string().nullable())
      .describe('the dimensions asked for; null where a payment has none, as a label it lacks'),
    currency: z.string(),
    payments: z.int().describe('payments of any status; requests that were refused are none'),
    settled: amount.describe('spent for good; currency units'),
    open: amount.describe('signed and not settled; currency units'),
    released: amount.describe('signed and given back: released or cancelled; currency units'),
    refused: z.int().describe('requests that were refused'),
  })
  .meta({
    id: 'SpendItem',
    example: {
      group: { day: '2026-11-21', holder: 'research-agent-7' },
      currency: 'USDC',
      payments: 12,
      settled: '0.22',
      open: '0.02',
      released: '0.00',
      refused: 1,
    },
  });
/** See {@link spendItemSchema}. */
export type SpendItem = z.infer<typeof spendItemSchema>;

/** Answer of `GET /v1/reports/spend`. */
export const spendReportSchema = z
  .object({
    items: z.array(spendItemSchema),
    nextCursor: z.string().nullable().describe('the cursor of the next page; null on the last'),
  })
  .meta({ id: 'SpendReport' });
/** See {@link spendReportSchema}. */
export type SpendReport = z.infer<typeof spendReportSchema>;

/** Query of `GET /v1/reports/refusals`. */
export const refusalsQuery = z.strictObject({
  from: timeText()
    .optional()
    .describe('told at this time or later; 24 hours before `to` by default'),
  to: timeText().optional().describe('told at this time or earlier; now by default'),
  grantId: idText('grt').optional().describe('includes the tree below it'),
  treasuryId: idText('trs').optional(),
});
/** See {@link refusalsQuery}. */
export type RefusalsQuery = z.infer<typeof refusalsQuery>;

/** Answer of `GET /v1/reports/refusals`. */
export const refusalsReportSchema = z
  .object({
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    items: z
      .array(
        z
          .object({
            code: z.string().describe('code of the problem that was answered'),
            refusals: z.int().describe('requests; those that were only counted too'),
            grants: z.int().describe('grants that asked'),
            latestAt: z.iso.datetime(),
          })
          .meta({ id: 'RefusalCount' }),
      )
      .describe('the most frequent first; all of them'),
  })
  .meta({ id: 'RefusalsReport' });
/** See {@link refusalsReportSchema}. */
export type RefusalsReport = z.infer<typeof refusalsReportSchema>;
