import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { ApprovalLinksModule } from '../approval-links/approval-links.module.js';
import { AuditModule } from '../audit/audit.module.js';
import { HttpModule } from '../http/http.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TreasuryModule } from '../treasury/treasury.module.js';
import { DeliveriesService } from './deliveries.service.js';
import { EventStreams } from './event-streams.js';
import { EventsController } from './events.controller.js';
import { WebhookSecrets } from './webhook-secrets.js';
import { WebhookWorker } from './webhook-worker.js';
import { WebhooksController } from './webhooks.controller.js';
import { WebhooksService } from './webhooks.service.js';

/** Tells what happens to whoever may know: streams of events, and webhooks. */
@Module({
  imports: [
    AccessModule,
    ApprovalLinksModule,
    AuditModule,
    HttpModule,
    OutboxModule,
    TreasuryModule,
  ],
  controllers: [EventsController, WebhooksController],
  providers: [EventStreams, WebhooksService, DeliveriesService, WebhookSecrets, WebhookWorker],
})
export class EventsModule {}
