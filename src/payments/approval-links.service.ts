import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { seeTreasuries } from '../database/treasury-scope.js';
import { sha256Hex } from '../domain/canonical.js';
import { Problem } from '../domain/problem.js';
import { findGrant } from '../ledger/grant-rows.js';
import { ApprovalsService } from './approvals.service.js';
import { PaymentList } from './payment-list.service.js';

/** Where the page of a link is. */
const APPROVAL_PATH = '/approve/';

/** Random bytes of a link: 128 bits. */
const LINK_BYTES = 16;

/** The shape of the last part of a link. */
const LINK = /^[A-Za-z0-9_-]{22}$/;

interface LinkRow {
  treasury_id: string;
  link_hash: string;
  payment_id: string;
  approver: Caller;
}

/**
 * One-time links for approvals: each is made for one named approver and acts as that approver, under all the rules of
 * `POST /v1/payments/:id/approve`. Whoever makes one hands it to that approver only, and writes it into no record.
 */
@Injectable()
export class ApprovalLinks {
  constructor(
    private readonly database: Database,
    private readonly shown: PaymentList,
    private readonly approvals: ApprovalsService,
    @Inject(CONFIG) private readonly config: Pick<Config, 'publicUrl'>,
  ) {}

  /**
   * Makes a link by which an approver may decide about a waiting payment, once and until the approval lapses. The
   * service keeps its hash only.
   *
   * @throws Problem `not_found` for a payment the approver may not see, `forbidden` for an auditor,
   *   `invalid_transition` when the payment does not wait.
   */
  async make(approver: Caller, paymentId: string): Promise<string> {
    if (approver.kind === 'admin' && approver.role === 'auditor') {
      throw new Problem('forbidden', 'an auditor reads only, and decides about no payment');
    }
    const { treasuryId, status } = await this.shown.visible(approver, paymentId);
    if (status !== 'pending_approval') {
      throw new Problem(
        'invalid_transition',
        `payment ${paymentId} does not wait for an approval: it is ${status}`,
      );
    }
    const link = randomBytes(LINK_BYTES).toString('base64url');
    await this.database.pool.query(
      'INSERT INTO approval_links (treasury_id, link_hash, payment_id, approver) VALUES ($1, $2, $3, $4)',
      [treasuryId, sha256Hex(link), paymentId, JSON.stringify(approver)],
    );
    return `${this.config.publicUrl ?? ''}${APPROVAL_PATH}${link}`;
  }

  /**
   * Reads what a link asks: the payment, its grant, and the approver. It decides nothing.
   *
   * @throws Problem `not_found` for a link that is none, was used, or whose payment no longer waits.
   */
  async look(link: string) {
    const { payment_id: id, approver } = await this.find(link);
    const payment = await this.shown.get(approver, id);
    const lapsesAt = payment.approval?.lapsesAt;
    if (payment.status !== 'pending_approval' || !lapsesAt || Date.parse(lapsesAt) <= Date.now()) {
      throw noSuchLink();
    }
    const grant = await findGrant(this.database.pool, payment.grantId);
    if (!grant) throw noSuchLink();
    return { payment, grant, approver };
  }

  /**
   * Decides as the link's approver, and uses the link up.
   *
   * @throws Problem `not_found` as {@link look}, else as `ApprovalsService`: the link stays good then.
   */
  async decide(link: string, decision: 'approve' | 'reject', requestId: string) {
    const found = await this.find(link);
    // The second of two requests finds it used, also on another replica.
    const { rowCount } = await this.database.pool.query(
      `UPDATE approval_links SET used_at = now() WHERE treasury_id = $1 AND link_hash = $2 AND used_at IS NULL`,
      [found.treasury_id, found.link_hash],
    );
    if (rowCount !== 1) throw noSuchLink();
    try {
      const reason = 'by a one-time link';
      return decision === 'approve'
        ? await this.approvals.approve(found.approver, found.payment_id, { reason }, requestId)
        : await this.approvals.reject(found.approver, found.payment_id, { reason }, requestId);
    } catch (error) {
      await this.database.pool.query(
        'UPDATE approval_links SET used_at = NULL WHERE treasury_id = $1 AND link_hash = $2',
        [found.treasury_id, found.link_hash],
      );
      throw error;
    }
  }

  /** Finds a link that was not used, and narrows the request's sight to its treasury. */
  private async find(link: string): Promise<LinkRow> {
    if (!LINK.test(link)) throw noSuchLink();
    seeTreasuries('all');
    // An admin whose last token was ended decides nothing any more; sign-ins of an OIDC issuer end with it.
    const { rows } = await this.database.pool.query<LinkRow>(
      `SELECT l.treasury_id, l.link_hash, l.payment_id, l.approver FROM approval_links l
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

/** One answer for whatever is wrong with a link: it tells a stranger nothing. */
function noSuchLink(): Problem {
  return new Problem('not_found', 'this link is not valid: it was used, has lapsed, or never was');
}
