import { Injectable } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { Histogram } from 'prom-client';

/** The media type of server-sent events. */
export const EVENT_STREAM = 'text/event-stream';

/** Upper bounds of the histogram's buckets, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * How long answers took, by method, route and class of status. A route is its pattern, never the path that a caller
 * sent, so that the number of series is bounded.
 */
@Injectable()
export class RequestTimes {
  readonly histogram = new Histogram({
    name: 'bursar_http_request_seconds',
    help: 'Time from a request to the end of its answer, by route pattern',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: BUCKETS,
    registers: [],
  });

  /** Measures every request from here on. */
  watch(fastify: FastifyInstance): void {
    fastify.addHook('onResponse', (request, reply, done) => {
      // A stream lasts as long as its reader likes.
      if (String(reply.getHeader('content-type')).startsWith(EVENT_STREAM)) return done();
      const route = request.routeOptions.url ?? 'none';
      const method = route === 'none' ? 'any' : request.method;
      const status = `${Math.floor(reply.statusCode / 100)}xx`;
      // Not by labels(): the library would look the series up twice.
      this.histogram.observe({ method, route, status }, reply.elapsedTime / 1_000);
      done();
    });
  }
}
