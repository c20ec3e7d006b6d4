import { type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { Problem } from '../domain/problem.js';

/** Metadata of handlers that read a query, and of those that read a body. */
const READS = { query: 'bursar:reads-query', body: 'bursar:reads-body' } as const;

/** Marks a handler that validates its query or its body, see {@link UnreadInputGuard}. */
export function Reads(what: keyof typeof READS): MethodDecorator {
  return SetMetadata(READS[what], true);
}

/**
 * Refuses what a handler would ignore: whoever sends a parameter means something by it. It stands behind the guard
 * that knows the caller. An empty body is none, whatever its media type.
 */
@Injectable()
export class UnreadInputGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    // Probes of load balancers and caches add parameters of their own.
    if (!request.url.startsWith('/v1/')) return true;
    const handler = context.getHandler();
    const [name] = Object.keys(request.query ?? {});
    if (name !== undefined && this.reflector.get(READS.query, handler) !== true) {
      throw new Problem('invalid_request', `${name.slice(0, 64)}: this route takes no parameters`, {
        field: name.slice(0, 64),
      });
    }
    if (hasBody(request) && this.reflector.get(READS.body, handler) !== true) {
      throw new Problem('invalid_request', 'body: this route takes none', { field: 'body' });
    }
    return true;
  }
}

/** Fastify does not read the body of a GET: there its headers say whether there is one. */
function hasBody({ method, headers, body }: FastifyRequest): boolean {
  if (method === 'GET' || method === 'HEAD') {
    return Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined;
  }
  if (typeof body !== 'object' || body === null) return body !== undefined && body !== null;
  return Object.keys(body).length > 0;
}
