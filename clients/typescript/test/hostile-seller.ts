import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestStack } from '../../../test/support/bursar.js';
import { decodeHeader, requirement } from '../../../test/support/terms.js';

/** A request as a seller saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  /** The payment header, v1 or v2. */
  readonly payment: string | undefined;
}

/** How a path behaves, in full: what is not answered stays open. */
export type Behaviour = (seen: SeenRequest, response: ServerResponse) => unknown;

/** A server that does what a test tells it to, and remembers what it was sent. */
export interface HostileSeller {
  readonly url: string;
  readonly seen: SeenRequest[];
  /** The payment headers that came, in order. */
  payments(): string[];
  /** Sets what the server does from now on, and forgets what it saw. */
  behave(behaviour: Behaviour): void;
  stop(): Promise<void>;
}

/** Starts one on a port of its own, which is an origin of its own. */
export async function startHostileSeller(): Promise<HostileSeller> {
  let behaviour: Behaviour = (_seen, response) => response.writeHead(404).end();
  const seen: SeenRequest[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { 'payment-signature': v2, 'x-payment': v1 } = request.headers;
    const each: SeenRequest = {
      method: String(request.method),
      path: String(request.url),
      headers: request.headers,
      body: Buffer.concat(chunks),
      payment: (v2 ?? v1) as string | undefined,
    };
    seen.push(each);
    await behaviour(each, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    payments: () => seen.flatMap(({ payment }) => payment ?? []),
    behave(next) {
      seen.length = 0;
      behaviour = next;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The terms of a 402 for a cent. */
export function termsOf(stack: TestStack, changes: Record<string, unknown> = {}) {
  return { x402Version: 2, accepts: [requirement(stack.chain, changes)] };
}

/** Answers 402 as x402 v2 does. */
export function askToPay(
  stack: TestStack,
  response: ServerResponse,
  changes: Record<string, unknown> = {},
): void {
  const terms = Buffer.from(JSON.stringify(termsOf(stack, changes))).toString('base64');
  response.writeHead(402, { 'payment-required': terms, 'content-type': 'application/json' });
  response.end('{}');
}

/** The PAYMENT-RESPONSE header of a settlement. */
export function receipt(success: boolean, more: Record<string, unknown> = {}): string {
  return Buffer.from(JSON.stringify({ success, ...more })).toString('base64');
}

/** The EIP-3009 nonce of a payment header: what makes one payment. */
export function nonceOf(payment: string): string {
  return decodeHeader(payment).payload.authorization.nonce;
}
