import { Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { Answers, BodyInput, IdInput, Operation, QueryInput } from '../http/contract.js';
import { type ReasonBody, reasonSchema } from './grants.dto.js';
import {
  type AskBody,
  askSchema,
  type RequestListQuery,
  requestAnswerSchema,
  requestListSchema,
  requestPageSchema,
} from './requests.dto.js';
import { RequestsService } from './requests.service.js';

/** `/v1/grant-requests`: raises that holders ask for, and the decisions about them. */
@ApiTags('Grants')
@Controller('v1/grant-requests')
export class RequestsController {
  constructor(private readonly requests: RequestsService) {}

  @Post()
  @HttpCode(202)
  @Allow('holder')
  @Operation('requestRaise', "Ask for a raise of the caller's own grant", [
    'conflict',
    'invalid_transition',
  ])
  @Answers(202, requestAnswerSchema, 'It waits for a decision by an admin or a holder above')
  ask(
    @CurrentCaller() caller: Caller,
    @BodyInput(askSchema) body: AskBody,
    @RequestId() requestId: string,
  ) {
    return this.requests.ask(caller, body, requestId);
  }

  @Get()
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('listGrantRequests', 'List raise requests')
  @Answers(200, requestPageSchema, 'The requests the caller may see, newest first')
  list(@CurrentCaller() caller: Caller, @QueryInput(requestListSchema) query: RequestListQuery) {
    return this.requests.list(caller, query);
  }

  @Post(':id/approve')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Operation('approveGrantRequest', 'Approve a raise request, which amends its grant', [
    'attenuation_violation',
    'budget_exceeded',
    'conflict',
    'invalid_transition',
  ])
  @Answers(200, requestAnswerSchema, 'The grant has the terms that were asked for')
  approve(
    @CurrentCaller() caller: Caller,
    @IdInput('grq') id: string,
    @BodyInput(reasonSchema) body: ReasonBody,
    @RequestId() requestId: string,
  ) {
    return this.requests.approve(caller, id, body, requestId);
  }

  @Post(':id/reject')
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Operation('rejectGrantRequest', 'Reject a raise request', ['invalid_transition'])
  @Answers(200, requestAnswerSchema, 'The grant stays as it is')
  reject(
    @CurrentCaller() caller: Caller,
    @IdInput('grq') id: string,
    @BodyInput(reasonSchema) body: ReasonBody,
    @RequestId() requestId: string,
  ) {
    return this.requests.reject(caller, id, body, requestId);
  }
}
