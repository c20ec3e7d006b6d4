import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv, promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { unzipSync } from 'fflate';
import type { Minted } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { McpHost } from './support/mcp.js';
import { build, sourcesOf } from './support/program.js';
import { order } from './support/terms.js';

const ROOT = new URL('..', import.meta.url).pathname;
const CLI = join(ROOT, 'dist/cli.js');
const run = promisify(execFile);

let stack: TestStack;
let home: string;
const hosts: McpHost[] = [];
const servers: Server[] = [];

beforeAll(async () => {
  await build();
  stack = await startTestStack();
  home = await mkdtemp(join(tmpdir(), 'bursar-home-'));
}, 120_000);

afterAll(async () => {
  await Promise.all(hosts.map((host) => host.close()));
  for (const server of servers) server.close();
  await stack?.stop();
  await rm(home, { recursive: true, force: true });
});

function environment(token: string): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    HOME: home,
    TMPDIR: home,
    BURSAR_URL: stack.service.url,
    BURSAR_TOKEN: token,
  };
}

async function hostOf(env: Record<string, string>): Promise<McpHost> {
  const host = await McpHost.connect(
    new StdioClientTransport({ command: process.execPath, args: [CLI, 'mcp'], env }),
  );
  hosts.push(host);
  return host;
}

async function holder(terms: Record<string, unknown> = {}): Promise<Minted & { host: McpHost }> {
  const minted = await stack.admin.mint({ budget: '1.00', ...terms });
  return { ...minted, host: await hostOf(environment(minted.token)) };
}

/** A server that asks for no money. */
async function freeServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('npx bursar mcp', () => {
  it('tells the whole story, and buys a page by itself', async () => {
    const { host, grant, token } = await holder({ delegationDepth: 1 });
    const { tools } = await host.client.listTools();
    expect(tools.map(({ name }) => name)).toContain('fetch_paid_url');
    for (const { description = '' } of tools) {
      expect(description.split(/\s+/).length).toBeLessThanOrEqual(60);
    }

    expect(await host.answer('get_budget')).toMatchObject({ grantId: grant.id, remaining: '1.00' });
    const bought = order(stack.chain);
    expect(await host.answer('quote_payment', bought)).toMatchObject({ decision: 'allow' });
    const paid = await host.answer('pay', { ...bought, idempotencyKey: 'one' });
    expect(paid).toMatchObject({ replayed: false, remaining: '0.99' });
    const fetched = await host.answer('fetch_paid_url', { url: `${stack.seller.url}/data/7` });
    expect(fetched).toMatchObject({ status: 200, paid: { amount: '0.01', remaining: '0.98' } });
    expect(JSON.parse(fetched.text)).toMatchObject({ page: '7' });

    const child = await host.answer('delegate_budget', { holder: 'reader', budget: '0.10' });
    expect(child.token).toBeUndefined();
    expect((await stat(child.tokenFile)).mode & 0o777).toBe(0o600);
    const handedOver = parseEnv(await readFile(child.tokenFile, 'utf8'));
    const reader = await hostOf({ ...environment(''), ...(handedOver as Record<string, string>) });
    expect(await reader.answer('get_budget')).toMatchObject({ grantId: child.grant.grantId });
    const { payments } = await host.answer('list_payments', { limit: 1 });
    expect(payments).toHaveLength(1);

    await host.answer('revoke_grant', { grantId: child.grant.grantId, reason: 'done' });
    const refused = await reader.call('fetch_paid_url', { url: `${stack.seller.url}/data/8` });
    expect(refused).toMatchObject({
      isError: true,
      data: { code: 'grant_revoked', nextAction: 'stop' },
    });
    for (const result of [paid, fetched, child])
      expect(JSON.stringify(result)).not.toContain(token);
  });

  it('buys once for one intent, and not above the amount it was given', async () => {
    const { host, grant } = await holder();
    const url = `${stack.seller.url}/data/9`;
    const first = await host.answer('fetch_paid_url', { url, intent: 'page 9' });
    expect(first).toMatchObject({ status: 200, paid: { replayed: false } });
    // This seller serves one payment once. The purchase is over, and no second one is made.
    const again = await host.call('fetch_paid_url', { url, intent: 'page 9' });
    expect(again).toMatchObject({
      isError: true,
      data: { code: expect.stringMatching(/^(paid_not_delivered|payment_outcome_unknown)$/) },
    });
    const dear = await host.call('fetch_paid_url', { url: `${url}1`, maxAmount: '0.001' });
    expect(dear).toMatchObject({
      isError: true,
      data: { code: 'max_amount_exceeded', nextAction: 'choose_cheaper' },
    });
    expect((await stack.admin.grant(grant.id)).payments).toBe(1);
  });

  it('shows a model short texts, and keeps long and binary bodies in files', async () => {
    const long = 'line\n'.repeat(100_000);
    const bytes = Buffer.from(Array.from({ length: 300 }, (_, n) => n % 256));
    const url = await freeServer((request, response) => {
      const [type, body] =
        request.url === '/long'
          ? ['text/plain', long]
          : request.url === '/echo'
            ? ['application/json', JSON.stringify({ method: request.method, ...request.headers })]
            : ['application/octet-stream', bytes];
      response.writeHead(200, { 'content-type': type }).end(body);
    });
    const { host } = await holder();
    const text = await host.answer('fetch_paid_url', { url: `${url}/long` });
    expect(text.text).toBe(long.slice(0, 2_000));
    expect(await readFile(text.path, 'utf8')).toBe(long);
    const binary = await host.answer('fetch_paid_url', { url: `${url}/../../a%2fb.bin?x=/../y` });
    expect(binary).toMatchObject({ bytes: 300 });
    expect(binary.text).toBeUndefined();
    expect((await readFile(binary.path)).equals(bytes)).toBe(true);
    expect((await stat(binary.path)).mode & 0o777).toBe(0o600);
    const echo = await host.answer('fetch_paid_url', {
      url: `${url}/echo`,
      headers: { 'x-mine': 'yes' },
      body: '{"a":1}',
    });
    expect(JSON.parse(echo.text)).toMatchObject({
      method: 'POST',
      'x-mine': 'yes',
      'content-type': 'application/json',
    });
    expect(echo.path).toBeUndefined();
    expect(echo.text).not.toContain('authorization');
  });

  it('says what is wrong with a URL that it cannot fetch', async () => {
    const { host } = await holder();
    const wrong = await host.call('fetch_paid_url', { url: 'file:///etc/passwd' });
    expect(wrong).toMatchObject({ isError: true, data: { code: 'invalid_request', field: 'url' } });
    const dead = await host.call('fetch_paid_url', { url: 'http://127.0.0.1:9/' });
    expect(dead).toMatchObject({ isError: true, data: { code: 'request_failed' } });
    expect(dead.data.detail).toMatch(/the request failed: ./);
  });

  it('goes on with the token that was renewed, where the configuration has the old one', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1.00' });
    const { body } = await stack.admin.post<Minted>(`/v1/grants/${grant.id}/token`);
    const directory = join(home, '.local', 'state', 'bursar');
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, `${grant.id}.token`), body.token);
    const host = await hostOf(environment(token));
    expect(await host.answer('get_budget')).toMatchObject({ grantId: grant.id });
  });

  it('writes the protocol to stdout and nothing else, and ends with its stdin', async () => {
    const { token } = await stack.admin.mint({ budget: '1.00', purpose: 'bidi \u202e text' });
    const child = spawn(process.execPath, [CLI, 'mcp'], { env: environment(token) });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    }
    const ended = once(child, 'close');
    const message = (id: number, method: string, params: object) =>
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    child.stdin.write('this is no JSON\n');
    message(1, 'initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'raw', version: '1' },
    });
    message(2, 'tools/call', { name: 'get_budget', arguments: {} });
    while (output.stdout.split('\n').length < 3) await once(child.stdout, 'data');
    child.stdin.end();
    expect(await ended).toEqual([0, null]);
    const lines = output.stdout.trim().split('\n');
    const ids = lines.map((line) => JSON.parse(line) as { id: number; result: unknown });
    expect(ids.map(({ id }) => id).sort()).toEqual([1, 2]);
    expect(JSON.stringify(ids)).toContain('bidi \u202e text');
  });

  it('says which variable is missing', async () => {
    const { BURSAR_TOKEN: _, ...env } = environment('x');
    const child = spawn(process.execPath, [CLI, 'mcp'], { env });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(2);
    expect(errors).toMatch(/^bursar: BURSAR_TOKEN missing; .*npx bursar login/);
  });

  it('takes what login stored, and the environment before that', async () => {
    const [stored, other] = await Promise.all(
      [1, 2].map(() => stack.admin.mint({ budget: '1.00' })),
    );
    const { BURSAR_URL, BURSAR_TOKEN: _, ...env } = environment('');
    const config = join(home, 'profile', 'bursar');
    await mkdir(config, { recursive: true });
    const profile = { url: BURSAR_URL, token: stored?.token };
    await writeFile(join(config, 'profile.json'), JSON.stringify(profile));
    const logged = { ...env, XDG_CONFIG_HOME: join(home, 'profile') };
    const host = await hostOf(logged);
    expect(await host.answer('get_budget')).toMatchObject({ grantId: stored?.grant.id });
    const winner = await hostOf({ ...environment(other?.token ?? ''), ...logged });
    expect(await winner.answer('get_budget')).toMatchObject({ grantId: other?.grant.id });
  });

  it('loads neither Nest nor the database', async () => {
    const { token } = await stack.admin.mint({ budget: '1.00' });
    const hook = `export async function resolve(name, context, next) {
      const found = await next(name, context);
      process._rawDebug(found.url);
      return found;
    }`;
    const register = `import { register } from 'node:module';
      register('data:text/javascript,${encodeURIComponent(hook)}');`;
    const child = spawn(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(register)}`, CLI, 'mcp'],
      { env: environment(token), stdio: ['pipe', 'ignore', 'pipe'] },
    );
    let urls = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      urls += text;
    });
    child.stdin.end();
    await once(child, 'close');
    const loaded = (await sourcesOf(urls.trim().split('\n'))).join('\n');
    expect(loaded).toContain('node_modules/@modelcontextprotocol/sdk');
    expect(loaded).not.toMatch(/node_modules\/(?:@nestjs|fastify|pg|bullmq|viem|@prisma)\//);
  });
});

describe('npx bursar setup', () => {
  it('writes what starts a working server', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1.00' });
    const env = environment(token);
    await run(process.execPath, [CLI, 'setup', 'claude-code'], { env });
    const config = JSON.parse(await readFile(join(home, '.claude.json'), 'utf8'));
    const { command, args, env: own } = config.mcpServers.bursar;
    const host = await McpHost.connect(
      new StdioClientTransport({ command, args, env: { HOME: home, ...own } }),
    );
    hosts.push(host);
    expect(await host.answer('get_budget')).toMatchObject({ grantId: grant.id });
  });

  it('takes what login stored, which the server then reads itself', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1.00' });
    const { BURSAR_URL, BURSAR_TOKEN: _, ...env } = environment('');
    const XDG_CONFIG_HOME = join(home, 'stored');
    await mkdir(join(XDG_CONFIG_HOME, 'bursar'), { recursive: true });
    const profile = { url: BURSAR_URL, token };
    await writeFile(join(XDG_CONFIG_HOME, 'bursar', 'profile.json'), JSON.stringify(profile));
    await run(process.execPath, [CLI, 'setup', 'gemini'], { env: { ...env, XDG_CONFIG_HOME } });
    const text = await readFile(join(home, '.gemini', 'settings.json'), 'utf8');
    expect(text).not.toContain(token);
    const { command, args, env: own } = JSON.parse(text).mcpServers.bursar;
    const host = await McpHost.connect(
      new StdioClientTransport({ command, args, env: { HOME: home, ...own } }),
    );
    hosts.push(host);
    expect(await host.answer('get_budget')).toMatchObject({ grantId: grant.id });
  });

  it('writes what reaches the service', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1.00' });
    await run(process.execPath, [CLI, 'setup', 'cursor', '--http'], { env: environment(token) });
    const config = JSON.parse(await readFile(join(home, '.cursor', 'mcp.json'), 'utf8'));
    const { url, headers } = config.mcpServers.bursar;
    const host = await McpHost.connect(
      new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }) as Transport,
    );
    hosts.push(host);
    expect(await host.answer('get_budget')).toMatchObject({ grantId: grant.id });
  });
});

describe('the bundle', () => {
  it('holds a server that works by itself, with the tools that its manifest lists', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '1.00' });
    await run(process.execPath, [join(ROOT, 'integrations/mcpb/build.mjs')]);
    const files = unzipSync(await readFile(join(ROOT, 'dist/bursar.mcpb')));
    const folder = join(home, 'bundle', 'server');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'index.mjs'), files['server/index.mjs'] ?? '');
    const manifest = JSON.parse(Buffer.from(files['manifest.json'] ?? []).toString('utf8'));
    const { command, args } = manifest.server.mcp_config;
    const host = await McpHost.connect(
      new StdioClientTransport({
        command,
        args: args.map((arg: string) => arg.replace(/\$\{__dirname\}/, join(home, 'bundle'))),
        env: environment(token),
      }),
    );
    hosts.push(host);
    expect(await host.answer('get_budget')).toMatchObject({ grantId: grant.id });
    const { tools } = await host.client.listTools();
    const listed = manifest.tools.map(({ name }: { name: string }) => name);
    expect(listed).toEqual(tools.map(({ name }) => name));
  });
});
