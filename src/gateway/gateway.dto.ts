import { z } from 'zod';
import { idText, text, timeText } from '../http/contract.js';
import { pageOf, pageQueryOf, reportLimit } from '../http/paging.js';

/** The states of a sale, in one word each. */
const SALE_STATUSES = ['open', 'settled', 'free', 'uncharged', 'refund_owed'] as const;

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
        'open: under way, or not known yet; free: one of the free requests of its payer; uncharged: nothing was paid; refund_owed: paid first, and the API failed then',
      ),
    operation: z.string(),
    resource: z.string().describe('method and path'),
    amount: z.string().describe('currency units'),
    currency: z.string(),
    network: z.string(),
    asset: z.string(),
    payer: z.string(),
    payTo: z.string(),
    settle: z.enum(['after', 'before', 'first_byte', 'free']),
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

/** Names of dimensions with commas between, each once. */
function dimensionsOf<Name extends string>(known: readonly Name[]) {
  return z
    .string()
    .max(100)
    .transform((given, context): Name[] => {
      const names = given === '' ? [] : given.split(',');
      const all: readonly string[] = known;
      if (names.some((name) => !all.includes(name)) || new Set(names).size < names.length) {
        context.addIssue(`must be some of ${known.join(', ')}, each once, with commas between`);
      }
      return names as Name[];
    })
    .default([])
    .describe(`dimensions with commas between: ${known.join(', ')}`);
}

/** The place of the next page of a report. */
const reportCursor = z
  .string()
  .max(12)
  .regex(/^[1-9][0-9]{0,11}$/, 'must be a nextCursor that this report answered with')
  .optional();

/** Query of `GET /v1/reports/revenue`. */
export const revenueQuery = z.strictObject({
  groupBy: dimensionsOf(REVENUE_DIMENSIONS),
  treasuryId: idText('trs').optional(),
  from: timeText().optional().describe('sales made at this time or later'),
  to: timeText().optional().describe('sales made at this time or earlier'),
  limit: reportLimit,
  cursor: reportCursor,
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
          free: z.int().describe('sales that were free requests of their payers'),
          uncharged: z.int().describe('sales for which nothing was paid'),
        })
        .meta({ id: 'RevenueItem' }),
    ),
    nextCursor: z.string().nullable().describe('the cursor of the next page; null on the last'),
  })
  .meta({ id: 'RevenueReport' });
/** See {@link revenueSchema}. */
export type RevenueReport = z.infer<typeof revenueSchema>;

/** The dimensions of a conversion report. */
export const CONVERSION_DIMENSIONS = ['operation', 'day'] as const;
/** One of {@link CONVERSION_DIMENSIONS}. */
export type ConversionDimension = (typeof CONVERSION_DIMENSIONS)[number];

const date = () => z.iso.date().max(10);

/** Query of `GET /v1/reports/conversion`. */
export const conversionQuery = z.strictObject({
  groupBy: dimensionsOf(CONVERSION_DIMENSIONS),
  treasuryId: idText('trs').optional(),
  from: date().optional().describe('the first day, in UTC'),
  to: date().optional().describe('the last day, in UTC'),
  limit: reportLimit,
  cursor: reportCursor,
});
/** See {@link conversionQuery}. */
export type ConversionQuery = z.infer<typeof conversionQuery>;

export const conversionSchema = z
  .object({
    items: z.array(
      z
        .object({
          group: z.record(z.string(), z.string()),
          asked: z
            .int()
            .describe(
              'unpaid requests that were answered with a 402; a crash loses those of a second',
            ),
          sales: z.int().describe('credentials that were taken'),
          settled: z.int().describe('sales that were paid for'),
        })
        .meta({ id: 'ConversionItem' }),
    ),
    nextCursor: z.string().nullable().describe('the cursor of the next page; null on the last'),
  })
  .meta({ id: 'ConversionReport' });
/** See {@link conversionSchema}. */
export type ConversionReport = z.infer<typeof conversionSchema>;
