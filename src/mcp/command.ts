import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Readable, Writable } from 'node:stream';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { Bursar } from '../../clients/typescript/src/index.js';
import { VERSION } from '../version.js';
import { BodyFiles } from './body-files.js';
import { ClientDesk } from './client-desk.js';
import { fetchTool } from './fetch-tool.js';
import { mcpServer } from './server.js';
import { TokenStore } from './token-store.js';
import { bursarTools } from './tools.js';

/** The service and the token of the grant that the tools are for. */
export interface McpAccess {
  readonly url: string;
  readonly token: string;
  /** Keeps a renewed token where the given one came from. Default: a file of its own, which the next start reads. */
  readonly onToken?: ((token: string) => void) | undefined;
  readonly fetch?: typeof fetch | undefined;
}

/** Process that {@link mcpCommand} runs in. */
export interface McpProcess {
  readonly access: McpAccess;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  /** Writes to standard output. Nobody else may: it carries the protocol alone. */
  readonly write: (chunk: Uint8Array, done: (error?: Error | null) => void) => void;
  /** Aborted when the process is told to stop. */
  readonly stopped: AbortSignal;
}

/**
 * `bursar mcp`: the tools over stdio, on the agent's machine. Returns when the host closes standard input, or when the
 * process is stopped.
 */
export async function mcpCommand({
  access,
  env,
  stdin,
  write,
  stopped,
}: McpProcess): Promise<void> {
  const { url } = access;
  const store = new TokenStore(stateDirectory(env));
  const keep = (token: string) => {
    store.keep(token).catch((error: Error) => {
      process.stderr.write(`bursar: the renewed token could not be kept: ${error.message}\n`);
    });
  };
  const token = await store.newest(access.token);
  const bursar = new Bursar({ ...access, token, onToken: access.onToken ?? keep });
  const tools = [...bursarTools('file'), fetchTool(bursar, new BodyFiles())];
  const server = mcpServer(new ClientDesk(bursar, url, store), tools, VERSION);
  const closed = new Promise<void>((resolve) => {
    server.onclose = resolve;
  });
  const close = () => void server.close();
  stdin.once('end', close);
  stopped.addEventListener('abort', close, { once: true });
  const stdout = new Writable({ write: (chunk, _encoding, done) => write(chunk, done) });
  await server.connect(new StdioServerTransport(stdin, stdout));
  await closed;
  await bursar.idle();
}

/** Where state of this user is kept (XDG Base Directory Specification). */
function stateDirectory(env: McpProcess['env']): string {
  const home = env.XDG_STATE_HOME || join(env.HOME ?? homedir(), '.local', 'state');
  return join(home, 'bursar');
}
