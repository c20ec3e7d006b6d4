import { Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';

/** Why an event stream ended. */
export type StreamEnd = 'client' | 'slow' | 'token' | 'drain' | 'failed';

/** Metrics of the event streams of this process. */
@Injectable()
export class StreamCounts {
  readonly open = new Gauge({
    name: 'bursar_event_streams',
    help: 'Event streams that are open in this process',
    registers: [],
  });
  readonly ended = new Counter({
    name: 'bursar_event_streams_ended_total',
    help: 'Event streams that ended in this process, by reason',
    labelNames: ['reason'] as const,
    registers: [],
  });
  readonly refused = new Counter({
    name: 'bursar_event_streams_refused_total',
    help: 'Event streams that this process refused, by the bound they would have passed',
    labelNames: ['bound'] as const,
    registers: [],
  });
  readonly sent = new Counter({
    name: 'bursar_stream_events_total',
    help: 'Events that this process wrote to streams',
    registers: [],
  });
}
