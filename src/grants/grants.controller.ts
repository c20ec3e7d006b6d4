import { Controller, Get, Headers, HttpCode, Param, Post } from '@nestjs/common';
import { ApiHeader, ApiTags } from '@nestjs/swagger';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { Problem } from '../domain/problem.js';
import { Answers, BodyInput, QueryInput } from '../http/contract.js';
import { parseIdempotencyKey } from '../http/idempotency-key.js';
import { pageOf, pageQuery } from '../http/paging.js';
import {
  grantSchema,
  type ListQuery,
  listSchema,
  type MintBody,
  mintedSchema,
  mintSchema,
  type ReasonBody,
  type RevokeBody,
  reasonSchema,
  revokedSchema,
  revokeSchema,
  shownSchema,
  type TreeQuery,
  treeSchema,
} from './grants.dto.js';
import { GrantsService } from './grants.service.js';
import { LifeService } from './life.service.js';
import { MintingService } from './minting.service.js';

/** `/v1/grants`: minting, delegating, showing and ending grants. */
@ApiTags('grants')
@Controller('v1/grants')
export class GrantsController {
  constructor(
    private readonly grants: GrantsService,
    private readonly minting: MintingService,
    private readonly life: LifeService,
  ) {}

  @Post()
  @Allow('admin', 'holder')
  @ApiHeader({ name: 'Idempotency-Key', required: false })
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
  @Answers(200, pageOf(grantSchema), 'The grants the caller may see, oldest first')
  list(@CurrentCaller() caller: Caller, @QueryInput(listSchema) query: ListQuery) {
    return this.grants.list(caller, query);
  }

  @Get('self')
  @Allow('holder')
  @Answers(200, grantSchema, "The caller's grant")
  self(@CurrentCaller() caller: Caller) {
    if (caller.kind !== 'holder')
      throw new Problem('forbidden', 'an admin has no grant of its own');
    return this.grants.get(caller, caller.grantId);
  }

  @Get(':id')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Answers(200, grantSchema, 'One grant')
  get(@CurrentCaller() caller: Caller, @Param('id') id: string) {
    return this.grants.get(caller, id);
  }

  @Get(':id/tree')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Answers(200, treeSchema, 'The grant and all below it, a parent before its children')
  tree(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @QueryInput(pageQuery) query: TreeQuery,
  ) {
    return this.grants.tree(caller, id, query);
  }

  @Post(':id/suspend')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Answers(200, shownSchema, 'The grant and all below it are paused, at once')
  suspend(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @BodyInput(reasonSchema) body: ReasonBody,
    @RequestId() requestId: string,
  ) {
    return this.life.suspend(caller, id, body, requestId);
  }

  @Post(':id/resume')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Answers(200, shownSchema, 'The grant goes on, unless one above it is paused or ended')
  resume(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @BodyInput(reasonSchema) body: ReasonBody,
    @RequestId() requestId: string,
  ) {
    return this.life.resume(caller, id, body, requestId);
  }

  @Post(':id/revoke')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Answers(200, revokedSchema, 'The grant and all below it are ended, at once')
  revoke(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @BodyInput(revokeSchema) body: RevokeBody,
    @RequestId() requestId: string,
  ) {
    return this.life.revoke(caller, id, body, requestId);
  }

  @Post(':id/token')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Answers(200, mintedSchema, 'A fresh token; the old one stops working')
  reissueToken(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @RequestId() requestId: string,
  ) {
    return this.life.reissueToken(caller, id, requestId);
  }
}
