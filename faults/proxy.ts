import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Listener on one connection. */
export interface Tap {
  /** Sees what the client sends; false keeps it from the server. */
  fromClient?(chunk: Buffer): boolean;
  /** Sees what the server sends; false keeps it from the client. */
  fromServer?(chunk: Buffer): boolean;
}

/** A TCP proxy on 127.0.0.1 that can lose, cut and hold back what passes through it. */
export interface TcpProxy {
  readonly port: number;
  /** How many connections stand. */
  readonly connections: number;
  /** Where new connections lead from now on. */
  target(port: number, host?: string): void;
  /**
   * Listens in on every connection from its next bytes on; undefined lets everything pass.
   *
   * @param make - called once a connection, with what cuts it at both ends.
   */
  tap(make: ((cut: () => void) => Tap) | undefined): void;
  /** Cuts every connection at both ends. @returns how many there were. */
  cut(): number;
  /** Delivers everything, both ways, so many milliseconds late; 0 at once again. */
  delay(milliseconds: number): void;
  /**
   * Half open: connections stand, new ones too, and nothing passes, neither bytes nor a close; false lets
   * new bytes pass again. What was swallowed is gone.
   */
  swallow(on: boolean): void;
  /** Loses everything on the connections there are, and tells neither end. New ones are as good as any. */
  freeze(): void;
  stop(): Promise<void>;
}

/** Starts a proxy to a port of 127.0.0.1, or of another host. */
export async function startProxy(port: number, host = '127.0.0.1'): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const pairs = new Set<() => void>();
  let goal = { port, host };
  let make: ((cut: () => void) => Tap) | undefined;
  let delayMs = 0;
  let isSwallowing = false;
  let age = 0;
  const server = createServer((client) => {
    const upstream = connect(goal.port, goal.host);
    for (const socket of [client, upstream]) socket.setNoDelay(true);
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    pairs.add(cut);
    const born = age;
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
        if (client.destroyed && upstream.destroyed) pairs.delete(cut);
        // A half-open end does not hear that the other is gone.
        if (!isSwallowing && born === age) cut();
      });
    }
    forward(client, upstream, (chunk) => born === age && (current().fromClient?.(chunk) ?? true));
    forward(upstream, client, (chunk) => born === age && (current().fromServer?.(chunk) ?? true));
  });

  const forward = (from: Socket, to: Socket, passes: (chunk: Buffer) => boolean): void => {
    let late: Promise<unknown> | undefined;
    from.on('data', (chunk: Buffer) => {
      if (isSwallowing || !passes(chunk)) return;
      if (delayMs === 0 && late === undefined) {
        to.write(chunk);
        return;
      }
      // Each waits for the one before it, so that the order stays when the delay changes.
      const mine = Promise.all([late, delay(delayMs)]).then(() => {
        if (late === mine) late = undefined;
        if (!to.destroyed) to.write(chunk);
      });
      late = mine;
    });
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return pairs.size;
    },
    target(nextPort, nextHost = '127.0.0.1') {
      goal = { port: nextPort, host: nextHost };
    },
    tap(next) {
      make = next;
    },
    cut() {
      const all = [...pairs];
      for (const cut of all) cut();
      return all.length;
    },
    delay(milliseconds) {
      delayMs = milliseconds;
    },
    swallow(on) {
      isSwallowing = on;
    },
    freeze() {
      age += 1;
    },
    async stop() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Listens in on the connection that carries one payment's transaction, known by its key, at its COMMIT. */
export function onCommit(
  key: string,
  act: { sent?: (cut: () => void) => boolean; answered?: (cut: () => void) => boolean },
): (cut: () => void) => Tap {
  return (cut) => {
    let isItsTransaction = false;
    return {
      fromClient(chunk) {
        isItsTransaction ||= chunk.includes(key);
        return !(isItsTransaction && chunk.includes('COMMIT\0') && act.sent && !act.sent(cut));
      },
      fromServer(chunk) {
        const isAnswer = isItsTransaction && chunk.includes('COMMIT\0');
        if (isAnswer) isItsTransaction = false;
        return !(isAnswer && act.answered && !act.answered(cut));
      },
    };
  };
}
