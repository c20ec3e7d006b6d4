import { z } from 'zod';

/**
 * The queues: what waits for a chain, what seals the log, what only looks after rows, and what waits for strangers'
 * servers: receivers of webhooks, sources of catalogs. A slow chain or stranger never holds up the others. Few, because each costs connections where queues are on Postgres.
 */
export const QUEUES = ['audit', 'settlement', 'upkeep', 'webhooks'] as const;
/** See {@link QUEUES}. */
export type QueueName = (typeof QUEUES)[number];

/** Shows that a queue flows to one worker: others that take it pass it on, `hops` times at most. */
const canary = z.strictObject({ worker: z.string(), hops: z.int().min(0) });

/**
 * Every job there is: its queue and what it carries. Payloads are notifications: they say where to look,
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
  'grants.return': { queue: 'upkeep', payload: z.strictObject({}) },
  /** End raise requests that nobody decided about. Scheduled. */
  'grants.lapse': { queue: 'upkeep', payload: z.strictObject({}) },
  /** End payments that waited too long for an approval. Scheduled. */
  'payments.lapse': { queue: 'upkeep', payload: z.strictObject({}) },
  /** Fold what was sealed into the sums of reports. Scheduled. */
  'reports.fold': { queue: 'upkeep', payload: z.strictObject({}) },
  /** Tell treasuries whose free funds are low. Scheduled. */
  'treasury.low': { queue: 'upkeep', payload: z.strictObject({}) },
  /** Read a network's new final blocks. Scheduled. */
  'settlement.read': { queue: 'settlement', payload: z.strictObject({ network: z.string() }) },
  /** Send a network's cancellations, and see after those that were sent. Scheduled. */
  'cancel.send': { queue: 'settlement', payload: z.strictObject({ network: z.string() }) },
  /** Forget proofs and revocations that can no longer count. Scheduled. */
  'access.forget': { queue: 'upkeep', payload: z.strictObject({}) },
  /** Find webhooks that have something to send, and forget old deliveries. Scheduled. */
  'webhooks.sweep': { queue: 'webhooks', payload: z.strictObject({}) },
  /** Send what a webhook has to send now. */
  'webhooks.deliver': { queue: 'webhooks', payload: z.strictObject({ webhookId: z.string() }) },
  /** Find catalogs that are due, and measure how payments to the hosts they list went. Scheduled. */
  'catalogs.sweep': { queue: 'webhooks', payload: z.strictObject({}) },
  /** Read a catalog's documents. */
  'catalogs.read': { queue: 'webhooks', payload: z.strictObject({ catalogId: z.string() }) },
  'audit.canary': { queue: 'audit', payload: canary },
  'settlement.canary': { queue: 'settlement', payload: canary },
  'upkeep.canary': { queue: 'upkeep', payload: canary },
  'webhooks.canary': { queue: 'webhooks', payload: canary },
} as const satisfies Record<string, { queue: QueueName; payload: z.ZodType }>;

/** The name of a job. */
export type JobName = keyof typeof JOBS;

/** Payload of a job. */
export type JobPayload<Name extends JobName> = z.infer<(typeof JOBS)[Name]['payload']>;
