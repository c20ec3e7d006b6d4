import { Inject, Injectable, Logger } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { Hex } from 'viem';
import { type Caller, seesTreasury, treasuriesOf } from '../access/caller.js';
import { treasuriesOfFilter } from '../access/grant-filter.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { type Page, page } from '../http/paging.js';
import { newId } from '../ids.js';
import { appendEvents } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { mainTreasury } from '../ledger/service-events.js';
import { enrolCurrencies } from './currencies.js';
import { enrolWallets, type KeyedTreasury } from './enrolment.js';
import { Networks } from './networks.js';
import { SIGNER, type SignableTypedData, type Signer } from './signer.js';
import { changeWalletStatus, type StatusChange, type WalletStatus } from './wallet-status.js';

/** A treasury as stored. */
export interface TreasuryRecord {
  readonly id: string;
  readonly name: string;
  /** Its place in the key tree. */
  readonly position: number;
  readonly createdAt: Date;
  /** Whether payments of 0 may be made. */
  readonly zeroPayments: boolean;
  /** Payments that are signed and have not ended. */
  readonly openPayments: number;
  /** Since when it is stopped, by whom and why; null while it runs. */
  readonly suspension: {
    readonly at: Date;
    readonly by: string;
    readonly reason: string | null;
  } | null;
}

/** A wallet's funds in one registered token. Atomic units. */
export interface WalletFunds {
  readonly treasuryId: string;
  readonly id: string;
  readonly address: string;
  readonly status: string;
  readonly network: string;
  readonly asset: string;
  readonly currency: string;
  /** At the last finalized block read. */
  readonly balance: bigint;
  /** Held for open payments. */
  readonly reserved: bigint;
  readonly blockNumber: bigint;
  /** The code seen at its address on this network, which keeps it from paying; see ledger/wallet-code.ts. */
  readonly code:
    | { readonly bytes: string; readonly block: bigint; readonly seenAt: Date }
    | undefined;
  /** The start of its hold for a spend that no payment stands for; it makes no payment meanwhile. */
  readonly heldSince: Date | undefined;
}

/** The pool of wallets behind each treasury. */
@Injectable()
export class Wallets {
  readonly #log = new Logger('treasury');
  /** Addresses that the signer has keys for, by treasury. A process learns of new keys when it starts. */
  readonly #signable = new Map<string, readonly string[]>();
  readonly #insufficient = new Map<string, number>();
  #mainTreasuryId: string | undefined;

  constructor(
    private readonly database: Database,
    @Inject(SIGNER) private readonly signer: Signer,
    private readonly networks: Networks,
  ) {}

  /**
   * Makes the main treasury and every treasury's wallets known to the database, with a row of funds for
   * each registered token. Records the decimals of each currency, and makes every recorded currency known
   * to this process. Idempotent, and safe when several processes start at once.
   *
   * @throws ConfigError when the database holds other wallets than the signer: signing for somebody
   *   else's treasury is never a good start. ConfigError when a currency is configured with other decimals
   *   than the database keeps it with. Error when the signer cannot be asked.
   */
  async enrol(): Promise<void> {
    const orphaned = await this.database.transaction((tx) =>
      enrolCurrencies(tx, this.networks.all()),
    );
    if (orphaned.length > 0) {
      this.#log.warn(
        `grants are kept in ${orphaned.join(', ')}, but BURSAR_NETWORKS names no such token: they are listed and ` +
          'cannot pay; name the token under assets again to pay from them',
      );
    }
    await this.database.transaction(mainTreasury);
    const treasuries = await this.database.prisma.treasury.findMany({ orderBy: { id: 'asc' } });
    for (const treasury of treasuries) await this.enrolWallets(treasury);
  }

  /**
   * Makes one more treasury, with wallets of its own.
   *
   * @throws Problem `invalid_request` when the name is taken, `forbidden` for an admin of some treasuries.
   */
  async createTreasury(caller: Caller, name: string, requestId: string): Promise<TreasuryRecord> {
    if (treasuriesOf(caller) !== undefined) {
      throw new Problem('forbidden', 'it takes an admin of all treasuries to make one');
    }
    const treasury = await this.database.transaction(async (tx) => {
      const now = await databaseNow(tx);
      const made = await insertTreasury(tx, now, name, caller.actor, requestId);
      if (!made) {
        throw new Problem('invalid_request', `a treasury named "${name}" exists already`, {
          field: 'name',
        });
      }
      return made;
    });
    // A treasury without wallets is a treasury all the same: the next start tries again.
    await this.enrolWallets(treasury).catch((error: Error) => {
      this.#log.error(`treasury ${name}: its wallets are not known yet: ${error.message}`);
    });
    return treasury;
  }

  /**
   * A page of the treasuries, oldest first.
   *
   * @param seen - those the caller may see; undefined for all.
   */
  async treasuries(
    seen: readonly string[] | undefined,
    query: { limit: number; cursor?: string | undefined },
  ): Promise<Page<TreasuryRecord>> {
    const rows = await this.database.prisma.treasury.findMany({
      where: {
        id: {
          ...(seen === undefined ? {} : { in: [...seen] }),
          ...(query.cursor === undefined ? {} : { gt: query.cursor }),
        },
      },
      orderBy: { id: 'asc' },
      take: query.limit + 1,
      include: { suspension: true, usage: true },
    });
    return page(
      rows,
      query.limit,
      ({ id }) => id,
      ({ suspension: stop, usage, ...row }) => ({
        ...row,
        openPayments: usage?.openPayments ?? 0,
        suspension: stop && { at: stop.suspendedAt, by: stop.suspendedBy, reason: stop.reason },
      }),
    );
  }

  /**
   * The addresses of a treasury's wallets that can be signed for here. No other wallet of the treasury
   * may be selected, and no wallet of another treasury is ever among them.
   *
   * @throws Problem `unavailable` when the signer does not answer.
   */
  async signable(treasuryId: string): Promise<readonly string[]> {
    const known = this.#signable.get(treasuryId);
    if (known) return known;
    const treasury = await this.database.prisma.treasury.findUnique({ where: { id: treasuryId } });
    if (!treasury) return [];
    try {
      const { addresses } = await this.signer.wallets(treasury);
      this.#signable.set(treasuryId, addresses);
      return addresses;
    } catch (error) {
      this.#log.error(error instanceof Error ? error.message : String(error));
      throw new Problem('unavailable', "the treasury's signer does not answer; try again");
    }
  }

  /**
   * Signs for a wallet whose treasury's {@link signable} were asked for. Deterministic.
   *
   * @throws Problem `unavailable` when the signer cannot sign now: the same request may be made again,
   *   and gets the same bytes then.
   */
  async sign(address: string, data: SignableTypedData, decision?: string): Promise<Hex> {
    try {
      return await this.signer.sign(address, data, decision);
    } catch (error) {
      this.#log.error(error instanceof Error ? error.message : String(error));
      throw new Problem(
        'unavailable',
        'the signer cannot sign now; repeat the request with the same Idempotency-Key',
      );
    }
  }

  /** See {@link changeWalletStatus}. */
  setStatus(walletId: string, status: WalletStatus, by: StatusChange): Promise<void> {
    return changeWalletStatus(this.database, walletId, status, by);
  }

  /** Notes that a payment was refused for want of money in a treasury's wallets. */
  foundInsufficient(treasuryId: string): void {
    this.#insufficient.set(treasuryId, (this.#insufficient.get(treasuryId) ?? 0) + 1);
    this.#log.warn(
      `treasury ${treasuryId} has too little free money for a payment; fund its wallets. /readyz names those that ` +
        'cannot pay because they have code',
    );
  }

  /** How many payments this process refused for want of money, by treasury. */
  get insufficient(): ReadonlyMap<string, number> {
    return this.#insufficient;
  }

  private async enrolWallets(treasury: KeyedTreasury): Promise<void> {
    const held = await this.signer.wallets(treasury);
    await this.database.transaction((tx) => enrolWallets(tx, treasury, held, this.networks.all()));
    this.#signable.set(treasury.id, held.addresses);
  }

  /**
   * A page of wallets of a treasury (of all, when undefined), with their funds in each registered
   * token. `limit` counts wallets.
   *
   * @param seen - the treasuries the caller may see; undefined for all.
   */
  async list(
    treasuries: readonly string[] | undefined,
    query: { limit: number; cursor?: string | undefined },
  ): Promise<Page<WalletFunds>> {
    const wallets = await this.database.prisma.wallet.findMany({
      where: {
        ...(treasuries === undefined ? {} : { treasuryId: { in: [...treasuries] } }),
        ...(query.cursor === undefined ? {} : { id: { gt: query.cursor } }),
      },
      include: { balances: { orderBy: [{ network: 'asc' }, { asset: 'asc' }] } },
      orderBy: { id: 'asc' },
      take: query.limit + 1,
    });
    const found = page(
      wallets,
      query.limit,
      ({ id }) => id,
      (wallet) => wallet,
    );
    const items = found.items.flatMap((wallet) =>
      wallet.balances.flatMap((funds) => {
        const asset = this.networks.asset(funds.network, funds.asset);
        if (!asset) return [];
        return {
          treasuryId: wallet.treasuryId,
          id: wallet.id,
          address: wallet.address,
          status: wallet.status,
          network: funds.network,
          asset: funds.asset,
          currency: asset.currency,
          // toFixed() writes every digit; nothing is computed in Decimal.
          balance: BigInt(funds.balance.toFixed()),
          reserved: BigInt(funds.reserved.toFixed()),
          blockNumber: funds.blockNumber,
          code:
            funds.code !== null && funds.codeBlock !== null && funds.codeSeenAt !== null
              ? { bytes: funds.code, block: funds.codeBlock, seenAt: funds.codeSeenAt }
              : undefined,
          heldSince: funds.heldSince ?? undefined,
        };
      }),
    );
    return { ...found, items };
  }

  /**
   * A page of the wallets that a caller sees: of the treasury that the query names, or of all.
   *
   * @throws Problem `invalid_request` for a treasury that the caller does not see.
   */
  async listFor(
    caller: Caller,
    query: { treasuryId?: string | undefined; limit: number; cursor?: string | undefined },
  ): Promise<Page<WalletFunds>> {
    const { pool } = this.database;
    return this.list(await treasuriesOfFilter(pool, caller, query.treasuryId), query);
  }

  /** The main treasury's id, which never changes. */
  async mainTreasuryId(): Promise<string> {
    this.#mainTreasuryId ??= await this.database.transaction(mainTreasury, 'all');
    return this.#mainTreasuryId;
  }

  /**
   * The treasury a request is about: a holder's own; the one an admin names, or else its only one, or
   * the main one where it may act on all.
   *
   * @throws Problem `not_found` for one it may not see, `invalid_request` when it must name one.
   */
  async treasuryFor(caller: Caller, asked: string | undefined): Promise<string> {
    if (caller.kind === 'holder') return caller.treasuryId;
    if (asked !== undefined) {
      if (seesTreasury(caller, asked)) return asked;
      throw new Problem('not_found', `no treasury ${asked}`);
    }
    if (caller.treasuries === undefined) return this.mainTreasuryId();
    const [only, ...others] = caller.treasuries;
    if (only !== undefined && others.length === 0) return only;
    throw new Problem('invalid_request', 'treasuryId: say which of your treasuries', {
      field: 'treasuryId',
    });
  }
}

/** Writes a treasury, unless the name is taken. */
async function insertTreasury(
  tx: ClientBase,
  now: Date,
  name: string,
  actor: string,
  requestId: string,
): Promise<TreasuryRecord | undefined> {
  const id = newId('trs');
  const { rows } = await tx.query<{ position: number }>(
    `INSERT INTO treasuries (id, name, created_at) VALUES ($1, $2, $3)
     ON CONFLICT (name) DO NOTHING RETURNING position`,
    [id, name, now],
  );
  if (!rows[0]) return undefined;
  await appendEvents(tx, now, [
    { treasuryId: id, kind: 'treasury.created', actor, requestId, data: { name } },
  ]);
  const { position } = rows[0];
  return {
    id,
    name,
    position,
    createdAt: now,
    zeroPayments: true,
    openPayments: 0,
    suspension: null,
  };
}
