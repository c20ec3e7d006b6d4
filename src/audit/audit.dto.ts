import { z } from 'zod';
import { text } from '../http/contract.js';
import { pageQuery } from '../http/paging.js';
import { idPattern } from '../ids.js';

/** An event as the contract shows it: its audit record, and its place in the log. */
export const eventSchema = z.object({
  id: z.string(),
  treasuryId: z.string(),
  kind: z.string(),
  actor: z.string(),
  at: z.iso.datetime(),
  grantId: z.string().nullable(),
  paymentId: z.string().nullable(),
  requestId: z.string().nullable(),
  reason: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
  leafIndex: z.string().nullable().describe('place in the log; null until sealed'),
  chainHash: z.string().nullable().describe("the log's hash up to and including this record"),
});

/** Postgres knows no year 0. */
const time = z.iso.datetime().refine((at) => !at.startsWith('0000'), 'has no such year');

/** Query of `GET /v1/audit/events`. */
export const eventsQuery = pageQuery.extend({
  grantId: z
    .string()
    .regex(idPattern('grt'), 'must be a grt_ id')
    .optional()
    .describe('includes the tree below it'),
  paymentId: z.string().regex(idPattern('pay'), 'must be a pay_ id').optional(),
  kind: text(1, 64).optional(),
  actor: text(1, 255).optional(),
  from: time.optional(),
  to: time.optional(),
});
/** See {@link eventsQuery}. */
export type EventsQuery = z.infer<typeof eventsQuery>;

const leafIndexText = z.string().regex(/^(0|[1-9][0-9]{0,17})$/, 'must be a leaf index');
/** Query of `GET /v1/audit/export`. */
export const exportQuery = z.strictObject({
  treasuryId: z.string().regex(idPattern('trs'), 'must be a trs_ id').optional(),
  from: leafIndexText.optional().describe('first leaf index, 0 by default'),
  to: leafIndexText.optional().describe('last leaf index, the newest sealed by default'),
});
/** See {@link exportQuery}. */
export type ExportQuery = z.infer<typeof exportQuery>;
