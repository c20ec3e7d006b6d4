import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One JSON-RPC call as it passes. */
export interface Call {
  readonly method: string;
  readonly params: readonly unknown[];
}

/**
 * Change of an answer on its way back: another result, or `hang` (never answered), `error` (the
 * node refuses), `garbage` (no JSON), `flood` (it never ends), `drip` (nor does it, a byte at a time).
 * Undefined leaves it as it is.
 */
export type Fault = (call: Call, result: unknown) => FaultyAnswer | Promise<FaultyAnswer>;

type FaultyAnswer = { result: unknown } | 'error' | Silence | undefined;

/** No answer to anybody, of a whole batch as of one call. */
type Silence = 'hang' | 'garbage' | 'flood' | 'drip';

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
  /** A node's answer to one call, after what befell it. Rejects when the node is gone. */
  const answerTo = async (call: Call & { id: number }): Promise<object | Silence> => {
    calls.set(call.method, (calls.get(call.method) ?? 0) + 1);
    const base = { jsonrpc: '2.0', id: call.id };
    // A node that is out of order has not heard of it either.
    if (proxy.refused?.(call)) return { ...base, error: OUT_OF_ORDER };
    const reply = await fetch(target, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', ...call }),
    });
    const answer = (await reply.json()) as { result?: unknown; error?: unknown };
    const change = await proxy.fault?.(call, answer.result);
    if (change === 'error') return { ...base, error: OUT_OF_ORDER };
    return typeof change === 'string' ? change : { ...base, ...answer, ...change };
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    // One call, or a batch of them.
    const asked = JSON.parse(Buffer.concat(chunks).toString());
    const answers = await Promise.all([asked].flat().map(answerTo)).catch(() => undefined);
    // The node is gone: so is the connection.
    if (!answers) return void response.destroy();
    const silence = answers.find((answer) => typeof answer === 'string');
    if (silence === 'hang') return;
    response.setHeader('content-type', 'application/json');
    if (silence === 'flood' || silence === 'drip') return void endless(response, silence);
    if (silence === 'garbage') return void response.end('<html>502 Bad Gateway</html>');
    response.end(JSON.stringify(Array.isArray(asked) ? answers : answers[0]));
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

/** An answer without an end, as long as somebody reads it. */
function endless(response: ServerResponse, how: 'flood' | 'drip'): void {
  const piece = how === 'flood' ? ' '.repeat(1 << 16) : ' ';
  const timer = setInterval(() => response.write(piece), how === 'flood' ? 1 : 200);
  response.on('close', () => clearInterval(timer));
}
