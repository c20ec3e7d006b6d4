import { Inject, Injectable, Logger } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { Hex } from 'viem';
import { type Caller, seesTreasury, treasuriesOf } from '../access/caller.js';
import { ConfigError } from '../config.js';
import { Database } from '../database/database.js';
import type { Network } from '../domain/network.js';
import { Problem } from '../domain/problem.js';
import { type Page, page } from '../http/paging.js';
import { newId } from '../ids.js';
import { appendEvents, type NewEvent } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { mainTreasury } from '../ledger/service-events.js';
import { enrolCurrencies } from './currencies.js';
import { Networks } from './networks.js';
import { SIGNER, type SignableTypedData, type Signer } from './signer.js';

/** A treasury as stored. */
export interface TreasuryRecord {
  readonly id: string;
  readonly name: string;
  /** Its place in the key tree. */
  readonly position: number;
  readonly createdAt: Date;
}

/** What a wallet does: pays, settles what is open, or nothing any more. */
export const WALLET_STATUSES = ['active', 'draining', 'retired'] as const;
/** See {@link WALLET_STATUSES}. */
export type WalletStatus = (typeof WALLET_STATUSES)[number];

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
}

/** The pool of wallets behind each treasury. */
@Injectable()
export class Wallets {
  readonly #log = new Logger('treasury');
  /** What the signer has keys for, by treasury. A process learns of new keys when it starts. */
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
    });
    return page(
      rows,
      query.limit,
      ({ id }) => id,
      (row) => row,
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
  async sign(address: string, data: SignableTypedData): Promise<Hex> {
    try {
      return await this.signer.sign(address, data);
    } catch (error) {
      this.#log.error(error instanceof Error ? error.message : String(error));
      throw new Problem(
        'unavailable',
        'the signer cannot sign now; repeat the request with the same Idempotency-Key',
      );
    }
  }

  /**
   * Sets a wallet's status. An active wallet pays; a draining one pays no more and settles what is open;
   * a retired one is done for good, and its key may be destroyed.
   *
   * @throws Problem `not_found`; `invalid_transition` for a retired wallet, and for retiring one that is
   *   not draining or still has open payments.
   */
  async setStatus(
    walletId: string,
    status: WalletStatus,
    by: {
      actor: string;
      /** Those the caller may see; undefined for all. */
      treasuries?: readonly string[] | undefined;
      requestId?: string | undefined;
      reason?: string | undefined;
    },
  ): Promise<void> {
    const { treasuries, ...who } = by;
    await this.database.transaction(async (tx) => {
      const { rows } = await tx.query<{
        treasury_id: string;
        address: string;
        status: WalletStatus;
      }>('SELECT treasury_id, address, status FROM wallets WHERE id = $1 FOR NO KEY UPDATE', [
        walletId,
      ]);
      const wallet = rows[0];
      if (!wallet || treasuries?.includes(wallet.treasury_id) === false)
        throw new Problem('not_found', `no wallet ${walletId.slice(0, 64)}`);
      if (wallet.status === status) return;
      await refuseTransition(tx, walletId, wallet.status, status);
      await tx.query('UPDATE wallets SET status = $2 WHERE id = $1', [walletId, status]);
      await appendEvents(tx, await databaseNow(tx), [
        {
          treasuryId: wallet.treasury_id,
          kind: `wallet.${status}`,
          ...who,
          data: { walletId, address: wallet.address, from: wallet.status, to: status },
        },
      ]);
    });
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

  private async enrolWallets(treasury: TreasuryRecord): Promise<void> {
    const { addresses, isOrdered } = await this.signer.wallets(treasury);
    await this.database.transaction(async (tx) => {
      // One process enrols at a time: positions are given out in turn.
      await tx.query('SELECT 1 FROM treasuries WHERE id = $1 FOR NO KEY UPDATE', [treasury.id]);
      const now = await databaseNow(tx);
      const events: NewEvent[] = [];
      const { rows: known } = await tx.query<{ address: string; position: number }>(
        'SELECT address, position FROM wallets WHERE treasury_id = $1 ORDER BY position',
        [treasury.id],
      );
      if (known.length > 0 && !known.some(({ address }) => addresses.includes(address))) {
        throw foreignKeys(treasury, isOrdered, addresses[0] ?? 'no wallet', 0, known[0]?.address);
      }
      let next = Math.max(-1, ...known.map(({ position }) => position)) + 1;
      for (const [place, address] of addresses.entries()) {
        const found = known.find((wallet) => wallet.address === address);
        const position = found?.position ?? (isOrdered ? place : next++);
        const other = known.find((wallet) => wallet.position === position);
        if (other && other.address !== address) {
          throw foreignKeys(treasury, isOrdered, address, position, other.address);
        }
        const wallet = { treasuryId: treasury.id, address, position };
        if (!found) await insertWallet(tx, now, events, wallet);
        await insertFunds(tx, wallet, this.networks.all());
      }
      await appendEvents(tx, now, events);
    });
    this.#signable.set(treasury.id, addresses);
  }

  /**
   * A page of wallets of a treasury (of all, when undefined), with their funds in each registered
   * token. `limit` counts wallets.
   *
   * @param seen - the treasuries the caller may see; undefined for all.
   */
  async list(
    seen: readonly string[] | undefined,
    query: { treasuryId?: string | undefined; limit: number; cursor?: string | undefined },
  ): Promise<Page<WalletFunds>> {
    const wallets = await this.database.prisma.wallet.findMany({
      where: {
        treasuryId: {
          ...(seen === undefined ? {} : { in: [...seen] }),
          ...(query.treasuryId === undefined ? {} : { equals: query.treasuryId }),
        },
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
        };
      }),
    );
    return { ...found, items };
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
  return { id, name, position: rows[0].position, createdAt: now };
}

interface EnrolledWallet {
  readonly treasuryId: string;
  readonly address: string;
  readonly position: number;
}

async function insertWallet(
  tx: ClientBase,
  now: Date,
  events: NewEvent[],
  { treasuryId, address, position }: EnrolledWallet,
): Promise<void> {
  const id = newId('wal');
  const made = await tx.query(
    `INSERT INTO wallets (treasury_id, id, address, position, created_at)
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (address) DO NOTHING`,
    [treasuryId, id, address, position, now],
  );
  if (made.rowCount === 0) {
    throw new ConfigError([
      `BURSAR_KEYSTORE: wallet ${address} belongs to another treasury already; a wallet has one treasury`,
    ]);
  }
  const data = { walletId: id, address, position };
  events.push({ treasuryId, kind: 'wallet.added', actor: 'system:treasury', data });
}

async function insertFunds(
  tx: ClientBase,
  { treasuryId, address }: EnrolledWallet,
  networks: readonly Network[],
): Promise<void> {
  const rows = networks.flatMap(({ network, assets }) =>
    assets.map((asset) => ({ network, asset })),
  );
  await tx.query(
    `INSERT INTO wallet_balances (treasury_id, wallet_id, network, asset)
     SELECT w.treasury_id, w.id, n.network, n.asset
     FROM wallets w, unnest($3::text[], $4::text[]) AS n (network, asset)
     WHERE w.treasury_id = $1 AND w.address = $2
     ON CONFLICT DO NOTHING`,
    [
      treasuryId,
      address,
      rows.map(({ network }) => network),
      rows.map(({ asset }) => asset.address),
    ],
  );
}

async function refuseTransition(
  tx: ClientBase,
  walletId: string,
  from: WalletStatus,
  to: WalletStatus,
): Promise<void> {
  if (from === 'retired') {
    throw new Problem('invalid_transition', `wallet ${walletId} is retired for good`);
  }
  if (to !== 'retired') return;
  if (from !== 'draining') {
    throw new Problem('invalid_transition', `wallet ${walletId} is ${from}; set it draining first`);
  }
  // Payments in the making read the status under these locks: none is open after they are taken.
  const { rows } = await tx.query<{ reserved: string }>(
    `SELECT reserved FROM wallet_balances WHERE wallet_id = $1
     ORDER BY treasury_id, wallet_id, network, asset FOR NO KEY UPDATE`,
    [walletId],
  );
  if (rows.some(({ reserved }) => BigInt(reserved) > 0n)) {
    throw new Problem(
      'invalid_transition',
      `wallet ${walletId} still has open payments; retire it once they have ended`,
    );
  }
}

function foreignKeys(
  { name }: TreasuryRecord,
  isOrdered: boolean,
  given: string,
  position: number,
  known: string | undefined,
): ConfigError {
  return new ConfigError([
    isOrdered
      ? `BURSAR_WALLET_MNEMONIC: gives ${given} as wallet ${position}, but this database's treasury has ` +
        `${known ?? 'another'} there; give the phrase the treasury was made with`
      : `BURSAR_KEYSTORE: has the key of none of the wallets of treasury "${name}", such as ${known}; ` +
        'give the keystores the treasury was made with',
  ]);
}
