import { Injectable } from '@nestjs/common';
import { type Caller, treasuriesOf } from '../access/caller.js';
import { checkSpan, grantOfFilter, notSeen, treasuriesOfFilter } from '../access/grant-filter.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { labelJson } from '../http/contract.js';
import { boundedByBytes, foundOf, type Page, type PagedRow, page } from '../http/paging.js';
import { addSubtree, findGrant } from '../ledger/grant-rows.js';
import {
  PAYMENT_COLUMNS,
  type PaymentRecord,
  type PaymentRow,
  toPaymentRecord,
} from '../ledger/payment-rows.js';
import { CHAIN_VIEW_COLUMNS, type ChainViewRow } from '../ledger/sightings.js';
import { viewPayment } from './payment-view.js';
import type { ListQuery, PaymentView } from './payments.dto.js';

/** The authority of a payment's URL, in lower case. */
const AUTHORITY = `lower(substring(p.request_url FROM '^[^:]+://([^/?#]*)'))`;

/** Shows the payments that a caller may see. */
@Injectable()
export class PaymentList {
  constructor(private readonly database: Database) {}

  /** One payment. @throws Problem `not_found` for what the caller may not see. */
  async get(caller: Caller, id: string): Promise<PaymentView> {
    return viewPayment(await this.visible(caller, id));
  }

  /** A payment the caller may see. @throws Problem `not_found`, alike for all others. */
  async visible(caller: Caller, id: string): Promise<PaymentRecord> {
    const conditions = (await this.visibleTo(caller))
      .add(treasuriesOf(caller), (n) => `p.treasury_id = ANY (${n}::text[])`)
      .add(id, (n) => `p.id = ${n}`);
    const [payment] = await this.read(selection(conditions), conditions);
    if (!payment) throw new Problem('not_found', `no payment ${id}`);
    return payment;
  }

  /**
   * A page of the payments the caller may see, in the order in which they were made; `grantId` includes the tree
   * below it.
   *
   * @throws Problem `invalid_request` for a filter that names what the caller does not see.
   */
  async list(caller: Caller, query: ListQuery): Promise<Page<PaymentView>> {
    const { limit, grantId, cursor, host } = query;
    checkSpan(query.from, query.to);
    const treasuries = await treasuriesOfFilter(this.database.pool, caller, query.treasuryId);
    const conditions = await this.visibleTo(caller);
    if (grantId !== undefined) {
      const { pool } = this.database;
      addSubtree(conditions, await grantOfFilter(pool, caller, grantId, 'grantId'));
    }
    conditions
      .always('p.treasury_id = t.id')
      .add(query.status, (n) => `p.status = ${n}`)
      .add(query.network, (n) => `p.network = ${n}`)
      .add(query.idempotencyKey, (n) => `p.idempotency_key = ${n}`)
      .add(query.payTo, (n) => `p.pay_to = ${n}`)
      .add(host?.host, (n) => `p.host = ${n}`)
      .add(host?.port && `${host.host}:${host.port}`, (n) => `${AUTHORITY} = ${n}`)
      .add(query.from, (n) => `p.created_at >= ${n}::timestamptz`)
      .add(query.to, (n) => `p.created_at <= ${n}::timestamptz`);
    const [after, direction] = query.order === 'desc' ? ['<', 'DESC'] : ['>', 'ASC'];
    if (cursor !== undefined) {
      const place = conditions.add(await this.madeAt(cursor), (n) => `p.created_at ${after}= ${n}`);
      const at = `$${place.values.length}`;
      place.add(cursor, (n) => `(p.created_at, p.id) ${after} (${at}::timestamptz, ${n}::text)`);
    }
    const order = (table: string, first = '') =>
      `ORDER BY ${first}${table}.created_at ${direction}, ${table}.id ${direction} LIMIT ${limit + 1}`;
    const grants = payingGrants(conditions, query);
    const found = selection(
      conditions,
      grants === undefined ? undefined : { grants, order: order('f', `f.grant_id ${direction}, `) },
    );
    // The first of each treasury, and of these the first: asked for several treasuries at once, Postgres would sort
    // all that they have.
    const scope = new Conditions();
    scope.values.push(...conditions.values);
    scope.add(treasuries, (n) => `t.id = ANY (${n}::text[])`);
    const rows = await this.read(
      `SELECT q.* FROM treasuries t, LATERAL (${found} ${order('p')}) q
       ${scope.where} ${order('q')}`,
      scope,
    );
    return page(rows, limit, ({ id }) => id, viewPayment, foundOf(rows));
  }

  /** When the payment of a cursor was made. @throws Problem `invalid_request` for one that is not there. */
  private async madeAt(cursor: string): Promise<Date> {
    const { rows } = await this.database.pool.query<{ created_at: Date }>(
      'SELECT created_at FROM payments WHERE id = $1',
      [cursor],
    );
    if (!rows[0]) throw notSeen('cursor', `payment ${cursor}`);
    return rows[0].created_at;
  }

  /** A holder sees the payments of its own grant and the tree below it. */
  private async visibleTo(caller: Caller): Promise<Conditions> {
    if (caller.kind === 'admin') return new Conditions();
    const own = await findGrant(this.database.pool, caller.grantId);
    if (!own) throw new Error(`grant ${caller.grantId} of the caller is gone`);
    return addSubtree(new Conditions(), own);
  }

  private async read(sql: string, { values }: Conditions) {
    const { rows } = await this.database.pool.query<PaymentRow & ChainViewRow & PagedRow>(
      boundedByBytes(sql),
      values,
    );
    return rows.map((row) => ({
      ...toPaymentRecord(row),
      chain: row,
      page_rows: row.page_rows,
    }));
  }
}

/** The grants of the treasury `t` with the holder and the label that are asked for; undefined where none is. */
function payingGrants(
  conditions: Conditions,
  { label, holder }: Pick<ListQuery, 'label' | 'holder'>,
): string | undefined {
  const wanted: string[] = [];
  const add = (value: string | undefined, sql: (placeholder: string) => string) => {
    if (value === undefined) return;
    conditions.values.push(value);
    wanted.push(sql(`$${conditions.values.length}`));
  };
  add(holder, (n) => `l.holder = ${n}`);
  add(label && labelJson(label), (n) => `l.labels @> ${n}::jsonb`);
  if (wanted.length === 0) return undefined;
  return `SELECT * FROM grants l WHERE l.treasury_id = t.id AND ${wanted.join(' AND ')} OFFSET 0`;
}

/**
 * The payments `p` that meet conditions, which may be on their grants `g`, with the size of each row.
 *
 * @param of - the grants to begin with, and the order and number of the payments to read of each. Postgres takes any
 *   label or holder for frequent, and would read all payments in their order to find those of a rare one. So the grant is a range,
 *   whose order only the index over grants has.
 */
function selection(
  { where }: Conditions,
  of?: { readonly grants: string; readonly order: string },
): string {
  // Only the conditions of a tree ask the grants. Where nothing does, a join is there for a planner to go wrong with.
  const grants = /\bg\./.test(where)
    ? 'JOIN grants g ON g.treasury_id = p.treasury_id AND g.id = p.grant_id'
    : '';
  const from = of
    ? `(${of.grants}) g, LATERAL (SELECT * FROM payments f WHERE f.treasury_id = g.treasury_id
         AND (f.grant_id, f.created_at) >= (g.id, timestamptz '-infinity')
         AND (f.grant_id, f.created_at) <= (g.id, timestamptz 'infinity') ${where.replaceAll('p.', 'f.').replace('WHERE', 'AND')} ${of.order}) p`
    : `payments p ${grants} ${where}`;
  return `SELECT ${PAYMENT_COLUMNS}, ${CHAIN_VIEW_COLUMNS}, octet_length(p.requirement)
      + coalesce(octet_length(p.resource_echo), 0) + coalesce(octet_length(p.extensions_echo), 0)
      + coalesce(octet_length(p.declared_resource), 0) + coalesce(octet_length(p.decision), 0)
      + octet_length(p.request_url) + coalesce(octet_length(p.memo), 0) + 512 AS page_bytes
    FROM ${from}`;
}
