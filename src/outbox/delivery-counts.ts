import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';

/** Metrics of webhooks' deliveries in this process. */
@Injectable()
export class DeliveryCounts {
  readonly attempts = new Counter({
    name: 'bursar_webhook_attempts_total',
    help: 'Tries of webhook deliveries of this process, by outcome: delivered, failed, or refused for the address',
    labelNames: ['outcome'] as const,
    registers: [],
  });
}
