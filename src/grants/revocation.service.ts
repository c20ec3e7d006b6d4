import { Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { Database } from '../database/database.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { exposureOf } from './grant-view.js';
import { GrantsService } from './grants.service.js';

interface NetworkRow {
  readonly network: string;
  readonly payments: number;
  readonly amount: string;
  readonly last: string;
}

/** Says what a revocation would stop, for whoever is about to make it. */
@Injectable()
export class RevocationService {
  constructor(
    private readonly database: Database,
    private readonly grants: GrantsService,
  ) {}

  /** Counts what ends with a grant, and what may be spent all the same. Changes nothing. */
  async preview(caller: Caller, id: string) {
    const grant = await this.grants.visible(caller, id);
    const view = await this.grants.get(caller, id);
    const { rows } = await this.database.pool.query<NetworkRow>(
      `SELECT p.network, count(*)::int AS payments, sum(p.amount)::text AS amount,
         max(p.valid_before)::text AS last
       FROM payments p JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
       WHERE p.treasury_id = $1 AND p.status = 'authorized' AND g.path @> ARRAY[$2::text]
       GROUP BY p.network ORDER BY p.network`,
      [grant.treasuryId, id],
    );
    const currency = currencyOf(grant.currency);
    return {
      grant: view,
      revokedGrants: view.status === 'revoked' ? 0 : grant.alive,
      waitingApprovals: grant.waiting,
      exposure: exposureOf(grant),
      networks: rows.map(({ network, payments, amount, last }) => ({
        network,
        payments,
        amount: formatAmount(BigInt(amount), currency),
        lastValidBefore: new Date(Number(last) * 1_000).toISOString(),
      })),
    };
  }
}
