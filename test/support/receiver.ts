import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { Webhook } from 'standardwebhooks';

/** A delivery as a receiver got it. */
export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: {
    readonly type: string;
    readonly timestamp: string;
    readonly data: { readonly id: string; readonly kind: string; readonly grantId: string | null };
  };
}

/** A receiver of webhooks that answers as a test likes. */
export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** Answers the next deliveries; 200 until a test says otherwise. */
  answer: (response: ServerResponse, delivery: Received) => void;
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const receiver: Receiver = {
    url: '',
    received: [],
    answer: (response) => void response.end('thanks'),
    stop: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const delivery = { headers: request.headers, text, body: JSON.parse(text) };
      receiver.received.push(delivery);
      receiver.answer(response, delivery);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return Object.assign(receiver, { url: `http://127.0.0.1:${port}/hook` });
}

/** Verifies a delivery as a receiver's Standard Webhooks library does. */
export function isSigned({ headers, text }: Received, secret: string): boolean {
  try {
    new Webhook(secret).verify(text, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}
