import { Module } from '@nestjs/common';
import { DrainSwitch } from './draining.js';
import { RequestTimes } from './request-times.js';
import { StreamCounts } from './stream-counts.js';

/** State of the HTTP edge that several rooms share. */
@Module({
  providers: [DrainSwitch, RequestTimes, StreamCounts],
  exports: [DrainSwitch, RequestTimes, StreamCounts],
})
export class HttpModule {}
