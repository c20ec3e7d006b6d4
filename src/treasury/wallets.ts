import { Inject, Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { type Caller, seesTreasury } from '../access/caller.js';
import { ConfigError } from '../config.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { type Page, page } from '../http/paging.js';
import { newId } from '../ids.js';
import { appendEvents, type NewEvent } from '../ledger/events.js';
import { databaseNow } from '../ledger/grant-rows.js';
import { mainTreasury } from '../ledger/service-events.js';
import { Networks } from './networks.js';
import { SIGNER, type Signer } from './signer.js';

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
}

/** The pool of wallets behind each treasury. */
@Injectable()
export class Wallets {
  #mainTreasuryId: string | undefined;

  constructor(
    private readonly database: Database,
    @Inject(SIGNER) private readonly signer: Signer,
    private readonly networks: Networks,
  ) {}

  /**
   * Makes the main treasury and the signer's wallets known to the database, with a row of funds for
   * each registered token. Idempotent, and safe when several processes start at once.
   *
   * @throws ConfigError when the database holds other wallets than the mnemonic gives: signing for
   *   somebody else's treasury is never a good start.
   */
  async enrol(): Promise<void> {
    await this.database.transaction(async (tx) => {
      const now = await databaseNow(tx);
      const events: NewEvent[] = [];
      const treasuryId = await mainTreasury(tx);
      for (const [position, address] of this.signer.addresses.entries()) {
        const walletId = await enrolWallet(tx, now, events, { treasuryId, address, position });
        for (const { network, assets } of this.networks.all()) {
          for (const asset of assets) {
            await tx.query(
              `INSERT INTO wallet_balances (treasury_id, wallet_id, network, asset)
               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
              [treasuryId, walletId, network, asset.address],
            );
          }
        }
      }
      await appendEvents(tx, now, events);
    });
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
        };
      }),
    );
    return { ...found, items };
  }

  /** The addresses of the treasury's wallets, EIP-55 checksummed. */
  get addresses(): readonly string[] {
    return this.signer.addresses;
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

async function enrolWallet(
  tx: ClientBase,
  now: Date,
  events: NewEvent[],
  wallet: { treasuryId: string; address: string; position: number },
): Promise<string> {
  const { treasuryId, address, position } = wallet;
  const id = newId('wal');
  const made = await tx.query(
    `INSERT INTO wallets (treasury_id, id, address, position, created_at)
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
    [treasuryId, id, address, position, now],
  );
  if (made.rowCount === 1) {
    events.push({
      treasuryId,
      kind: 'wallet.added',
      actor: 'system:treasury',
      data: { walletId: id, address, position },
    });
    return id;
  }
  const { rows } = await tx.query<{ id: string; address: string }>(
    'SELECT id, address FROM wallets WHERE treasury_id = $1 AND position = $2',
    [treasuryId, position],
  );
  if (rows[0]?.address === address) return rows[0].id;
  throw new ConfigError([
    `BURSAR_WALLET_MNEMONIC: gives ${address} as wallet ${position}, but this database's treasury has ` +
      `${rows[0]?.address ?? 'another'} there; give the phrase the treasury was made with`,
  ]);
}
