import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Logger } from 'pino';
import { isDatabaseUnavailable } from '../database/database.js';
import { seeTreasuries, withinRequest } from '../database/treasury-scope.js';
import { canonicalJson } from '../domain/canonical.js';
import { readUpTo } from '../http/read-bounded.js';
import type { Answer } from './answers.js';
import {
  type Credential,
  offerPaidBy,
  readCredential,
  UnreadableCredential,
} from './credential.js';
import { purchaseAnswer, requiredAnswer, soldResource } from './front.js';
import { type GatewayCounts, METRICS_PATH } from './gateway-counts.js';
import type { Front } from './payment-page.js';
import { needsBody } from './price-list.js';
import { problemAnswer, upstreamFailed } from './problems.js';
import type { Order, Sales } from './sales.js';
import type { ServedPages } from './served.js';
import type { Shop, SoldOperation } from './shop.js';
import { AmbiguousTarget, parseTarget, type RequestTarget } from './target.js';
import { forwardedHeaders, type Upstream, UpstreamFailure } from './upstream.js';

/** Headers of answers that pages of other origins may read. */
const EXPOSED = 'PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, Retry-After';

/** The parts that a server puts together. */
export interface ServerParts {
  /** The shop of the current configuration, and the one before while its quotes hold. */
  readonly shops: () => { readonly current: Shop; readonly earlier: Shop | undefined };
  readonly treasuryId: string;
  readonly sales: Sales;
  readonly upstream: () => Upstream;
  readonly pages: ServedPages;
  readonly counts: GatewayCounts;
  readonly logger: Logger;
}

/** A request with its target read. */
interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: RequestTarget;
  readonly origin: string;
}

/** The gateway's HTTP server, not listening yet. */
export function gatewayServer(parts: ServerParts): Server {
  return createServer(
    { maxHeaderSize: 32_768, requestTimeout: 300_000, headersTimeout: 15_000 },
    (request, response) => {
      withinRequest('work', () => {
        seeTreasuries([parts.treasuryId]);
        handle(parts, request, response).catch((error: unknown) => fail(parts, response, error));
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
  const { current } = parts.shops();
  const visit = { request, response, target, origin: originOf(request, current) };
  const method = request.method ?? '';
  if (target.path === METRICS_PATH && isLocal(request)) {
    return send(response, await parts.counts.page(), method === 'HEAD');
  }
  const page = await parts.pages.find(method, target, visit.origin);
  if (page) return send(response, page, method === 'HEAD');
  const found = current.routes.find(method, target);
  if (!found) {
    const methods = method === 'OPTIONS' ? current.routes.methods(target) : [];
    if (methods.length > 0) return preflight(response, methods);
    return send(
      response,
      problemAnswer('not_found', `${method} ${target.path} is not served here`),
      method === 'HEAD',
    );
  }
  const { operation } = found;
  return operation.prices ? sell(parts, visit, operation) : forward(parts, visit, operation);
}

/** Whether a request comes from this machine, and not through a proxy on it: the figures are no business of callers. */
function isLocal({ socket, headers }: IncomingMessage): boolean {
  const isForwarded = headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined;
  return !isForwarded && /^(::ffff:)?127\.|^::1$/.test(socket.remoteAddress ?? '');
}

/** A free operation: both bodies stream through. */
async function forward(
  parts: ServerParts,
  { request, response, target }: Visit,
  { id, timeoutSeconds }: SoldOperation,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const hasBody =
    request.headers['content-length'] !== undefined ||
    request.headers['transfer-encoding'] !== undefined;
  const length = request.headers['content-length'];
  const { maxBodyBytes } = parts.shops().current.file;
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
  const { request, response, target } = visit;
  const isHead = request.method === 'HEAD';
  const { current, earlier } = parts.shops();
  const header = request.headers['payment-signature'] ?? request.headers['x-payment'];
  const isPaid = typeof header === 'string' && header !== '';
  let body: Buffer | undefined;
  if (isPaid || (operation.prices && needsBody(operation.prices))) {
    body = await readBody(request, current.file.maxBodyBytes);
    if (!body) return send(response, tooLarge(current.file.maxBodyBytes));
  }
  const priced = { query: target.query, headers: request.headers, body };
  const front: Front = {
    operation,
    title: current.imported.title,
    url: `${visit.origin}${target.path}${target.query}`,
    offers: current.offersFor(operation, priced),
    origin: visit.origin,
    wantsPage: request.headers.accept?.includes('text/html') === true && !isPaid,
  };
  if (!isPaid) {
    parts.counts.answered(operation.id, 'required');
    return send(response, requiredAnswer(front, 'payment_required'), isHead);
  }
  let credential: Credential;
  try {
    credential = readCredential(header);
  } catch (error) {
    if (!(error instanceof UnreadableCredential)) throw error;
    return send(response, problemAnswer('invalid_request', `the payment ${error.message}`), isHead);
  }
  const before = earlier?.operations.find(
    ({ id, method, path }) =>
      id === operation.id && method === operation.method && path === operation.path,
  );
  const offer =
    offerPaidBy(credential, front.offers) ??
    (before && offerPaidBy(credential, earlier?.offersFor(before, priced) ?? []));
  const order = orderOf(parts, visit, front, credential, offer, body ?? Buffer.alloc(0));
  const ending = await parts.sales.sell(order);
  parts.counts.answered(operation.id, ending.kind);
  send(response, purchaseAnswer(ending, credential, front), isHead);
}

function orderOf(
  { shops }: ServerParts,
  { request, target }: Visit,
  { operation, ...front }: Front,
  credential: Credential,
  offer: Order['offer'],
  body: Buffer,
): Order {
  const { file } = shops().current;
  const method = request.method ?? '';
  const bodyHash = createHash('sha256').update(body).digest('hex');
  return {
    credential,
    offer,
    namesAnother:
      credential.resourceUrl !== undefined && !isSameResource(credential.resourceUrl, front.url),
    sold: soldResource({ operation, ...front }),
    requestHash: createHash('sha256')
      .update(canonicalJson([method, target.path, target.query, bodyHash]))
      .digest('hex'),
    request: {
      method,
      target,
      headers: forwardedHeaders(request.rawHeaders, request.socket.remoteAddress),
      body: body.length > 0 ? body : undefined,
    },
    operation: {
      id: operation.id,
      settle: operation.settle,
      timeoutMs: operation.timeoutSeconds * 1_000,
      maxAnswerBytes: file.maxAnswerBytes,
      settleSeconds: file.settleSeconds,
      concurrencyPerPayer: file.concurrencyPerPayer,
    },
    configHash: file.hash,
  };
}

/** Whether the URL that a payer names is the request's: host, path and query, whatever the scheme. */
function isSameResource(named: string, url: string): boolean {
  try {
    const [a, b] = [new URL(named), new URL(url)];
    const target = parseTarget(`${a.pathname}${a.search}`);
    return a.host === b.host && `${target.path}${target.query}` === `${b.pathname}${b.search}`;
  } catch {
    return false;
  }
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
    'access-control-allow-headers': 'content-type, authorization, payment-signature, x-payment',
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
