import { Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { Database } from '../database/database.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import { Queues } from '../outbox/queues.js';
import { Networks } from '../treasury/networks.js';
import { Wallets } from '../treasury/wallets.js';

/** Totals of a treasury. */
@Injectable()
export class SummaryService {
  constructor(
    private readonly database: Database,
    private readonly wallets: Wallets,
    private readonly queues: Queues,
    private readonly networks: Networks,
  ) {}

  /**
   * Reads the totals of a treasury in one currency; of the main treasury, unless another is named.
   *
   * @throws Problem `not_found` for a treasury that the caller may not see.
   */
  async read(caller: Caller, query: { treasuryId?: string | undefined; currency: string }) {
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

/** Spent sums stand on the roots; a grant's status is its chain's, as the domain has it. */
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
      coalesce(sum(greatest(b.balance - b.reserved, 0)) FILTER (WHERE w.status = 'active' AND b.code IS NULL AND b.held_since IS NULL), 0)::text AS free
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
