import { z } from 'zod';

/** The queues. One concern a queue, so that a slow chain never holds up the audit log. */
export const QUEUES = ['access', 'audit', 'cancel', 'grants', 'payments', 'settlement'] as const;
/** See {@link QUEUES}. */
export type QueueName = (typeof QUEUES)[number];

/**
 * Every job there is: its queue and what it carries. Payloads are doorbells: they say where to look,
 * never what is true. A lost or doubled job costs time, not money.
 */
export const JOBS = {
  /** Seal a treasury's new events into its log. */
  'audit.seal': { queue: 'audit', payload: z.strictObject({ treasuryId: z.string() }) },
  /** Seal whatever a lost `audit.seal` left behind. Scheduled. */
  'audit.sweep': { queue: 'audit', payload: z.strictObject({}) },
  /** Push new checkpoints to the witnesses. Scheduled where there are any. */
  'audit.witness': { queue: 'audit', payload: z.strictObject({}) },
  /** Give back what is left of carve-outs that have ended. Scheduled, and rung by revocations. */
  'grants.return': { queue: 'grants', payload: z.strictObject({}) },
  /** End payments that waited too long for an approval. Scheduled. */
  'payments.lapse': { queue: 'payments', payload: z.strictObject({}) },
  /** Read a network's new final blocks. Scheduled. */
  'settlement.read': { queue: 'settlement', payload: z.strictObject({ network: z.string() }) },
  /** Send a network's cancellations, and see after those that were sent. Scheduled. */
  'cancel.send': { queue: 'cancel', payload: z.strictObject({ network: z.string() }) },
  /** Forget proofs and revocations that can no longer count. Scheduled. */
  'access.forget': { queue: 'access', payload: z.strictObject({}) },
} as const satisfies Record<string, { queue: QueueName; payload: z.ZodType }>;

/** The name of a job. */
export type JobName = keyof typeof JOBS;

/** What a job carries. */
export type JobPayload<Name extends JobName> = z.infer<(typeof JOBS)[Name]['payload']>;
