import type pg from 'pg';

/** A payment as a report counts it. */
export interface ModelPayment {
  readonly id: string;
  readonly grant: string;
  readonly payTo: string;
  /** Undefined for an adopted payment, whose request is lost. */
  readonly host: string | undefined;
  readonly network: string;
  readonly amount: bigint;
  readonly at: number;
  status: string;
}

export type NewPayment = Omit<ModelPayment, 'id' | 'status'>;

/** A refusal as a report counts it. */
export interface ModelRefusal {
  readonly grant: string;
  readonly payTo: string | undefined;
  readonly host: string | undefined;
  readonly network: string | undefined;
  readonly at: number;
  readonly count: number;
}

/** Networks that the ledger's wallet has a balance on. */
export const NETWORKS = ['eip155:1', 'eip155:8453'] as const;

/** A tree of grants for reports: roots `a` and `b`, with labels that some lack. */
export const GRANTS: Readonly<
  Record<string, { path: string[]; holder: string; labels: Record<string, string> }>
> = {
  grt_a: { path: ['grt_a'], holder: 'orchestrator', labels: { task: 't-1' } },
  grt_b: { path: ['grt_a', 'grt_b'], holder: 'agent', labels: { task: 't-2', empty: '' } },
  grt_c: { path: ['grt_a', 'grt_b', 'grt_c'], holder: 'agent', labels: {} },
  grt_d: { path: ['grt_d'], holder: '=cmd|calc', labels: { task: '1' } },
};

/**
 * Writes payments and their events as the ledger does, without deciding anything, and keeps a model of them. What it
 * writes is sealed by hand.
 */
export class SpendLedger {
  readonly payments: ModelPayment[] = [];
  readonly refusals: ModelRefusal[] = [];
  #number = 0;
  #sealed = 0;

  constructor(
    private readonly db: pg.Pool,
    readonly treasuryId: string,
  ) {}

  async open(): Promise<void> {
    const { treasuryId: t } = this;
    await this.db.query('INSERT INTO treasuries (id, name) VALUES ($1, $1)', [t]);
    await this.db.query(
      `INSERT INTO wallets (treasury_id, id, address, position) VALUES ($1, 'wal_' || $1, '0x' || $1, 0)`,
      [t],
    );
    await this.db.query(
      `INSERT INTO wallet_balances (treasury_id, wallet_id, network, asset)
       SELECT $1, 'wal_' || $1, n, '0x02' FROM unnest($2::text[]) n`,
      [t, NETWORKS],
    );
    for (const [id, { path, holder, labels }] of Object.entries(GRANTS)) {
      const own = (name: string) => `${name}_${t.slice(4)}`;
      await this.db.query(
        `INSERT INTO grants (treasury_id, id, parent_id, root_id, path, lineage, depth, holder, currency, budget, scope,
           starts_at, expires_at, delegation_depth, funding, labels, minted_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'USDC', 1e30, '{}', '2026-01-01', '2027-01-01', 3, 'shared', $9, 'admin:x', now())`,
        [
          ...[t, own(id), path.length > 1 ? own(path.at(-2) ?? '') : null, own(path[0] ?? '')],
          ...[
            path.map(own),
            path.map(own).join('/'),
            path.length - 1,
            holder,
            JSON.stringify(labels),
          ],
        ],
      );
    }
  }

  grantId(name: string): string {
    return `${name}_${this.treasuryId.slice(4)}`;
  }

  /** Makes a payment. @param waits - it waits for an approval; otherwise it is signed at once. */
  async pay(payment: NewPayment, waits: boolean): Promise<ModelPayment> {
    const made = await this.insert(payment, waits);
    await this.event(waits ? 'payment.pending' : 'payment.authorized', made, payment.at);
    return made;
  }

  /** Writes an outside spend as a payment, which is settled from the start. */
  async adopt(payment: NewPayment): Promise<void> {
    const made = await this.insert({ ...payment, host: undefined }, false);
    await this.event('payment.adopted', made, payment.at);
    await this.move(made, 'settled', payment.at);
  }

  private async insert(payment: NewPayment, waits: boolean): Promise<ModelPayment> {
    this.#number += 1;
    const id = `pay_${this.treasuryId.slice(4)}_${this.#number}`;
    const made = {
      ...payment,
      id,
      status: waits ? 'pending_approval' : 'authorized',
    };
    this.payments.push(made);
    const { grant, amount, network, payTo, host, at } = payment;
    await this.db.query(
      `INSERT INTO payments (treasury_id, id, grant_id, idempotency_key, status, currency, amount, network, scheme,
         x402_version, asset, pay_to, wallet_id, payer, nonce, valid_after, valid_before, requirement,
         request_method, request_url, host, decision, authorized_at, created_at, approval_from_above, approval_lapses_at)
       SELECT $1, $2, $3, $2, $4, 'USDC', $5, $6, 'half', 2, '0x02', $7, w.id, w.address,
         CASE WHEN $4 = 'authorized' THEN '0x' || encode(sha256($2::text::bytea), 'hex') END,
         CASE WHEN $4 = 'authorized' THEN 0 END, CASE WHEN $4 = 'authorized' THEN 10 END, '{}', 'GET', 'https://x/', $8,
         CASE WHEN $4 = 'authorized' THEN '{}' END, CASE WHEN $4 = 'authorized' THEN now() END, $9, $10, $11
       FROM (SELECT CASE WHEN $4 = 'authorized' THEN 'wal_' || $1 END AS id, CASE WHEN $4 = 'authorized' THEN '0x' END AS address) w`,
      [
        ...[
          this.treasuryId,
          id,
          this.grantId(grant),
          made.status,
          amount.toString(),
          network,
          payTo,
        ],
        ...[
          host ?? null,
          new Date(at),
          waits ? this.grantId(grant) : null,
          waits ? new Date(at) : null,
        ],
      ],
    );
    return made;
  }

  /** Moves a payment to its next status, as an approval, a settlement or a rejection would. */
  async move(payment: ModelPayment, status: string, at: number): Promise<void> {
    const { id } = payment;
    const { treasuryId: t } = this;
    if (status === 'authorized') {
      await this.db.query(
        `UPDATE payments SET status = 'authorized', wallet_id = 'wal_' || $1, payer = '0x', valid_after = 0,
           valid_before = 10, nonce = '0x' || encode(sha256($2::text::bytea), 'hex'), decision = '{}',
           authorized_at = now(), approved_at = now(), decided_by = 'admin:x' WHERE treasury_id = $1 AND id = $2`,
        [t, id],
      );
    } else {
      await this.db.query(
        `UPDATE payments SET status = $3, ended_at = now(), decided_by = CASE WHEN $3 = 'rejected' THEN 'x' ELSE decided_by END,
           paid = CASE WHEN $3 = 'settled' THEN div(amount, 2) ELSE 0 END,
           transaction = CASE WHEN $3 IN ('settled', 'cancelled') THEN '0x' || encode(sha256($2::text::bytea), 'hex') END,
           block_number = CASE WHEN $3 = 'rejected' THEN NULL ELSE 1 END WHERE treasury_id = $1 AND id = $2`,
        [t, id, status],
      );
    }
    payment.status = status;
    await this.event(`payment.${status}`, payment, at);
  }

  async refuse(refusal: ModelRefusal, options: readonly object[]): Promise<void> {
    this.refusals.push(refusal);
    const data =
      refusal.count > 1
        ? { refusals: String(refusal.count) }
        : { request: { method: 'GET', url: `https://${refusal.host?.toUpperCase()}/x` }, options };
    await this.event(
      refusal.count > 1 ? 'payment.refused_more' : 'payment.refused',
      // A refusal names a payment where it refused to go on with it. The payment does not count once more for it.
      { grant: refusal.grant, id: this.payments.at(-1)?.id },
      refusal.at,
      data,
    );
  }

  private async event(
    kind: string,
    of: { grant: string; id?: string | undefined },
    at: number,
    data: object = {},
  ) {
    this.#number += 1;
    await this.db.query(
      `INSERT INTO events (treasury_id, id, kind, actor, grant_id, payment_id, record, created_at)
       VALUES ($1, $2, $3, 'x', $4, $5, $6, $7)`,
      [
        ...[
          this.treasuryId,
          `evt_${this.treasuryId.slice(4)}${this.#number}`,
          kind,
          this.grantId(of.grant),
        ],
        ...[of.id ?? null, JSON.stringify({ data }), new Date(at)],
      ],
    );
  }

  /** Gives up to so many events their place in the log. */
  async seal(most: number): Promise<void> {
    const { rowCount } = await this.db.query(
      `WITH next AS (
         DELETE FROM unsealed_events WHERE treasury_id = $1 AND seq IN (
           SELECT seq FROM unsealed_events WHERE treasury_id = $1 ORDER BY seq LIMIT $3)
         RETURNING seq)
       INSERT INTO leaves (treasury_id, leaf_index, seq)
       SELECT $1, $2 + row_number() OVER (ORDER BY seq) - 1, seq FROM next`,
      [this.treasuryId, this.#sealed, most],
    );
    this.#sealed += rowCount ?? 0;
  }
}
