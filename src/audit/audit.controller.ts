import { Readable } from 'node:stream';
import { Controller, Get, Header, StreamableFile } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Allow } from '../access/allow.js';
import { type Caller, CurrentCaller } from '../access/caller.js';
import { Answers, QueryInput } from '../http/contract.js';
import { pageOf } from '../http/paging.js';
import {
  type EventsQuery,
  type ExportQuery,
  eventSchema,
  eventsQuery,
  exportQuery,
} from './audit.dto.js';
import { AuditService } from './audit.service.js';

/** `/v1/audit`: the log, as pages of events and as an export. */
@ApiTags('audit')
@Controller('v1/audit')
export class AuditController {
  constructor(private readonly audit: AuditService) {}

  @Get('events')
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Answers(200, pageOf(eventSchema), 'What happened, newest first')
  events(@CurrentCaller() caller: Caller, @QueryInput(eventsQuery) query: EventsQuery) {
    return this.audit.events(caller, query);
  }

  @Get('export')
  @Allow('admin', 'auditor')
  @Header('content-type', 'application/jsonl')
  @Answers(200, z.string(), 'The log as JSON Lines: line n is leaf n, byte for byte (RFC 8785)')
  async export(@CurrentCaller() caller: Caller, @QueryInput(exportQuery) query: ExportQuery) {
    const lines = await this.audit.lines(caller, query.treasuryId, query.from, query.to);
    return new StreamableFile(Readable.from(lines), { type: 'application/jsonl' });
  }
}
