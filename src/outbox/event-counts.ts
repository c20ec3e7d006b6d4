import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';

/** Metrics of the events that this process sealed. Each event is sealed once, by one process. */
@Injectable()
export class EventCounts {
  readonly sealed = new Counter({
    name: 'bursar_events_sealed_total',
    help: 'Events that this process sealed into a log, by kind: thresholds, trips, raises and all others',
    labelNames: ['kind'] as const,
    registers: [],
  });
}
