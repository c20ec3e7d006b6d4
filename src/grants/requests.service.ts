import { Inject, Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { type Caller, seesTreasury, treasuriesOf } from '../access/caller.js';
import { grantOfFilter } from '../access/grant-filter.js';
import { CONFIG, type Config } from '../config/config.js';
import { Conditions } from '../database/conditions.js';
import { Database } from '../database/database.js';
import { requireRaise } from '../domain/amendment.js';
import { tellingOnlyOwn } from '../domain/disclosure.js';
import { currencyOf, formatAmount, parseAmount } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import { type Page, page } from '../http/paging.js';
import { amendGrant } from '../ledger/amendments.js';
import {
  endRequests,
  findGrantRequest,
  type GrantRequestRecord,
  lapseRequests,
  lapsingRequests,
  openRequest,
  REQUEST_COLUMNS,
  toGrantRequest,
} from '../ledger/grant-requests.js';
import {
  addSubtree,
  databaseNow,
  findGrant,
  type GrantRecord,
  lockChain,
} from '../ledger/grant-rows.js';
import { chargeCreation, limitRepeats } from '../ledger/meters.js';
import { refuseReplaced } from '../ledger/presented-tokens.js';
import { Notifier } from '../outbox/notifier.js';
import { OnJob } from '../outbox/on-job.js';
import type { ReasonBody } from './grants.dto.js';
import { grantNotFound } from './grants.service.js';
import type { AskBody, RequestListQuery, RequestView } from './requests.dto.js';
import { endWithin } from './terms.js';

/** How often requests that nobody decided about are looked for, in milliseconds. */
const SWEEP_MS = 5_000;

/** A request with its chain, both locked. */
interface LockedRequest {
  readonly tx: ClientBase;
  readonly request: GrantRequestRecord;
  readonly chain: readonly GrantRecord[];
  readonly now: Date;
}

/** Takes the raises that holders ask for, and lets those above decide about them. */
@Injectable()
export class RequestsService {
  constructor(
    private readonly database: Database,
    private readonly notifier: Notifier,
    @Inject(CONFIG)
    private readonly config: Pick<
      Config,
      'approvalSeconds' | 'bounds' | 'maxGrantSeconds' | 'twoPerson'
    >,
  ) {}

  /** Opens a request of the caller's own grant. @throws Problem `conflict`, `invalid_transition`, `rate_limited`. */
  async ask(caller: Caller, body: AskBody, requestId: string): Promise<{ request: RequestView }> {
    if (caller.kind !== 'holder') {
      throw new Problem('forbidden', 'an admin has no grant of its own; amend the grant instead');
    }
    const { treasuryId, grantId, actor } = caller;
    const { maxGrantSeconds, approvalSeconds, bounds } = this.config;
    const result = await this.database.transaction(async (tx) => {
      const chain = await lockChain(tx, treasuryId, grantId);
      const grant = chain.at(-1);
      if (!grant) throw grantNotFound(grantId);
      refuseReplaced(caller, chain);
      const now = await databaseNow(tx);
      const currency = currencyOf(grant.currency);
      const budget = parseAmount(body.budget, currency, 'budget');
      const expiresAt = endWithin(body.expiresAt, grant, now, maxGrantSeconds);
      requireRaise(chain, { budget, expiresAt }, currency, now);
      const { reason } = body;
      const lapsesAt = new Date(now.getTime() + approvalSeconds * 1000);
      const bound = bounds.waiting;
      const asking = {
        budget,
        expiresAt,
        reason,
        actor,
        httpRequestId: requestId,
        lapsesAt,
        bound,
      };
      const { request, event } = await openRequest(tx, grant, asking, now);
      await limitRepeats(tx, now, grant, 'asked for', actor);
      const creation = { events: 1, bytes: 2 * JSON.stringify(event).length };
      await chargeCreation(tx, now, treasuryId, chain, creation, bounds);
      return { request: viewRequest(request, grant.currency) };
    });
    this.notifier.eventsWritten(treasuryId);
    return result;
  }

  /** A page of the requests of grants that the caller may see, newest first. */
  async list(caller: Caller, query: RequestListQuery): Promise<Page<RequestView>> {
    const { pool } = this.database;
    const { cursor, limit, status, grantId } = query;
    const top = grantId ?? (caller.kind === 'holder' ? caller.grantId : undefined);
    const conditions =
      top === undefined
        ? new Conditions().add(treasuriesOf(caller), (n) => `g.treasury_id = ANY (${n}::text[])`)
        : addSubtree(new Conditions(), await grantOfFilter(pool, caller, top, 'grantId'));
    conditions.add(status, (n) => `r.status = ${n}`).add(cursor, (n) => `r.id < ${n}`);
    const { rows } = await pool.query(
      `SELECT ${REQUEST_COLUMNS}, g.currency FROM grant_requests r
       JOIN grants g ON g.treasury_id = r.treasury_id AND g.id = r.grant_id
       ${conditions.where} ORDER BY r.id DESC LIMIT ${limit + 1}`,
      conditions.values,
    );
    return page(
      rows,
      limit,
      ({ id }) => id,
      (row) => viewRequest(toGrantRequest(row), row.currency),
    );
  }

  /** One request. @throws Problem `not_found` for what the caller may not see. */
  async get(caller: Caller, id: string): Promise<{ request: RequestView }> {
    const { request, grant } = await this.visible(caller, id);
    return { request: viewRequest(request, grant.currency) };
  }

  /**
   * Approves a request, which amends its grant.
   *
   * @throws Problem `conflict` when it raises nothing any more, or as {@link amendGrant}.
   */
  approve(caller: Caller, id: string, { reason }: ReasonBody, requestId: string) {
    const { twoPerson } = this.config;
    const { actor } = caller;
    return this.decide(caller, id, async ({ tx, request, chain, now }) => {
      const [first] = chain;
      if (!first) throw grantNotFound(request.grantId);
      const change = { budget: request.budget, expiresAt: request.expiresAt };
      requireRaise(chain, change, currencyOf(first.currency), now);
      const because = reason ?? request.reason;
      await amendGrant(tx, chain, { change, actor, reason: because, requestId, twoPerson }, now);
      const verdict = { status: 'approved', actor, reason, httpRequestId: requestId } as const;
      return endRequests(tx, [request], verdict, now);
    });
  }

  /** Rejects a request. */
  reject(caller: Caller, id: string, { reason }: ReasonBody, requestId: string) {
    const { actor } = caller;
    const verdict = { status: 'rejected', actor, reason, httpRequestId: requestId } as const;
    return this.decide(caller, id, ({ tx, request, now }) =>
      endRequests(tx, [request], verdict, now),
    );
  }

  /** Ends the requests that nobody decided about in time. */
  @OnJob('grants.lapse', { everyMs: SWEEP_MS })
  async lapse(): Promise<void> {
    for (const { treasuryId, grantIds } of await lapsingRequests(this.database.pool)) {
      await this.database.transaction((tx) => lapseRequests(tx, treasuryId, grantIds));
      this.notifier.eventsWritten(treasuryId);
    }
  }

  /** Decides about an open request under the locks of its chain. */
  private async decide(
    caller: Caller,
    id: string,
    end: (locked: LockedRequest) => Promise<GrantRequestRecord[]>,
  ): Promise<{ request: RequestView }> {
    const { request, grant } = await this.visible(caller, id);
    const { treasuryId, grantId } = request;
    if (caller.kind === 'holder' && caller.grantId === grantId) {
      throw new Problem(
        'forbidden',
        `a holder does not decide about its own request ${id}; an admin or a holder above can`,
        { grantId },
      );
    }
    const act = () =>
      this.database.transaction(async (tx) => {
        const chain = await lockChain(tx, treasuryId, grantId);
        refuseReplaced(caller, chain);
        // Read again: whoever held the locks before may have decided.
        const open = await findGrantRequest(tx, id);
        const now = await databaseNow(tx);
        if (open?.status !== 'pending' || now >= open.lapsesAt) {
          const state = open?.status === 'pending' ? 'lapsed' : open?.status;
          throw new Problem('invalid_transition', `request ${id} waits no more: it is ${state}`);
        }
        const [ended] = await end({ tx, request: open, chain, now });
        if (!ended) throw new Error(`request ${id} was not decided`);
        return { request: viewRequest(ended, grant.currency) };
      });
    const own =
      caller.kind === 'holder' ? grant.path.slice(grant.path.indexOf(caller.grantId)) : [];
    const result = await (caller.kind === 'holder' ? tellingOnlyOwn(own, act) : act());
    this.notifier.eventsWritten(treasuryId);
    return result;
  }

  /** @throws Problem `not_found`, alike for what is not there and what may not be seen. */
  private async visible(caller: Caller, id: string) {
    const request = await findGrantRequest(this.database.pool, id);
    const grant = request && (await findGrant(this.database.pool, request.grantId));
    const isSeen =
      grant !== undefined &&
      seesTreasury(caller, grant.treasuryId) &&
      (caller.kind === 'admin' || grant.path.includes(caller.grantId));
    if (!isSeen || !request) throw new Problem('not_found', `no request ${id}`);
    return { request, grant };
  }
}

function viewRequest(request: GrantRequestRecord, currency: string): RequestView {
  return {
    id: request.id,
    treasuryId: request.treasuryId,
    grantId: request.grantId,
    status: request.status,
    budget: formatAmount(request.budget, currencyOf(currency)),
    currency,
    expiresAt: request.expiresAt?.toISOString() ?? null,
    reason: request.reason,
    createdAt: request.createdAt.toISOString(),
    lapsesAt: request.lapsesAt.toISOString(),
    decidedAt: request.decidedAt?.toISOString() ?? null,
    decidedBy: request.decidedBy ?? null,
    decidedReason: request.decidedReason ?? null,
  };
}
