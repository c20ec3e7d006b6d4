import { type FastifyReply, LogController } from 'fastify';
import type { LoggedRequest } from '../http/logged-request.js';

/**
 * One line a request, when it is answered: of refused ones at `info` and with the reason, of others at `debug`, where a busy
 * service does not build it. What was paid and refused is in the audit log, whatever the level.
 */
export class RequestLog extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(
    error: Error | null | undefined,
    request: LoggedRequest,
    reply: FastifyReply,
  ): void {
    if (request.isQuiet) return;
    const level = error ? 'error' : reply.statusCode >= 400 ? 'info' : 'debug';
    const { log } = request;
    if (!(log as { isLevelEnabled?: (level: string) => boolean }).isLevelEnabled?.(level)) return;
    log[level](
      {
        req: request,
        res: reply,
        ...request.refusal,
        traceId: request.trace?.span.spanContext().traceId,
        err: error ?? undefined,
        responseTime: reply.elapsedTime,
      },
      error ? 'request errored' : 'request',
    );
  }
  override streamError(
    error: Error & { readonly code?: string },
    request: LoggedRequest,
    reply: FastifyReply,
  ): void {
    if (error.code === 'ERR_STREAM_PREMATURE_CLOSE') {
      request.log.info({ req: request, res: reply }, 'the client left before the end');
    } else {
      request.log.warn({ req: request, err: error }, 'the answer broke off');
    }
  }
}
