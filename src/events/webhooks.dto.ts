import { z } from 'zod';
import { idText, text, timeText } from '../http/contract.js';
import { pageOf, pageQueryOf } from '../http/paging.js';
import { KIND_PATTERN_HELP } from '../ledger/kind-filter.js';
import { areKinds } from './events.dto.js';

const kinds = z
  .array(text(1, 64))
  .min(1)
  .max(50)
  .refine(areKinds, KIND_PATTERN_HELP)
  .describe('kinds of events; payment.* stands for all of one thing, * for all');

const url = text(1, 2_048).describe('https, without user and fragment');
const description = text(1, 255);

/** Body of `POST /v1/webhooks`. */
export const webhookSchema = z
  .strictObject({
    url,
    kinds,
    grantId: idText('grt')
      .optional()
      .describe("only events of this grant and below; a holder's own by default"),
    treasuryId: idText('trs')
      .optional()
      .describe("for admins: whose events, the main treasury's by default"),
    description: description.optional(),
    approvalLinks: z
      .boolean()
      .optional()
      .describe(
        'whether deliveries of `approval.needed` and `grant_request.created` have a link by which you decide: whoever has it decides as you',
      ),
  })
  .meta({
    id: 'NewWebhook',
    example: { url: 'https://hooks.example/bursar', kinds: ['payment.*', 'grant.revoked'] },
  });
/** See {@link webhookSchema}. */
export type WebhookBody = z.infer<typeof webhookSchema>;

/** Body of `PATCH /v1/webhooks/:id`. */
export const webhookChangeSchema = z
  .strictObject({
    url: url.optional(),
    kinds: kinds.optional(),
    description: description.nullable().optional(),
  })
  .meta({ id: 'WebhookChange', example: { kinds: ['payment.*'] } });
/** See {@link webhookChangeSchema}. */
export type WebhookChange = z.infer<typeof webhookChangeSchema>;

/** Body of `POST /v1/webhooks/:id/pause` and `/resume`. */
export const webhookReasonSchema = z
  .strictObject({ reason: text(1, 1_000).optional() })
  .meta({ id: 'WebhookReason', example: { reason: 'the receiver moves' } });
/** See {@link webhookReasonSchema}. */
export type WebhookReasonBody = z.infer<typeof webhookReasonSchema>;

/** Body of `POST /v1/webhooks/:id/replay`. */
export const replaySchema = z.strictObject({ from: timeText(), to: timeText() }).meta({
  id: 'Replay',
  example: { from: '2026-11-01T00:00:00Z', to: '2026-11-02T00:00:00Z' },
});
/** See {@link replaySchema}. */
export type ReplayBody = z.infer<typeof replaySchema>;

/** A webhook as the contract shows it. Its secret is shown once, when it is made. */
export const webhookView = z
  .object({
    id: z.string(),
    treasuryId: z.string(),
    grantId: z.string().nullable(),
    url: z.string(),
    kinds: z.array(z.string()),
    description: z.string().nullable(),
    status: z
      .enum(['active', 'paused', 'ended'])
      .describe("ended: a holder's, after the end of its grant"),
    statusReason: z.string().nullable(),
    failingSince: z.iso
      .datetime()
      .nullable()
      .describe('the first failure since the last success; three days of it pause the webhook'),
    createdAt: z.iso.datetime(),
    createdBy: z.string(),
    approvalLinks: z
      .boolean()
      .describe('whether links by which `createdBy` decides are sent; a new address ends them'),
  })
  .meta({ id: 'Webhook' });
/** See {@link webhookView}. */
export type WebhookView = z.infer<typeof webhookView>;

const secret = z
  .string()
  .describe('whsec_...: what deliveries are signed with (Standard Webhooks); shown once');

/** A webhook with its secret. */
export const webhookWithSecretSchema = z
  .object({ webhook: webhookView, secret })
  .meta({ id: 'WebhookWithSecret' });

/** Answer of `POST /v1/webhooks/:id/rotate`. */
export const rotatedSchema = z
  .object({
    webhook: webhookView,
    secret,
    oldValidUntil: z.iso.datetime().describe('until when deliveries carry the old signature too'),
  })
  .meta({ id: 'RotatedWebhook' });

/** Answer of what changes a webhook. */
export const webhookAnswerSchema = z.object({ webhook: webhookView }).meta({ id: 'WebhookAnswer' });

/** Query of `GET /v1/webhooks`. */
export const webhookListSchema = pageQueryOf('whk').extend({
  status: z.enum(['active', 'paused', 'ended']).optional(),
});
/** See {@link webhookListSchema}. */
export type WebhookListQuery = z.infer<typeof webhookListSchema>;

/** A page of webhooks. */
export const webhookPageSchema = pageOf(webhookView);

/** A delivery as the contract shows it. */
export const deliveryView = z
  .object({
    id: z.string(),
    webhookId: z.string(),
    messageId: z.string().describe('the webhook-id header; a redelivery keeps it'),
    eventId: z.string().nullable().describe('null for a test'),
    kind: z.string(),
    origin: z.enum(['log', 'redelivery', 'replay', 'test']),
    status: z.enum(['pending', 'delivered', 'dead']).describe('dead: given up after 8 tries'),
    tries: z.int(),
    nextTryAt: z.iso.datetime().nullable(),
    createdAt: z.iso.datetime(),
    attempts: z
      .array(
        z.object({
          at: z.iso.datetime(),
          status: z.int().nullable(),
          milliseconds: z.int(),
          error: z.string().nullable(),
          answer: z
            .string()
            .nullable()
            .describe("the beginning of the receiver's answer: untrusted"),
        }),
      )
      .describe('tries, the latest last'),
  })
  .meta({ id: 'WebhookDelivery' });
/** See {@link deliveryView}. */
export type DeliveryView = z.infer<typeof deliveryView>;

/** Query of `GET /v1/webhooks/:id/deliveries`. */
export const deliveryListSchema = pageQueryOf('whd').extend({
  status: z.enum(['pending', 'delivered', 'dead']).optional(),
});
/** See {@link deliveryListSchema}. */
export type DeliveryListQuery = z.infer<typeof deliveryListSchema>;

/** A page of deliveries. */
export const deliveryPageSchema = pageOf(deliveryView);

/** Answer of what sends something. */
export const deliveryAnswerSchema = z
  .object({ delivery: deliveryView })
  .meta({ id: 'WebhookDeliveryAnswer' });

/** Answer of a replay. */
export const replayAnswerSchema = z
  .object({ deliveries: z.int().describe('number of events that are sent again') })
  .meta({ id: 'ReplayAnswer' });
