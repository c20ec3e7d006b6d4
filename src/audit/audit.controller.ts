import { Readable } from 'node:stream';
import { Controller, Get, Header, StreamableFile } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller } from '../access/caller.js';
import { Answers, AnswersText, IdInput, Operation, QueryInput } from '../http/contract.js';
import { pageOf } from '../http/paging.js';
import {
  type ConsistencyQuery,
  consistencyQuery,
  consistencySchema,
  type EventsQuery,
  type ExportQuery,
  eventSchema,
  eventsQuery,
  exportQuery,
  type LogQuery,
  logQuery,
  proofSchema,
} from './audit.dto.js';
import { AuditService } from './audit.service.js';

const TEXT = 'text/plain; charset=utf-8';
const MEDIA_TYPES = { jsonl: 'application/jsonl', csv: 'text/csv; charset=utf-8' } as const;

/** `/v1/audit`: the log, as pages of events, as proofs and as an export. */
@ApiTags('Audit')
@Controller('v1/audit')
export class AuditController {
  constructor(private readonly audit: AuditService) {}

  @Get('events')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('listEvents', 'List audit events')
  @Answers(200, pageOf(eventSchema), 'What happened, newest first')
  events(@CurrentCaller() caller: Caller, @QueryInput(eventsQuery) query: EventsQuery) {
    return this.audit.events(caller, query);
  }

  @Get('events/:id/proof')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('getEventProof', 'Prove that an event is in the log')
  @Answers(200, proofSchema, 'That an event is in the log: its record, its place, and the way up')
  proof(@CurrentCaller() caller: Caller, @IdInput('evt') id: string) {
    return this.audit.proof(caller, id);
  }

  @Get('checkpoint')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Header('content-type', TEXT)
  @Operation('getCheckpoint', 'Read the newest signed checkpoint', ['not_found'])
  @AnswersText(['text/plain'], 'The newest signed checkpoint (C2SP tlog-checkpoint)')
  checkpoint(@CurrentCaller() caller: Caller, @QueryInput(logQuery) query: LogQuery) {
    return this.audit.checkpoint(caller, query.treasuryId);
  }

  @Get('consistency')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('getConsistencyProof', 'Prove that an earlier log is the beginning of a later one', [
    'not_found',
  ])
  @Answers(200, consistencySchema, 'That an earlier tree is the beginning of a later one')
  consistency(
    @CurrentCaller() caller: Caller,
    @QueryInput(consistencyQuery) query: ConsistencyQuery,
  ) {
    return this.audit.consistency(caller, query);
  }

  @Get('key')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Header('content-type', TEXT)
  @Operation('getLogKey', "Read the log's public key", ['not_found'])
  @AnswersText(['text/plain'], "The log's public key, as a C2SP verifier key")
  key(@CurrentCaller() caller: Caller, @QueryInput(logQuery) query: LogQuery) {
    return this.audit.key(caller, query.treasuryId);
  }

  @Get('export')
  @Allow('admin', 'auditor')
  @Operation('exportLog', 'Export the log', ['not_found'])
  @AnswersText(
    ['application/jsonl', 'text/csv'],
    'The log as JSON Lines: line n is leaf n, byte for byte (RFC 8785)',
  )
  async export(@CurrentCaller() caller: Caller, @QueryInput(exportQuery) query: ExportQuery) {
    const lines = await this.audit.export(caller, query);
    return new StreamableFile(Readable.from(lines), { type: MEDIA_TYPES[query.format] });
  }
}
