import type { LoggerService } from '@nestjs/common';
import { type DestinationStream, type Logger, pino } from 'pino';

/** Where secrets could stand in what is logged. Each is replaced before a line is written. */
const REDACTED = [
  'req.headers.authorization',
  'req.headers.dpop',
  'req.headers.cookie',
  '*.authorization',
  '*.token',
  '*.mnemonic',
  '*.walletMnemonic',
  '*.masterSecret',
  '*.signature',
  '*.privateKey',
  '*.password',
];

/** The service's structured log: one JSON object a line, secrets redacted. */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service: 'bursar' },
    redact: { paths: REDACTED, censor: '[redacted]' },
    serializers: {
      // Only what identifies a request: headers carry tokens, queries may carry anything.
      req: (request: { id: string; method: string; url: string }) => ({
        id: request.id,
        method: request.method,
        path: request.url.split('?')[0],
      }),
      res: (reply: { statusCode: number }) => ({ statusCode: reply.statusCode }),
      err: (error: Error & { code?: unknown }) => ({
        type: error.name,
        code: error.code,
        message: error.message,
        stack: error.stack,
      }),
    },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** Nest's own logging, through pino. The framework's start-up chatter is `debug`. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, context?: unknown): void {
    const room = String(context ?? '');
    const chatter = /^[A-Z]/.test(room);
    this.logger[chatter ? 'debug' : 'info']({ room }, String(message));
  }

  warn(message: unknown, context?: unknown): void {
    this.logger.warn({ room: context }, String(message));
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.logger.error({ room: rest.at(-1) }, String(message));
  }

  debug(message: unknown, context?: unknown): void {
    this.logger.debug({ room: context }, String(message));
  }
}
