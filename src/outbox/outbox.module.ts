import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { DeliveryCounts } from './delivery-counts.js';
import { EventCounts } from './event-counts.js';
import { Notifier } from './notifier.js';
import { JobMethods } from './on-job.js';
import { Queues } from './queues.js';

/** The queues, and the notifier that tells them of committed events. */
@Module({
  imports: [DiscoveryModule],
  providers: [DeliveryCounts, EventCounts, JobMethods, Notifier, Queues],
  exports: [DeliveryCounts, EventCounts, Notifier, Queues],
})
export class OutboxModule {}
