import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId, treasuriesOf } from '../access/caller.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { Answers, BodyInput, QueryInput, text } from '../http/contract.js';
import { pageOf, pageQuery } from '../http/paging.js';
import { idPattern } from '../ids.js';
import { delegateOf } from './wallet-code-view.js';
import { type TreasuryRecord, WALLET_STATUSES, Wallets } from './wallets.js';

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
  free: z.string().describe('currency units a payment could still reserve; 0 while it has code'),
  blockNumber: z.string(),
  code: z
    .object({
      delegate: z.string().nullable().describe('whom it delegates to (EIP-7702)'),
      seenAt: z.iso.datetime().describe('since when it has code'),
      blockNumber: z.string().describe('the newest block in which the code was seen'),
    })
    .nullable()
    .describe(
      'code on its address; tokens then refuse its signatures, and it makes no payment there',
    ),
});

const createTreasurySchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and "-", not "-" first'),
});

const walletStatusSchema = z.strictObject({
  status: z.enum(WALLET_STATUSES),
  reason: text(1, 1000).optional(),
});

const walletsQuery = pageQuery.extend({
  treasuryId: z.string().regex(idPattern('trs'), 'must be a trs_ id').optional(),
});

/** `/v1/treasuries` and `/v1/wallets`, for admins. */
@ApiTags('treasury')
@Controller('v1')
export class TreasuryController {
  constructor(private readonly wallets: Wallets) {}

  @Get('treasuries')
  @Allow('admin', 'approver', 'auditor')
  @Answers(200, pageOf(treasurySchema), 'The treasuries, oldest first')
  async listTreasuries(
    @CurrentCaller() caller: Caller,
    @QueryInput(pageQuery) query: z.infer<typeof pageQuery>,
  ) {
    const { items, nextCursor } = await this.wallets.treasuries(treasuriesOf(caller), query);
    return { items: items.map(viewTreasury), nextCursor };
  }

  @Post('treasuries')
  @Allow('admin')
  @Answers(201, treasurySchema, 'One more treasury, with wallets, grants and a log of its own')
  async createTreasury(
    @CurrentCaller() caller: Caller,
    @BodyInput(createTreasurySchema) { name }: z.infer<typeof createTreasurySchema>,
    @RequestId() requestId: string,
  ) {
    return viewTreasury(await this.wallets.createTreasury(caller, name, requestId));
  }

  @Post('wallets/:id/status')
  @HttpCode(200)
  @Allow('admin')
  @Answers(
    200,
    z.object({ id: z.string(), status: z.enum(WALLET_STATUSES) }),
    'The status it has now',
  )
  async setWalletStatus(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @BodyInput(walletStatusSchema) { status, reason }: z.infer<typeof walletStatusSchema>,
    @RequestId() requestId: string,
  ) {
    await this.wallets.setStatus(id, status, {
      actor: caller.actor,
      treasuries: treasuriesOf(caller),
      requestId,
      reason,
    });
    return { id, status };
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
      const { code } = wallet;
      const free = code === undefined ? wallet.balance - wallet.reserved : 0n;
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
        code:
          code === undefined
            ? null
            : {
                delegate: delegateOf(code.bytes) ?? null,
                seenAt: code.seenAt.toISOString(),
                blockNumber: code.block.toString(),
              },
      };
    });
    return { items: shown, nextCursor };
  }
}

function viewTreasury({ id, name, createdAt }: TreasuryRecord) {
  return { id, name, createdAt: createdAt.toISOString() };
}
