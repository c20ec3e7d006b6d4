import { Module } from '@nestjs/common';
import { Outbox } from './outbox.js';
import { Queues } from './queues.js';

/** The queues, and the bell that tells them of committed events. */
@Module({ providers: [Outbox, Queues], exports: [Outbox, Queues] })
export class OutboxModule {}
