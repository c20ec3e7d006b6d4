import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Command } from 'commander';
import jsonc from 'jsonc-parser';
import { parse as parseYaml } from 'yaml';
import { addHostCommands } from '../cli/hosts.js';
import { runCommandLine } from '../command-line.js';
import { type SetupProcess, setupCommand } from './command.js';

const TOKEN = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJncnRfYSJ9.c2lnbmF0dXJl';
const COMMAND = { command: '/opt/node', args: ['/opt/bursar.mjs', 'mcp'] };
const ENV = { BURSAR_URL: 'https://bursar.example.com', BURSAR_TOKEN: TOKEN };
const HTTP = {
  url: 'https://bursar.example.com/mcp',
  headers: { Authorization: `Bearer ${TOKEN}` },
};

/** A caller without a token. */
const NOBODY: Partial<SetupProcess> = {
  access: () => {
    throw new Error('BURSAR_TOKEN missing');
  },
};

let home: string;
let printed: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bursar-setup-'));
  printed = '';
});

afterEach(() => rm(home, { recursive: true, force: true }));

/** Runs `bursar setup ...` as the command line reads it. */
async function setup(args: string, changes: Partial<SetupProcess> = {}): Promise<void> {
  const machine: SetupProcess = {
    home,
    platform: 'linux',
    access: () => ({ url: ENV.BURSAR_URL, token: TOKEN, isStored: false }),
    env: {},
    node: '/opt/node',
    launcher: '/opt/bursar.mjs',
    print: (text) => {
      printed += text;
    },
    ...changes,
  };
  const program = new Command('npx bursar');
  addHostCommands(program, {
    mcp: () => Promise.reject(new Error('not asked for')),
    setup: (host, values) => setupCommand(host, values, machine),
  });
  await runCommandLine(program, ['setup', ...args.split(' ').filter(Boolean)]);
}

/** A configuration as its owner wrote it, with what must stay: other entries and comments. */
const JSON_BEFORE = `// mine
{
    "theme": "dark", // at night
    "KEYS": {
        "other": { "command": "x", "args": ["1"] },
    },
}
`;
const JSON_STAYS = [
  '// mine',
  '// at night',
  '"theme": "dark"',
  '"other": { "command": "x", "args": ["1"] }',
];
const TOML_BEFORE = `# mine
model = "o9"

[mcp_servers.other]
command = "x" # the other one

# about profiles
[profiles.fast]
model = "o8"
`;
const YAML_BEFORE = `# mine
GOOSE_MODEL: "o9" # at night
extensions:
  other: # the other one
    enabled: true
    type: stdio
`;

interface Row {
  readonly host: string;
  readonly path: string;
  readonly before: string;
  readonly stays: readonly string[];
  /** Reads the file as the host does; undefined where nothing here reads its format. */
  readonly read?: (text: string) => unknown;
  readonly keys: readonly string[];
  readonly stdio: unknown;
  readonly http?: unknown;
}

const readJson = (text: string) => {
  const errors: jsonc.ParseError[] = [];
  const value: unknown = jsonc.parse(text, errors, { allowTrailingComma: true });
  expect(errors).toEqual([]);
  return value;
};
const json = (host: string, path: string, key: string, stdio: unknown, http?: unknown): Row => ({
  host,
  path,
  before: JSON_BEFORE.replace('KEYS', key),
  stays: JSON_STAYS,
  read: readJson,
  keys: [key, 'bursar'],
  stdio,
  ...(http === undefined ? {} : { http }),
});
const plain = { ...COMMAND, env: ENV };
const goose = {
  enabled: true,
  name: 'bursar',
  description: 'A budget to pay x402 servers with',
  timeout: 300,
};

const ROWS: readonly Row[] = [
  json(
    'claude-code',
    '.claude.json',
    'mcpServers',
    { type: 'stdio', ...plain },
    { type: 'http', ...HTTP },
  ),
  json('claude-desktop', '.config/Claude/claude_desktop_config.json', 'mcpServers', plain),
  json('cursor', '.cursor/mcp.json', 'mcpServers', plain, HTTP),
  json(
    'vscode',
    '.config/Code/User/mcp.json',
    'servers',
    { type: 'stdio', ...plain },
    { type: 'http', ...HTTP },
  ),
  json('gemini', '.gemini/settings.json', 'mcpServers', plain, {
    httpUrl: HTTP.url,
    headers: HTTP.headers,
  }),
  {
    host: 'codex',
    path: '.codex/config.toml',
    before: TOML_BEFORE,
    stays: TOML_BEFORE.trim().split('\n'),
    keys: [],
    stdio: `[mcp_servers.bursar]
command = "/opt/node"
args = ["/opt/bursar.mjs","mcp"]

[mcp_servers.bursar.env]
BURSAR_URL = "https://bursar.example.com"
BURSAR_TOKEN = "${TOKEN}"
`,
    http: `[mcp_servers.bursar]
url = "https://bursar.example.com/mcp"

[mcp_servers.bursar.http_headers]
Authorization = "Bearer ${TOKEN}"
`,
  },
  {
    host: 'goose',
    path: '.config/goose/config.yaml',
    before: YAML_BEFORE,
    stays: ['# mine', 'GOOSE_MODEL: "o9" # at night', 'other: # the other one'],
    read: parseYaml,
    keys: ['extensions', 'bursar'],
    stdio: { ...goose, type: 'stdio', cmd: COMMAND.command, args: COMMAND.args, envs: ENV },
    http: { ...goose, type: 'streamable_http', uri: HTTP.url, headers: HTTP.headers },
  },
];

async function given(row: Row, text = row.before): Promise<string> {
  const path = join(home, row.path);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { mode: 0o644 });
  return path;
}

function expectEntry({ read, keys }: Row, text: string, entry: unknown): void {
  if (!read) {
    expect(text).toContain(entry as string);
    return;
  }
  const found = keys.reduce((value, key) => (value as Record<string, unknown>)?.[key], read(text));
  expect(found).toEqual(entry);
}

describe.each(ROWS)('the configuration of $host', (row) => {
  const transports = row.http === undefined ? (['stdio'] as const) : (['stdio', 'http'] as const);

  it.each(transports)('is written for --%s, with everything else as it was', async (transport) => {
    const path = await given(row);
    await setup(`${row.host} --${transport}`);
    const text = await readFile(path, 'utf8');
    expectEntry(row, text, row[transport]);
    for (const part of row.stays) expect(text).toContain(part);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(printed).toContain(path);
    expect(printed).toMatch(/^\+ .*\*\*\*/m);
    expect(printed).not.toContain(TOKEN);

    printed = '';
    await setup(`${row.host} --${transport}`);
    expect(printed).toMatch(/is as it should be; nothing was changed/);
    expect(await readFile(path, 'utf8')).toBe(text);
  });

  it('is made where there is none, and the last one said holds', async () => {
    const path = join(home, row.path);
    for (const transport of transports) {
      await setup(`${row.host} --${transport}`);
      expectEntry(row, await readFile(path, 'utf8'), row[transport]);
    }
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(dirname(path))).toHaveLength(1);
  });

  it('is as before once the entry is removed', async () => {
    const path = await given(row);
    await setup(row.host);
    printed = '';
    await setup(`${row.host} --remove`, NOBODY);
    expect((await readFile(path, 'utf8')).trim()).toBe(row.before.trim());
    expect(printed).not.toContain(TOKEN);
    await setup(`${row.host} --remove`, NOBODY);
    expect(printed).toMatch(/has no entry of Bursar; nothing was changed/);
  });

  it('is gone again where setup made it, or where nothing else was in it', async () => {
    const path = join(home, row.path);
    for (const before of [undefined, '', ...(row.read === readJson ? ['{}\n'] : [])]) {
      if (before !== undefined) await given(row, before);
      await setup(row.host);
      await setup(`${row.host} --remove`, NOBODY);
      expect(await readdir(dirname(path))).toEqual([]);
      expect(printed).toContain('and with it the file, which held nothing else');
    }
  });

  it('is not touched by --dry-run, nor where it cannot be read', async () => {
    const path = await given(row);
    await setup(`${row.host} --dry-run`);
    expect(printed).toMatch(/^\+ /m);
    expect(await readFile(path, 'utf8')).toBe(row.before);
    if (!row.read) return;
    await given(row, '{ "a": [1, ');
    await expect(setup(row.host)).rejects.toThrow(
      /cannot be edited: .*mend it, then run this again/,
    );
    expect(await readFile(path, 'utf8')).toBe('{ "a": [1, ');
  });
});

describe('a configuration', () => {
  it('that is a link is written where it leads', async () => {
    const target = join(home, 'dotfiles.json');
    await writeFile(target, '{}');
    await symlink(target, join(home, '.claude.json'));
    await setup('claude-code');
    expect((await lstat(join(home, '.claude.json'))).isSymbolicLink()).toBe(true);
    expect(await readFile(target, 'utf8')).toContain('bursar');
    expect((await stat(target)).mode & 0o777).toBe(0o600);
  });

  it('keeps its mode when an entry without a secret is left', async () => {
    const path = join(home, '.claude.json');
    await writeFile(path, '{ "theme": "dark" }\n');
    await setup('claude-code');
    await chmod(path, 0o640);
    await setup('claude-code --remove');
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  it('of Codex that names Bursar inline is refused, with the line', async () => {
    await mkdir(join(home, '.codex'));
    await writeFile(
      join(home, '.codex', 'config.toml'),
      'a = 1\nmcp_servers.bursar = { url = "x" }\n',
    );
    await expect(setup('codex')).rejects.toThrow(/line 2: it has an entry bursar in another form/);
  });

  it('of Codex keeps the comments between tables', async () => {
    await mkdir(join(home, '.codex'));
    const path = join(home, '.codex', 'config.toml');
    await setup('codex');
    await writeFile(path, `${await readFile(path, 'utf8')}\n# about b\n[b]\nx = 1\n`);
    await setup('codex --remove');
    expect((await readFile(path, 'utf8')).trim()).toBe('# about b\n[b]\nx = 1');
  });

  it.each([
    ['darwin', 'vscode', 'Library/Application Support/Code/User/mcp.json'],
    ['darwin', 'claude-desktop', 'Library/Application Support/Claude/claude_desktop_config.json'],
    ['win32', 'vscode', 'AppData/Roaming/Code/User/mcp.json'],
  ] as const)('stands on %s where %s looks for it', async (platform, host, path) => {
    await setup(host, { platform });
    expect(await readFile(join(home, path), 'utf8')).toContain('bursar');
  });
});

describe('an entry', () => {
  const JSON_TEXTS = [
    '{}',
    '',
    '{ "mcpServers": {} }',
    '{ "mcpServers": { "a": { "b": 1 } } }\n',
    '{\r\n\t"mcpServers": {\r\n\t\t"a": {} // a\r\n\t}\r\n}\r\n',
    '{\n  "mcpServers": {\n    // none yet\n  },\n  "x": 1\n}\n',
    '{\n  "x": [1, 2], // both\n  /* c */ "y": "a, b"\n}\n',
  ];
  it.each(JSON_TEXTS)('is put into %j and taken out, and the rest stays', async (text) => {
    const path = join(home, '.cursor', 'mcp.json');
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    const before = text === '' ? {} : readJson(text);
    await setup('cursor');
    const put = readJson(await readFile(path, 'utf8')) as { mcpServers: object };
    expect(put).toEqual({
      ...(before as object),
      mcpServers: { ...(before as typeof put).mcpServers, bursar: plain },
    });
    for (const comment of text.match(/\/\/.*|\/\*.*?\*\//g) ?? []) {
      expect(await readFile(path, 'utf8')).toContain(comment.trimEnd());
    }
    await setup('cursor --http');
    await setup('cursor --remove');
    // A section that is empty, and a file of nothing else, go with the entry.
    const { mcpServers: section, ...others } = before as { mcpServers?: object };
    const kept = { ...others, ...(/"a"|none yet/.test(text) ? { mcpServers: section } : {}) };
    const left = await readFile(path, 'utf8').catch(() => '{}');
    expect(readJson(left)).toEqual(kept);
  });

  it('is not put into what is no object', async () => {
    await writeFile(join(home, '.claude.json'), '{ "mcpServers": [] }');
    await expect(setup('claude-code')).rejects.toThrow(/mcpServers is no JSON object/);
  });

  const YAML_TEXTS = [
    '',
    'a: 1\n',
    'extensions: {}\n',
    'extensions:\n  a: {x: 1} # a\n\n# b\nb: 2\n',
    'extensions:\n    bursar:\n        type: old\n    z:\n        y: |\n            text\n',
    'b: 2\nextensions:\n  a:\n    - 1',
  ];
  it.each(YAML_TEXTS)('is put into %j of goose and taken out, and the rest stays', async (text) => {
    const path = join(home, '.config', 'goose', 'config.yaml');
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    const before = (parseYaml(text) ?? {}) as { extensions?: Record<string, unknown> };
    await setup('goose');
    const put = parseYaml(await readFile(path, 'utf8')) as typeof before;
    expect(put.extensions?.bursar).toMatchObject({ cmd: '/opt/node', enabled: true });
    expect(put).toEqual({ ...before, extensions: { ...before.extensions, ...put.extensions } });
    await setup('goose --remove');
    const { bursar: _, ...others } = before.extensions ?? {};
    const rest = await readFile(path, 'utf8').catch(() => '');
    const left: unknown = parseYaml(rest) ?? {};
    const { extensions: _section, ...kept } = before;
    expect(left).toEqual(Object.keys(others).length > 0 ? { ...kept, extensions: others } : kept);
    for (const comment of text.match(/#.*/g) ?? []) expect(rest).toContain(comment);
  });
});

describe('setup', () => {
  it.each([
    ['', /setup needs HOST/],
    ['emacs', /setup takes one host/],
    ['constructor', /setup takes one host/],
    ['cursor vscode', /too many words: setup cursor vscode/],
    ['cursor --http --stdio', /not both/],
    ['claude-desktop --http', /starts local servers only/],
    ['cursor --force', /there is no option --force/],
  ])('"%s" is refused, and nothing is written', async (args, message) => {
    await expect(setup(args)).rejects.toThrow(message);
    expect(await readdir(home)).toEqual([]);
  });

  it('writes nothing without a token', async () => {
    await expect(setup('cursor', NOBODY)).rejects.toThrow(/^BURSAR_TOKEN missing/);
    expect(await readdir(home)).toEqual([]);
  });

  it('leaves a stored token where bursar mcp finds it, and copies it for --http alone', async () => {
    const access = () => ({ url: ENV.BURSAR_URL, token: TOKEN, isStored: true });
    const config = { XDG_CONFIG_HOME: '/mine' };
    const path = join(home, '.cursor', 'mcp.json');
    for (const env of [{}, config]) {
      await setup('cursor', { access, env });
      expect(readJson(await readFile(path, 'utf8'))).toEqual({
        mcpServers: { bursar: { ...COMMAND, env } },
      });
    }
    expect(printed).toMatch(/written, without a token: npx bursar mcp takes the one that login/);
    await setup('cursor --http', { access });
    expect(readJson(await readFile(path, 'utf8'))).toEqual({ mcpServers: { bursar: HTTP } });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });
});
