import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { Prover } from './dpop.js';

/** The members that tests read of a tool's answer; which of them there are depends on the tool. */
export interface ToolData {
  readonly code: string;
  readonly detail: string;
  readonly payment: { readonly id: string; readonly status: string };
  readonly payments: readonly { readonly grantId: string; readonly resource: string }[];
  readonly header: { readonly name: string; readonly value: string };
  readonly grant: { readonly grantId: string };
  readonly nextCursor: string | null;
  readonly token: string;
  readonly tokenFile: string;
  readonly path: string;
  readonly text: string;
}

/** Answer of a tool. */
export interface ToolAnswer {
  readonly isError: boolean;
  /** Its structured content. */
  readonly data: ToolData;
  /** The text for hosts that read no structured content. */
  readonly text: string;
}

/** The SDK's own client, as an MCP host has it: it has listed the tools, so that it validates what they answer. */
export class McpHost {
  private constructor(readonly client: Client) {}

  static async connect(transport: Transport): Promise<McpHost> {
    const client = new Client({ name: 'test-host', version: '1.0.0' });
    await client.connect(transport);
    await client.listTools();
    return new McpHost(client);
  }

  /** Over HTTP, with the token as bearer. */
  static overHttp(url: string, token: string): Promise<McpHost> {
    const headers = { authorization: `Bearer ${token}` };
    return McpHost.connect(httpTransport(url, { requestInit: { headers } }));
  }

  /** Over HTTP as the holder of a key-bound grant: each request has a proof of its own. */
  static withProofs(url: string, token: string, prover: Prover): Promise<McpHost> {
    const prove: typeof fetch = async (input, init) => {
      const headers = new Headers(init?.headers);
      headers.set('authorization', `DPoP ${token}`);
      headers.set('dpop', await prover.proof(init?.method ?? 'GET', String(input), token));
      return fetch(input, { ...init, headers });
    };
    return McpHost.connect(httpTransport(url, { fetch: prove }));
  }

  /** Calls a tool, and expects the text to say what the structured content says. */
  async call(name: string, args: Record<string, unknown> = {}): Promise<ToolAnswer> {
    const result = await this.client.callTool({ name, arguments: args });
    const [first] = result.content as { type: string; text: string }[];
    const text = first?.text ?? '';
    const data = result.structuredContent as unknown as ToolData;
    if (JSON.stringify(JSON.parse(text)) !== JSON.stringify(data)) {
      throw new Error(`${name}: text and structured content differ: ${text}`);
    }
    return { isError: result.isError === true, data, text };
  }

  /** Calls a tool and expects it to work. */
  async answer(name: string, args: Record<string, unknown> = {}): Promise<ToolData> {
    const { isError, data, text } = await this.call(name, args);
    if (isError) throw new Error(`${name} was refused: ${text}`);
    return data;
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

function httpTransport(
  url: string,
  options: ConstructorParameters<typeof StreamableHTTPClientTransport>[1],
): Transport {
  // The class and the interface differ in `exactOptionalPropertyTypes`.
  return new StreamableHTTPClientTransport(new URL(`${url}/mcp`), options) as Transport;
}
