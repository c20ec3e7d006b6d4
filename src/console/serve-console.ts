import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';

/** Where the console is. */
const CONSOLE_PATH = '/console';

/**
 * Lets the page load its own files and talk to its own service, and nothing else. Trusted Types refuse text that is made to
 * markup or script; no part of the console needs a policy for them.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const NOT_BUILT =
  'The console was not built. Run: npm run build\nThe API works without it: see /docs.\n';

/**
 * Serves the built console under {@link CONSOLE_PATH}. Every path without a file of its own gets the page, which finds its
 * way by the URL.
 *
 * @param root - the folder with `index.html` and `assets/`, whose names carry a hash of their content.
 */
export async function serveConsole(fastify: FastifyInstance, root: string): Promise<void> {
  const page = await readFile(join(root, 'index.html'), 'utf8').catch(() => undefined);
  const answerPage = (reply: FastifyReply) =>
    page === undefined
      ? reply.status(404).type('text/plain; charset=utf-8').send(NOT_BUILT)
      : reply
          .type('text/html; charset=utf-8')
          .header('content-security-policy', POLICY)
          .header('cross-origin-opener-policy', 'same-origin')
          .header('cache-control', 'no-cache')
          .send(page);
  if (page !== undefined) {
    await fastify.register(fastifyStatic, {
      root: join(root, 'assets'),
      prefix: `${CONSOLE_PATH}/assets/`,
      decorateReply: false,
      index: false,
      dotfiles: 'deny',
      cacheControl: false,
      preCompressed: true,
      setHeaders: (reply) => {
        reply.header('cache-control', 'public, max-age=31536000, immutable');
      },
    });
  }
  fastify.get(CONSOLE_PATH, (_request, reply) => answerPage(reply));
  fastify.get(`${CONSOLE_PATH}/*`, (_request, reply) => answerPage(reply));
}
