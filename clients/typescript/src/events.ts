import { type Api, parseObject, problemOf, queryText, unreachable } from './api.js';
import { delay } from './bytes.js';
import { BursarError, refuseUnknown } from './errors.js';
import type { AuditEvent } from './types.js';

/**
 * An event of the audit log, and the place to resume after it.
 *
 * @example
 * const { kind, grantId, data }: BursarEvent = event;
 */
export interface BursarEvent extends Omit<AuditEvent, 'leafIndex'> {
  /** Hand it back as `after` to go on with the next event. Opaque. */
  readonly cursor: string;
}

/**
 * Which events to follow.
 *
 * @example
 * const options: EventOptions = { types: ['payment.*', 'grant.revoked'], after: cursorOfYesterday };
 */
export interface EventOptions {
  /** The cursor of the last event that was handled. Left out, the events begin now. */
  readonly after?: string | undefined;
  /** Kinds of events; `payment.*` stands for all of one thing. Default: all. */
  readonly types?: AuditEventType | readonly AuditEventType[] | undefined;
  /** Only of this grant and of those below it. */
  readonly grantId?: string | undefined;
  /** Only of this treasury, for admins of several. */
  readonly treasuryId?: string | undefined;
  /** Called when a connection is open, with the cursor at which it begins: from then on nothing is missed. */
  readonly onOpen?: ((cursor: string) => void) | undefined;
  /** Hears why a connection failed, and in how many milliseconds the next one is tried. */
  readonly onRetry?: ((error: unknown, waitMs: number) => void) | undefined;
  /** Ends the loop. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A kind of events, or all kinds of one thing.
 *
 * @example
 * const types: AuditEventType[] = ['grant.revoked', 'payment.*'];
 */
export type AuditEventType = AuditEvent['kind'] | `${string}.*`;

/** The service sends something every 15 s: a connection that is silent for longer is dead. */
const SILENCE_MS = 45_000;

/** How often an open connection looks whether its token is about to end: nothing may come in its last seconds. */
const RENEWAL_CHECK_MS = 1_000;

/** How often a reader that never had a connection tries again: an address that is wrong is told in seconds. */
const MAX_FIRST_FAILURES = 3;

/** Waits before a new connection after 1, 2, 3 failures in a row, in milliseconds. */
const BACKOFF_MS = [500, 1_000, 2_000, 5_000, 10_000];

/** State that outlives a connection. */
interface Position {
  cursor: string | undefined;
  retryMs: number;
  failures: number;
  /** Whether any connection was open yet. */
  hasBegun: boolean;
}

/** Follows events over any number of connections, without a gap and without a double. */
export async function* follow(api: Api, options: EventOptions): AsyncGenerator<BursarEvent, void> {
  const { types, after, grantId, treasuryId, onOpen, onRetry, signal, ...unknown } = options;
  refuseUnknown(unknown);
  const query = { kind: types?.toString(), grantId, treasuryId };
  const position: Position = { cursor: after, retryMs: 1_000, failures: 0, hasBegun: false };
  while (!signal?.aborted) {
    try {
      yield* connection(api, query, position, { signal, onOpen });
      // The service ended the stream in order, as one that restarts does.
      await delay(position.retryMs, signal);
    } catch (error) {
      if (signal?.aborted) return;
      const ms = waitAfter(error, position);
      onRetry?.(error, ms);
      await delay(ms, signal).catch(() => {});
    }
  }
}

/**
 * How long to wait before the next connection, in milliseconds.
 *
 * @throws the error, where another connection would not help or none was ever open.
 */
function waitAfter(error: unknown, position: Position): number {
  if (!position.hasBegun && position.failures === MAX_FIRST_FAILURES) throw error;
  const ms = BACKOFF_MS[Math.min(position.failures, BACKOFF_MS.length - 1)] ?? 0;
  position.failures += 1;
  if (error instanceof BursarError && error.code !== 'unreachable') {
    const isTemporary = error.nextAction === 'wait' || (error.status ?? 0) >= 500;
    if (!isTemporary) throw error;
    if (error.retryAfter !== undefined) return error.retryAfter * 1_000;
  }
  // Spread, so that the readers of a service that restarts do not all come at once.
  return ms * (0.5 + Math.random());
}

/** The events of one connection. */
async function* connection(
  api: Api,
  query: object,
  position: Position,
  { signal, onOpen }: EventOptions,
): AsyncGenerator<BursarEvent, void> {
  const ended = new AbortController();
  const stop = () => ended.abort(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  // Only while something is awaited: a loop that takes its time over an event is not silence.
  let silence: ReturnType<typeof setTimeout> | undefined;
  const listen = () => {
    silence = setTimeout(() => ended.abort(), SILENCE_MS);
  };
  // A new token ends the stream, and the next connection brings it.
  const renewing = setInterval(() => void api.renewInTime().catch(() => {}), RENEWAL_CHECK_MS);
  try {
    listen();
    const headers = position.cursor === undefined ? {} : { 'last-event-id': position.cursor };
    const response = await open(api, `/v1/events${queryText(query)}`, headers, ended.signal);
    const text = response.body?.pipeThrough(new TextDecoderStream() as never) as
      | ReadableStream<string>
      | undefined;
    const reader = text?.getReader();
    let rest = '';
    let isOpen = false;
    for (;;) {
      const read = await reader?.read();
      clearTimeout(silence);
      if (!read || read.done) return;
      position.failures = 0;
      position.hasBegun = true;
      const frames = (rest + read.value).replaceAll('\r\n', '\n').split('\n\n');
      rest = frames.pop() ?? '';
      for (const frame of frames) {
        const event = take(frame, position);
        if (event) yield event;
        if (!isOpen && position.cursor !== undefined) onOpen?.(position.cursor);
        isOpen = true;
      }
      listen();
    }
  } finally {
    clearInterval(renewing);
    clearTimeout(silence);
    signal?.removeEventListener('abort', stop);
    ended.abort();
  }
}

/**
 * Opens an answer that lasts. Nothing is repeated: the reader knows where to go on.
 *
 * @throws BursarError for a problem, and `unreachable` when no answer came.
 */
function open(
  api: Api,
  path: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Response> {
  return api.corrected(async () => {
    const url = api.url + path;
    const sentAt = Date.now();
    const response = await api
      .fetch(url, {
        redirect: 'error',
        signal,
        headers: {
          ...(await api.credentials('GET', url)),
          accept: 'text/event-stream',
          ...headers,
        },
      })
      .catch((cause) => {
        throw unreachable(api.url, cause);
      });
    api.learn(response.headers, sentAt);
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
    if (response.ok && isStream) return response;
    throw problemOf(response, parseObject(await response.text()));
  });
}

/** Reads one block of lines (HTML, "Server-sent events"); undefined where it is no event. */
function take(frame: string, position: Position): BursarEvent | undefined {
  let data: string | undefined;
  for (const line of frame.split('\n')) {
    const [, field, value = ''] = /^([a-z]+):? ?(.*)$/.exec(line) ?? [];
    if (field === 'id') position.cursor = value;
    else if (field === 'retry') position.retryMs = Number(value);
    else if (field === 'data') data = data === undefined ? value : `${data}\n${value}`;
  }
  if (data === undefined) return undefined;
  const { version: _version, ...record } = JSON.parse(data);
  return { ...record, cursor: position.cursor ?? '' };
}
