import { asObject, decodeJson, delay } from './bytes.js';
import { BursarError, type ErrorDetails, type NextAction } from './errors.js';
import type { HolderKey } from './types.js';

/**
 * How the service is reached, and as whom.
 *
 * @example
 * const options: ApiOptions = { url: 'https://bursar.example.com', token, onToken: (renewed) => store(renewed) };
 */
export interface ApiOptions {
  /** The service's address, such as `https://bursar.example.com`. */
  readonly url: string;
  /** The grant's token (or an admin's). */
  readonly token: string;
  /** The key of a key-bound grant. */
  readonly key?: HolderKey | undefined;
  /** Another `fetch`. Default: the global one. */
  readonly fetch?: typeof fetch | undefined;
  /** How long one call to the service may take, in milliseconds. Default 30 000. */
  readonly timeoutMs?: number | undefined;
  /** Whether to renew the token in the last tenth of its life. Default true. */
  readonly renewToken?: boolean | undefined;
  /** Hears of each renewed token: store it, since the one before has stopped working. */
  readonly onToken?: ((token: string) => void) | undefined;
}

/** One call of the REST contract. */
export interface ApiCall {
  readonly body?: unknown;
  readonly query?: object | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly signal?: AbortSignal | null | undefined;
  /** How long to wait in all where the service says when to ask again, in milliseconds. Default 10 000. */
  readonly maxWait?: number | undefined;
}

/** An answer below 400. */
export interface ApiAnswer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** Waits before the second, third and fourth try of a call that got no answer, in milliseconds. */
const BACKOFF_MS = [100, 400, 1_500];

const DEFAULT_MAX_WAIT_MS = 10_000;

/** How long a renewal that failed is left alone. */
const RENEWAL_PAUSE_MS = 5_000;

/**
 * The service over HTTP, as one caller: authentication, retries of what is safe to repeat, typed errors.
 */
export class Api {
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly #options: ApiOptions;
  #token: string;
  #renewal: Promise<void> | undefined;
  #renewAt: number | undefined;
  #skewMs = 0;
  #nonce: string | undefined;

  constructor(options: ApiOptions) {
    const { url, token, fetch: given } = options;
    if (!URL.canParse(url)) throw new TypeError(`url is "${url}"; give the address of the service`);
    if (!token) throw new TypeError('token is empty');
    this.#options = options;
    // Some write the version of the API behind the address.
    this.url = url.replace(/(\/v1)?\/*$/, '');
    // The global is looked up at each call, so that instrumentation installed later is used.
    this.fetch = given ?? ((input, init) => globalThis.fetch(input, init));
    this.#token = token;
    this.#planRenewal();
  }

  /** The token in use now. */
  get token(): string {
    return this.#token;
  }

  /**
   * Calls a route. What is safe to repeat (a GET, or a call with a key) is repeated when no answer came.
   *
   * @throws BursarError for every answer that is a problem, and `unreachable` when none came.
   */
  async call<Body>(method: string, path: string, call: ApiCall = {}): Promise<ApiAnswer<Body>> {
    const { maxWait = DEFAULT_MAX_WAIT_MS, idempotencyKey, signal } = call;
    const isRepeatable =
      method === 'GET' || idempotencyKey !== undefined || path.endsWith('/quote');
    const deadline = Date.now() + maxWait;
    for (let tries = 0; ; tries++) {
      let error: BursarError;
      try {
        return await this.#attempt<Body>(method, path, call);
      } catch (cause) {
        signal?.throwIfAborted();
        if (!(cause instanceof BursarError)) throw cause;
        error = cause;
      }
      const waitMs = waitBefore(error, tries);
      if (!isRepeatable || waitMs === undefined || Date.now() + waitMs > deadline) throw error;
      await delay(waitMs, signal);
    }
  }

  /** Calls a route, as {@link call}, for the body of its answer. */
  async read<Body>(method: string, path: string, call: ApiCall = {}): Promise<Body> {
    return (await this.call<Body>(method, path, call)).body;
  }

  /** One attempt; a second one where only the credential was at fault and can be corrected. */
  #attempt<Body>(method: string, path: string, call: ApiCall): Promise<ApiAnswer<Body>> {
    return this.corrected(() => this.#send<Body>(method, path, call));
  }

  /** Sends, and once more where only the credential was at fault and can be corrected. */
  async corrected<Answer>(send: () => Promise<Answer>): Promise<Answer> {
    await this.renewInTime();
    const token = this.#token;
    const skewMs = this.#skewMs;
    const nonce = this.#nonce;
    try {
      return await send();
    } catch (error) {
      const isCorrected =
        error instanceof BursarError &&
        ((error.code === 'invalid_token' && this.#token !== token) ||
          (error.code === 'invalid_dpop_proof' &&
            (this.#nonce !== nonce || Math.abs(this.#skewMs - skewMs) > 1_000)));
      if (!isCorrected) throw error;
      return send();
    }
  }

  async #send<Body>(
    method: string,
    path: string,
    { body, query, idempotencyKey, signal }: ApiCall,
  ): Promise<ApiAnswer<Body>> {
    const url = this.url + path + queryText(query);
    const timeout = AbortSignal.timeout(this.#options.timeoutMs ?? 30_000);
    const init: RequestInit = {
      method,
      // The token goes to the service alone: a redirect of it would be a mistake or an attack.
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      headers: {
        ...(await this.credentials(method, url)),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    const sentAt = Date.now();
    let response: Response;
    let text: string;
    try {
      response = await this.fetch(url, init);
      text = await response.text();
    } catch (cause) {
      signal?.throwIfAborted();
      throw unreachable(this.url, cause);
    }
    this.learn(response.headers, sentAt);
    const parsed = parseObject(text);
    if (!response.ok) throw problemOf(response, parsed);
    return { status: response.status, headers: response.headers, body: parsed as Body };
  }

  /** Headers that authorize a request. */
  async credentials(method: string, url: string): Promise<Record<string, string>> {
    const { key } = this.#options;
    const token = this.#token;
    if (!key) return { authorization: `Bearer ${token}` };
    // Loaded at the first use: most grants are bound to no key.
    const { signProof } = await import('./proof.js');
    const time = { skewMs: this.#skewMs, nonce: this.#nonce };
    return {
      authorization: `DPoP ${token}`,
      dpop: await signProof(key, { method, url, token }, time),
    };
  }

  /** Takes the service's time and its DPoP nonce from an answer. */
  learn(headers: Headers, sentAt: number): void {
    this.#nonce = headers.get('dpop-nonce') ?? this.#nonce;
    const date = Date.parse(headers.get('date') ?? '');
    if (Number.isNaN(date)) return;
    // The Date header has whole seconds, and was written at some moment of the call.
    const now = Date.now();
    const isInStep = date >= sentAt - 1_000 && date <= now + 1_000;
    this.#skewMs = isInStep ? 0 : date - now;
  }

  /** In the last tenth of its life, so that an agent that calls now and then does not miss it. */
  #planRenewal(): void {
    const [, payload = ''] = this.#token.split('.');
    const { sub, iat, exp } = decodeJson(payload) ?? {};
    this.#renewAt =
      this.#options.renewToken !== false &&
      String(sub).startsWith('grt_') &&
      typeof exp === 'number' &&
      typeof iat === 'number'
        ? (exp - (exp - iat) / 10) * 1_000
        : undefined;
  }

  /** Renews the token if its end is near. Calls at the same time share one renewal. */
  async renewInTime(): Promise<void> {
    if (!this.#isDue()) return;
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    await this.#renewal;
  }

  #isDue(): boolean {
    return this.#renewAt !== undefined && Date.now() + this.#skewMs >= this.#renewAt;
  }

  async #renew(): Promise<void> {
    const [, payload = ''] = this.#token.split('.');
    const path = `/v1/grants/${decodeJson(payload)?.sub}/token`;
    const renewed = await this.#send<{ token: string }>('POST', path, {}).catch((error) => {
      // The old token works until its end. A grant that has ended gets no new one: do not ask again.
      const isOver = error instanceof BursarError && error.nextAction === 'stop';
      this.#renewAt = isOver ? undefined : Date.now() + this.#skewMs + RENEWAL_PAUSE_MS;
    });
    if (!renewed) return;
    this.#token = renewed.body.token;
    this.#planRenewal();
    // No token outlives its grant: another renewal would gain nothing.
    if (this.#isDue()) this.#renewAt = undefined;
    this.#options.onToken?.(this.#token);
  }
}

export function unreachable(url: string, cause: unknown): BursarError {
  const detail = `no answer from ${url}; check the address, or repeat the same call`;
  return new BursarError('unreachable', detail, { nextAction: 'wait', cause });
}

/** How long to wait before the next try, or undefined where there is to be none. */
function waitBefore(error: BursarError, tries: number): number | undefined {
  if (error.nextAction === 'wait' && error.retryAfter !== undefined)
    return error.retryAfter * 1_000;
  if (error.code === 'unreachable' || (error.status ?? 0) >= 500) return BACKOFF_MS[tries];
  return undefined;
}

export function queryText(query: object = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length === 0
    ? ''
    : `?${new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]))}`;
}

export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** The error of a problem+json body, or of an answer that a proxy made. */
export function problemOf(response: Response, body: Record<string, unknown> = {}): BursarError {
  const { code, detail, ...members } = body;
  const { status } = response;
  if (typeof code === 'string') {
    return new BursarError(code, String(detail), { ...(members as ErrorDetails), status });
  }
  const isTemporary = status === 429 || status >= 500;
  const nextAction: NextAction = isTemporary ? 'wait' : 'fix_request';
  const hint = isTemporary ? '' : '; is that Bursar?';
  return new BursarError('unexpected_answer', `${response.url} answered ${status}${hint}`, {
    status,
    nextAction,
  });
}
