import { z } from 'zod';
import { idText, text, timeText } from '../http/contract.js';
import { pageQueryOf } from '../http/paging.js';
import { EVENT_GUIDE } from '../ledger/event-guide.js';
import type { EventKind } from '../ledger/events.js';

const eventKind = z
  .enum(Object.keys(EVENT_GUIDE) as [EventKind, ...EventKind[]])
  .describe('what happened; docs/events.md explains each kind and its data')
  .meta({ id: 'EventKind' });

/** An event as the contract shows it: its audit record, and its place in the log. */
export const eventSchema = z
  .object({
    id: z.string(),
    treasuryId: z.string(),
    kind: eventKind,
    actor: z.string().describe('admin:<name>, grant:<id> or system:<room>'),
    at: z.iso.datetime(),
    grantId: z.string().nullable(),
    paymentId: z.string().nullable(),
    requestId: z.string().nullable(),
    traceId: z.string().optional().describe('trace of the request (W3C Trace Context), if any'),
    spanId: z.string().optional().describe('span in that trace, if it is recorded'),
    reason: z.string().nullable(),
    data: z.record(z.string(), z.unknown()),
    leafIndex: z.string().nullable().describe('place in the log; null until sealed'),
  })
  .meta({ id: 'AuditEvent' });

const treasuryId = idText('trs')
  .optional()
  .describe("whose log; for admins, the main treasury's by default. A holder's is its own");

/** Query of `GET /v1/audit/events`. */
export const eventsQuery = pageQueryOf('evt').extend({
  grantId: idText('grt').optional().describe('includes the tree below it'),
  paymentId: idText('pay').optional(),
  kind: eventKind.optional(),
  code: text(1, 64)
    .regex(/^[a-z][a-z0-9_]*$/, 'must be the code of a problem, such as budget_exceeded')
    .optional()
    .describe('refused payments with this code; those that were only counted too'),
  actor: text(1, 255)
    .regex(/^(?:admin|grant|system):/, 'must be admin:<name>, grant:<id> or system:<room>')
    .optional(),
  from: timeText().optional(),
  to: timeText().optional(),
});
/** See {@link eventsQuery}. */
export type EventsQuery = z.infer<typeof eventsQuery>;

/** Query of what is asked of one log. */
export const logQuery = z.strictObject({ treasuryId });
/** See {@link logQuery}. */
export type LogQuery = z.infer<typeof logQuery>;

const number = (what: string) =>
  z
    .string()
    .max(15)
    .regex(/^(0|[1-9][0-9]{0,14})$/, `must be a ${what}`);

/** Query of `GET /v1/audit/export`. */
export const exportQuery = logQuery.extend({
  from: number('leaf index').optional().describe('first leaf index, 0 by default'),
  to: number('leaf index').optional().describe('last leaf index, the newest sealed by default'),
  format: z
    .enum(['jsonl', 'csv'])
    .default('jsonl')
    .describe('jsonl is the log itself; csv is for spreadsheets and proves nothing'),
});
/** See {@link exportQuery}. */
export type ExportQuery = z.infer<typeof exportQuery>;

/** Query of `GET /v1/audit/consistency`. */
export const consistencyQuery = logQuery.extend({
  from: number('tree size').describe('the earlier tree size'),
  to: number('tree size').optional().describe('the later tree size, the newest by default'),
});
/** See {@link consistencyQuery}. */
export type ConsistencyQuery = z.infer<typeof consistencyQuery>;

const hashes = z.array(z.string().describe('SHA-256, base64'));

/** Answer of `GET /v1/audit/events/:id/proof`. */
export const proofSchema = z
  .object({
    id: z.string(),
    treasuryId: z.string(),
    record: z.string().describe('the leaf, byte for byte: canonical JSON (RFC 8785)'),
    leafIndex: z.string(),
    leafHash: z.string().describe('SHA-256(0x00, record), base64'),
    treeSize: z.string(),
    inclusionProof: hashes.describe('from the leaf up (RFC 9162, 2.1.3.1)'),
    checkpoint: z.string().describe('the signed note whose root the proof leads to'),
  })
  .meta({ id: 'InclusionProof' });

/** Answer of `GET /v1/audit/consistency`. */
export const consistencySchema = z
  .object({
    from: z.string(),
    to: z.string(),
    fromRoot: z.string().describe('SHA-256, base64'),
    toRoot: z.string().describe('SHA-256, base64'),
    consistencyProof: hashes.describe('RFC 9162, 2.1.4.1'),
  })
  .meta({ id: 'ConsistencyProof' });
