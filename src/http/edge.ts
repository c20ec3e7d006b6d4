import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { withinRequest } from '../database/treasury-scope.js';
import { Problem } from '../domain/problem.js';
import { checkBodyBounds } from './body-bounds.js';
import { parseJsonBody } from './json-body.js';
import type { RateLimitKind, RateLimits } from './rate-limits.js';
import { isPlainTarget, NOT_PLAIN } from './request-target.js';

/** The largest request line and headers together, in bytes; Node answers 431 to more. */
export const MAX_HEADER_BYTES = 16_384;

/** How many header lines a request may have. */
const MAX_HEADERS = 100;

/** Forbids a browser to do anything with an answer. It is data, often a secret. */
const ANSWER_HEADERS = Object.entries({
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
});

/** The reference of the API under `/docs` has inline scripts, which its policy allows. */
const DOCS_POLICY =
  "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; frame-ancestors 'none'";

/** The media type of the bodies of {@link FORM_ROUTES}. */
export const FORM = 'application/x-www-form-urlencoded';

/**
 * The routes that take forms: by their standard (RFC 7009, RFC 7662), and the page of an approval link. Other routes refuse
 * forms, since only a page of another site would send one (CSRF).
 */
const FORM_ROUTES = ['/v1/introspect', '/v1/revoke', '/approve/:link'];

/**
 * Checks every request before any handler. It limits the rate of an address, bounds headers and body, and hides every
 * treasury's rows from the queries of a request until the guard knows the caller. It gives every answer the headers that
 * keep browsers safe.
 *
 * @param options.isTls - whether callers reach the service by https: then answers have HSTS.
 */
export function secureEdge(
  fastify: FastifyInstance,
  limits: RateLimits,
  { isTls }: { isTls: boolean },
): void {
  // Hooks that wait for nothing take a callback: a promise for each of them is felt at thousands of requests a second.
  fastify.addHook('onRequest', (request: FastifyRequest, _reply: FastifyReply, done) => {
    done(refusalOf(request, limits));
  });
  fastify.addHook('preHandler', (request: FastifyRequest, _reply: FastifyReply, done) => {
    withinRequest(/^(GET|HEAD)$/.test(request.method) ? 'reads' : 'work', done);
  });
  fastify.addHook('onSend', (request: FastifyRequest, reply: FastifyReply, _payload, done) => {
    // The id is in the log and in events too, so that whoever reports an error can name the request.
    void reply.header('x-request-id', request.id);
    for (const [name, value] of ANSWER_HEADERS) {
      if (!reply.hasHeader(name)) void reply.header(name, value);
    }
    if (/^\/docs(\/|$)/.test(request.url)) {
      void reply.header('content-security-policy', DOCS_POLICY);
    }
    if (isTls) void reply.header('strict-transport-security', 'max-age=31536000');
    done();
  });
  fastify.removeContentTypeParser('application/json');
  fastify.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    (_request, body, done) => {
      const text = String(body);
      // An empty body is no body. A route that needs one names what is missing.
      if (text === '') return done(null);
      let value: unknown;
      try {
        value = parseJsonBody(text);
      } catch (problem) {
        return done(problem as Error);
      }
      done(null, value);
    },
  );
  fastify.addContentTypeParser(FORM, { parseAs: 'string' }, (request, body, done) => {
    if (!FORM_ROUTES.includes(request.routeOptions.url ?? '')) {
      return done(new Problem('unsupported_media_type', 'send the body as application/json'));
    }
    try {
      const form = parseForm(String(body));
      checkBodyBounds(form);
      done(null, form);
    } catch (error) {
      done(error as Error);
    }
  });
}

/** Why a request is not let in; undefined when it is. */
function refusalOf({ ip, raw }: FastifyRequest, limits: RateLimits): Problem | undefined {
  const waitSeconds = limits.take('address', ip, Date.now());
  if (waitSeconds !== undefined) return rateLimited('address', waitSeconds);
  if (!isPlainTarget(raw.url ?? '')) return new Problem('invalid_request', NOT_PLAIN);
  if (raw.rawHeaders.length / 2 > MAX_HEADERS) {
    return new Problem('invalid_request', `a request may have ${MAX_HEADERS} headers at most`);
  }
  return undefined;
}

/** The answer to whoever asks too often. */
export function rateLimited(kind: RateLimitKind, retryAfterSeconds: number): Problem {
  return new Problem(
    'rate_limited',
    `too many requests of one ${kind === 'root' ? 'tree of grants' : kind}; wait as long as the Retry-After header says`,
    { retryAfterSeconds },
  );
}

/**
 * Parses a form, as OAuth's endpoints take them.
 *
 * @throws Problem `invalid_request` for a parameter given twice (RFC 6749, section 3.1).
 */
function parseForm(body: string): Record<string, string> {
  const form: Record<string, string> = Object.create(null);
  for (const [name, value] of new URLSearchParams(body)) {
    if (name in form) {
      throw new Problem('invalid_request', `${name.slice(0, 64)} is given twice`, { field: name });
    }
    form[name] = value;
  }
  return form;
}
