// Every program stops in order, however its signals come: from a terminal and through npm, which passes on what the
// terminal has sent already, to the whole process group, or by a pipe whose reader has gone.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';
import { build, deadPort } from './support/program.js';
import { until } from './support/until.js';

jest.setTimeout(240_000);

const ROOT = new URL('../', import.meta.url).pathname;
const MNEMONIC = 'letter advice cage absurd amount doctor acoustic avoid letter advice cage above';

let folder: string;
let dataDir: string;
let child: ChildProcess | undefined;
let output = '';

beforeAll(build, 400_000);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bursar-signals-'));
  dataDir = join(folder, 'data');
  output = '';
});
afterEach(async () => {
  for (const pid of left()) process.kill(pid, 'SIGKILL');
  await rm(folder, { recursive: true, force: true });
});
afterAll(() => {
  child?.kill('SIGKILL');
});

/** Runs a command line in a process group of its own, with a marked environment. */
async function start(command: string, more: Record<string, string> = {}): Promise<ChildProcess> {
  const rpcUrls = [`http://127.0.0.1:${await deadPort()}`];
  const started = spawn('/bin/sh', ['-c', `exec ${command}`], {
    cwd: ROOT,
    detached: true,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      SHELL: '/bin/sh',
      PORT: '0',
      BURSAR_DRAIN_SECONDS: '0',
      BURSAR_DATA_DIR: dataDir,
      BURSAR_NETWORKS: JSON.stringify([{ network: 'eip155:84532', rpcUrls }]),
      ...more,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  for (const stream of [started.stdout, started.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  child = started;
  return started;
}

/** The processes that have our folder in their environment, or work in it. */
function left(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)) return true;
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(folder);
      } catch {
        return false;
      }
    })
    .map(Number);
}

const says = (text: string | RegExp) =>
  until(`it says ${text}`, () => output.match(text) !== null, 120_000);

/** In a pseudo-terminal, whose Ctrl-C reaches npm and the program alike. */
const inTerminal = (command: string) => `script -qfec '${command}' /dev/null`;

async function expectNothingLeft(): Promise<void> {
  await until('nothing runs any more', () => left().length === 0, 40_000);
  for (const name of ['postgres.owner', 'postgres/postmaster.pid', 'signer.sock']) {
    expect(existsSync(join(dataDir, name))).toBe(false);
  }
}

// `script` is part of util-linux; /proc is Linux's.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('npm start', () => {
  const command = 'npm start --ignore-scripts';

  it('in a terminal shuts down at Ctrl-C, pressed more than once', async () => {
    const { stdin } = await start(inTerminal(command));
    await says('Bursar listens on');
    expect(left().length).toBeGreaterThan(2);
    stdin?.write('\u0003');
    stdin?.write('\u0003');
    await says('stopping');
    stdin?.write('\u0003');
    await expectNothingLeft();
    // People read this log; the one behind a pipe is JSON.
    expect(output).toContain('stopped');
    expect(output).not.toContain('"msg"');
  });

  it('shuts down when its process group is told to end, again and again', async () => {
    const { pid = 0 } = await start(command);
    await says('Bursar listens on');
    process.kill(-pid, 'SIGTERM');
    await says('"msg":"stopping"');
    process.kill(-pid, 'SIGTERM');
    process.kill(-pid, 'SIGINT');
    await expectNothingLeft();
    expect(output).toContain('"msg":"stopped"');
  });

  it('shuts down when its terminal is closed', async () => {
    const started = await start(inTerminal(command));
    await says('Bursar listens on');
    started.kill('SIGKILL');
    await expectNothingLeft();
  });
});

onLinux('npx bursar signer', () => {
  const command = () => `npx bursar signer --socket ${join(folder, 'signer.sock')}`;

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'does not outlive an npx that gets %s, nor leaves its socket',
    async (signal) => {
      const { pid = 0 } = await start(command(), { BURSAR_WALLET_MNEMONIC: MNEMONIC });
      await says('The signer is ready');
      process.kill(pid, signal);
      await expectNothingLeft();
      expect(existsSync(join(folder, 'signer.sock'))).toBe(false);
      // It needs no data directory, and makes none.
      expect(existsSync(dataDir)).toBe(false);
    },
  );
});

onLinux('npm run sandbox', () => {
  it('in a terminal removes all it made at Ctrl-C', async () => {
    const { stdin } = await start(inTerminal('npm run sandbox --ignore-scripts'), {
      TMPDIR: folder,
    });
    await says('The sandbox is ready');
    stdin?.write('\u0003\u0003');
    await expectNothingLeft();
    expect(output).toContain('sandbox: stopped by SIGINT; all is cleaned up');
  });
});

onLinux('npm run demo', () => {
  it('ends quietly, with all cleaned up, when the reader of its output goes away', async () => {
    const script = join(folder, 'run');
    await writeFile(script, 'node dist/demo.js | head -2');
    const started = await start(`sh ${script}`, { TMPDIR: folder });
    const [code] = await once(started, 'close');
    expect(code).toBe(0);
    await expectNothingLeft();
    expect(output.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
    expect(output).not.toMatch(/EPIPE|Error|node:/);
  });

  it('says what it does, and what it does not know, without starting anything', async () => {
    const helped = await start('node dist/demo.js --help');
    expect(await once(helped, 'close')).toEqual([0, null]);
    expect(output).toMatch(/^npm run demo\n/);
    const wrong = await start('node dist/demo.js --fast');
    expect(await once(wrong, 'close')).toEqual([2, null]);
    expect(output).toContain('demo: there is no option --fast; it takes none');
  });
});
