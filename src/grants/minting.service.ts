import { Inject, Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { type Caller, seesTreasury } from '../access/caller.js';
import { bindingOf } from '../access/holder-key.js';
import type { MintedToken } from '../access/tokens.js';
import { CONFIG, type Config } from '../config/config.js';
import { currenciesOf } from '../config/networks.js';
import { Database } from '../database/database.js';
import { fullIn, tooMany } from '../domain/bounds.js';
import { canonicalJson, sha256Hex } from '../domain/canonical.js';
import { tellingOnlyOwn } from '../domain/disclosure.js';
import { Problem } from '../domain/problem.js';
import { countMinted } from '../ledger/bounds.js';
import { setAside } from '../ledger/carve-outs.js';
import { appendEvents, type NewEvent } from '../ledger/events.js';
import { noteActor } from '../ledger/grant-actors.js';
import { mintGrant } from '../ledger/grant-changes.js';
import {
  databaseNow,
  GRANT_COLUMNS,
  type GrantRecord,
  lockChain,
  toGrantRecord,
  windowsJson,
} from '../ledger/grant-rows.js';
import { chargeCreation } from '../ledger/meters.js';
import { refuseReplaced } from '../ledger/presented-tokens.js';
import { rowHash } from '../ledger/row-hash.js';
import { refuseSuspended } from '../ledger/suspensions.js';
import { tellCrossings } from '../ledger/thresholds.js';
import { Notifier } from '../outbox/notifier.js';
import { Wallets } from '../treasury/wallets.js';
import { GrantTokens } from './grant-tokens.js';
import { viewGrant } from './grant-view.js';
import type { GrantView, MintBody } from './grants.dto.js';
import { grantNotFound } from './grants.service.js';
import { termsOf } from './terms.js';

/** Mints root grants and delegates children. */
@Injectable()
export class MintingService {
  constructor(
    private readonly database: Database,
    private readonly tokens: GrantTokens,
    private readonly wallets: Wallets,
    private readonly notifier: Notifier,
    @Inject(CONFIG)
    private readonly config: Pick<Config, 'bounds' | 'maxGrantSeconds' | 'networks'>,
  ) {}

  /**
   * Mints a root grant for an admin, or a child of the caller's own grant for a holder. With a key
   * that the caller used before, returns the grant minted then, with a token that works.
   *
   * @throws Problem `attenuation_violation`, `delegation_not_allowed`, `invalid_request`,
   *   `idempotency_mismatch`, `not_found`, `budget_exceeded` for a carve-out that does not fit, or the
   *   code of a chain that is not alive or of a treasury that is suspended.
   */
  mint(
    caller: Caller,
    body: MintBody,
    mintKey: string | undefined,
    requestId: string,
  ): Promise<{ grant: GrantView } & MintedToken> {
    const act = () => this.mintAs(caller, body, mintKey, requestId);
    return caller.kind === 'holder' ? tellingOnlyOwn([caller.grantId], act) : act();
  }

  private async mintAs(
    caller: Caller,
    body: MintBody,
    mintKey: string | undefined,
    requestId: string,
  ): Promise<{ grant: GrantView } & MintedToken> {
    const { treasuryId, parentId } = await this.place(caller, body);
    const mintHash = sha256Hex(canonicalJson(body));
    const binding = body.holderKey && (await bindingOf(body.holderKey));
    const { chain, now } = await this.database.transaction(async (tx) => {
      if (mintKey !== undefined) {
        const earlier = await findByMintKey(tx, treasuryId, caller.actor, mintKey);
        if (earlier) return replay(tx, earlier, mintHash, caller, requestId);
      }
      await refuseSuspended(tx, treasuryId, 'it mints no grant');
      const parents = parentId === undefined ? [] : await lockChain(tx, treasuryId, parentId);
      const parent = parents.at(-1);
      if (parentId !== undefined && !parent) throw grantNotFound(parentId);
      refuseReplaced(caller, parents);
      const now = await databaseNow(tx);
      const { maxGrantSeconds, networks } = this.config;
      const terms = termsOf(body, parents, now, maxGrantSeconds, currenciesOf(networks));
      const ancestors =
        parent && body.funding === 'reserved' ? await setAside(tx, parents, terms.budget) : parents;
      const mintedBy = caller.actor;
      const { holder, funding, purpose, labels } = body;
      const order = { holder, funding, purpose, labels, terms, treasuryId, parent };
      const grant = await mintGrant(tx, { ...order, mintedBy, mintKey, mintHash, binding }, now);
      const { bounds } = this.config;
      const full = fullIn(bounds.alive, parents, (each) => each.alive, 0);
      if (full) throw tooMany(full, 'grants are alive', parentId, 60);
      const event = mintedEvent(grant, caller, requestId, mintKey);
      // Twice: the grant's row and its record.
      const creation = { events: 1, bytes: 2 * sizeOf(event) };
      const isBounded = caller.kind === 'holder' ? bounds : undefined;
      await chargeCreation(tx, now, treasuryId, parents, creation, isBounded);
      await noteActor(tx, grant, mintedBy, now);
      await appendEvents(tx, now, [event]);
      await tellCrossings(tx, now, parents, ancestors, { requestId });
      await countMinted(tx, treasuryId, bounds.alive);
      return { chain: [...ancestors, grant], now };
    });
    this.notifier.eventsWritten(treasuryId);
    const grant = chain.at(-1);
    if (!grant) throw new Error('nothing was minted');
    return { grant: viewGrant(grant, chain, now), ...(await this.tokens.mint(grant)) };
  }

  /** Where a minting belongs: below the caller's own grant, or where an admin says. */
  private async place(caller: Caller, body: MintBody) {
    if (caller.kind === 'holder') {
      if ((body.parentId ?? body.treasuryId) !== undefined) {
        throw new Problem(
          'invalid_request',
          'parentId and treasuryId are for admins; a holder always mints under its own grant',
          { field: body.parentId === undefined ? 'treasuryId' : 'parentId' },
        );
      }
      return { treasuryId: caller.treasuryId, parentId: caller.grantId };
    }
    if (body.treasuryId !== undefined || body.parentId === undefined) {
      const treasuryId = await this.wallets.treasuryFor(caller, body.treasuryId);
      return { treasuryId, parentId: body.parentId };
    }
    const { rows } = await this.database.pool.query<{ treasury_id: string }>(
      'SELECT treasury_id FROM grants WHERE id = $1',
      [body.parentId],
    );
    if (!rows[0] || !seesTreasury(caller, rows[0].treasury_id)) throw grantNotFound(body.parentId);
    return { treasuryId: rows[0].treasury_id, parentId: body.parentId };
  }
}

/** The longest terms of one grant, in characters of its record: lists of grants hold up others otherwise. */
const MAX_TERMS_SIZE = 16_384;

/** @throws Problem `invalid_request` for terms that are too long, those it inherits included. */
function sizeOf({ data }: NewEvent): number {
  const size = JSON.stringify(data).length;
  if (size <= MAX_TERMS_SIZE) return size;
  throw new Problem(
    'invalid_request',
    `the grant's terms have ${size} characters, its inherited scope included; ${MAX_TERMS_SIZE} is the most: shorten scope, labels or purpose`,
    { field: 'scope' },
  );
}

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

/** Hands out a token of a grant that was minted before: the answer to that minting may be lost. */
async function replay(
  tx: ClientBase,
  earlier: GrantRecord,
  mintHash: string,
  caller: Caller,
  requestId: string,
) {
  if (earlier.mintHash !== mintHash) {
    throw new Problem(
      'idempotency_mismatch',
      'this Idempotency-Key was used for a grant with another body; use a new key for a new grant',
      { nextAction: 'new_key' },
    );
  }
  const { treasuryId, id } = earlier;
  // Read it again under the lock: its token's generation may have moved on since it was found.
  const chain = await lockChain(tx, treasuryId, id);
  refuseReplaced(caller, chain);
  const now = await databaseNow(tx);
  // Only the minter's own key finds the grant, and he is on record since the minting.
  await appendEvents(tx, now, [
    {
      treasuryId,
      kind: 'grant.token_replayed',
      actor: caller.actor,
      grantId: id,
      requestId,
      data: { generation: chain.at(-1)?.tokenGeneration ?? null },
    },
  ]);
  return { chain, now };
}

function mintedEvent(
  grant: GrantRecord,
  caller: Caller,
  requestId: string,
  mintKey: string | undefined,
): NewEvent {
  return {
    treasuryId: grant.treasuryId,
    kind: grant.parentId === undefined ? 'grant.minted' : 'grant.delegated',
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
      windows: windowsJson(grant.windows),
      approvalAbove: grant.approvalAbove?.toString() ?? null,
      scope: grant.scope,
      startsAt: grant.startsAt.toISOString(),
      expiresAt: grant.expiresAt.toISOString(),
      delegationDepth: grant.delegationDepth,
      approveNewPayees: grant.approveNewPayees,
      breaker: grant.breaker ? { ...grant.breaker } : null,
      funding: grant.funding,
      purpose: grant.purpose ?? null,
      labels: grant.labels,
      holderKeyThumbprint: grant.holderKeyThumbprint ?? null,
      rowHash: rowHash([mintKey, grant.mintHash]),
    },
  };
}
