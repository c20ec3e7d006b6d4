import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How long {@link HttpService.stop} lets open requests finish before it cuts them off. */
const STOP_GRACE_MS = 5_000;

/** An HTTP server that is listening. */
export interface HttpService {
  /** `http://127.0.0.1:<port>`, without a trailing slash. */
  readonly url: string;
  /**
   * Stops listening, lets open requests finish for up to 5 s, then closes every connection.
   * Calling it again gives the same promise.
   */
  stop(): Promise<void>;
}

/**
 * Serves an Express app (or any request listener) on 127.0.0.1.
 *
 * @param app - the request listener
 * @param port - 0, the default, lets the OS choose a free one
 * @returns once it is listening
 * @throws Error with Node's code (`EADDRINUSE`, `EACCES`) when it cannot listen on that port
 */
export async function serve(app: RequestListener, port = 0): Promise<HttpService> {
  const server = createServer(app);
  const open = new Set<ServerResponse>();
  server.on('request', (_request, response: ServerResponse) => {
    open.add(response);
    response.once('close', () => open.delete(response));
  });

  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const { port: boundPort } = server.address() as AddressInfo;

  const stop = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    const timer = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
    await Promise.allSettled([...open].map((response) => once(response, 'close')));
    clearTimeout(timer);
    // Idle keep-alive connections, which would hold 'close' back for seconds.
    server.closeAllConnections();
    await closed;
  };
  let stopping: Promise<void> | undefined;
  return {
    url: `http://127.0.0.1:${boundPort}`,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** Whether a port of 127.0.0.1 could be listened on just now. */
export async function isFree(port: number): Promise<boolean> {
  try {
    const probe = await serve((_request, response) => response.end(), port);
    await probe.stop();
    return true;
  } catch {
    return false;
  }
}
