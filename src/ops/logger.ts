import type { LoggerService } from '@nestjs/common';
import { type DestinationStream, type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { printable } from '../domain/printable.js';

/** Names of members that hold a secret, wherever they stand. */
const SECRET_NAMES: ReadonlySet<string> = new Set([
  'authorization',
  'dpop',
  'cookie',
  'token',
  'adminToken',
  'mnemonic',
  'walletMnemonic',
  'masterSecret',
  'signature',
  'privateKey',
  'password',
]);

/** How deep a logged value is looked into; what lies deeper is not written at all. */
const MAX_DEPTH = 6;

/**
 * A copy of a value with every secret replaced, at any depth. Instances of classes (requests, errors)
 * are left to their serializers.
 */
function redacted(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return value;
  if (depth >= MAX_DEPTH) return '[too deep]';
  if (Array.isArray(value)) return value.map((each) => redacted(each, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      SECRET_NAMES.has(name) ? '[redacted]' : redacted(member, depth + 1),
    ]),
  );
}

function redactedMembers(logged: object): Record<string, unknown> {
  return redacted(logged) as Record<string, unknown>;
}

/**
 * The service's structured log, secrets redacted: one JSON object a line, and on a terminal lines for people.
 *
 * @param isTerminal - whether people read it.
 */
export function createLogger(
  level: string,
  destination?: DestinationStream,
  isTerminal = destination === undefined && process.stdout.isTTY === true,
): Logger {
  const options = {
    level,
    base: { service: 'bursar' },
    formatters: { log: redactedMembers },
    // Bindings of a child logger pass no formatter: their paths are redacted instead.
    redact: {
      paths: [...SECRET_NAMES].flatMap((name) => [name, `*.${name}`]),
      censor: '[redacted]',
    },
    serializers: {
      // Only what identifies a request: headers carry tokens, queries may carry anything.
      req: (request: { id: string; method: string; url: string }) => ({
        id: request.id,
        method: request.method,
        // A link to approve is a secret.
        path: request.url.split('?')[0]?.replace(/^\/approve\/.*/, '/approve/[redacted]'),
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
  if (destination) return pino(options, isTerminal ? forPeople(destination) : destination);
  const output = pino.destination({ dest: 1, sync: true });
  // A closed terminal takes no more lines. Without a listener, the first line of the shutdown would end it.
  output.on('error', () => {});
  return pino(options, isTerminal ? forPeople(output) : output);
}

/**
 * Writes records for people: time, level, message, and what else they hold. Texts come from requests and chains too, so
 * that nothing in them may steer the terminal.
 */
function forPeople(output: DestinationStream): DestinationStream {
  const prettify = prettyFactory({
    colorize: process.stdout.isTTY === true && process.stdout.hasColors(),
    translateTime: 'SYS:HH:MM:ss',
    ignore: 'pid,hostname,service',
  });
  return {
    write: (line) => {
      output.write(prettify(printableIn(JSON.parse(line)) as object) ?? '');
    },
  };
}

function printableIn(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  if (Array.isArray(value)) return value.map(printableIn);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [printable(name), printableIn(member)]),
  );
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
