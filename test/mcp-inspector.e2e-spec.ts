// The command line of the MCP Inspector, as published, against both transports. It weighs 111 MB and asks for Node 22.19, which is
// newer than what the service supports. So it is no development dependency: it is installed from the registry when the test
// runs, without scripts. Without a registry these tests are skipped.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startTestStack, type TestStack } from './support/bursar.js';
import { build } from './support/program.js';

jest.setTimeout(240_000);

const INSPECTOR = '@modelcontextprotocol/inspector@2.12.0';
/** How long its installation may take, in milliseconds. */
const INSTALL_MS = 240_000;
const CLI = new URL('../dist/cli.js', import.meta.url).pathname;
const run = promisify(execFile);

const folder = await mkdtemp(join(tmpdir(), 'bursar-inspector-'));
const suite = (await install()) ? describe : describe.skip;

async function install(): Promise<boolean> {
  const flags = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--silent'];
  try {
    const args = ['install', ...flags, '--prefix', folder, INSPECTOR];
    await run('npm', args, { timeout: INSTALL_MS });
    return true;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    process.stderr.write(`${INSPECTOR} cannot be installed, its tests are skipped: ${error}\n`);
    return false;
  }
}

let stack: TestStack;

beforeAll(async () => {
  await build();
  stack = await startTestStack();
}, 400_000);

afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Runs the Inspector, and gives what it prints and its exit code. */
async function inspect(target: readonly string[], method: string, ...args: string[]) {
  const program = join(folder, 'node_modules/.bin/mcp-inspector');
  // Its catalog of servers is in the home directory.
  const env = { PATH: process.env.PATH, HOME: folder };
  try {
    const { stdout, stderr } = await run(
      program,
      // An option of one value last: those of several would take the target as well.
      ['--cli', ...args, '--method', method, ...target],
      { env },
    );
    return { code: 0, answer: JSON.parse(stdout), stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, answer: undefined, stderr: `${stderr}${stdout}` };
  }
}

suite.each(['http', 'stdio'] as const)('the Inspector over %s', (transport) => {
  const targetOf = (token: string) =>
    transport === 'http'
      ? [
          `${stack.service.url}/mcp`,
          ...['--transport', 'http', '--header', `Authorization: Bearer ${token}`],
        ]
      : [
          ...['-e', `BURSAR_URL=${stack.service.url}`, '-e', `BURSAR_TOKEN=${token}`],
          ...[process.execPath, CLI, 'mcp'],
        ];

  it('lists the tools, finds no error in their schemas, and reads the budget', async () => {
    const { token } = await stack.admin.mint({ budget: '1.25' });
    const listed = await inspect(targetOf(token), 'tools/list', '--strict');
    expect(listed).toMatchObject({ code: 0, stderr: expect.stringContaining('0 errors') });
    const names = listed.answer.tools.map(({ name }: { name: string }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        ...['get_budget', 'quote_payment', 'pay', 'delegate_budget', 'revoke_grant'],
        ...['list_payments', 'request_raise', 'search_services'],
      ]),
    );
    expect(names.includes('fetch_paid_url')).toBe(transport === 'stdio');
    const called = await inspect(targetOf(token), 'tools/call', '--tool-name', 'get_budget');
    expect(called.answer.structuredContent).toMatchObject({ budget: '1.25', remaining: '1.25' });
  });

  it('shows a refusal as the error of a tool, and a resource', async () => {
    const { token } = await stack.admin.mint({ budget: '0.10' });
    // Quoted twice: the Inspector takes 0.05 for a number.
    const raise = ['--tool-name', 'request_raise', '--tool-arg', 'budget="0.05"', 'reason=less'];
    const refused = await inspect(targetOf(token), 'tools/call', ...raise);
    expect(refused).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/isError:true.*conflict/s),
    });
    const read = await inspect(targetOf(token), 'resources/read', '--uri', 'bursar://budget');
    expect(JSON.parse(read.answer.contents[0].text)).toMatchObject({ remaining: '0.10' });
  });
});
