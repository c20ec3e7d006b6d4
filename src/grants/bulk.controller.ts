import { Controller, HttpCode, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Allow, TakesLane } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { Answers, BodyInput, Operation } from '../http/contract.js';
import {
  type BulkBody,
  type BulkFilter,
  bulkDoneSchema,
  bulkPreviewedSchema,
  bulkPreviewSchema,
  bulkSchema,
} from './bulk.dto.js';
import { BulkService } from './bulk.service.js';

/** `/v1/grants/bulk`: stopping all grants that a filter finds. */
@ApiTags('Grants')
@Controller('v1/grants/bulk')
export class BulkController {
  constructor(private readonly bulk: BulkService) {}

  @Post('preview')
  @HttpCode(200)
  @Allow('admin', 'approver', 'auditor', 'holder')
  @TakesLane('reads')
  @Operation('previewBulk', 'Preview which grants a filter would stop')
  @Answers(200, bulkPreviewedSchema, 'Counted now; changes nothing')
  preview(@CurrentCaller() caller: Caller, @BodyInput(bulkPreviewSchema) body: BulkFilter) {
    return this.bulk.preview(caller, body);
  }

  @Post()
  @HttpCode(200)
  @Allow('admin', 'holder')
  @Operation('stopGrants', 'Suspend or revoke all grants that a filter finds', ['conflict'])
  @Answers(200, bulkDoneSchema, 'A result for each grant')
  act(
    @CurrentCaller() caller: Caller,
    @BodyInput(bulkSchema) body: BulkBody,
    @RequestId() requestId: string,
  ) {
    return this.bulk.act(caller, body, requestId);
  }
}
