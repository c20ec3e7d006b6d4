import { Bursar, BursarError, type ErrorDetails } from '@bursar/sdk';
import type { paths } from '@bursar/sdk/openapi';

/** The answer of a `GET` of the contract. */
export type Answer<Path extends keyof paths> = paths[Path] extends {
  get: { responses: { 200: { content: { 'application/json': infer Body } } } };
}
  ? Body
  : never;

/** The answer of a `POST` of the contract that makes nothing. */
export type PostAnswer<Path extends keyof paths> = paths[Path] extends {
  post: { responses: { 200: { content: { 'application/json': infer Body } } } };
}
  ? Body
  : never;

/** See the contract: totals of a treasury. */
export type Summary = Answer<'/v1/summary'>;
/** An event of the audit log. */
export type AuditEvent = Answer<'/v1/audit/events'>['items'][number];
/** A treasury, the unit of one log and one stop. */
export type Treasury = Answer<'/v1/treasuries'>['items'][number];
/** A wallet with its balance. */
export type Wallet = Answer<'/v1/wallets'>['items'][number];
/** A receiver of events. */
export type Webhook = Answer<'/v1/webhooks'>['items'][number];
/** A request that a gateway sold, or did not. */
export type Sale = Answer<'/v1/gateway/sales'>['items'][number];
/** An event that was sent to a webhook, with every try. */
export type Delivery = Answer<'/v1/webhooks/{id}/deliveries'>['items'][number];
/** Count of what a revocation would stop, made by the server. */
export type RevocationPreview = Answer<'/v1/grants/{id}/revocation'>;
/** Outcome of other terms on a grant's past payments. */
export type PolicyReplay = PostAnswer<'/v1/grants/{id}/replay'>;
/** The grants that a filter finds, and what stopping them stops. */
export type BulkPreview = PostAnswer<'/v1/grants/bulk/preview'>;
/** Result for each grant of a filter. */
export type BulkOutcome = PostAnswer<'/v1/grants/bulk'>;

/** Somebody who is signed in. */
export interface Session {
  readonly role: 'admin' | 'approver' | 'auditor' | 'holder';
  /** How the log names it, such as `admin:ann`. */
  readonly actor: string;
  /** The grant of a holder. */
  readonly grantId: string | null;
  readonly idleSeconds: number;
  readonly twoPerson: boolean;
  /** Until when it may stop a treasury without showing its token again. */
  readonly confirmedUntil?: string;
}

/** Raised on the window when the service knows the session no more. */
export const SIGNED_OUT = 'bursar:signed-out';

/** How long after the last input a request counts as a person's, in milliseconds. */
const ACTIVE_MS = 30_000;

let lastInput = performance.now();
for (const kind of ['pointerdown', 'keydown', 'wheel']) {
  window.addEventListener(kind, () => (lastInput = performance.now()), { passive: true });
}

/** For how long nobody has touched the page, in milliseconds. */
export function idleMs(): number {
  return performance.now() - lastInput;
}

/**
 * `fetch` as the person who is signed in. The cookie says who that is, and only beside a header that no other site can send.
 * Polling marks itself, so that a page that was left open signs out.
 */
async function sessionFetch(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.delete('authorization');
  headers.set('x-bursar-console', idleMs() < ACTIVE_MS ? 'active' : 'background');
  const answer = await fetch(input, { ...init, headers, credentials: 'same-origin' });
  const wantsConfirmation = answer.headers
    .get('www-authenticate')
    ?.includes('insufficient_user_authentication');
  if (answer.status === 401 && !wantsConfirmation) window.dispatchEvent(new Event(SIGNED_OUT));
  return answer;
}

/** Grants, payments and raises, by the SDK. The token is the cookie's. */
export const bursar = new Bursar({
  url: location.origin,
  token: 'of-the-session',
  fetch: sessionFetch,
  renewToken: false,
});

/** One request that the SDK has no method for. */
export interface Call {
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
  /** Media type that is asked for, where a route has several. */
  readonly accept?: string;
}

/**
 * Calls a route of the service.
 *
 * @throws BursarError with the problem's code and detail.
 */
export async function call<Body>(method: string, path: string, options: Call = {}): Promise<Body> {
  return JSON.parse(await callText(method, path, options)) as Body;
}

/** Calls a route that answers with text. */
export async function callText(
  method: string,
  path: string,
  { query = {}, body, signal, accept }: Call = {},
): Promise<string> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(name, String(value));
  }
  const text = parameters.toString();
  const answer = await sessionFetch(text === '' ? path : `${path}?${text}`, {
    method,
    ...(signal ? { signal } : {}),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headers: {
      ...(accept === undefined ? {} : { accept }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
  }).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new BursarError('unreachable', 'the service does not answer', {
      nextAction: 'wait',
      cause,
    });
  });
  const content = await answer.text();
  if (answer.ok) return content;
  throw problemOf(answer.status, content);
}

function problemOf(status: number, content: string): BursarError {
  try {
    const { code, detail, ...members } = JSON.parse(content) as Record<string, unknown>;
    if (typeof code === 'string') {
      return new BursarError(code, String(detail), { ...(members as ErrorDetails), status });
    }
  } catch {
    // A proxy answered, not the service.
  }
  return new BursarError('unexpected_answer', `the service answered ${status}`, {
    status,
    nextAction: status >= 500 ? 'wait' : 'fix_request',
  });
}

/** Reads one grant; a shorthand, since every page needs it. */
export const readGrant = (id: string) => bursar.grants.get(id);
