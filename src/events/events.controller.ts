import { Controller, Get, Req, StreamableFile } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Allow } from '../access/allow.js';
import type { AuthenticatedRequest } from '../access/caller.js';
import { AnswersText, Operation, QueryInput } from '../http/contract.js';
import { EVENT_STREAM } from '../http/request-times.js';
import { EventStreams } from './event-streams.js';
import { type StreamQuery, streamQuery } from './events.dto.js';

/** `/v1/events`: the sealed log, as it grows. */
@ApiTags('Audit')
@Controller('v1/events')
export class EventsController {
  constructor(private readonly streams: EventStreams) {}

  @Get()
  @Allow('admin', 'approver', 'auditor', 'holder')
  @Operation('streamEvents', 'Stream events as they happen', ['not_found'])
  @AnswersText(
    [EVENT_STREAM],
    'Server-sent events: `event` is the kind, `id` a place to resume after (Last-Event-ID), `data` the audit record',
  )
  async stream(
    @Req() request: AuthenticatedRequest,
    @QueryInput(streamQuery) query: StreamQuery,
  ): Promise<StreamableFile> {
    const { caller, token, headers } = request;
    if (!caller || !token) throw new Error('the guard let a caller in without a token');
    const last = headers['last-event-id'];
    const after = (typeof last === 'string' && last !== '' ? last : undefined) ?? query.after;
    const stream = await this.streams.open({ caller, token }, query, after);
    return new StreamableFile(stream, { type: EVENT_STREAM });
  }
}
