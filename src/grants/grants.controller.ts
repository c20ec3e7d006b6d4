import { Controller, Get, Headers, HttpCode, Patch, Post } from '@nestjs/common';
import { ApiHeader, ApiTags } from '@nestjs/swagger';
import { Allow, TakesLane } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { Problem } from '../domain/problem.js';
import { Answers, BodyInput, IdInput, Operation, QueryInput } from '../http/contract.js';
import { parseIdempotencyKey } from '../http/idempotency-key.js';
import { AmendingService } from './amending.service.js';
import {
  type AmendBody,
  amendedSchema,
  amendSchema,
  grantPageSchema,
  grantSchema,
  type ListQuery,
  listSchema,
  type MintBody,
  mintedSchema,
  mintSchema,
  type ReasonBody,
  type RevokeBody,
  reasonSchema,
  revocationSchema,
  revokedSchema,
  revokeSchema,
  shownSchema,
  type TreeQuery,
  treeQuery,
  treeSchema,
} from './grants.dto.js';
import { GrantsService } from './grants.service.js';
import { LifeService } from './life.service.js';
import { MintingService } from './minting.service.js';
import { type ReplayBody, replayedSchema, replaySchema } from './replay.dto.js';
import { ReplayService } from './replay.service.js';
import { RevocationService } from './revocation.service.js';

/** `/v1/grants`: minting, delegating, showing and ending grants. */
@ApiTags('Grants')
@Controller('v1/grants')
export class GrantsController {
  constructor(
    private readonly grants: GrantsService,
    private readonly minting: MintingService,
    private readonly amending: AmendingService,
    private readonly life: LifeService,
    private readonly revocations: RevocationService,
    private readonly replays: ReplayService,
  ) {}

  @Post()
  @Allow('admin', 'holder')
  @ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    schema: { type: 'string', minLength: 1, maxLength: 255, example: 'mint-task-42' },
    description: 'A repeated minting with one key answers the same grant, with a token that works',
  })
  @Operation('createGrant', 'Mint a root grant, or delegate a child', [
    'attenuation_violation',
    'delegation_not_allowed',
    'grant_revoked',
    'grant_expired',
    'grant_suspended',
    'treasury_suspended',
    'grant_not_started',
    'budget_exceeded',
    'idempotency_mismatch',
    'not_found',
  ])
  @Answers(201, mintedSchema, 'A root grant for an admin, a child of its own for a holder')
  mint(
    @CurrentCaller() caller: Caller,
    @BodyInput(mintSchema) body: MintBody,
    @Headers('idempotency-key') key: string | undefined,
    @RequestId() requestId: string,
  ) {
    const mintKey = key === undefined ? undefined : parseIdempotencyKey(key);
    return this.minting.mint(caller, body, mintKey, requestId);
  }

  @Get()
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('listGrants', 'List grants')
  @Answers(200, grantPageSchema, 'The grants the caller may see, oldest first')
  list(@CurrentCaller() caller: Caller, @QueryInput(listSchema) query: ListQuery) {
    return this.grants.list(caller, query);
  }

  @Get('self')
  @Allow('holder')
  @Operation('getOwnGrant', "Read the caller's grant")
  @Answers(200, grantSchema, "The caller's grant")
  self(@CurrentCaller() caller: Caller) {
    if (caller.kind !== 'holder')
      throw new Problem('forbidden', 'an admin has no grant of its own');
    return this.grants.get(caller, caller.grantId);
  }

  @Get(':id')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('getGrant', 'Read a grant')
  @Answers(200, grantSchema, 'One grant')
  get(@CurrentCaller() caller: Caller, @IdInput('grt') id: string) {
    return this.grants.get(caller, id);
  }

  @Patch(':id')
  @Allow('admin', 'holder')
  @Operation('amendGrant', "Raise or lower a grant's terms", [
    'attenuation_violation',
    'budget_exceeded',
    'conflict',
    'invalid_transition',
  ])
  @Answers(200, amendedSchema, 'Every payment is decided by these terms from now on')
  amend(
    @CurrentCaller() caller: Caller,
    @IdInput('grt') id: string,
    @BodyInput(amendSchema) body: AmendBody,
    @RequestId() requestId: string,
  ) {
    return this.amending.amend(caller, id, body, requestId);
  }

  @Post(':id/replay')
  @HttpCode(200)
  @Allow('admin', 'approver', 'auditor', 'holder')
  @TakesLane('reads')
  @Operation('replayPolicy', "Try other terms on a grant's past payments")
  @Answers(200, replayedSchema, 'What these terms would have refused; changes nothing')
  replay(
    @CurrentCaller() caller: Caller,
    @IdInput('grt') id: string,
    @BodyInput(replaySchema) body: ReplayBody,
  ) {
    return this.replays.replay(caller, id, body);
  }

  @Get(':id/tree')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('getGrantTree', 'Read a grant with everything below it')
  @Answers(200, treeSchema, 'The grant and all below it, a parent before its children')
  tree(
    @CurrentCaller() caller: Caller,
    @IdInput('grt') id: string,
    @QueryInput(treeQuery) query: TreeQuery,
  ) {
    return this.grants.tree(caller, id, query);
  }

  @Post(':id/suspend')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Operation('suspendGrant', 'Pause a grant and everything below it', ['invalid_transition'])
  @Answers(200, shownSchema, 'The grant and all below it are paused, at once')
  suspend(
    @CurrentCaller() caller: Caller,
    @IdInput('grt') id: string,
    @BodyInput(reasonSchema) body: ReasonBody,
    @RequestId() requestId: string,
  ) {
    return this.life.suspend(caller, id, body, requestId);
  }

  @Post(':id/resume')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Operation('resumeGrant', 'Resume a suspended grant', ['invalid_transition'])
  @Answers(200, shownSchema, 'The grant goes on, unless one above it is paused or ended')
  resume(
    @CurrentCaller() caller: Caller,
    @IdInput('grt') id: string,
    @BodyInput(reasonSchema) body: ReasonBody,
    @RequestId() requestId: string,
  ) {
    return this.life.resume(caller, id, body, requestId);
  }

  @Get(':id/revocation')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('previewRevocation', 'Preview what revoking a grant would stop')
  @Answers(200, revocationSchema, 'Counted now; changes nothing')
  previewRevocation(@CurrentCaller() caller: Caller, @IdInput('grt') id: string) {
    return this.revocations.preview(caller, id);
  }

  @Post(':id/revoke')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Operation('revokeGrant', 'End a grant and everything below it')
  @Answers(200, revokedSchema, 'The grant and all below it are ended, at once')
  revoke(
    @CurrentCaller() caller: Caller,
    @IdInput('grt') id: string,
    @BodyInput(revokeSchema) body: RevokeBody,
    @RequestId() requestId: string,
  ) {
    return this.life.revoke(caller, id, body, requestId);
  }

  @Post(':id/token')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Operation('reissueGrantToken', "Replace a grant's token", [
    'invalid_transition',
    'grant_revoked',
    'grant_expired',
  ])
  @Answers(200, mintedSchema, 'A fresh token; the old one stops working')
  reissueToken(
    @CurrentCaller() caller: Caller,
    @IdInput('grt') id: string,
    @RequestId() requestId: string,
  ) {
    return this.life.reissueToken(caller, id, requestId);
  }
}
