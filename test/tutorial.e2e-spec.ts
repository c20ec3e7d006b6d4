import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { build, killPrograms, type Program, startProgram } from './support/program.js';
import { until } from './support/until.js';

const run = promisify(execFile);

const ROOT = new URL('../', import.meta.url).pathname;

let sandbox: Program;

beforeAll(async () => {
  await build();
  sandbox = startProgram({}, [process.execPath, 'dist/sandbox.js']);
}, 300_000);

afterAll(async () => {
  sandbox?.signal('SIGTERM');
  await sandbox?.exited;
  await killPrograms();
}, 60_000);

/** The commands of a document, in order. Blocks without a language are not commands of a stranger's second terminal. */
async function commandsOf(path: string): Promise<string[]> {
  const text = await readFile(`${ROOT}${path}`, 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands = '']) => commands);
}

it('the sandbox prints all that the commands of operators need', async () => {
  await until('the sandbox is ready', () => sandbox.output().stdout.includes('Ctrl-C'), 90_000);
  const exports = sandbox.output().stdout.match(/^export .+$/gm) ?? [];
  for (const [command, words] of [
    ['check', /All of it holds/],
    ['wallets', /0x\w{40} {2}main/],
    ['jobs', /no job has failed/],
  ] as const) {
    const line = `${exports.join('\n')}\n${process.execPath} bin/bursar.mjs ${command}`;
    const { PATH, HOME } = process.env;
    const { stdout } = await run('bash', ['-ec', line], { cwd: ROOT, env: { PATH, HOME } });
    expect(stdout).toMatch(words);
  }
});

it('every step of docs/tutorial.md does what it says, with what the sandbox prints', async () => {
  await until('the sandbox is ready', () => sandbox.output().stdout.includes('Ctrl-C'), 90_000);
  const exports = sandbox
    .output()
    .stdout.split('\n')
    .filter((line) => line.startsWith('export '));
  expect(exports).toHaveLength(5);
  const steps = await commandsOf('docs/tutorial.md');
  expect(steps).toHaveLength(11);
  const marked = steps.map((commands, n) => `printf '\\n== ${n}\\n'\n${commands}`);
  const { stdout } = await run(
    'bash',
    ['--norc', '-eo', 'pipefail', '-c', [...exports, ...marked].join('\n')],
    {
      cwd: ROOT,
      env: { PATH: process.env.PATH, HOME: process.env.HOME },
    },
  );
  const said = stdout
    .split(/^== \d+\n/m)
    .slice(1)
    .map((text) => text.trim());
  expect(said[2]).toContain("holder: 'research-agent-7'");
  expect(said[3]).toMatch(/^HTTP\/1.1 402 /);
  expect(said[4]).toMatch(/amount: '0.01'[\s\S]*0\.49/);
  expect(said[5]).toContain('{"page":"7"');
  expect(said[6]).toBe('settled');
  expect(said[7]).toMatch(/code: 'per_payment_exceeded'/);
  expect(said[8]).toMatch(/^2\n[\s\S]*revoked$/);
  expect(said[9]).toContain('grant.revoked');
  expect(said[10]).toMatch(/payments/);
}, 180_000);
