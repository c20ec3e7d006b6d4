import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What listens in on one connection. */
export interface Tap {
  /** Sees what the client sends; false keeps it from the server. */
  fromClient?(chunk: Buffer): boolean;
  /** Sees what the server sends; false keeps it from the client. */
  fromServer?(chunk: Buffer): boolean;
}

/** A TCP proxy on 127.0.0.1 that can lose what passes through it. */
export interface TcpProxy {
  readonly port: number;
  /**
   * Listens in on every connection from its next bytes on; undefined lets everything pass.
   *
   * @param make - called once a connection, with what cuts it at both ends.
   */
  tap(make: ((cut: () => void) => Tap) | undefined): void;
  stop(): Promise<void>;
}

/** Starts a proxy to a port of 127.0.0.1, or of another host. */
export async function startProxy(port: number, host = '127.0.0.1'): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let make: ((cut: () => void) => Tap) | undefined;
  const server = createServer((client) => {
    const upstream = connect(port, host);
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    let made: typeof make;
    let tap: Tap = {};
    const current = (): Tap => {
      if (made !== make) {
        made = make;
        tap = make?.(cut) ?? {};
      }
      return tap;
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', cut);
      socket.once('close', () => {
        sockets.delete(socket);
        cut();
      });
    }
    client.on('data', (chunk) => {
      if (current().fromClient?.(chunk) ?? true) upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (current().fromServer?.(chunk) ?? true) client.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    tap: (next) => {
      make = next;
    },
    async stop() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
