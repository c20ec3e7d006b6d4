import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { until } from './until.js';

/** One server-sent event. */
export interface StreamedEvent {
  readonly id: string;
  readonly kind: string;
  /** The record, byte for byte. */
  readonly text: string;
  readonly record: {
    readonly id: string;
    readonly kind: string;
    readonly at: string;
    readonly grantId: string | null;
    readonly paymentId: string | null;
    readonly treasuryId: string;
    readonly data: Record<string, unknown>;
  };
  /** When it came, as `performance.now()` has it. */
  readonly at: number;
}

/** A reader of `GET /v1/events`, as an EventSource is one, but for reconnecting. */
export interface StreamReader {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly events: readonly StreamedEvent[];
  /** Id that a client would resume after. */
  readonly lastEventId: string;
  /** Time to reconnect that the server sent, in milliseconds. */
  readonly retry: number | undefined;
  /** How often it was told when to reconnect. */
  readonly retries: number;
  readonly comments: readonly string[];
  /** Undefined while it is open; whether its end was in order. */
  readonly ended: 'in order' | 'broken' | undefined;
  /** Everything that a refusal said. */
  readonly text: string;
  /** Waits for an event. */
  next(what: string, isIt: (event: StreamedEvent) => boolean): Promise<StreamedEvent>;
  /** Takes nothing more from the connection, or goes on. */
  pause(): void;
  resume(): void;
  close(): void;
}

const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });

/** Opens a stream and waits for the head of its answer. */
export async function openStream(
  url: string,
  token: string,
  { query = '', after }: { query?: string; after?: string } = {},
): Promise<StreamReader> {
  const asked = request(`${url}/v1/events${query}`, {
    agent,
    headers: {
      authorization: `Bearer ${token}`,
      accept: 'text/event-stream',
      ...(after === undefined ? {} : { 'last-event-id': after }),
    },
  });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const reader = {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    events: [] as StreamedEvent[],
    lastEventId: after ?? '',
    retry: undefined as number | undefined,
    retries: 0,
    comments: [] as string[],
    ended: undefined as 'in order' | 'broken' | undefined,
    text: '',
    next: (what: string, isIt: (event: StreamedEvent) => boolean) =>
      until(`the stream has ${what}`, () => reader.events.find(isIt)),
    pause: () => void answer.pause(),
    resume: () => void answer.resume(),
    close: () => void answer.destroy(),
  };
  let rest = '';
  answer.setEncoding('utf8');
  answer.on('data', (chunk: string) => {
    if (reader.status !== 200) reader.text += chunk;
    const frames = (rest + chunk).split('\n\n');
    rest = frames.pop() ?? '';
    for (const frame of frames) take(reader, frame);
  });
  answer.on('error', () => {
    reader.ended ??= 'broken';
  });
  answer.on('end', () => {
    reader.ended ??= 'in order';
  });
  answer.on('close', () => {
    reader.ended ??= 'broken';
  });
  if (reader.status === 200) await until('the stream begins', () => reader.retry !== undefined);
  else await once(answer, 'close');
  return reader;
}

function take(
  reader: {
    events: StreamedEvent[];
    comments: string[];
    lastEventId: string;
    retry: number | undefined;
    retries: number;
  },
  frame: string,
): void {
  let kind = '';
  let text = '';
  for (const line of frame.split('\n')) {
    const colon = line.indexOf(':');
    const value = line.slice(colon + 1).replace(/^ /, '');
    if (colon === 0) reader.comments.push(value);
    else if (line.startsWith('id:')) reader.lastEventId = value;
    else if (line.startsWith('event:')) kind = value;
    else if (line.startsWith('data:')) text += value;
    else if (line.startsWith('retry:')) {
      reader.retry = Number(value);
      reader.retries += 1;
    } else throw new Error(`no line of an event stream: ${line}`);
  }
  if (text === '') return;
  const at = performance.now();
  reader.events.push({ id: reader.lastEventId, kind, text, record: JSON.parse(text), at });
}
