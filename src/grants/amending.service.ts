import { Inject, Injectable } from '@nestjs/common';
import type { Caller } from '../access/caller.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import type { TermsChange } from '../domain/amendment.js';
import { tellingOnlyOwn } from '../domain/disclosure.js';
import { currencyOf, parseAmount } from '../domain/money.js';
import { Problem } from '../domain/problem.js';
import { amendGrant } from '../ledger/amendments.js';
import { databaseNow, type GrantRecord, lockChain } from '../ledger/grant-rows.js';
import { chargeCreation, limitRepeats } from '../ledger/meters.js';
import { refuseReplaced } from '../ledger/presented-tokens.js';
import { Notifier } from '../outbox/notifier.js';
import { exposureOf, viewGrant } from './grant-view.js';
import type { AmendBody } from './grants.dto.js';
import { GrantsService, grantNotFound } from './grants.service.js';
import { endWithin } from './terms.js';

/** Raises and lowers the terms of grants. */
@Injectable()
export class AmendingService {
  constructor(
    private readonly database: Database,
    private readonly grants: GrantsService,
    private readonly notifier: Notifier,
    @Inject(CONFIG)
    private readonly config: Pick<Config, 'bounds' | 'maxGrantSeconds' | 'twoPerson'>,
  ) {}

  /**
   * Amends a grant for an admin or a holder above it. Once it has answered, every payment is decided by the new terms,
   * on every replica.
   *
   * @throws Problem `forbidden` for the grant's own holder, or as {@link amendGrant}.
   */
  async amend(caller: Caller, id: string, body: AmendBody, requestId: string) {
    const { treasuryId, path } = await this.grants.visible(caller, id);
    if (caller.kind === 'holder' && caller.grantId === id) {
      throw new Problem(
        'forbidden',
        `a holder does not amend its own grant ${id}; an admin or a holder above can`,
        { grantId: id },
      );
    }
    const act = () => this.amendAs(caller, treasuryId, id, body, requestId);
    if (caller.kind === 'admin') return act();
    return tellingOnlyOwn(path.slice(path.indexOf(caller.grantId)), act);
  }

  private async amendAs(
    caller: Caller,
    treasuryId: string,
    id: string,
    body: AmendBody,
    requestId: string,
  ) {
    const { twoPerson, bounds } = this.config;
    const { labels, purpose, reason } = body;
    const result = await this.database.transaction(async (tx) => {
      const chain = await lockChain(tx, treasuryId, id);
      const grant = chain.at(-1);
      if (!grant) throw grantNotFound(id);
      refuseReplaced(caller, chain);
      const now = await databaseNow(tx);
      const change = this.changeOf(body, grant, now);
      const { actor } = caller;
      const amendment = { change, labels, purpose, actor, reason, requestId, twoPerson };
      const { chain: after, event } = await amendGrant(tx, chain, amendment, now);
      if (event) {
        await limitRepeats(tx, now, grant, 'amended', actor);
        const creation = { events: 1, bytes: JSON.stringify(event).length };
        const isBounded = caller.kind === 'holder' ? bounds : undefined;
        await chargeCreation(tx, now, treasuryId, chain, creation, isBounded);
      }
      const amended = after.at(-1) ?? grant;
      return { grant: viewGrant(amended, after, now), exposure: exposureOf(amended) };
    });
    this.notifier.eventsWritten(treasuryId);
    return result;
  }

  /** @throws Problem `invalid_request` for an amount that is none, or a longer life than the service allows. */
  private changeOf(body: AmendBody, grant: GrantRecord, now: Date): TermsChange {
    const currency = currencyOf(grant.currency);
    const limit = (text: string | null | undefined, field: string) =>
      typeof text === 'string' ? parseAmount(text, currency, field) : text;
    return {
      budget: body.budget === undefined ? undefined : parseAmount(body.budget, currency, 'budget'),
      maxPerPayment: limit(body.maxPerPayment, 'maxPerPayment'),
      maxPayments: body.maxPayments,
      approvalAbove: limit(body.approvalAbove, 'approvalAbove'),
      expiresAt: endWithin(body.expiresAt, grant, now, this.config.maxGrantSeconds),
    };
  }
}
