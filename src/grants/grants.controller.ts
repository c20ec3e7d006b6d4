import { Controller, Get, Headers, HttpCode, Param, Post } from '@nestjs/common';
import { ApiHeader, ApiTags } from '@nestjs/swagger';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { Problem } from '../domain/problem.js';
import { Answers, BodyInput, QueryInput } from '../http/contract.js';
import { parseIdempotencyKey } from '../http/idempotency-key.js';
import { pageOf } from '../http/paging.js';
import {
  grantSchema,
  type ListQuery,
  listSchema,
  type MintBody,
  mintedSchema,
  mintSchema,
  type RevokeBody,
  revokedSchema,
  revokeSchema,
} from './grants.dto.js';
import { GrantsService } from './grants.service.js';

/** `/v1/grants`: minting, delegating, showing and ending grants. */
@ApiTags('grants')
@Controller('v1/grants')
export class GrantsController {
  constructor(private readonly grants: GrantsService) {}

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
    return this.grants.mint(caller, body, mintKey, requestId);
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
    return this.grants.revoke(caller, id, body, requestId);
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
    return this.grants.reissueToken(caller, id, requestId);
  }
}
