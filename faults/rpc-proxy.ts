import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One JSON-RPC call as it passes. */
export interface Call {
  readonly method: string;
  readonly params: readonly unknown[];
}

/**
 * What becomes of an answer on its way back: another result, or `hang` (never answered), `error` (the
 * node refuses), `garbage` (no JSON). Undefined leaves it as it is.
 */
export type Fault = (call: Call, result: unknown) => FaultyAnswer | Promise<FaultyAnswer>;

type FaultyAnswer = { result: unknown } | 'hang' | 'error' | 'garbage' | undefined;

/** A real node, reached through somebody in the middle who may count, change and hold back answers. */
export interface RpcProxy {
  readonly url: string;
  /** The fault in force; undefined lets everything through. */
  fault: Fault | undefined;
  /** Calls that do not even reach the node. */
  refused: ((call: Call) => boolean) | undefined;
  /** How many calls passed since it was last emptied, by method. */
  readonly calls: Map<string, number>;
  stop(): Promise<void>;
}

const OUT_OF_ORDER = { code: -32_000, message: 'the node is out of order' };

/** Stands before a node. */
export async function startRpcProxy(target: string): Promise<RpcProxy> {
  const calls = new Map<string, number>();
  const proxy = { fault: undefined, refused: undefined } as Pick<RpcProxy, 'fault' | 'refused'>;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const call = JSON.parse(Buffer.concat(chunks).toString()) as Call & { id: number };
    calls.set(call.method, (calls.get(call.method) ?? 0) + 1);
    // A node that is out of order has not heard of it either.
    if (proxy.refused?.(call)) {
      response.setHeader('content-type', 'application/json');
      return void response.end(
        JSON.stringify({ jsonrpc: '2.0', id: call.id, error: OUT_OF_ORDER }),
      );
    }
    let answer: { result?: unknown; error?: unknown };
    try {
      const reply = await fetch(target, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', ...call }),
      });
      answer = (await reply.json()) as typeof answer;
    } catch {
      // The node is gone: so is the connection.
      return void response.destroy();
    }
    const change = await proxy.fault?.(call, answer.result);
    if (change === 'hang') return;
    response.setHeader('content-type', 'application/json');
    if (change === 'garbage') return void response.end('<html>502 Bad Gateway</html>');
    const base = { jsonrpc: '2.0', id: call.id };
    if (change === 'error')
      return void response.end(JSON.stringify({ ...base, error: OUT_OF_ORDER }));
    response.end(JSON.stringify({ ...base, ...answer, ...change }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${port}`,
    calls,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}
