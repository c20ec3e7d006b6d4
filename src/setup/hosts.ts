import { join } from 'node:path';
import type { Entry } from './entry.js';
import type { FORMATS } from './formats.js';

/** The machine whose configuration is written. */
export interface Machine {
  readonly home: string;
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How a host starts `bursar mcp`. */
export interface StdioServer {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How a host reaches the service. */
export interface HttpServer {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** An MCP host: where its configuration stands, and in which form. */
export interface Host {
  readonly format: keyof typeof FORMATS;
  /** Where the entry stands in it. */
  readonly keys: readonly string[];
  /** The file of this user. */
  path(machine: Machine): string;
  stdio(server: StdioServer): Entry;
  /** Undefined where the host starts local servers only. */
  readonly http?: (server: HttpServer) => Entry;
}

/** The folder of a desktop program's settings, by the customs of the platform. */
function applicationSupport({ home, platform, env }: Machine, ...names: string[]): string {
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', ...names);
  if (platform === 'win32') return join(env.APPDATA ?? join(home, 'AppData', 'Roaming'), ...names);
  return join(env.XDG_CONFIG_HOME || join(home, '.config'), ...names);
}

const typed = (type: string) => (server: StdioServer | HttpServer) => ({ type, ...server });

/** The hosts that `bursar setup` knows, each with its own documentation's form of an entry. */
export const HOSTS: Readonly<Record<string, Host>> = {
  'claude-code': {
    format: 'json',
    keys: ['mcpServers', 'bursar'],
    path: ({ home, env }) => join(env.CLAUDE_CONFIG_DIR || home, '.claude.json'),
    stdio: typed('stdio'),
    http: typed('http'),
  },
  'claude-desktop': {
    format: 'json',
    keys: ['mcpServers', 'bursar'],
    path: (machine) => applicationSupport(machine, 'Claude', 'claude_desktop_config.json'),
    stdio: (server) => ({ ...server }),
  },
  cursor: {
    format: 'json',
    keys: ['mcpServers', 'bursar'],
    path: ({ home }) => join(home, '.cursor', 'mcp.json'),
    stdio: (server) => ({ ...server }),
    http: (server) => ({ ...server }),
  },
  vscode: {
    format: 'json',
    keys: ['servers', 'bursar'],
    path: (machine) => applicationSupport(machine, 'Code', 'User', 'mcp.json'),
    stdio: typed('stdio'),
    http: typed('http'),
  },
  codex: {
    format: 'toml',
    keys: ['mcp_servers', 'bursar'],
    path: ({ home, env }) => join(env.CODEX_HOME || join(home, '.codex'), 'config.toml'),
    stdio: (server) => ({ ...server }),
    http: ({ url, headers }) => ({ url, http_headers: headers }),
  },
  gemini: {
    format: 'json',
    keys: ['mcpServers', 'bursar'],
    path: ({ home }) => join(home, '.gemini', 'settings.json'),
    stdio: (server) => ({ ...server }),
    http: ({ url, headers }) => ({ httpUrl: url, headers }),
  },
  goose: {
    format: 'yaml',
    keys: ['extensions', 'bursar'],
    path: ({ home, platform, env }) =>
      platform === 'win32'
        ? join(env.APPDATA ?? home, 'Block', 'goose', 'config', 'config.yaml')
        : join(env.XDG_CONFIG_HOME || join(home, '.config'), 'goose', 'config.yaml'),
    stdio: ({ command, args, env }) => ({
      ...GOOSE,
      type: 'stdio',
      cmd: command,
      args,
      envs: env,
    }),
    http: ({ url, headers }) => ({ ...GOOSE, type: 'streamable_http', uri: url, headers }),
  },
};

const GOOSE = {
  enabled: true,
  name: 'bursar',
  description: 'A budget to pay x402 servers with',
  timeout: 300,
};
