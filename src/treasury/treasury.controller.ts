import { Controller, Get, HttpCode, Patch, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { formatEther } from 'viem';
import { z } from 'zod';
import { Allow, NeedsConfirmation } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId, treasuriesOf } from '../access/caller.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import {
  Answers,
  BodyInput,
  IdInput,
  idText,
  Operation,
  QueryInput,
  text,
} from '../http/contract.js';
import { pageOf, pageQueryOf } from '../http/paging.js';
import { type GasFunds, GasFundsReader } from './gas-funds.js';
import { TreasurySettings } from './treasury-settings.js';
import { delegateOf } from './wallet-code-view.js';
import { WALLET_STATUSES } from './wallet-status.js';
import { type TreasuryRecord, Wallets } from './wallets.js';

const treasurySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    status: z
      .enum(['active', 'suspended'])
      .describe('suspended: no grant of it pays or delegates, and no header is handed out'),
    suspension: z
      .object({ at: z.iso.datetime(), by: z.string(), reason: z.string().nullable() })
      .nullable()
      .describe('since when it is suspended, by whom and why'),
    openPayments: z
      .int()
      .describe('signed and unsettled: what may still be spent whatever is decided now'),
    createdAt: z.iso.datetime(),
    zeroPayments: z.boolean().describe('whether payments of 0 may be made'),
  })
  .meta({ id: 'Treasury' });

const walletSchema = z
  .object({
    id: z.string(),
    treasuryId: z.string(),
    address: z.string(),
    status: z.string(),
    network: z.string(),
    asset: z.string(),
    currency: z.string(),
    balance: z.string().describe('currency units, at the last finalized block read'),
    reserved: z.string().describe('currency units held for open payments'),
    free: z
      .string()
      .describe('currency units a payment could still reserve; 0 while it has code or is held'),
    blockNumber: z.string(),
    heldSince: z.iso
      .datetime()
      .nullable()
      .describe(
        'since when it makes no payment, because the chain shows a spend of it that no payment stands for',
      ),
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
  })
  .meta({ id: 'Wallet' });

const walletsSchema = pageOf(walletSchema).extend({
  gas: z
    .array(
      z.object({
        network: z.string(),
        address: z.string(),
        balance: z.string().describe('coins of the network, at its newest block'),
        cancellation: z.string().describe('what one cancellation takes now, about'),
      }),
    )
    .describe(
      'the account of the whole service that pays for cancellations; without networks whose RPC is silent',
    ),
});

const createTreasurySchema = z
  .strictObject({
    name: z
      .string()
      .max(63)
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and "-", not "-" first'),
  })
  .meta({ id: 'NewTreasury', example: { name: 'research' } });

const changeTreasurySchema = z
  .strictObject({
    zeroPayments: z.boolean().describe('whether payments of 0 may be made'),
    reason: text(1, 1000).optional(),
  })
  .meta({ id: 'TreasuryChange', example: { zeroPayments: true } });

const stopSchema = z
  .strictObject({ reason: text(1, 1000).optional() })
  .meta({ id: 'TreasuryStop', example: { reason: 'looks odd' } });

const walletStatusSchema = z
  .strictObject({
    status: z.enum(WALLET_STATUSES),
    reason: text(1, 1000).optional(),
  })
  .meta({ id: 'NewWalletStatus', example: { status: 'draining', reason: 'key rotation' } });

const treasuriesQuery = pageQueryOf('trs');

const walletsQuery = pageQueryOf('wal').extend({
  treasuryId: idText('trs').optional(),
});

/** `/v1/treasuries` and `/v1/wallets`, for admins. */
@ApiTags('Treasury')
@Controller('v1')
export class TreasuryController {
  constructor(
    private readonly wallets: Wallets,
    private readonly settings: TreasurySettings,
    private readonly gasFunds: GasFundsReader,
  ) {}

  @Get('treasuries')
  @Allow('admin', 'approver', 'auditor')
  @Operation('listTreasuries', 'List treasuries')
  @Answers(200, pageOf(treasurySchema), 'The treasuries, oldest first')
  async listTreasuries(
    @CurrentCaller() caller: Caller,
    @QueryInput(treasuriesQuery) query: z.infer<typeof treasuriesQuery>,
  ) {
    const { items, nextCursor } = await this.wallets.treasuries(treasuriesOf(caller), query);
    return { items: items.map(viewTreasury), nextCursor };
  }

  @Post('treasuries')
  @NeedsConfirmation()
  @Allow('admin')
  @Operation('createTreasury', 'Create a treasury', ['invalid_transition'])
  @Answers(201, treasurySchema, 'One more treasury, with wallets, grants and a log of its own')
  async createTreasury(
    @CurrentCaller() caller: Caller,
    @BodyInput(createTreasurySchema) { name }: z.infer<typeof createTreasurySchema>,
    @RequestId() requestId: string,
  ) {
    return viewTreasury(await this.wallets.createTreasury(caller, name, requestId));
  }

  @Patch('treasuries/:id')
  @NeedsConfirmation()
  @Allow('admin')
  @Operation('changeTreasury', 'Change the settings of a treasury')
  @Answers(200, treasurySchema, 'The treasury as it is now')
  async changeTreasury(
    @CurrentCaller() caller: Caller,
    @IdInput('trs') id: string,
    @BodyInput(changeTreasurySchema) body: z.infer<typeof changeTreasurySchema>,
    @RequestId() requestId: string,
  ) {
    return viewTreasury(await this.settings.change(caller, id, body, requestId));
  }

  @Post('treasuries/:id/suspend')
  @NeedsConfirmation()
  @HttpCode(200)
  @Allow('admin')
  @Operation('suspendTreasury', 'Stop everything of a treasury at once')
  @Answers(200, treasurySchema, 'No grant of it pays or delegates any more, on every replica')
  async suspendTreasury(
    @CurrentCaller() caller: Caller,
    @IdInput('trs') id: string,
    @BodyInput(stopSchema) { reason }: z.infer<typeof stopSchema>,
    @RequestId() requestId: string,
  ) {
    return viewTreasury(await this.settings.suspend(caller, id, reason, requestId));
  }

  @Post('treasuries/:id/resume')
  @NeedsConfirmation()
  @HttpCode(200)
  @Allow('admin')
  @Operation('resumeTreasury', 'Resume a suspended treasury')
  @Answers(200, treasurySchema, 'It goes on, with its grants as they are')
  async resumeTreasury(
    @CurrentCaller() caller: Caller,
    @IdInput('trs') id: string,
    @BodyInput(stopSchema) { reason }: z.infer<typeof stopSchema>,
    @RequestId() requestId: string,
  ) {
    return viewTreasury(await this.settings.resume(caller, id, reason, requestId));
  }

  @Post('wallets/:id/status')
  @NeedsConfirmation()
  @HttpCode(200)
  @Allow('admin')
  @Operation('setWalletStatus', 'Drain, reactivate or retire a wallet', ['invalid_transition'])
  @Answers(
    200,
    z.object({ id: z.string(), status: z.enum(WALLET_STATUSES) }).meta({ id: 'WalletStatus' }),
    'The status it has now',
  )
  async setWalletStatus(
    @CurrentCaller() caller: Caller,
    @IdInput('wal') id: string,
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
  @Operation('listWallets', 'List wallets with their balances')
  @Answers(200, walletsSchema, 'Addresses with their finalized balance, reserved and free')
  async listWallets(
    @CurrentCaller() caller: Caller,
    @QueryInput(walletsQuery) query: z.infer<typeof walletsQuery>,
  ) {
    const { items, nextCursor } = await this.wallets.listFor(caller, query);
    const shown = items.map((wallet) => {
      const currency = currencyOf(wallet.currency);
      const { code, heldSince } = wallet;
      const isFree = code === undefined && heldSince === undefined;
      const free = isFree ? wallet.balance - wallet.reserved : 0n;
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
        heldSince: heldSince?.toISOString() ?? null,
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
    const gas = await this.gasFunds.all();
    return { items: shown, nextCursor, gas: gas.map(viewGasFunds) };
  }
}

function viewGasFunds(funds: GasFunds) {
  return {
    network: funds.network,
    address: funds.address,
    balance: formatEther(funds.balance),
    cancellation: formatEther(funds.cancellation),
  };
}

function viewTreasury(treasury: TreasuryRecord) {
  const { id, name, createdAt, zeroPayments, openPayments, suspension } = treasury;
  return {
    id,
    name,
    status: suspension === null ? ('active' as const) : ('suspended' as const),
    suspension: suspension && { ...suspension, at: suspension.at.toISOString() },
    openPayments,
    createdAt: createdAt.toISOString(),
    zeroPayments,
  };
}
