import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { gunzipSync } from 'node:zlib';

type Attribute = { readonly key: string; readonly value: Record<string, string | number> };

/** A span as a collector got it. */
export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** Attributes of the span; numbers as text. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Attributes of the process. */
  readonly resource: Readonly<Record<string, string>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2 for a failure. */
  readonly statusCode: number | undefined;
}

/** A collector for spans: OTLP over HTTP with JSON, as OpenTelemetry specifies it. */
export interface OtlpReceiver {
  /** The URL of `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** Everything that came, byte for byte. */
  readonly texts: string[];
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** Status of the next answers. */
  status: number;
  stop(): Promise<void>;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const bytes = Buffer.concat(chunks);
      const text = (
        request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes
      ).toString();
      receiver.requests.push({ path: request.url ?? '', headers: request.headers });
      receiver.texts.push(text);
      receiver.spans.push(...spansIn(JSON.parse(text)));
      response.writeHead(receiver.status, { 'content-type': 'application/json' }).end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const receiver: OtlpReceiver = {
    url: `http://127.0.0.1:${port}`,
    spans: [],
    texts: [],
    requests: [],
    status: 200,
    stop: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return receiver;
}

interface ExportRequest {
  readonly resourceSpans: {
    readonly resource: { readonly attributes: Attribute[] };
    readonly scopeSpans: {
      readonly spans: {
        readonly name: string;
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId?: string;
        readonly attributes?: Attribute[];
        readonly links?: { readonly traceId: string; readonly spanId: string }[];
        readonly status?: { readonly code?: number };
      }[];
    }[];
  }[];
}

function spansIn({ resourceSpans }: ExportRequest): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ attributes = [], links = [], status, parentSpanId, ...span }) => ({
        name: span.name,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: parentSpanId || undefined,
        attributes: readAttributes(attributes),
        resource: readAttributes(resource.attributes),
        links: links.map(({ traceId, spanId }) => ({ traceId, spanId })),
        statusCode: status?.code,
      })),
    ),
  );
}

function readAttributes(attributes: readonly Attribute[]): Record<string, string> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]),
  );
}
