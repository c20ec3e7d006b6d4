import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';

/** Prometheus's text format, version 0.0.4. */
const MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** How long a scraper may take to send its request, in milliseconds. */
const REQUEST_TIMEOUT_MS = 5_000;

/** Connections of scrapers at most: those of the API are not touched by more. */
const MAX_CONNECTIONS = 64;

/** The listener of the metrics, apart from the API's: nobody reaches it by reaching the API. */
export interface MetricsServer {
  /** Such as `http://127.0.0.1:4021/metrics`. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves `GET /metrics` and nothing else.
 *
 * @param text - the metrics; a failure is answered with 503.
 * @throws Error with one line when the port is in use.
 */
export async function serveMetrics(
  text: () => Promise<string>,
  { host, port }: { readonly host: string; readonly port: number },
  logger: Logger,
): Promise<MetricsServer> {
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      maxHeaderSize: 8_192,
    },
    (request, response) => {
      const answer = (status: number, body: string, type = 'text/plain; charset=utf-8'): void => {
        response.writeHead(status, {
          'content-type': type,
          'content-length': Buffer.byteLength(body),
          'cache-control': 'no-store',
          'x-content-type-options': 'nosniff',
        });
        response.end(request.method === 'HEAD' ? undefined : body);
      };
      if (request.url?.split('?')[0] !== '/metrics') return answer(404, 'there is only /metrics\n');
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        return answer(405, 'only GET is served\n');
      }
      text().then(
        (body) => answer(200, body, MEDIA_TYPE),
        (error: Error) => {
          logger.warn({ room: 'ops', err: error }, 'the metrics could not be read');
          answer(503, 'the metrics could not be read; the log says why\n');
        },
      );
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, host, port);
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}/metrics`,
    async close() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    await once(server.listen(port, host), 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(
      `port ${port} on ${host} is in use; set BURSAR_METRICS_PORT to a free one, or to off`,
    );
  }
}
