import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import {
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { BasicTracerProvider, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { CONFIG, type Config } from '../config/config.js';
import { VERSION } from '../version.js';
import { within } from '../within.js';
import {
  type ActiveTrace,
  endingSpan,
  parseTraceparent,
  type SpanStarter,
  withinTrace,
} from './trace-scope.js';

/** How long a stop waits for the last spans to be sent, in milliseconds. */
const FLUSH_MS = 1_500;

/** How often the log tells that spans are not taken, in milliseconds. */
const TOLD_EVERY_MS = 60_000;

/** Routes that are asked every few seconds by machines. */
const QUIET = /^\/(healthz|readyz)(\?|$)/;

/** Settings of tracing. */
export interface TracingConfig extends Pick<Config, 'tracesEndpoint'> {
  /** The part that this process has, for those who read the traces. */
  readonly role: string;
}

/** A request with the span of its handling. */
export interface TracedRequest extends FastifyRequest {
  trace?: ActiveTrace;
  /** Why it was refused, see `http/logged-request.ts`. */
  refusal?: { readonly code: string };
}

/**
 * Traces by OpenTelemetry, sent to the configured OTLP endpoint. Without one the SDK is not even loaded, and no span is
 * made. Nothing is registered globally.
 */
@Injectable()
export class Tracing implements OnModuleInit, SpanStarter {
  readonly #log = new Logger('tracing');
  #provider: BasicTracerProvider | undefined;
  #tracer: Tracer | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(@Inject(CONFIG) private readonly config: TracingConfig) {}

  /** Tracing for a program without Nest. */
  static async open(config: TracingConfig): Promise<Tracing> {
    const tracing = new Tracing(config);
    await tracing.onModuleInit();
    return tracing;
  }

  /** Whether spans are made. */
  get isOn(): boolean {
    return this.#tracer !== undefined;
  }

  /** Loads the SDK where there is an endpoint. */
  async onModuleInit(): Promise<void> {
    const url = this.config.tracesEndpoint;
    if (url === undefined) return;
    const [sdk, otlp, resources] = await Promise.all([
      import('@opentelemetry/sdk-trace-base'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
    const own = resources.resourceFromAttributes({
      'service.name': 'bursar',
      'service.version': VERSION,
      'service.instance.id': randomUUID(),
      'bursar.role': this.config.role,
    });
    const given = resources.detectResources({ detectors: [resources.envDetector] });
    const exporter = this.telling(new otlp.OTLPTraceExporter({ url }), url);
    this.#provider = new sdk.BasicTracerProvider({
      resource: own.merge(given),
      spanProcessors: [new sdk.BatchSpanProcessor(exporter)],
    });
    this.#tracer = this.#provider.getTracer('bursar', VERSION);
  }

  start(name: string, options: SpanOptions, parent: SpanContext | undefined): Span {
    if (!this.#tracer) throw new Error('tracing is off');
    const context = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
    return this.#tracer.startSpan(name, options, context);
  }

  /** Has every request handled within a span of its own, which goes on where the caller's `traceparent` says. */
  watch(fastify: FastifyInstance): void {
    if (this.config.tracesEndpoint === undefined) return;
    fastify.addHook('onRequest', (request: TracedRequest, _reply, done) => {
      if (!this.isOn || QUIET.test(request.raw.url ?? '')) return done();
      request.trace = this.ofRequest(request);
      request.trace.span.setAttribute('bursar.request.id', request.id);
      done();
    });
    // A body is read in between, which would lose the scope.
    fastify.addHook('preHandler', (request: TracedRequest, _reply, done) => {
      if (request.trace) withinTrace(request.trace, done);
      else done();
    });
    fastify.addHook('onResponse', (request: TracedRequest, reply, done) => {
      const span = request.trace?.span;
      if (span) {
        const { refusal, routeOptions } = request;
        nameRoute(span, request.method, routeOptions.url);
        if (refusal) span.setAttribute('error.type', refusal.code);
        endAnswered(span, reply.statusCode);
      }
      done();
    });
  }

  /** Handles a request of Node's own server within a span, which ends with the response. */
  inRequest(
    request: IncomingMessage,
    response: ServerResponse,
    work: () => Promise<void>,
  ): Promise<void> {
    if (!this.isOn) return work();
    const trace = this.ofRequest(request);
    response.once('close', () => endAnswered(trace.span, response.statusCode));
    return withinTrace(trace, work);
  }

  /** A span of a request, in its caller's trace. The path may hold a secret: only its route is told. */
  private ofRequest({
    method = '',
    headers,
  }: {
    readonly method?: string | undefined;
    readonly headers: IncomingHttpHeaders;
  }): ActiveTrace {
    const options = { kind: SpanKind.SERVER, attributes: { 'http.request.method': method } };
    const span = this.start(method, options, parseTraceparent(headers.traceparent));
    return { starter: this, span };
  }

  /** Does a job within a span, in the trace of whoever asked for it first; without one it makes no span. */
  async inJob(name: string, traceparent: unknown, work: () => Promise<void>): Promise<void> {
    const parent = this.isOn ? parseTraceparent(traceparent) : undefined;
    if (!parent) return work();
    const span = this.start(`job ${name}`, { kind: SpanKind.CONSUMER }, parent);
    return endingSpan(span, withinTrace({ starter: this, span }, work));
  }

  /** Sends what is left. Never fails, and takes a moment at most. */
  async stop(): Promise<void> {
    await within(this.#provider?.shutdown().catch(() => {}) ?? Promise.resolve(), FLUSH_MS);
  }

  /** Tells the log when spans are not taken: the SDK itself says nothing. */
  private telling(exporter: SpanExporter, url: string): SpanExporter {
    return {
      export: (spans, done) =>
        exporter.export(spans, (result) => {
          if (result.error && performance.now() - this.#toldAt > TOLD_EVERY_MS) {
            this.#toldAt = performance.now();
            this.#log.warn(
              `spans were not taken by ${new URL(url).origin}: ${result.error.message}`,
            );
          }
          done(result);
        }),
      shutdown: () => exporter.shutdown(),
      forceFlush: async () => exporter.forceFlush?.(),
    };
  }
}

/** Names a request's span by its route. */
export function nameRoute(span: Span, method: string, route: string | undefined): void {
  if (route !== undefined) span.updateName(`${method} ${route}`).setAttribute('http.route', route);
}

function endAnswered(span: Span, statusCode: number): void {
  span.setAttribute('http.response.status_code', statusCode);
  if (statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
