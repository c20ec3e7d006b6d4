import type { Readable } from 'node:stream';
import { Agent } from 'undici';
import { readUpTo } from '../http/read-bounded.js';
import type { Answer } from './answers.js';
import type { RequestTarget } from './target.js';
import { UpstreamFailure } from './upstream-failure.js';
import type { UpstreamToken } from './upstream-token.js';

/** A request to the upstream. */
export interface UpstreamRequest {
  readonly method: string;
  readonly target: RequestTarget;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer | Readable | undefined;
}

/** An answer whose body is still arriving. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Readable;
}

/** RFC 9110, section 7.6.1, and what is of this hop alone. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  ...[
    'connection',
    'keep-alive',
    'proxy-authenticate',
    'proxy-authorization',
    'proxy-connection',
    'te',
  ],
  ...['trailer', 'transfer-encoding', 'upgrade', 'http2-settings'],
]);

/** Headers of a request that the upstream never sees: payments, other methods, other paths, other callers. */
const NOT_SENT: ReadonlySet<string> = new Set([
  ...['payment-signature', 'x-payment', 'payment-identifier', 'sign-in-with-x'],
  ...['x-http-method-override', 'x-http-method', 'x-method-override'],
  ...[
    'x-original-url',
    'x-rewrite-url',
    'x-original-uri',
    'x-forwarded-uri',
    'x-forwarded-path',
    'x-forwarded-prefix',
  ],
  ...[
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-forwarded-port',
    'x-real-ip',
    'forwarded',
  ],
  ...['host', 'content-length', 'expect'],
]);

/** Headers of an answer that only the gateway writes. */
const NOT_ANSWERED: ReadonlySet<string> = new Set([
  ...['payment-required', 'payment-response', 'x-payment-response', 'content-length'],
]);

/** Names and values in turn, as they came. undici's types have the option under another name. */
const RAW_HEADERS = { responseHeaders: 'raw' } as object;

/** The API behind the gateway. It is asked at one origin alone: redirects are answered, never followed. */
export class Upstream {
  readonly #agent: Agent;
  readonly #origin: string;
  readonly #prefix: string;

  /**
   * @param url - its base; a path in it stands before every path.
   * @param ownHeaders - set on every request, over what the caller sent. Names in lower case.
   * @param token - sets `authorization` on every request; undefined where no token is needed.
   */
  constructor(
    url: string,
    private readonly ownHeaders: Readonly<Record<string, string>>,
    private readonly token?: UpstreamToken,
  ) {
    const { origin, pathname } = new URL(url);
    this.#origin = origin;
    this.#prefix = pathname.replace(/\/+$/, '');
    this.#agent = new Agent({ connections: 256, connectTimeout: 10_000, pipelining: 1 });
  }

  /**
   * Gets what a call needs beforehand, so that nobody is charged for a call that cannot be made.
   *
   * @throws UpstreamFailure when it cannot be had.
   */
  async prepare(): Promise<void> {
    await this.token?.authorization();
  }

  /**
   * Sends a request.
   *
   * @param signal - ends it, and the arriving body.
   * @throws UpstreamFailure when no answer came.
   */
  async send(
    request: UpstreamRequest,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer> {
    const authorization = await this.token?.authorization();
    const own =
      authorization === undefined ? this.ownHeaders : { ...this.ownHeaders, authorization };
    const headers: string[] = [];
    for (const [name, value] of request.headers) {
      if (!Object.hasOwn(own, name)) headers.push(name, value);
    }
    for (const [name, value] of Object.entries(own)) headers.push(name, value);
    try {
      const answer = await this.#agent.request({
        origin: this.#origin,
        path: `${this.#prefix}${request.target.path}${request.target.query}`,
        method: request.method as 'GET',
        headers,
        body: request.body ?? null,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        signal,
        ...RAW_HEADERS,
      });
      if (answer.statusCode === 401 && authorization !== undefined)
        this.token?.forget(authorization);
      const raw = answer.headers as unknown as readonly (string | Buffer)[];
      return { status: answer.statusCode, headers: answerHeaders(raw), body: answer.body };
    } catch (error) {
      throw new UpstreamFailure(reasonOf(error));
    }
  }

  /**
   * Sends a request and reads the whole answer.
   *
   * @throws UpstreamFailure when it did not come, in time and within `maxBytes`.
   */
  call(request: UpstreamRequest, timeoutMs: number, maxBytes: number): Promise<Answer> {
    return inTime(timeoutMs, async (signal) => {
      const { status, headers, body } = await this.send(request, timeoutMs, signal);
      return { status, headers, body: await readAll(body, maxBytes) };
    });
  }

  /**
   * Sends a request and waits for the first byte of its answer. A failure is read whole.
   *
   * @param timeoutMs - for the first byte, and between one part of the body and the next.
   * @throws UpstreamFailure when it did not come in time, or a failure has more than `maxBytes`.
   */
  open(
    request: UpstreamRequest,
    timeoutMs: number,
    maxBytes: number,
  ): Promise<Answer | UpstreamAnswer> {
    return inTime(timeoutMs, async (signal) => {
      const answer = await this.send(request, timeoutMs, signal);
      if (answer.status >= 400) return { ...answer, body: await readAll(answer.body, maxBytes) };
      await firstByte(answer.body);
      return answer;
    });
  }

  /** Lets the calls under way end, and takes no more. */
  drain(): Promise<void> {
    return this.#agent.close();
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** The headers of a request that go on to the upstream. @param raw - names and values in turn, as Node has them. */
export function forwardedHeaders(
  raw: readonly string[],
  address: string | undefined,
): [string, string][] {
  const headers = pairs(raw);
  const named = connectionNames(headers);
  const sent = headers.filter(
    ([name]) => !HOP_BY_HOP.has(name) && !NOT_SENT.has(name) && !named.has(name),
  );
  if (address !== undefined) sent.push(['x-forwarded-for', address]);
  return sent;
}

function answerHeaders(raw: readonly (string | Buffer)[]): [string, string][] {
  const headers = pairs(
    raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1'))),
  );
  const named = connectionNames(headers);
  return headers.filter(
    ([name]) => !HOP_BY_HOP.has(name) && !NOT_ANSWERED.has(name) && !named.has(name),
  );
}

function pairs(raw: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let place = 0; place + 1 < raw.length; place += 2) {
    found.push([(raw[place] ?? '').toLowerCase(), raw[place + 1] ?? '']);
  }
  return found;
}

/** Headers that `Connection` declares as of this hop. */
function connectionNames(headers: readonly (readonly [string, string])[]): Set<string> {
  return new Set(
    headers
      .filter(([name]) => name === 'connection')
      .flatMap(([, value]) =>
        value
          .toLowerCase()
          .split(',')
          .map((name) => name.trim()),
      ),
  );
}

/** Does work with an upstream within a time. @throws UpstreamFailure for whatever the upstream fails with. */
async function inTime<T>(timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new UpstreamFailure('took too long')), timeoutMs);
  try {
    return await work(late.signal);
  } catch (error) {
    if (late.signal.aborted) throw new UpstreamFailure('took too long');
    throw error instanceof UpstreamFailure ? error : new UpstreamFailure(reasonOf(error));
  } finally {
    clearTimeout(timer);
  }
}

async function readAll(body: Readable, maxBytes: number): Promise<Buffer> {
  const whole = await readUpTo(body, maxBytes);
  if (!whole) throw new UpstreamFailure(`answered with more than ${maxBytes} bytes`);
  return whole;
}

function reasonOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return 'took too long';
  return typeof code === 'string' ? `did not answer (${code})` : 'did not answer';
}

/** Waits for the first byte of a body, or for the end of one that has none. @throws what broke it off. */
function firstByte(body: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    // It stays: a body may break off before it is read on, and whoever reads it then hears of it.
    body.on('error', reject);
    body.once('readable', resolve);
  });
}
