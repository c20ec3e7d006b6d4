import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Attributes,
  isSpanContextValid,
  type Span,
  type SpanContext,
  type SpanOptions,
  SpanStatusCode,
  TraceFlags,
} from '@opentelemetry/api';

/** Starts spans. Each service has its own, since a test runs several in one process. */
export interface SpanStarter {
  /** @param parent - undefined begins a new trace. */
  start(name: string, options: SpanOptions, parent: SpanContext | undefined): Span;
}

/** The span that some work belongs to. */
export interface ActiveTrace {
  readonly starter: SpanStarter;
  readonly span: Span;
}

/** Nothing is stored while tracing is off, so that every function here returns at once. */
const traces = new AsyncLocalStorage<ActiveTrace>();

/** The span that runs now; undefined while tracing is off, and for work of no request. */
export function currentTrace(): ActiveTrace | undefined {
  return traces.getStore();
}

/** Runs work within a span. The caller ends the span. */
export function withinTrace<T>(trace: ActiveTrace, work: () => T): T {
  return traces.run(trace, work);
}

/**
 * Runs work within a span below the current one, and ends it. Without a current one the work runs by itself.
 *
 * @param work - gets the span, to add attributes that are only known later.
 */
export function inSpan<T>(
  name: string,
  work: (span: Span | undefined) => Promise<T>,
  options: SpanOptions = {},
): Promise<T> {
  const parent = traces.getStore();
  if (!parent) return work(undefined);
  const span = parent.starter.start(name, options, parent.span.spanContext());
  return endingSpan(
    span,
    traces.run({ ...parent, span }, () => work(span)),
  );
}

/** Ends a span when its work ends, and notes why that failed. */
export async function endingSpan<T>(span: Span, working: Promise<T>): Promise<T> {
  try {
    return await working;
  } catch (error) {
    // The code alone: a message may hold what a stranger wrote.
    const { code, name } = error as { code?: unknown; name?: unknown };
    span.setAttribute('error.type', String(code ?? name ?? 'error'));
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}

/**
 * Runs a transaction that many requests share. Its span belongs to the trace of a lone request. Of several it is a
 * trace of its own, and is linked with each of them.
 *
 * @param sharing - the spans of the requests; undefined for those that are not traced.
 */
export function inSharedSpan<T>(
  name: string,
  sharing: readonly (ActiveTrace | undefined)[],
  attributes: Attributes,
  work: () => Promise<T>,
): Promise<T> {
  const traced = sharing.filter((each) => each !== undefined);
  const [first] = traced;
  if (!first) return work();
  const isAlone = sharing.length === 1;
  const links = isAlone ? [] : traced.map(({ span }) => ({ context: span.spanContext() }));
  const parent = isAlone ? first.span.spanContext() : undefined;
  const span = first.starter.start(name, { attributes, links }, parent);
  if (!isAlone) for (const each of traced) each.span.addLink({ context: span.spanContext() });
  return endingSpan(span, traces.run({ ...first, span }, work));
}

/** Members that an event has of the trace that it belongs to. */
export interface TraceMembers {
  /** 32 hexadecimal digits (W3C Trace Context). */
  readonly traceId?: string;
  /** 16 hexadecimal digits; only where the trace is recorded. */
  readonly spanId?: string;
}

const NONE: TraceMembers = {};

/** @param context - undefined gives no members. */
export function traceMembers(context: SpanContext | undefined): TraceMembers {
  if (!context || !isSpanContextValid(context)) return NONE;
  const { traceId, spanId, traceFlags } = context;
  return (traceFlags & TraceFlags.SAMPLED) === 0 ? { traceId } : { spanId, traceId };
}

/** The context that {@link traceMembers} came from; undefined where its span was not recorded. */
export function contextOf({ traceId, spanId }: TraceMembers): SpanContext | undefined {
  if (traceId === undefined || spanId === undefined) return undefined;
  const context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(context) ? context : undefined;
}

/** Version 00 of W3C's traceparent; a later one may have more behind it. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads a `traceparent` (W3C Trace Context). @returns undefined for what is none. */
export function parseTraceparent(text: unknown): SpanContext | undefined {
  const found = typeof text === 'string' ? TRACEPARENT.exec(text) : null;
  const [, version, traceId = '', spanId = '', flags = '', rest] = found ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && rest)) return undefined;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  const context = { traceId, spanId, traceFlags, isRemote: true };
  return isSpanContextValid(context) ? context : undefined;
}

/** Writes a `traceparent`. */
export function formatTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-0${traceFlags & TraceFlags.SAMPLED}`;
}
