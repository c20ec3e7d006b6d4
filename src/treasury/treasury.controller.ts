import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller, treasuriesOf } from '../access/caller.js';
import { Database } from '../database/database.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { Answers, QueryInput } from '../http/contract.js';
import { page, pageOf, pageQuery } from '../http/paging.js';
import { idPattern } from '../ids.js';
import { Wallets } from './wallets.js';

const treasurySchema = z.object({
  id: z.string(),
  name: z.string(),
  createdAt: z.iso.datetime(),
});

const walletSchema = z.object({
  id: z.string(),
  treasuryId: z.string(),
  address: z.string(),
  status: z.string(),
  network: z.string(),
  asset: z.string(),
  currency: z.string(),
  balance: z.string().describe('currency units, at the last finalized block read'),
  reserved: z.string().describe('currency units held for open payments'),
  free: z.string().describe('currency units a payment could still reserve'),
  blockNumber: z.string(),
});

const walletsQuery = pageQuery.extend({
  treasuryId: z.string().regex(idPattern('trs'), 'must be a trs_ id').optional(),
});

/** `/v1/treasuries` and `/v1/wallets`, for admins. */
@ApiTags('treasury')
@Controller('v1')
export class TreasuryController {
  constructor(
    private readonly database: Database,
    private readonly wallets: Wallets,
  ) {}

  @Get('treasuries')
  @Allow('admin', 'approver', 'auditor')
  @Answers(200, pageOf(treasurySchema), 'The treasuries, oldest first')
  async listTreasuries(
    @CurrentCaller() caller: Caller,
    @QueryInput(pageQuery) query: z.infer<typeof pageQuery>,
  ) {
    const seen = treasuriesOf(caller);
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
      (row) => ({
        id: row.id,
        name: row.name,
        createdAt: row.createdAt.toISOString(),
      }),
    );
  }

  @Get('wallets')
  @Allow('admin', 'approver', 'auditor')
  @Answers(200, pageOf(walletSchema), 'Addresses with their finalized balance, reserved and free')
  async listWallets(
    @CurrentCaller() caller: Caller,
    @QueryInput(walletsQuery) query: z.infer<typeof walletsQuery>,
  ) {
    const { items, nextCursor } = await this.wallets.list(treasuriesOf(caller), query);
    const shown = items.map((wallet) => {
      const currency = currencyOf(wallet.currency);
      const free = wallet.balance - wallet.reserved;
      return {
        id: wallet.id,
        treasuryId: wallet.treasuryId,
        address: wallet.address,
        status: wallet.status,
        network: wallet.network,
        asset: wallet.asset,
        currency: wallet.currency,
        balance: formatAmount(wallet.balance, currency),
        reserved: formatAmount(wallet.reserved, currency),
        free: formatAmount(free > 0n ? free : 0n, currency),
        blockNumber: wallet.blockNumber.toString(),
      };
    });
    return { items: shown, nextCursor };
  }
}
