import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Logger } from 'pino';
import { isDatabaseUnavailable } from '../database/database.js';
import { seeTreasuries, withinRequest } from '../database/treasury-scope.js';
import { readUpTo } from '../http/read-bounded.js';
import { currentTrace } from '../tracing/trace-scope.js';
import { nameRoute, type Tracing } from '../tracing/tracing.js';
import type { Answer } from './answers.js';
import { METRICS_PATH } from './gateway-counts.js';
import { answerMcp, MCP_PATH, type McpParts } from './mcp-front.js';
import { needsBody } from './price-list.js';
import { problemAnswer, upstreamFailed } from './problems.js';
import { type OpenShops, purchase } from './selling.js';
import type { ServedPages } from './served.js';
import type { Shop, SoldOperation } from './shop.js';
import { isWhole } from './streamed-answer.js';
import { AmbiguousTarget, parseTarget, type RequestTarget } from './target.js';
import { forwardedHeaders, type Upstream } from './upstream.js';
import { UpstreamFailure } from './upstream-failure.js';

/** Headers of answers that pages of other origins may read. */
const EXPOSED = 'PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, Retry-After';

/** The parts that a server puts together. */
export interface ServerParts extends McpParts {
  readonly shops: () => OpenShops;
  readonly treasuryId: string;
  readonly pages: ServedPages;
  readonly tracing: Tracing;
  readonly logger: Logger;
}

/** A request with its target read. */
interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: RequestTarget;
  /** The shops that were open when the request came. */
  readonly shops: OpenShops;
  readonly origin: string;
}

/** The gateway's HTTP server, not listening yet. */
export function gatewayServer(parts: ServerParts): Server {
  return createServer(
    { maxHeaderSize: 32_768, requestTimeout: 300_000, headersTimeout: 15_000 },
    (request, response) => {
      withinRequest('work', () => {
        seeTreasuries([parts.treasuryId]);
        parts.tracing
          .inRequest(request, response, () => handle(parts, request, response))
          .catch((error: unknown) => fail(parts, response, error));
      });
    },
  );
}

function fail({ logger }: ServerParts, response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  if (isDatabaseUnavailable(error)) {
    send(
      response,
      problemAnswer(
        'unavailable',
        'the gateway cannot reach its database; repeat the request with the same payment',
      ),
    );
    return;
  }
  logger.error({ room: 'gateway', err: error }, 'a request failed');
  send(
    response,
    problemAnswer('internal_error', 'the gateway failed; repeat the request with the same payment'),
  );
}

async function handle(
  parts: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let target: RequestTarget;
  try {
    target = parseTarget(request.url ?? '');
  } catch (error) {
    if (!(error instanceof AmbiguousTarget)) throw error;
    return send(response, problemAnswer('invalid_request', `the path ${error.message}`));
  }
  const shops = parts.shops();
  const { current } = shops;
  const visit = { request, response, target, shops, origin: originOf(request, current) };
  const method = request.method ?? '';
  if (target.path === METRICS_PATH && isLocal(request)) {
    return send(response, await parts.counts.page(), method === 'HEAD');
  }
  const page = await parts.pages.find(method, target, visit.origin);
  if (page) return send(response, page, method === 'HEAD');
  const found = current.routes.find(method, target);
  if (!found) {
    if (target.path === MCP_PATH && method !== 'OPTIONS') return tools(parts, visit);
    const methods = method === 'OPTIONS' ? methodsOf(current, target) : [];
    if (methods.length > 0) return preflight(response, methods);
    return send(
      response,
      problemAnswer('not_found', `${method} ${target.path} is not served here`),
      method === 'HEAD',
    );
  }
  const { operation } = found;
  const trace = currentTrace();
  if (trace) nameRoute(trace.span, method, operation.path);
  return operation.prices ? sell(parts, visit, operation) : forward(parts, visit, operation);
}

/** The methods that a target is served with. */
function methodsOf({ routes }: Shop, target: RequestTarget): readonly string[] {
  const methods = routes.methods(target);
  return methods.length === 0 && target.path === MCP_PATH ? ['POST'] : methods;
}

/** Whether a request comes from this machine, and not through a proxy on it: the figures are no business of callers. */
function isLocal({ socket, headers }: IncomingMessage): boolean {
  const isForwarded = headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined;
  return !isForwarded && /^(::ffff:)?127\.|^::1$/.test(socket.remoteAddress ?? '');
}

/** A free operation: both bodies stream through. */
async function forward(
  parts: ServerParts,
  { request, response, target, shops }: Visit,
  { id, timeoutSeconds }: SoldOperation,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const hasBody =
    request.headers['content-length'] !== undefined ||
    request.headers['transfer-encoding'] !== undefined;
  const length = request.headers['content-length'];
  const { maxBodyBytes } = shops.current.file;
  if (length !== undefined && Number(length) > maxBodyBytes)
    return send(response, tooLarge(maxBodyBytes));
  let answer: Awaited<ReturnType<Upstream['send']>>;
  try {
    answer = await parts.upstream().send(
      {
        method: request.method ?? 'GET',
        target,
        headers: forwardedHeaders(request.rawHeaders, request.socket.remoteAddress),
        body: hasBody ? request : undefined,
      },
      timeoutSeconds * 1_000,
      gone.signal,
    );
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error;
    if (!response.destroyed) send(response, upstreamFailed(error.message));
    return;
  }
  parts.counts.answered(id, 'free');
  response.writeHead(answer.status, allHeaders(answer.headers));
  await pipeline(answer.body, response).catch(() => response.destroy());
}

/** A priced operation: a 402, or a sale. */
async function sell(parts: ServerParts, visit: Visit, operation: SoldOperation): Promise<void> {
  const { request, response, target, shops, origin } = visit;
  const header = request.headers['payment-signature'] ?? request.headers['x-payment'];
  const payment = typeof header === 'string' && header !== '' ? header : undefined;
  const { maxBodyBytes } = shops.current.file;
  let body: Buffer | undefined;
  if (payment !== undefined || (operation.prices && needsBody(operation.prices))) {
    body = await readBody(request, maxBodyBytes);
    if (!body) return send(response, tooLarge(maxBodyBytes));
  }
  const answer = await purchase(parts, {
    shops,
    operation,
    request: {
      method: request.method ?? '',
      target,
      headers: forwardedHeaders(request.rawHeaders, request.socket.remoteAddress),
      body,
    },
    headers: request.headers,
    payment,
    url: `${origin}${target.path}${target.query}`,
    origin,
    wantsPage: payment === undefined && request.headers.accept?.includes('text/html') === true,
  });
  if (isWhole(answer)) return send(response, answer, request.method === 'HEAD');
  response.writeHead(answer.status, allHeaders(answer.headers));
  // A reader who leaves ends the reading, not the sale.
  await pipeline(answer.body, response).catch(() => response.destroy());
}

/** A message for the operations as MCP tools. */
async function tools(
  parts: ServerParts,
  { request, response, shops, origin }: Visit,
): Promise<void> {
  // There is no stream to open and no session to end: the protocol asks for 405.
  if (request.method !== 'POST') return void response.writeHead(405, { allow: 'POST' }).end();
  const { maxBodyBytes } = shops.current.file;
  const body = await readBody(request, maxBodyBytes);
  if (!body) return send(response, tooLarge(maxBodyBytes));
  const { headers, socket } = request;
  const text = body.toString('utf8');
  const visit = { shops, origin, headers, address: socket.remoteAddress, body: text };
  send(response, await answerMcp(parts, visit));
}

/** The origin that callers reach the gateway at. */
function originOf(request: IncomingMessage, { file }: Shop): string {
  if (file.publicUrl !== undefined) return file.publicUrl.replace(/\/+$/, '');
  const host = request.headers.host ?? '';
  return `http://${/^[A-Za-z0-9.\-_[\]:]{1,255}$/.test(host) ? host : 'localhost'}`;
}

/** The whole body; undefined when it is longer than that. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return undefined;
  return readUpTo(request, maxBytes);
}

function tooLarge(maxBytes: number): Answer {
  return problemAnswer(
    'payload_too_large',
    `the body has more than ${maxBytes} bytes, which is the most that is taken`,
  );
}

function preflight(response: ServerResponse, methods: readonly string[]): void {
  response.writeHead(204, {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': methods.join(', '),
    'access-control-allow-headers':
      'content-type, authorization, payment-signature, x-payment, mcp-protocol-version',
    'access-control-max-age': '600',
    vary: 'Access-Control-Request-Method',
  });
  response.end();
}

function send(response: ServerResponse, { status, headers, body }: Answer, isHead = false): void {
  const all = allHeaders(headers);
  if (!isHead && status !== 204 && status !== 304) all['content-length'] = String(body.length);
  response.writeHead(status, all);
  response.end(isHead ? undefined : body);
}

/** The headers of an answer, readable to pages of other origins. */
function allHeaders(headers: Answer['headers']): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = {};
  for (const [name, value] of headers) {
    const before = all[name];
    all[name] =
      before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  all['access-control-allow-origin'] ??= '*';
  const exposed = all['access-control-expose-headers'];
  all['access-control-expose-headers'] =
    exposed === undefined ? EXPOSED : `${String(exposed)}, ${EXPOSED}`;
  return all;
}
