import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { DeliveryCounts } from './delivery-counts.js';
import { EventCounts } from './event-counts.js';
import { JobMethods } from './on-job.js';
import { Outbox } from './outbox.js';
import { Queues } from './queues.js';

/** The queues, and the bell that tells them of committed events. */
@Module({
  imports: [DiscoveryModule],
  providers: [DeliveryCounts, EventCounts, JobMethods, Outbox, Queues],
  exports: [DeliveryCounts, EventCounts, Outbox, Queues],
})
export class OutboxModule {}
