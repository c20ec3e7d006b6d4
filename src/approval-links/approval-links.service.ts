import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { seeTreasuries } from '../database/treasury-scope.js';
import { sha256Hex } from '../domain/canonical.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import type { RequestView } from '../grants/requests.dto.js';
import { RequestsService } from '../grants/requests.service.js';
import { findGrant } from '../ledger/grant-rows.js';
import { ApprovalsService } from '../payments/approvals.service.js';
import { PaymentList } from '../payments/payment-list.service.js';
import type { PaymentView } from '../payments/payments.dto.js';

/** Where the page of a link is. */
const APPROVAL_PATH = '/approve/';

/** Random bytes of a link: 128 bits. */
const LINK_BYTES = 16;

/** The shape of the last part of a link. */
const LINK = /^[A-Za-z0-9_-]{22}$/;

/** Subject of the decision that a link is for. */
export interface LinkSubject {
  readonly kind: 'payment' | 'raise';
  /** Id of the payment or of the raise request. */
  readonly id: string;
}

interface LinkRow {
  treasury_id: string;
  link_hash: string;
  payment_id: string | null;
  grant_request_id: string | null;
  approver: Caller;
}

/** Contents of the page of a link. */
export type Asked = {
  readonly approver: Caller;
  readonly holder: string;
  readonly purpose: string | undefined;
} & (
  | { readonly kind: 'payment'; readonly payment: PaymentView }
  | {
      readonly kind: 'raise';
      readonly request: RequestView;
      /** The budget as it is, in currency units. */
      readonly budget: string;
    }
);

/** Outcome of a link. */
export type Decided =
  | { readonly kind: 'payment'; readonly payment: PaymentView }
  | { readonly kind: 'raise'; readonly request: RequestView };

/**
 * One-time links for approvals: each is made for one named approver and acts as that approver, under all the rules of
 * `POST /v1/payments/:id/approve` and `POST /v1/grant-requests/:id/approve`. Whoever makes one hands it to that approver
 * only, and writes it into no record.
 */
@Injectable()
export class ApprovalLinks {
  constructor(
    private readonly database: Database,
    private readonly shown: PaymentList,
    private readonly approvals: ApprovalsService,
    private readonly requests: RequestsService,
    @Inject(CONFIG) private readonly config: Pick<Config, 'publicUrl'>,
  ) {}

  /**
   * Makes a link by which an approver may decide, once and until the approval or the request lapses. The service keeps
   * its hash only.
   *
   * @throws Problem `not_found` for what the approver may not see, `forbidden` for who may never decide about it,
   *   `invalid_transition` when it does not wait.
   */
  async make(approver: Caller, { kind, id }: LinkSubject): Promise<string> {
    if (approver.kind === 'admin' && approver.role === 'auditor') {
      throw new Problem('forbidden', 'an auditor reads only, and decides about nothing');
    }
    const { treasuryId, grantId, isWaiting } =
      kind === 'payment' ? await this.payment(approver, id) : await this.raise(approver, id);
    if (!isWaiting) throw new Problem('invalid_transition', `${kind} ${id} waits for no approval`);
    if (approver.kind === 'holder' && approver.grantId === grantId) {
      throw new Problem('forbidden', `a holder does not decide about its own ${kind} ${id}`);
    }
    if (kind === 'raise' && approver.kind === 'admin' && approver.role !== 'admin') {
      throw new Problem('forbidden', 'only an admin or a holder above decides about a raise');
    }
    const link = randomBytes(LINK_BYTES).toString('base64url');
    await this.database.pool.query(
      `INSERT INTO approval_links (treasury_id, link_hash, payment_id, grant_request_id, approver)
       VALUES ($1, $2, $3, $4, $5)`,
      [
        treasuryId,
        sha256Hex(link),
        kind === 'payment' ? id : null,
        kind === 'raise' ? id : null,
        JSON.stringify(approver),
      ],
    );
    return `${this.config.publicUrl ?? ''}${APPROVAL_PATH}${link}`;
  }

  /**
   * Reads what a link asks, of whom and by whom. It decides nothing.
   *
   * @throws Problem `not_found` for a link that is none, was used, or whose payment or request no longer waits.
   */
  async look(link: string): Promise<Asked> {
    const { payment_id, grant_request_id, approver } = await this.find(link);
    if (payment_id !== null) {
      const payment = await this.shown.get(approver, payment_id);
      const lapsesAt = payment.approval?.lapsesAt;
      if (payment.status !== 'pending_approval' || !lapsesAt || isPast(lapsesAt))
        throw noSuchLink();
      const { holder, purpose } = await this.grant(payment.grantId);
      return { kind: 'payment', payment, approver, holder, purpose };
    }
    const { request } = await this.requests.get(approver, grant_request_id ?? '');
    if (request.status !== 'pending' || isPast(request.lapsesAt)) throw noSuchLink();
    const { holder, purpose, budget: atomic, currency } = await this.grant(request.grantId);
    const budget = formatAmount(atomic, currencyOf(currency));
    return { kind: 'raise', request, budget, approver, holder, purpose };
  }

  /**
   * Decides as the link's approver, and uses the link up.
   *
   * @throws Problem `not_found` as {@link look}, else as `ApprovalsService` and `RequestsService`: the link stays good
   *   then.
   */
  async decide(link: string, decision: 'approve' | 'reject', requestId: string): Promise<Decided> {
    const found = await this.find(link);
    // The second of two requests finds it used, also on another replica.
    const { rowCount } = await this.database.pool.query(
      `UPDATE approval_links SET used_at = now() WHERE treasury_id = $1 AND link_hash = $2 AND used_at IS NULL`,
      [found.treasury_id, found.link_hash],
    );
    if (rowCount !== 1) throw noSuchLink();
    try {
      return await this.act(found, decision, requestId);
    } catch (error) {
      await this.database.pool.query(
        'UPDATE approval_links SET used_at = NULL WHERE treasury_id = $1 AND link_hash = $2',
        [found.treasury_id, found.link_hash],
      );
      throw error;
    }
  }

  private async act(
    { approver, payment_id, grant_request_id }: LinkRow,
    decision: 'approve' | 'reject',
    requestId: string,
  ): Promise<Decided> {
    const why = { reason: 'by a one-time link' };
    return payment_id !== null
      ? {
          kind: 'payment',
          ...(await this.approvals[decision](approver, payment_id, why, requestId)),
        }
      : {
          kind: 'raise',
          ...(await this.requests[decision](approver, grant_request_id ?? '', why, requestId)),
        };
  }

  private async payment(approver: Caller, id: string) {
    const { treasuryId, grantId, status } = await this.shown.visible(approver, id);
    return { treasuryId, grantId, isWaiting: status === 'pending_approval' };
  }

  private async raise(approver: Caller, id: string) {
    const { treasuryId, grantId, status } = (await this.requests.get(approver, id)).request;
    return { treasuryId, grantId, isWaiting: status === 'pending' };
  }

  private async grant(id: string) {
    const grant = await findGrant(this.database.pool, id);
    if (!grant) throw noSuchLink();
    return grant;
  }

  /** Finds a link that was not used, and narrows the request's sight to its treasury. */
  private async find(link: string): Promise<LinkRow> {
    if (!LINK.test(link)) throw noSuchLink();
    seeTreasuries('all');
    // An admin whose last token was ended decides nothing any more; sign-ins of an OIDC issuer end with it.
    const { rows } = await this.database.pool.query<LinkRow>(
      `SELECT l.treasury_id, l.link_hash, l.payment_id, l.grant_request_id, l.approver FROM approval_links l
       WHERE l.link_hash = $1 AND l.used_at IS NULL AND (
         l.approver ->> 'kind' = 'holder' OR starts_with(l.approver ->> 'name', 'oidc:') OR EXISTS (
           SELECT FROM admin_tokens t WHERE t.name = l.approver ->> 'name' AND t.role = l.approver ->> 'role'
             AND t.expires_at > now() AND NOT EXISTS (SELECT FROM revoked_tokens r WHERE r.token_id = t.token_id)))`,
      [sha256Hex(link)],
    );
    const [found] = rows;
    seeTreasuries(found ? [found.treasury_id] : []);
    if (!found) throw noSuchLink();
    return found;
  }
}

function isPast(time: string): boolean {
  return Date.parse(time) <= Date.now();
}

/** One answer for whatever is wrong with a link: it tells a stranger nothing. */
function noSuchLink(): Problem {
  return new Problem('not_found', 'this link is not valid: it was used, has lapsed, or never was');
}
