import { Agent, request } from 'node:http';

/** Outcome of one request. */
export type Outcome =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** `idempotent-replayed: true`. */
      readonly replayed: boolean;
      readonly retryAfterMs: number | undefined;
      readonly body: Body;
    }
  /** Nobody listened. */
  | { readonly kind: 'refused' }
  /** The connection broke before the whole answer was there. */
  | { readonly kind: 'dropped'; readonly why: string; readonly reused: boolean }
  /** We hung up before the answer. */
  | { readonly kind: 'lost' }
  /** No answer in time. */
  | { readonly kind: 'timeout' };

/** The members of an answer's body that are read here. */
export interface Body {
  readonly code?: string;
  readonly detail?: string;
  readonly header?: { readonly name: string; readonly value: string };
  readonly payment?: { readonly id: string; readonly grantId: string; readonly status: string };
  readonly grant?: { readonly id: string };
  readonly token?: string;
}

/** How a request is made. */
export interface How {
  readonly method?: 'GET' | 'POST';
  readonly token?: string;
  readonly body?: string;
  readonly key?: string;
  /** Hangs up so long after sending. */
  readonly loseAfterMs?: number | undefined;
  readonly timeoutMs?: number;
  /** A connection of its own when left out. */
  readonly connections?: Agent | undefined;
}

/** The time that a patient agent waits for one answer, in milliseconds. */
const TIMEOUT_MS = 30_000;

/** Connections that are kept between requests. */
export function keptConnections(): Agent {
  return new Agent({ keepAlive: true });
}

/** Makes one request over HTTP, and says exactly what became of it. Never throws. */
export function ask(url: string, how: How): Promise<Outcome> {
  return new Promise((resolve) => {
    const { method = 'POST', token, body, key, loseAfterMs, timeoutMs = TIMEOUT_MS } = how;
    const outgoing = request(url, {
      method,
      agent: how.connections ?? false,
      headers: {
        ...(how.connections ? {} : { connection: 'close' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
    });
    let timer: NodeJS.Timeout | undefined;
    let hangUp: NodeJS.Timeout | undefined;
    const end = (outcome: Outcome): void => {
      clearTimeout(timer);
      clearTimeout(hangUp);
      resolve(outcome);
      if (outcome.kind === 'lost' || outcome.kind === 'timeout') outgoing.destroy();
    };
    timer = setTimeout(() => end({ kind: 'timeout' }), timeoutMs);
    if (loseAfterMs !== undefined) {
      hangUp = setTimeout(() => end({ kind: 'lost' }), loseAfterMs);
    }
    const broken = (error: NodeJS.ErrnoException): void => {
      const why = error.code ?? error.message;
      const { reusedSocket: reused } = outgoing;
      end(why === 'ECONNREFUSED' ? { kind: 'refused' } : { kind: 'dropped', why, reused });
    };
    outgoing.on('error', broken);
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', broken);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const retryAfter = Number(incoming.headers['retry-after']);
        end({
          kind: 'answer',
          status: incoming.statusCode ?? 0,
          replayed: incoming.headers['idempotent-replayed'] === 'true',
          retryAfterMs: retryAfter > 0 ? retryAfter * 1_000 : undefined,
          body: /json/.test(incoming.headers['content-type'] ?? '') ? JSON.parse(text) : {},
        });
      });
    });
    outgoing.end(body);
  });
}
