import { Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { Caller } from '../access/caller.js';
import { Tokens } from '../access/tokens.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import { attenuate, type GrantRequest, type GrantTerms, rootTerms } from '../domain/grant.js';
import { currencyOf, formatAmount, parseAmount } from '../domain/money.js';
import { lifeDenial } from '../domain/policy.js';
import { Problem } from '../domain/problem.js';
import { type Page, page } from '../http/paging.js';
import { idPattern, newId } from '../ids.js';
import { requestCancellations } from '../ledger/cancellations.js';
import { appendEvents } from '../ledger/events.js';
import {
  databaseNow,
  GRANT_COLUMNS,
  type GrantRecord,
  lockChain,
  readGrants,
  toGrantRecord,
} from '../ledger/grant-rows.js';
import { Outbox } from '../outbox/outbox.js';
import { Wallets } from '../treasury/wallets.js';
import { viewGrant, viewGrants } from './grant-view.js';
import {
  type GrantView,
  type ListQuery,
  MAX_TTL_SECONDS,
  type MintBody,
  type RevokeBody,
} from './grants.dto.js';

/** Mints, delegates, shows and revokes grants. */
@Injectable()
export class GrantsService {
  constructor(
    private readonly database: Database,
    private readonly tokens: Tokens,
    private readonly wallets: Wallets,
    private readonly outbox: Outbox,
  ) {}

  /**
   * Mints a root grant for an admin, or a child of the caller's own grant for a holder. With a key
   * that the caller used before, returns the grant minted then, with a token that works.
   *
   * @throws Problem `attenuation_violation`, `delegation_not_allowed`, `invalid_request`,
   *   `idempotency_mismatch`, `not_found`, or the code of a chain that is not alive.
   */
  async mint(
    caller: Caller,
    body: MintBody,
    mintKey: string | undefined,
    requestId: string,
  ): Promise<{ grant: GrantView; token: string }> {
    if (caller.kind === 'holder' && (body.parentId ?? body.treasuryId) !== undefined) {
      throw new Problem(
        'invalid_request',
        'parentId and treasuryId are for admins; a holder always mints under its own grant',
        { field: body.parentId === undefined ? 'treasuryId' : 'parentId' },
      );
    }
    const treasuryId =
      caller.kind === 'holder'
        ? caller.treasuryId
        : (body.treasuryId ?? (await this.wallets.mainTreasuryId()));
    const parentId = caller.kind === 'holder' ? caller.grantId : body.parentId;
    const mintHash = sha256Hex(canonicalJson(body));

    const { grant, chain, now } = await this.database.transaction(async (tx) => {
      if (mintKey !== undefined) {
        const earlier = await findByMintKey(tx, treasuryId, caller.actor, mintKey);
        if (earlier) {
          if (earlier.mintHash !== mintHash) {
            throw new Problem(
              'idempotency_mismatch',
              'this Idempotency-Key was used for a grant with another body; use a new key for a new grant',
            );
          }
          const chain = await lockChain(tx, treasuryId, earlier.id);
          // As it is under the lock: its token's generation may have moved on since it was found.
          return { grant: chain.at(-1) ?? earlier, chain, now: await databaseNow(tx) };
        }
      }
      const parents = parentId === undefined ? [] : await lockChain(tx, treasuryId, parentId);
      const parent = parents.at(-1);
      if (parentId !== undefined && !parent) throw notFound(parentId);
      const now = await databaseNow(tx);
      const terms = this.terms(body, parents, now);
      const grant = await insertGrant(tx, {
        body,
        terms,
        treasuryId,
        parent,
        mintedBy: caller.actor,
        mintKey,
        mintHash,
        now,
      });
      await appendEvents(tx, now, [
        {
          treasuryId,
          kind: parent ? 'grant.delegated' : 'grant.minted',
          actor: caller.actor,
          grantId: grant.id,
          requestId,
          data: {
            parentId: grant.parentId ?? null,
            holder: grant.holder,
            currency: grant.currency,
            budget: grant.budget.toString(),
            maxPerPayment: grant.maxPerPayment?.toString() ?? null,
            maxPayments: grant.maxPayments ?? null,
            scope: grant.scope,
            startsAt: grant.startsAt.toISOString(),
            expiresAt: grant.expiresAt.toISOString(),
            delegationDepth: grant.delegationDepth,
            funding: grant.funding,
            purpose: grant.purpose ?? null,
          },
        },
      ]);
      return { grant, chain: [...parents, grant], now };
    });
    this.outbox.eventsWritten(treasuryId);
    return { grant: viewGrant(grant, chain, now), token: await this.token(grant) };
  }

  /** The caller's view of one grant. @throws Problem `not_found` for what it may not see. */
  async get(caller: Caller, id: string): Promise<GrantView> {
    const grant = await this.visible(caller, id);
    return this.view(grant);
  }

  /** A page of the grants the caller may see, oldest first. */
  async list(caller: Caller, query: ListQuery): Promise<Page<GrantView>> {
    const holder = caller.kind === 'holder' ? caller : undefined;
    const conditions = new Conditions()
      .add(holder?.treasuryId, (n) => `g.treasury_id = ${n}`)
      .add(holder?.grantId, (n) => `g.path @> ARRAY[${n}::text]`)
      .add(query.parentId, (n) => `g.parent_id = ${n}`)
      .add(query.holder, (n) => `g.holder = ${n}`)
      .add(query.label && labelJson(query.label), (n) => `g.labels @> ${n}::jsonb`)
      .add(query.status, (n) => `${EFFECTIVE_STATUS} = ${n}`)
      .add(query.cursor, (n) => `g.id > ${n}`);
    const { rows } = await this.database.pool.query(
      `SELECT ${GRANT_COLUMNS} FROM grants g ${conditions.where}
       ORDER BY g.id LIMIT ${query.limit + 1}`,
      conditions.values,
    );
    const found = page(
      rows.map(toGrantRecord),
      query.limit,
      ({ id }) => id,
      (grant) => grant,
    );
    const now = await databaseNow(this.database.pool);
    return { ...found, items: await viewGrants(this.database.pool, found.items, now) };
  }

  /**
   * Ends a grant and everything below it, at once and for good: a reservation that is decided after
   * this returns sees it. Revoking again changes nothing and answers the same.
   */
  async revoke(caller: Caller, id: string, body: RevokeBody, requestId: string) {
    const { treasuryId } = await this.visible(caller, id);
    const result = await this.database.transaction(async (tx) => {
      const chain = await lockChain(tx, treasuryId, id);
      const grant = chain.at(-1);
      if (!grant) throw notFound(id);
      const now = await databaseNow(tx);
      let revokedGrants = 0;
      if (grant.status !== 'revoked') {
        revokedGrants = await countAlive(tx, treasuryId, id);
        await tx.query(
          `UPDATE grants SET status = 'revoked', revoked_at = $3, status_reason = $4
           WHERE treasury_id = $1 AND id = $2`,
          [treasuryId, id, now, body.reason ?? null],
        );
        await appendEvents(tx, now, [
          {
            treasuryId,
            kind: 'grant.revoked',
            actor: caller.actor,
            grantId: id,
            requestId,
            reason: body.reason,
            data: { from: grant.status, to: 'revoked', revokedGrants },
          },
        ]);
      }
      if (body.cancelOutstanding) {
        const { actor } = caller;
        const of = { grantId: id };
        await requestCancellations(tx, now, {
          treasuryId,
          of,
          actor,
          requestId,
          reason: body.reason,
        });
      }
      const ended: GrantRecord = { ...grant, status: 'revoked' };
      return {
        grant: viewGrant(ended, [...chain.slice(0, -1), ended], now),
        revokedGrants,
        exposure: await exposure(tx, ended),
      };
    });
    this.outbox.eventsWritten(treasuryId);
    return result;
  }

  /** Issues a fresh token for a grant; every earlier one stops working at once. */
  async reissueToken(caller: Caller, id: string, requestId: string) {
    const { treasuryId } = await this.visible(caller, id);
    const grant = await this.database.transaction(async (tx) => {
      const locked = (await lockChain(tx, treasuryId, id)).at(-1);
      if (!locked) throw notFound(id);
      const now = await databaseNow(tx);
      const tokenGeneration = locked.tokenGeneration + 1;
      await tx.query('UPDATE grants SET token_generation = $3 WHERE treasury_id = $1 AND id = $2', [
        treasuryId,
        id,
        tokenGeneration,
      ]);
      await appendEvents(tx, now, [
        {
          treasuryId,
          kind: 'grant.token_reissued',
          actor: caller.actor,
          grantId: id,
          requestId,
          data: { generation: tokenGeneration },
        },
      ]);
      return { ...locked, tokenGeneration };
    });
    this.outbox.eventsWritten(treasuryId);
    return { grant: await this.view(grant), token: await this.token(grant) };
  }

  /**
   * A grant the caller may see: a holder its own and those below, an admin all.
   *
   * @throws Problem `not_found`, alike for what is not there and what may not be seen.
   */
  private async visible(caller: Caller, id: string): Promise<GrantRecord> {
    if (!idPattern('grt').test(id)) throw notFound(id);
    const { rows } = await this.database.pool.query(
      `SELECT ${GRANT_COLUMNS} FROM grants g WHERE g.id = $1`,
      [id],
    );
    const grant = rows[0] && toGrantRecord(rows[0]);
    const seen =
      grant !== undefined &&
      (caller.kind === 'admin' ||
        (grant.treasuryId === caller.treasuryId && grant.path.includes(caller.grantId)));
    if (!seen) throw notFound(id);
    return grant;
  }

  private async view(grant: GrantRecord): Promise<GrantView> {
    const now = await databaseNow(this.database.pool);
    const known = await readGrants(this.database.pool, grant.treasuryId, grant.path);
    const chain = grant.path.map((id) => known.get(id)).filter((each) => each !== undefined);
    return viewGrant(grant, chain, now);
  }

  private token(grant: GrantRecord): Promise<string> {
    return this.tokens.mintGrantToken(
      { grantId: grant.id, treasuryId: grant.treasuryId, generation: grant.tokenGeneration },
      grant.expiresAt,
    );
  }

  /** The terms asked for, resolved against the parent's; `parents` runs from the root down. */
  private terms(body: MintBody, parents: readonly GrantRecord[], now: Date): GrantTerms {
    const parent = parents.at(-1);
    const currency = currencyOf(body.currency ?? parent?.currency ?? 'USDC');
    if (parent && currency.code !== parent.currency) {
      throw new Problem(
        'attenuation_violation',
        `currency differs from the parent's (${parent.currency})`,
        { field: 'currency', grantId: parent.id, limit: parent.currency },
      );
    }
    const request: GrantRequest = {
      budget: parseAmount(body.budget, currency, 'budget'),
      maxPerPayment:
        body.maxPerPayment === undefined
          ? undefined
          : parseAmount(body.maxPerPayment, currency, 'maxPerPayment'),
      maxPayments: body.maxPayments,
      scope: body.scope && withoutUndefined(body.scope),
      startsAt: body.startsAt === undefined ? undefined : new Date(body.startsAt),
      expiry: expiryOf(body, now),
      delegationDepth: body.delegationDepth,
    };
    if (!parent) return rootTerms(request, currency, now);
    const denial = lifeDenial(parents, now);
    if (denial) {
      throw new Problem(denial.code, `${denial.detail}; it cannot delegate`, {
        ...(denial.grantId === undefined ? {} : { grantId: denial.grantId }),
      });
    }
    return attenuate(parent, request, currency, now);
  }
}

/** A grant's status with its ancestors', as `effectiveStatus` of the domain has it, in SQL. */
const EFFECTIVE_STATUS = `(SELECT CASE
    WHEN bool_or(a.status = 'revoked') THEN 'revoked'
    WHEN bool_or(a.status = 'suspended') THEN 'suspended'
    WHEN bool_or(a.expires_at <= now()) THEN 'expired'
    WHEN bool_or(a.starts_at > now()) THEN 'not_started'
    ELSE 'active' END
  FROM grants a WHERE a.treasury_id = g.treasury_id AND a.id = ANY (g.path))`;

async function findByMintKey(
  tx: ClientBase,
  treasuryId: string,
  mintedBy: string,
  mintKey: string,
): Promise<GrantRecord | undefined> {
  // A lock on the key itself: of two mints with one key, the second waits and sees the first's grant.
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
    canonicalJson(['mint', treasuryId, mintedBy, mintKey]),
  ]);
  const { rows } = await tx.query(
    `SELECT ${GRANT_COLUMNS} FROM grants g
     WHERE g.treasury_id = $1 AND g.minted_by = $2 AND g.mint_key = $3`,
    [treasuryId, mintedBy, mintKey],
  );
  return rows[0] && toGrantRecord(rows[0]);
}

async function insertGrant(
  tx: ClientBase,
  grant: {
    body: MintBody;
    terms: GrantTerms;
    treasuryId: string;
    parent: GrantRecord | undefined;
    mintedBy: string;
    mintKey: string | undefined;
    mintHash: string;
    now: Date;
  },
): Promise<GrantRecord> {
  const { body, terms, treasuryId, parent, now } = grant;
  const id = newId('grt');
  const { rows } = await tx.query(
    `INSERT INTO grants AS g (treasury_id, id, parent_id, root_id, path, depth, holder, currency,
       budget, max_per_payment, max_payments, scope, starts_at, expires_at, delegation_depth, funding,
       purpose, labels, minted_by, mint_key, mint_hash, created_at)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
       $21, $22 FROM treasuries t WHERE t.id = $1
     RETURNING ${GRANT_COLUMNS}`,
    [
      treasuryId,
      id,
      parent?.id ?? null,
      parent?.rootId ?? id,
      [...(parent?.path ?? []), id],
      parent ? parent.depth + 1 : 0,
      body.holder,
      terms.currency,
      terms.budget.toString(),
      terms.maxPerPayment?.toString() ?? null,
      terms.maxPayments ?? null,
      JSON.stringify(terms.scope),
      terms.startsAt,
      terms.expiresAt,
      terms.delegationDepth,
      body.funding ?? 'shared',
      body.purpose ?? null,
      JSON.stringify(body.labels ?? {}),
      grant.mintedBy,
      grant.mintKey ?? null,
      grant.mintHash,
      now,
    ],
  );
  if (!rows[0]) throw new Problem('not_found', `no treasury ${treasuryId}`);
  return toGrantRecord(rows[0]);
}

/** How many grants of a subtree no revocation has ended yet. */
async function countAlive(tx: ClientBase, treasuryId: string, id: string): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM grants g
     WHERE g.treasury_id = $1 AND g.path @> ARRAY[$2::text] AND NOT EXISTS (
       SELECT 1 FROM grants a
       WHERE a.treasury_id = g.treasury_id AND a.id = ANY (g.path) AND a.status = 'revoked')`,
    [treasuryId, id],
  );
  return rows[0]?.count ?? 0;
}

/** What of a subtree is signed and unsettled. */
async function exposure(tx: ClientBase, grant: GrantRecord) {
  const { rows } = await tx.query<{ payments: number; amount: string; last: string | null }>(
    `SELECT count(*)::int AS payments, coalesce(sum(p.amount), 0)::text AS amount,
       max(p.valid_before)::text AS last
     FROM payments p JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id
     WHERE p.treasury_id = $1 AND g.path @> ARRAY[$2::text] AND p.status = 'authorized'`,
    [grant.treasuryId, grant.id],
  );
  const open = rows[0] ?? { payments: 0, amount: '0', last: null };
  return {
    payments: open.payments,
    amount: formatAmount(BigInt(open.amount), currencyOf(grant.currency)),
    lastValidBefore: open.last === null ? null : new Date(Number(open.last) * 1000).toISOString(),
  };
}

function expiryOf(body: MintBody, now: Date): GrantRequest['expiry'] {
  if ((body.ttlSeconds === undefined) === (body.expiresAt === undefined)) {
    throw new Problem('invalid_request', 'give one of ttlSeconds and expiresAt, and only one', {
      field: 'ttlSeconds',
    });
  }
  if (body.expiresAt === undefined) {
    return { field: 'ttlSeconds', at: new Date(now.getTime() + (body.ttlSeconds ?? 0) * 1000) };
  }
  const at = new Date(body.expiresAt);
  if (at.getTime() > now.getTime() + MAX_TTL_SECONDS * 1000) {
    throw new Problem('invalid_request', 'expiresAt is more than ten years away', {
      field: 'expiresAt',
    });
  }
  return { field: 'expiresAt', at };
}

/** A `name:value` filter as the labels it asks for. */
function labelJson(label: string): string {
  const colon = label.indexOf(':');
  return JSON.stringify({ [label.slice(0, colon)]: label.slice(colon + 1) });
}

/** Drops members that are undefined: an absent scope list and an undefined one are the same thing. */
function withoutUndefined<T extends object>(
  value: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

function notFound(id: string): Problem {
  return new Problem('not_found', `no grant ${id.slice(0, 64)}`);
}
