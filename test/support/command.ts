import { spawn } from 'node:child_process';
import { once } from 'node:events';

const ROOT = new URL('../../', import.meta.url).pathname;

/** Output of a command, and how it ended. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `bursar` as its users do, with these variables and none of ours but PATH and HOME. */
export async function command(
  environment: Readonly<Record<string, string>>,
  args: readonly string[],
  input = '',
): Promise<Ran> {
  return ran(process.execPath, ['bin/bursar.mjs', ...args], environment, input);
}

/** Runs a line of bash, in which `bursar` is the program. */
export async function shell(
  environment: Readonly<Record<string, string>>,
  line: string,
): Promise<Ran> {
  const bursar = `bursar() { '${process.execPath}' bin/bursar.mjs "$@"; }`;
  return ran('bash', ['-c', `${bursar}; ${line}`], environment);
}

/** Runs it in a pseudo-terminal of so many columns. `script` is part of util-linux. */
export async function commandInTerminal(
  environment: Readonly<Record<string, string>>,
  args: readonly string[],
  columns = 200,
): Promise<Ran> {
  const words = [process.execPath, 'bin/bursar.mjs', ...args].map((word) => `'${word}'`).join(' ');
  const line = `stty cols ${columns}; exec ${words}`;
  const { stdout, ...rest } = await ran('script', ['-qefc', line, '/dev/null'], {
    TERM: 'xterm',
    ...environment,
  });
  return { ...rest, stdout: stdout.replaceAll('\r\n', '\n') };
}

async function ran(
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  input = '',
): Promise<Ran> {
  const child = spawn(file, args, {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, SHELL: '/bin/sh', ...environment },
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  child.stdin.on('error', () => {}).end(input);
  const [code] = await once(child, 'close');
  return { code: code as number | null, ...output };
}
