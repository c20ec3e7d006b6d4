import { sha256Hex } from './bytes.js';

type Body = NonNullable<RequestInit['body']>;

/**
 * A body that can be sent again: a value, or a function that makes it anew for each sending.
 *
 * @example
 * await bursar.fetch(url, { method: 'POST', body: () => file.stream() });
 */
export type ReplayableBody = Body | (() => Body) | null | undefined;

/** A request that can be sent more than once, at the place where redirects have led it. */
export interface Sendable {
  readonly method: string;
  /** Absolute, without a fragment. */
  readonly url: string;
  readonly headers: Headers;
  readonly body: ReplayableBody;
  /** Everything else that `fetch` takes: signal, credentials, cache, dispatcher. */
  readonly rest: Omit<RequestInit, 'method' | 'headers' | 'body'>;
}

/** An answer, and where it came from. */
export interface Sent {
  readonly response: Response;
  /** The request that was answered, after all redirects. */
  readonly target: Sendable;
  /** Whether a redirect has left the origin that was asked: from then on nothing is paid. */
  readonly strayed: boolean;
  /** The seller's receipt, from the answer or from a redirect of the asked origin. */
  readonly receipt: string | undefined;
}

/** The header that pays. */
export interface PaymentHeader {
  readonly name: string;
  readonly value: string;
}

/** Headers that carry a payment. Only this package sets them. */
const PAYMENT_HEADERS = ['payment-signature', 'x-payment'];

/** Headers that `fetch` drops when a redirect turns the method into GET. */
const BODY_HEADERS = [
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-type',
];

/** Headers that `fetch` drops when a redirect leaves the origin. */
const CREDENTIALS = ['authorization', 'proxy-authorization', 'cookie', 'host'];

/** Most redirects, as many as `fetch` follows. */
const MAX_REDIRECTS = 20;

/** Members that the second argument of `fetch` shares with a `Request`. */
export const INIT_MEMBERS =
  'signal redirect credentials cache mode keepalive referrer referrerPolicy integrity'.split(' ');

/**
 * Reads the arguments of `fetch` into something that can be sent twice.
 *
 * @throws TypeError for a stream without a function that makes it anew, before anything is sent.
 */
export async function readRequest(
  input: string | URL | Request,
  init: Omit<RequestInit, 'body'> & { body?: ReplayableBody },
): Promise<Sendable> {
  const { method, headers, body: givenBody, ...givenRest } = init;
  if (isStream(givenBody)) {
    throw new TypeError(
      'a paid request is sent twice, a stream once; pass body: () => makeStream()',
    );
  }
  const given = typeof input === 'object' && 'headers' in input ? input : undefined;
  // Normalises as fetch does: the method's case, a relative URL, and a refusal of what is no URL.
  const request = new Request(given ? given.url : input, {
    method: method ?? given?.method ?? 'GET',
    headers: headers ?? given?.headers ?? {},
  });
  for (const name of PAYMENT_HEADERS) request.headers.delete(name);
  const rest: Record<string, unknown> = {};
  for (const name of INIT_MEMBERS) {
    const value = given?.[name as keyof Request];
    if (value !== undefined) rest[name] = value;
  }
  return {
    method: request.method.toUpperCase(),
    url: request.url.replace(/#.*$/, ''),
    headers: new Headers(request.headers),
    // A Request shows its body as a stream, whatever it was made of.
    body: givenBody ?? (given?.body ? await given.arrayBuffer() : undefined),
    rest: { ...rest, ...givenRest },
  };
}

/**
 * Sends a request and follows its redirects by the rules of `fetch`, with one more: the payment header never
 * leaves the origin that was asked.
 */
export async function send(
  fetcher: typeof fetch,
  asked: Sendable,
  payment?: PaymentHeader,
): Promise<Sent> {
  const origin = new URL(asked.url).origin;
  const mode = asked.rest.redirect ?? 'follow';
  let target = asked;
  let strayed = false;
  let receipt: string | undefined;
  for (let redirects = 0; ; redirects++) {
    let response = await fetchOnce(fetcher, target, strayed ? undefined : payment, mode);
    if (response.type === 'opaqueredirect' && mode === 'follow') {
      response = await followHidden(fetcher, target, payment);
      target = { ...target, url: response.url };
      strayed ||= new URL(response.url).origin !== origin;
    }
    if (!strayed) receipt = receiptOf(response) ?? receipt;
    const next = mode === 'follow' ? redirectedTo(response, target) : undefined;
    if (!next) {
      if (redirects > 0) Object.defineProperty(response, 'redirected', { value: true });
      return { response, target, strayed, receipt };
    }
    if (redirects === MAX_REDIRECTS) throw new TypeError(`more than ${MAX_REDIRECTS} redirects`);
    await discard(response);
    strayed ||= new URL(next.url).origin !== origin;
    target = next;
  }
}

async function fetchOnce(
  fetcher: typeof fetch,
  { method, url, headers, body, rest }: Sendable,
  payment: PaymentHeader | undefined,
  mode: NonNullable<RequestInit['redirect']>,
): Promise<Response> {
  const paid = new Headers(headers);
  if (payment) paid.set(payment.name, payment.value);
  return fetcher(url, {
    ...rest,
    method,
    headers: paid,
    redirect: mode === 'follow' ? 'manual' : mode,
    body: bodyOf(body),
    // Node and browsers demand this with a stream.
    ...(typeof body === 'function' ? { duplex: 'half' } : {}),
  });
}

/**
 * Browsers hide where a redirect leads, so that only they can follow it. A request with effects is not
 * repeated for that, and a payment header is not sent into the unknown.
 */
async function followHidden(
  fetcher: typeof fetch,
  target: Sendable,
  payment: PaymentHeader | undefined,
): Promise<Response> {
  if (payment || target.method !== 'GET') {
    throw new TypeError(`${target.url} redirects, and a browser hides where; ask its final URL`);
  }
  const { url, headers, rest } = target;
  return fetcher(url, { ...rest, headers, redirect: 'follow' });
}

/** The request that a redirect asks for (Fetch standard, HTTP-redirect fetch); undefined for any other answer. */
function redirectedTo(response: Response, from: Sendable): Sendable | undefined {
  const { status } = response;
  const location = response.headers.get('location');
  if (![301, 302, 303, 307, 308].includes(status) || location === null) return undefined;
  const url = new URL(location, from.url);
  if (!/^https?:$/.test(url.protocol)) throw new TypeError(`redirected to ${url.protocol}`);
  url.hash = '';
  const headers = new Headers(from.headers);
  if (url.origin !== new URL(from.url).origin) {
    for (const name of CREDENTIALS) headers.delete(name);
  }
  const becomesGet =
    status === 303
      ? from.method !== 'GET' && from.method !== 'HEAD'
      : status < 303 && from.method === 'POST';
  if (!becomesGet) return { ...from, url: url.href, headers };
  for (const name of BODY_HEADERS) headers.delete(name);
  return { ...from, method: 'GET', url: url.href, headers, body: undefined };
}

function bodyOf(body: ReplayableBody): Body | null {
  return (typeof body === 'function' ? body() : body) ?? null;
}

/** Frees the connection of an answer that nobody reads. */
export async function discard({ body }: Response): Promise<void> {
  await body?.cancel().catch(() => {});
}

function receiptOf({ headers }: Response): string | undefined {
  return headers.get('payment-response') ?? headers.get('x-payment-response') ?? undefined;
}

/**
 * Identity of a purchase: method, URL and body. A form is compared by its entries, since
 * every sending of it has another boundary.
 */
export async function requestIdOf({ method, url, headers, body }: Sendable): Promise<string> {
  const value = bodyOf(body);
  if (value === null) return JSON.stringify([method, url]);
  const whole = new Response(value, { headers: typeOf(headers) });
  const isForm = /^multipart\/form-data/i.test(whole.headers.get('content-type') ?? '');
  // Loaded at the first use: few requests carry a form.
  const digest = isForm
    ? await (await import('./forms.js')).digestOfForm(await whole.formData())
    : await sha256Hex(await whole.arrayBuffer());
  return JSON.stringify([method, url, digest]);
}

function typeOf(headers: Headers): Record<string, string> {
  const type = headers.get('content-type');
  return type === null ? {} : { 'content-type': type };
}

function isStream(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false;
  // An async iterable is what Node takes for a body besides what the standard names.
  return (
    body instanceof ReadableStream || (Symbol.asyncIterator in body && !(body instanceof Blob))
  );
}
