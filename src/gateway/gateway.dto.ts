import { z } from 'zod';
import { idText, text, timeText } from '../http/contract.js';
import { pageOf, pageQueryOf, reportLimit } from '../http/paging.js';

/** The states of a sale, in one word each. */
const SALE_STATUSES = ['open', 'settled', 'uncharged', 'refund_owed'] as const;

const address = () =>
  z
    .string()
    .max(42)
    .regex(/^0x[0-9a-fA-F]{40}$/, 'must be an address');

/** Query of `GET /v1/gateway/sales`. */
export const salesQuery = pageQueryOf('sal').extend({
  treasuryId: idText('trs').optional(),
  operation: text(1, 300).optional(),
  payer: address().optional(),
  status: z.enum(SALE_STATUSES).optional(),
  from: timeText().optional().describe('sales made at this time or later'),
  to: timeText().optional().describe('sales made at this time or earlier'),
});
/** See {@link salesQuery}. */
export type SalesQuery = z.infer<typeof salesQuery>;

const saleSchema = z
  .object({
    id: z.string(),
    treasuryId: z.string().describe('the treasury of the gateway, in whose log the sale is'),
    status: z
      .enum(SALE_STATUSES)
      .describe(
        'open: under way, or not known yet; uncharged: nothing was paid; refund_owed: paid first, and the API failed then',
      ),
    operation: z.string(),
    resource: z.string().describe('method and path'),
    amount: z.string().describe('currency units'),
    currency: z.string(),
    network: z.string(),
    asset: z.string(),
    payer: z.string(),
    payTo: z.string(),
    settle: z.enum(['after', 'before']),
    statusCode: z.int().nullable().describe('what the API answered with; null for nothing'),
    transaction: z.string().nullable(),
    reason: z.string().nullable().describe('why it was not charged, or is not known'),
    configHash: z.string().describe("SHA-256 of the gateway's file"),
    createdAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Sale' });
/** A sale as the API shows it. */
export type SaleView = z.infer<typeof saleSchema>;

export const salesSchema = pageOf(saleSchema);

/** The dimensions of a revenue report. */
export const REVENUE_DIMENSIONS = ['operation', 'payer', 'day', 'network'] as const;
/** One of {@link REVENUE_DIMENSIONS}. */
export type RevenueDimension = (typeof REVENUE_DIMENSIONS)[number];

/** Query of `GET /v1/reports/revenue`. */
export const revenueQuery = z.strictObject({
  groupBy: z
    .string()
    .max(100)
    .transform((given, context): RevenueDimension[] => {
      const names = given === '' ? [] : given.split(',');
      const known: readonly string[] = REVENUE_DIMENSIONS;
      if (names.some((name) => !known.includes(name)) || new Set(names).size < names.length) {
        context.addIssue(`must be some of ${known.join(', ')}, each once, with commas between`);
      }
      return names as RevenueDimension[];
    })
    .default([])
    .describe('dimensions with commas between: operation, payer, day, network'),
  treasuryId: idText('trs').optional(),
  from: timeText().optional().describe('sales made at this time or later'),
  to: timeText().optional().describe('sales made at this time or earlier'),
  limit: reportLimit,
  cursor: z
    .string()
    .max(12)
    .regex(/^[1-9][0-9]{0,11}$/, 'must be a nextCursor that this report answered with')
    .optional(),
});
/** See {@link revenueQuery}. */
export type RevenueQuery = z.infer<typeof revenueQuery>;

export const revenueSchema = z
  .object({
    items: z.array(
      z
        .object({
          group: z.record(z.string(), z.string()),
          currency: z.string(),
          sales: z.int().describe('credentials that were taken'),
          settled: z.int().describe('sales that were paid for'),
          revenue: z.string().describe('currency units paid, what is owed back included'),
          owed: z.string().describe('currency units owed back'),
          uncharged: z.int().describe('sales for which nothing was paid'),
        })
        .meta({ id: 'RevenueItem' }),
    ),
    nextCursor: z.string().nullable().describe('the cursor of the next page; null on the last'),
  })
  .meta({ id: 'RevenueReport' });
/** See {@link revenueSchema}. */
export type RevenueReport = z.infer<typeof revenueSchema>;
