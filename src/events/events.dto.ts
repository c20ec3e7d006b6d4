import { z } from 'zod';
import { idText, text } from '../http/contract.js';
import { KIND_PATTERN_HELP, kindsOf } from '../ledger/kind-filter.js';

/** A list of kinds, or patterns of them, with commas between. */
const kinds = text(1, 1_000)
  .transform((given) => given.split(',').map((each) => each.trim()))
  .refine(areKinds, KIND_PATTERN_HELP);

/** Query of `GET /v1/events`. */
export const streamQuery = z.strictObject({
  kind: kinds
    .optional()
    .describe('kinds of events with commas between; payment.* stands for all of one thing'),
  grantId: idText('grt').optional().describe('includes the tree below it'),
  treasuryId: idText('trs')
    .optional()
    .describe(
      "whose log; for admins, that of every treasury they see by default. A holder's is its own",
    ),
  after: text(1, 8_192)
    .optional()
    .describe('the id of an event to resume after, where no Last-Event-ID header can be sent'),
});
/** See {@link streamQuery}. */
export type StreamQuery = z.infer<typeof streamQuery>;

/** Whether each text names kinds of events. */
export function areKinds(patterns: readonly string[]): boolean {
  try {
    kindsOf(patterns);
    return true;
  } catch {
    return false;
  }
}
