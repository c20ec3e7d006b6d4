import { Inject, Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { Caller } from '../access/caller.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { BREAKER_ACTOR } from '../domain/breaker.js';
import { Problem } from '../domain/problem.js';
import { addUsage } from '../ledger/bounds.js';
import { emptyBreaker } from '../ledger/breakers.js';
import { requestCancellations } from '../ledger/cancellations.js';
import { returnIn, writeReturns } from '../ledger/carve-outs.js';
import { appendEvents, type EventKind } from '../ledger/events.js';
import { noteActor } from '../ledger/grant-actors.js';
import { endGrant, replaceToken, writeStatus } from '../ledger/grant-changes.js';
import { databaseNow, type GrantRecord, lockChain, writeCounters } from '../ledger/grant-rows.js';
import { type Creation, chargeCreation, limitRepeats } from '../ledger/meters.js';
import { refuseReplaced } from '../ledger/presented-tokens.js';
import { Notifier } from '../outbox/notifier.js';
import { CarveOuts } from './carve-outs.js';
import { GrantTokens } from './grant-tokens.js';
import { exposureOf, viewGrant } from './grant-view.js';
import type { GrantView, ReasonBody, RevokeBody } from './grants.dto.js';
import { GrantsService, grantNotFound } from './grants.service.js';

/** The size of the record of a change of a grant's life, about. */
const LIFE_EVENT: Creation = { events: 1, bytes: 512 };

/** A grant as locked for a change, with its chain and the time. */
interface LockedChain {
  readonly tx: ClientBase;
  readonly grant: GrantRecord;
  /** From the root down, the grant itself last. */
  readonly chain: readonly GrantRecord[];
  readonly now: Date;
}

/** Pauses, resumes and ends grants, and replaces their tokens. */
@Injectable()
export class LifeService {
  constructor(
    private readonly database: Database,
    private readonly grants: GrantsService,
    private readonly tokens: GrantTokens,
    private readonly carveOuts: CarveOuts,
    private readonly notifier: Notifier,
    @Inject(CONFIG) private readonly config: Pick<Config, 'bounds' | 'cancellationsPerDay'>,
  ) {}

  /**
   * Ends a grant and everything below it, at once and for good: a reservation that is decided after
   * this returns sees it. It changes the grant's own row and its ancestors' counters, however large
   * the tree below is. Revoking again changes nothing, and tells that it ended no more grants.
   */
  async revoke(caller: Caller, id: string, body: RevokeBody, requestId: string) {
    const { treasuryId } = await this.grants.visible(caller, id);
    const result = await this.locked(caller, treasuryId, id, async ({ tx, grant, chain, now }) => {
      const isEnded = chain.some(({ status }) => status === 'revoked');
      const revokedGrants = isEnded ? 0 : grant.alive;
      let after = chain;
      let ended = 0;
      if (grant.status !== 'revoked') {
        await endGrant(tx, grant, revokedGrants, body.reason, now);
        await appendEvents(tx, now, [
          {
            ...lifeEvent(grant, 'grant.revoked', caller, body.reason, requestId),
            data: { from: grant.status, to: 'revoked', revokedGrants },
          },
        ]);
        ended = revokedGrants;
        const revoked: GrantRecord = { ...grant, status: 'revoked', suspendedBy: undefined };
        after = await giveBack(tx, [...chain.slice(0, -1), revoked], now);
      }
      if (body.cancelOutstanding) {
        const { actor } = caller;
        const of = { grantId: id };
        await requestCancellations(tx, now, {
          treasuryId,
          of,
          bounds:
            caller.kind === 'admin'
              ? undefined
              : { rootId: grant.rootId, ...this.config.cancellationsPerDay },
          actor,
          requestId,
          reason: body.reason,
        });
      }
      await addUsage(tx, treasuryId, { alive: -ended });
      return { ...view(after, now), revokedGrants, exposure: exposureOf(grant) };
    });
    this.carveOuts.revoked();
    return result;
  }

  /**
   * Pauses a grant and everything below it, until somebody of the same standing or above resumes it.
   * A grant that is suspended already stays so; suspended by somebody higher, it takes as much to
   * resume it.
   *
   * @throws Problem `invalid_transition` for a grant that is revoked, itself or above.
   */
  async suspend(caller: Caller, id: string, body: ReasonBody, requestId: string) {
    const { treasuryId } = await this.grants.visible(caller, id);
    return this.locked(caller, treasuryId, id, async (locked) => {
      const { grant, chain, now } = locked;
      refuseRevoked(chain, 'suspended');
      const isPaused = grant.status === 'suspended';
      if (isPaused && !outranks(caller, grant)) return view(chain, now);
      // Stopping is never refused; it cannot be repeated without resuming, which may be.
      await chargeCreation(locked.tx, now, treasuryId, chain, LIFE_EVENT, undefined);
      const changed: GrantRecord = { ...grant, status: 'suspended', suspendedBy: caller.actor };
      await writeStatus(locked.tx, changed, body.reason);
      await appendEvents(locked.tx, now, [
        {
          ...lifeEvent(grant, 'grant.suspended', caller, body.reason, requestId),
          data: { from: grant.status, to: 'suspended' },
        },
      ]);
      return view([...chain.slice(0, -1), changed], now);
    });
  }

  /**
   * Lets a suspended grant go on. One that is not suspended itself is left as it is.
   *
   * @throws Problem `invalid_transition` for a grant that is revoked, itself or above, `forbidden` when
   *   it was suspended by an admin or by a grant above the caller's.
   */
  async resume(caller: Caller, id: string, body: ReasonBody, requestId: string) {
    const { treasuryId } = await this.grants.visible(caller, id);
    return this.locked(caller, treasuryId, id, async (locked) => {
      const { grant, chain, now } = locked;
      refuseRevoked(chain, 'resumed');
      if (grant.status !== 'suspended') return view(chain, now);
      const isOwn = caller.kind === 'admin' || grant.suspendedBy === caller.actor;
      if (!isOwn && !outranks(caller, grant)) {
        throw new Problem(
          'forbidden',
          `grant ${id} was suspended by its breaker or by somebody above this caller; only they or somebody above the grant, or an admin, resume it`,
          { grantId: id },
        );
      }
      await this.limit(locked, caller, 'resumed');
      const changed: GrantRecord = { ...grant, status: 'active', suspendedBy: undefined };
      await writeStatus(locked.tx, changed, body.reason);
      if (grant.breaker) await emptyBreaker(locked.tx, treasuryId, id);
      await noteActor(locked.tx, grant, caller.actor, now);
      await appendEvents(locked.tx, now, [
        {
          ...lifeEvent(grant, 'grant.resumed', caller, body.reason, requestId),
          data: { from: 'suspended', to: 'active' },
        },
      ]);
      return view([...chain.slice(0, -1), changed], now);
    });
  }

  /** Issues a fresh token for a grant; every earlier one stops working at once. */
  async reissueToken(caller: Caller, id: string, requestId: string) {
    const { treasuryId } = await this.grants.visible(caller, id);
    const { changed, answer } = await this.locked(caller, treasuryId, id, async (locked) => {
      const { tx, grant, chain, now } = locked;
      await this.limit(locked, caller, 're-issued');
      const changed = { ...grant, tokenGeneration: grant.tokenGeneration + 1 };
      await replaceToken(tx, grant);
      await noteActor(tx, grant, caller.actor, now);
      await appendEvents(tx, now, [
        {
          ...lifeEvent(grant, 'grant.token_reissued', caller, undefined, requestId),
          data: { generation: changed.tokenGeneration },
        },
      ]);
      return { changed, answer: view([...chain.slice(0, -1), changed], now) };
    });
    return { ...answer, ...(await this.tokens.mint(changed)) };
  }

  /** Counts one more event of a grant's life, and refuses what is repeated too often or beyond a bound. */
  private async limit({ tx, grant, chain, now }: LockedChain, caller: Caller, act: string) {
    await limitRepeats(tx, now, grant, act, caller.actor);
    const bounds = caller.kind === 'holder' ? this.config.bounds : undefined;
    await chargeCreation(tx, now, grant.treasuryId, chain, LIFE_EVENT, bounds);
  }

  /** Runs a change of one grant under the locks of its chain, and tells of the events it wrote. */
  private async locked<T>(
    caller: Caller,
    treasuryId: string,
    id: string,
    change: (locked: LockedChain) => Promise<T>,
  ): Promise<T> {
    const result = await this.database.transaction(async (tx) => {
      const chain = await lockChain(tx, treasuryId, id);
      const grant = chain.at(-1);
      if (!grant) throw grantNotFound(id);
      refuseReplaced(caller, chain);
      return change({ tx, grant, chain, now: await databaseNow(tx) });
    });
    this.notifier.eventsWritten(treasuryId);
    return result;
  }
}

/** Whether a caller stands above whoever suspended a grant: admins above holders, holders by the tree. */
function outranks(caller: Caller, { path, suspendedBy }: GrantRecord): boolean {
  if (suspendedBy === BREAKER_ACTOR) {
    return caller.kind === 'admin' || path.indexOf(caller.grantId) < path.length - 1;
  }
  const suspender = suspendedBy?.startsWith('grant:')
    ? suspendedBy.slice('grant:'.length)
    : undefined;
  if (suspender === undefined) return false;
  if (caller.kind === 'admin') return true;
  return path.indexOf(caller.grantId) < path.indexOf(suspender);
}

function refuseRevoked(chain: readonly GrantRecord[], wanted: string): void {
  const revoked = chain.find(({ status }) => status === 'revoked');
  if (!revoked) return;
  throw new Problem(
    'invalid_transition',
    `grant ${revoked.id} is revoked, which is final for it and all below it; nothing of that can be ${wanted}`,
    { grantId: revoked.id },
  );
}

function lifeEvent(
  grant: GrantRecord,
  kind: EventKind,
  caller: Caller,
  reason: string | undefined,
  requestId: string,
) {
  const { treasuryId, id } = grant;
  return { treasuryId, kind, actor: caller.actor, grantId: id, requestId, reason };
}

function view(chain: readonly GrantRecord[], now: Date): { grant: GrantView } {
  const grant = chain.at(-1);
  if (!grant) throw new Error('a chain has at least the grant itself');
  return { grant: viewGrant(grant, chain, now) };
}

/** Gives back what is left of a carve-out that was revoked. @returns the chain as it is then. */
async function giveBack(
  tx: ClientBase,
  chain: readonly GrantRecord[],
  now: Date,
): Promise<GrantRecord[]> {
  const grants = new Map(chain.map((grant) => [grant.id, grant]));
  const { treasuryId, id } = chain.at(-1) ?? {};
  if (treasuryId === undefined || id === undefined)
    throw new Error('a chain has at least its grant');
  const returns = returnIn(grants, [id], now);
  const after = [...grants.values()];
  await writeCounters(
    tx,
    treasuryId,
    after.filter((grant) => returns.changed.has(grant.id)),
  );
  await writeReturns(tx, treasuryId, returns, now);
  return after;
}
