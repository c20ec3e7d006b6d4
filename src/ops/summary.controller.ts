import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller } from '../access/caller.js';
import { Database } from '../database/database.js';
import { currencyOf, DEFAULT_CURRENCY, formatAmount } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import { Answers, QueryInput } from '../http/contract.js';
import { idPattern } from '../ids.js';
import { QUEUES } from '../outbox/jobs.js';
import { Queues } from '../outbox/queues.js';
import { Networks } from '../treasury/networks.js';
import { Wallets } from '../treasury/wallets.js';

const amount = z.string().describe('currency units');

const summarySchema = z.object({
  treasuryId: z.string(),
  currency: z.string(),
  exposure: z
    .object({
      payments: z.int(),
      amount,
      lastValidBefore: z.iso.datetime().nullable(),
    })
    .describe('signed and unsettled: what may still be spent whatever is decided now'),
  spent: amount.describe('settled for good'),
  funds: z
    .object({ balance: amount, reserved: amount, free: amount })
    .describe(
      'of all wallets but retired ones, in tokens of the currency; what draining ones hold, or ones with code, is not free',
    ),
  grants: z.object({
    active: z.int(),
    suspended: z.int(),
    revoked: z.int(),
    expired: z.int(),
    not_started: z.int(),
  }),
  cancelling: z.int().describe('open payments whose cancellation was asked for'),
  queues: z
    .record(
      z.enum(QUEUES),
      z.object({ waiting: z.int(), active: z.int(), delayed: z.int(), failed: z.int() }),
    )
    .nullable()
    .describe('of the whole service; null when the queues do not answer'),
  networks: z
    .record(z.string(), z.string())
    .describe('of the whole service: ready, or why a network is not'),
});

const summaryQuery = z.strictObject({
  treasuryId: z.string().regex(idPattern('trs'), 'must be a trs_ id').optional(),
  currency: z.string().max(16).default(DEFAULT_CURRENCY.code),
});

/** `/v1/summary`: how a treasury stands, in one look. */
@ApiTags('operations')
@Controller('v1/summary')
export class SummaryController {
  constructor(
    private readonly database: Database,
    private readonly wallets: Wallets,
    private readonly queues: Queues,
    private readonly networks: Networks,
  ) {}

  @Get()
  @Allow('admin', 'approver', 'auditor')
  @Answers(200, summarySchema, 'Totals of a treasury; of the main one, unless another is named')
  async summary(
    @CurrentCaller() caller: Caller,
    @QueryInput(summaryQuery) query: z.infer<typeof summaryQuery>,
  ) {
    const treasuryId = await this.wallets.treasuryFor(caller, query.treasuryId);
    const currency = currencyOf(query.currency);
    const tokens = this.networks
      .all()
      .flatMap(({ network, assets }) =>
        assets
          .filter((asset) => asset.currency === currency.code)
          .map(({ address }) => ({ network, address })),
      );
    // One statement, so that all of it is of one moment.
    const { rows } = await this.database.pool.query<SummaryRow>(SUMMARY, [
      treasuryId,
      currency.code,
      tokens.map(({ network }) => network),
      tokens.map(({ address }) => address),
    ]);
    const row = rows[0];
    if (!row) throw new Problem('not_found', `no treasury ${treasuryId}`);
    const units = (atomic: string) => formatAmount(BigInt(atomic), currency);
    return {
      treasuryId,
      currency: currency.code,
      exposure: {
        payments: row.open,
        amount: units(row.exposure),
        lastValidBefore: row.last === null ? null : new Date(Number(row.last) * 1000).toISOString(),
      },
      spent: units(row.spent),
      funds: { balance: units(row.balance), reserved: units(row.reserved), free: units(row.free) },
      grants: { active: 0, suspended: 0, revoked: 0, expired: 0, not_started: 0, ...row.grants },
      cancelling: row.cancelling,
      queues: await this.queues.counts().catch(() => null),
      networks: Object.fromEntries(
        this.networks.all().map(({ network }) => {
          const health = this.networks.health(network);
          return [network, health.ready ? 'ready' : health.reason];
        }),
      ),
    };
  }
}

interface SummaryRow {
  open: number;
  exposure: string;
  last: string | null;
  spent: string;
  balance: string;
  reserved: string;
  free: string;
  grants: Record<string, number> | null;
  cancelling: number;
}

/** What is spent stands on the roots; a grant's status is its chain's, as the domain has it. */
const SUMMARY = `
  SELECT open.*, roots.*, funds.*, cancelling.*, status.*
  FROM treasuries t
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS open, coalesce(sum(p.amount), 0)::text AS exposure,
      max(p.valid_before)::text AS last
    FROM payments p WHERE p.treasury_id = t.id AND p.status = 'authorized' AND p.currency = $2) open
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(g.spent), 0)::text AS spent
    FROM grants g WHERE g.treasury_id = t.id AND g.depth = 0 AND g.currency = $2) roots
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(b.balance), 0)::text AS balance, coalesce(sum(b.reserved), 0)::text AS reserved,
      coalesce(sum(greatest(b.balance - b.reserved, 0)) FILTER (WHERE w.status = 'active' AND b.code IS NULL), 0)::text AS free
    FROM wallets w JOIN wallet_balances b ON b.treasury_id = w.treasury_id AND b.wallet_id = w.id
    WHERE w.treasury_id = t.id AND w.status <> 'retired'
      AND (b.network, b.asset) IN (SELECT * FROM unnest($3::text[], $4::text[]))) funds
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS cancelling FROM cancellations c
    JOIN payments p ON p.treasury_id = c.treasury_id AND p.id = c.payment_id
    WHERE c.treasury_id = t.id AND NOT c.is_over AND p.status = 'authorized') cancelling
  CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(s.status, s.grants) AS grants FROM (
      SELECT e.status, count(*)::int AS grants FROM (
        SELECT CASE
            WHEN bool_or(a.status = 'revoked') THEN 'revoked'
            WHEN bool_or(a.status = 'suspended') THEN 'suspended'
            WHEN bool_or(a.expires_at <= now()) THEN 'expired'
            WHEN bool_or(a.starts_at > now()) THEN 'not_started'
            ELSE 'active' END AS status
        FROM grants g JOIN grants a ON a.treasury_id = g.treasury_id AND a.id = ANY (g.path)
        WHERE g.treasury_id = t.id GROUP BY g.id) e
      GROUP BY e.status) s) status
  WHERE t.id = $1`;
