import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem, type ProblemCode } from '../domain/problem.js';
import type { LoggedRequest } from './logged-request.js';
import { PROBLEM_MEDIA_TYPE, PROBLEM_STATUS, problemBody } from './problem.js';
import { MCP_METADATA_PATH, MCP_PATH, publicUrlOf } from './public-url.js';
import { isPlainTarget, NOT_PLAIN } from './request-target.js';
import { unforeseenProblem } from './unforeseen.js';

/** Answers whatever was thrown as problem+json. What is not a {@link Problem} tells no internals. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  /** @param config - `publicUrl`: where callers reach the service; undefined where that is not known. */
  constructor(private readonly config: { readonly publicUrl: string | undefined }) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<LoggedRequest>();
    const reply = http.getResponse<FastifyReply>();
    const problem = toProblem(error, request);
    const status = PROBLEM_STATUS[problem.code];
    if (status < 500) request.refusal = { code: problem.code, why: problem.why ?? problem.detail };
    // A problem was foreseen; anything else is a bug or an outage, and its stack is wanted.
    if (error instanceof Problem) {
      if (status >= 500) request.log.warn({ req: request, code: problem.code }, problem.detail);
    } else if (status >= 500) {
      request.log.error({ req: request, err: error, code: problem.code }, problem.detail);
    }
    if (status === 401 && !reply.hasHeader('www-authenticate')) {
      const challenge = challengeOf(problem.code, request.headers.authorization);
      void reply.header('www-authenticate', challenge + this.metadataOf(request));
    }
    const body = problemBody(problem.code, problem.detail, problem.fields, request.trace);
    if (body.retryAfter !== undefined) void reply.header('retry-after', String(body.retryAfter));
    void reply.status(status).type(PROBLEM_MEDIA_TYPE).send(body);
  }

  /** Where an MCP host reads what the token must be (RFC 9728, section 5.1). Nothing on other routes. */
  private metadataOf(request: FastifyRequest): string {
    const url = publicUrlOf(this.config, request);
    if (url === undefined || request.url.split('?')[0] !== MCP_PATH) return '';
    return `, resource_metadata="${url}${MCP_METADATA_PATH}"`;
  }
}

/**
 * The challenge of a 401: both schemes, since the token decides which it needs (RFC 9449, section 7.2).
 * An error is named only where a token was presented (RFC 6750, section 3), for its scheme.
 */
function challengeOf(code: ProblemCode, authorization: string | undefined): string {
  const isDpop = /^DPoP /i.test(authorization ?? '');
  const error = authorization === undefined ? '' : `, error="${code}"`;
  const bearer = `Bearer realm="bursar"${isDpop ? '' : error}`;
  const dpop = `DPoP realm="bursar"${isDpop ? error : ''}, algs="ES256 EdDSA Ed25519"`;
  return isDpop ? dpop : `${bearer}, ${dpop}`;
}

/** Code of the contract for an HTTP status, for errors that the framework throws itself. */
const FRAMEWORK_CODES: Readonly<Record<number, ProblemCode>> = {
  400: 'invalid_request',
  401: 'invalid_token',
  403: 'forbidden',
  404: 'not_found',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  429: 'rate_limited',
};

function toProblem(error: unknown, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error;
  const status =
    error instanceof HttpException
      ? error.getStatus()
      : (error as { statusCode?: number } | undefined)?.statusCode;
  if (status === 404) {
    // The router answers the target "*" before any hook runs.
    if (!isPlainTarget(request.raw.url ?? '')) return new Problem('invalid_request', NOT_PLAIN);
    const path = request.url.split('?')[0]?.slice(0, 200);
    return new Problem(
      'not_found',
      `there is no ${request.method} ${path}; /docs lists every route`,
    );
  }
  const code = status === undefined ? undefined : FRAMEWORK_CODES[status];
  return code ? new Problem(code, (error as Error).message) : unforeseenProblem(error);
}
