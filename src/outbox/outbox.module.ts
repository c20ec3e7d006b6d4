import { Module } from '@nestjs/common';
import { Outbox } from './outbox.js';
import { Queues } from './queues.js';

@Module({ providers: [Outbox, Queues], exports: [Outbox, Queues] })
export class OutboxModule {}
