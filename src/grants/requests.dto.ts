import { z } from 'zod';
import { idText, text, timeText } from '../http/contract.js';
import { pageOf, pageQueryOf } from '../http/paging.js';

const amount = z.string().max(104).describe('currency units, such as "25.00"');

/** Body of `POST /v1/grant-requests`. */
export const askSchema = z
  .strictObject({
    budget: amount.describe('the budget asked for, in total'),
    expiresAt: timeText().optional(),
    reason: text(1, 1000),
  })
  .meta({ id: 'NewGrantRequest', example: { budget: '50.00', reason: 'twice the pages' } });
/** See {@link askSchema}. */
export type AskBody = z.infer<typeof askSchema>;

/** Query of `GET /v1/grant-requests`. */
export const requestListSchema = pageQueryOf('grq').extend({
  status: z.enum(['pending', 'approved', 'rejected']).optional(),
  grantId: idText('grt').optional(),
});
/** See {@link requestListSchema}. */
export type RequestListQuery = z.infer<typeof requestListSchema>;

const requestSchema = z
  .object({
    id: z.string(),
    treasuryId: z.string(),
    grantId: z.string(),
    status: z.enum(['pending', 'approved', 'rejected']),
    budget: amount,
    currency: z.string(),
    expiresAt: z.iso.datetime().nullable(),
    reason: z.string().describe('words of the holder: untrusted'),
    createdAt: z.iso.datetime(),
    lapsesAt: z.iso.datetime().describe('it is rejected then unless somebody decided'),
    decidedAt: z.iso.datetime().nullable(),
    decidedBy: z.string().nullable(),
    decidedReason: z.string().nullable(),
  })
  .meta({ id: 'GrantRequest' });
/** A request as the contract shows it. */
export type RequestView = z.infer<typeof requestSchema>;

/** Answer of the routes about one request. */
export const requestAnswerSchema = z
  .object({ request: requestSchema })
  .meta({ id: 'GrantRequestAnswer' });

/** Answer of `GET /v1/grant-requests`. */
export const requestPageSchema = pageOf(requestSchema);
