import { Global, Module } from '@nestjs/common';
import { Tracing } from './tracing.js';

/** Traces, for every room. */
@Global()
@Module({ providers: [Tracing], exports: [Tracing] })
export class TracingModule {}
