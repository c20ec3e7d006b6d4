import { type CallToolResult, ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';
import { readUpTo } from '../http/read-bounded.js';
import { VERSION } from '../version.js';
import type { Answer } from './answers.js';
import { InvalidArguments, type OperationTool, requestOf, toolsOf } from './mcp-tools.js';
import { orUpstreamFailed, problemAnswer } from './problems.js';
import { type OpenShops, purchase, type SellingParts } from './selling.js';
import type { Shop } from './shop.js';
import { isWhole } from './streamed-answer.js';
import { AmbiguousTarget } from './target.js';
import type { Upstream, UpstreamRequest } from './upstream.js';

/** The path at which operations are MCP tools. */
export const MCP_PATH = '/mcp';

/** Where a payment stands in a call, and its receipt in the result (x402, transports-v2/mcp.md). */
const PAYMENT = 'x402/payment';
const RECEIPT = 'x402/payment-response';

/** Parts that the tools work on. */
export interface McpParts extends SellingParts {
  readonly upstream: () => Upstream;
}

/** A message to the MCP server, and where it came from. */
export interface McpVisit {
  readonly shops: OpenShops;
  readonly origin: string;
  /** The headers of the request. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The caller's address. */
  readonly address: string | undefined;
  /** The message, as text. */
  readonly body: string;
}

const tools = new WeakMap<Shop, ReadonlyMap<string, OperationTool>>();

/**
 * Answers one message of the Model Context Protocol (Streamable HTTP, stateless): the operations as tools, sold as they are
 * by HTTP. An unpaid call of a priced one is answered with the terms, a paid one carries its payment in `_meta`.
 */
export async function answerMcp(parts: McpParts, visit: McpVisit): Promise<Answer> {
  let message: unknown;
  try {
    message = JSON.parse(visit.body);
  } catch {
    return problemAnswer('invalid_request', 'the body is not JSON; send one JSON-RPC message');
  }
  if (Array.isArray(message)) {
    return problemAnswer('invalid_request', 'send one JSON-RPC message, not a batch');
  }
  // Loaded with the first message: most gateways sell by HTTP alone.
  const [{ Server }, types, { WebStandardStreamableHTTPServerTransport }] = await Promise.all([
    import('@modelcontextprotocol/sdk/server/index.js'),
    import('@modelcontextprotocol/sdk/types.js'),
    import('@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'),
  ]);
  const { current } = visit.shops;
  const known = tools.get(current) ?? toolsOf(current);
  tools.set(current, known);
  const server = new Server(
    { name: current.imported.title.slice(0, 100), version: VERSION },
    { capabilities: { tools: {} } },
  );
  server.setRequestHandler(types.ListToolsRequestSchema, () => ({
    tools: [...known.values()].map(({ name, description, inputSchema }) => ({
      name,
      description,
      inputSchema,
    })),
  }));
  server.setRequestHandler(types.CallToolRequestSchema, ({ params }) => {
    const tool = known.get(params.name);
    if (!tool) throw new McpError(ErrorCode.InvalidParams, `there is no tool ${params.name}`);
    return call(parts, visit, tool, params.arguments ?? {}, params._meta?.[PAYMENT]);
  });
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
  await server.connect(transport);
  try {
    const headers = Object.entries(visit.headers).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value] as [string, string]] : [],
    );
    const asked = new Request('http://localhost/mcp', { method: 'POST', headers });
    const answer = await transport.handleRequest(asked, { parsedBody: message });
    return {
      status: answer.status,
      headers: [...answer.headers, ['cache-control', 'no-store']],
      body: Buffer.from(await answer.text()),
    };
  } finally {
    await server.close();
  }
}

/** One call of a tool: the request that it stands for, answered as by HTTP. */
async function call(
  parts: McpParts,
  { shops, origin, address }: McpVisit,
  tool: OperationTool,
  given: Readonly<Record<string, unknown>>,
  payment: unknown,
): Promise<CallToolResult> {
  const { operation } = tool;
  let made: ReturnType<typeof requestOf>;
  try {
    made = requestOf(tool, given);
  } catch (error) {
    if (error instanceof InvalidArguments) return failed(error.message);
    if (error instanceof AmbiguousTarget) return failed(`the path ${error.message}`);
    throw error;
  }
  const { target, body } = made;
  // An argument may lead to the path of another operation, which has another price.
  if (shops.current.routes.find(operation.method, target)?.operation !== operation) {
    return failed(`${target.path} is another operation than ${operation.path}`);
  }
  const request: UpstreamRequest & { readonly body: Buffer | undefined } = {
    method: operation.method,
    target,
    headers: [
      ['accept', 'application/json, */*;q=0.5'],
      ...(body ? ([['content-type', 'application/json']] as const) : []),
      ...(address === undefined ? [] : ([['x-forwarded-for', address]] as const)),
    ],
    body,
  };
  if (!operation.prices) {
    parts.counts.answered(operation.id, 'free');
    const timeoutMs = operation.timeoutSeconds * 1_000;
    const { maxAnswerBytes } = shops.current.file;
    const called = parts.upstream().call(request, timeoutMs, maxAnswerBytes);
    return resultOf(await orUpstreamFailed(called), tool.name);
  }
  const answer = await purchase(parts, {
    shops,
    // The extensions tell catalogues how HTTP calls an operation.
    operation: { ...operation, extensions: {} },
    request,
    headers: {},
    payment:
      payment === undefined ? undefined : Buffer.from(JSON.stringify(payment)).toString('base64'),
    url: `mcp://tool/${tool.name}`,
    origin,
    wantsPage: false,
  });
  if (isWhole(answer)) return resultOf(answer, tool.name);
  // A result of a tool is one message, so that a streamed answer is read whole.
  const whole = await readUpTo(answer.body, shops.current.file.maxAnswerBytes);
  if (!whole) return failed('the answer is too long for a tool; ask by HTTP');
  return resultOf({ ...answer, body: whole }, tool.name);
}

/** An answer by HTTP as the result of a tool. */
function resultOf({ status, headers, body }: Answer, tool: string): CallToolResult {
  const header = (wanted: string) => headers.find(([name]) => name === wanted)?.[1];
  const decoded = (value: string) =>
    JSON.parse(Buffer.from(value, 'base64').toString('utf8')) as Record<string, unknown>;
  const receipt = header('payment-response');
  const meta = receipt === undefined ? {} : { _meta: { [RECEIPT]: decoded(receipt) } };
  // Only the gateway writes this header: an upstream's is stripped.
  const required = header('payment-required');
  if (required !== undefined) {
    const terms = decoded(required);
    return {
      isError: true,
      structuredContent: terms,
      content: [{ type: 'text', text: JSON.stringify(terms) }],
      ...meta,
    };
  }
  const type = header('content-type') ?? 'application/octet-stream';
  return {
    ...(status >= 400 ? { isError: true } : {}),
    content: [contentOf(type.split(';')[0]?.trim().toLowerCase() ?? '', body, tool)],
    ...meta,
  };
}

function contentOf(
  mimeType: string,
  body: Buffer,
  tool: string,
): CallToolResult['content'][number] {
  if (/^text\/|[/+](json|xml|yaml)$|^application\/(javascript|x-ndjson)$/.test(mimeType)) {
    return { type: 'text', text: body.toString('utf8') };
  }
  if (body.length === 0) return { type: 'text', text: '' };
  const data = body.toString('base64');
  if (mimeType.startsWith('image/')) return { type: 'image', data, mimeType };
  return { type: 'resource', resource: { uri: `mcp://tool/${tool}`, mimeType, blob: data } };
}

function failed(text: string): CallToolResult {
  return { isError: true, content: [{ type: 'text', text }] };
}
