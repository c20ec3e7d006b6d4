import type { FastifyRequest } from 'fastify';

/**
 * Where callers reach the service, without a slash at the end: the configured URL, else what the request
 * itself says of scheme and host (a proxy that is trusted may say it for it).
 */
export function publicUrlOf(
  { publicUrl }: { publicUrl: string | undefined },
  request: FastifyRequest,
): string {
  return publicUrl ?? `${request.protocol}://${request.host}`;
}
