import type { FastifyRequest } from 'fastify';

/** Hosts that only a program on the same machine can mean. */
const LOOPBACK_HOST = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?$/i;

/**
 * The scheme and host that a request says it was sent to (a trusted proxy may say it for the client). The client
 * writes them: compare with it, and never hand it on.
 */
export function requestedOrigin(request: FastifyRequest): string {
  return `${request.protocol}://${request.host}`;
}

/**
 * Where others reach the service, without a slash at the end, for an answer that others may read: the configured
 * URL, or the request's own where that is a loopback host.
 *
 * @returns undefined where neither is known: then the answer must do without.
 */
export function publicUrlOf(
  { publicUrl }: { publicUrl: string | undefined },
  request: FastifyRequest,
): string | undefined {
  if (publicUrl !== undefined) return publicUrl;
  return LOOPBACK_HOST.test(request.host) ? requestedOrigin(request) : undefined;
}

/** The path of the MCP endpoint: a protected resource of its own (RFC 9728), whose 401 names its metadata. */
export const MCP_PATH = '/mcp';

/** The path of that metadata: the well-known name stands before the resource's path (RFC 9728, section 3.1). */
export const MCP_METADATA_PATH = `/.well-known/oauth-protected-resource${MCP_PATH}`;
