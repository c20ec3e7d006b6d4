import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { ConsoleController } from './console.controller.js';

/** Signs people in at the console. */
@Module({ imports: [AccessModule], controllers: [ConsoleController] })
export class ConsoleModule {}
