import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startTestStack, type TestStack } from '../../../test/support/bursar.js';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../../../', import.meta.url));

let stack: TestStack;
beforeAll(async () => {
  // The examples import the package by its name, as a user does: it must be built.
  await run('npm', ['run', '--silent', 'build', '--workspace', 'clients/typescript'], {
    cwd: repository,
  });
  stack = await startTestStack();
});
afterAll(() => stack?.stop());

/** Runs an example to its end as a user would, with a budget of its own. */
async function example(command: string, ...args: string[]) {
  const { grant, token } = await stack.admin.mint({ budget: '1', delegationDepth: 2 });
  const env = {
    ...process.env,
    BURSAR_URL: stack.service.url,
    BURSAR_TOKEN: token,
    ADMIN_TOKEN: stack.admin.token,
    SELLER: stack.seller.url,
  };
  const { stdout } = await run(command, args, { cwd: repository, env });
  return { stdout, spent: async () => (await stack.admin.grant(grant.id)).remaining };
}

describe('the examples', () => {
  it('five lines pay', async () => {
    const { stdout, spent } = await example('node', 'examples/five-lines.mjs');
    expect(stdout).toMatch(/page: '7'[\s\S]*0\.01/);
    expect(await spent()).toBe('0.99');
  });

  it('three sub-agents race on one budget and stay within it', async () => {
    const { stdout, spent } = await example('node', 'examples/orchestrator.mjs');
    expect(stdout).toContain('3 pages for 0.03 USDC');
    expect(stdout).toContain('Budget exceeded');
    expect(await spent()).toBe('0.97');
  });

  it.each(['stream', 'webhook'])(
    'an orchestrator reacts to exhaustion, approval and revocation by %s, and polls nothing',
    async (channel) => {
      const { stdout, spent } = await example('node', 'examples/react.mjs', channel);
      expect(stdout.trim().split('\n').sort()).toEqual([
        'bought an approved page',
        'exhausted: raise the budget',
        'read three pages',
        'stopped: the work is done',
        'waiting: approve the payment',
      ]);
      expect(await spent()).toBe('0.96');
    },
  );

  it('docs/orchestrators.md is one program that runs', async () => {
    const page = await readFile(`${repository}docs/orchestrators.md`, 'utf8');
    const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
    expect(blocks).toHaveLength(6);
    const program = ['--input-type=module', '--eval', blocks.join('\n')];
    const { stdout } = await example('node', ...program);
    expect(stdout).toMatch(/^2\.99 left; 0\.01 signed/m);
    expect(stdout).toMatch(/^approving 2\.50/m);
    expect(stdout).toMatch(/^2\.50$/m);
    expect(stdout).toMatch(/^1 ended; \d payments of \d\.\d\d may still settle$/m);
    expect(stdout).toMatch(/^payment\.approved pay_/m);
  });

  it('an AI SDK agent pays for what it reads', async () => {
    const { stdout, spent } = await example('node', 'examples/ai-sdk.mjs');
    expect(stdout).toContain('I have read page 7.');
    expect(await spent()).toBe('0.99');
  });

  it('curl pays, and pays once for one key', async () => {
    const { stdout, spent } = await example(
      'bash',
      'examples/curl.sh',
      `${stack.seller.url}/data/7`,
    );
    expect(JSON.parse(stdout)).toMatchObject({ page: '7' });
    expect(await spent()).toBe('0.99');
  });
});
