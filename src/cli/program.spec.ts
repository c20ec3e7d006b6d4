import { describe, expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { runCommandLine } from '../command-line.js';
import { programOf } from './program.js';

const never = async () => {
  throw new Error('nothing may run');
};

function program(): Command {
  return programOf({
    stopped: new AbortController().signal,
    hosts: { mcp: never, setup: never },
    operate: never,
    verify: never,
    check: never,
  });
}

function* every(command: Command): Generator<Command> {
  yield command;
  for (const each of command.commands) yield* every(each);
}

/** The example lines of a command's help. */
function examplesOf(command: Command): string[] {
  let help = '';
  command.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  command.outputHelp();
  const [, examples = ''] = help.split('For example:\n');
  return examples.split('\n').filter((line) => line.trim() !== '');
}

/** The help of a command, as it is printed. */
async function helpOf(name: string): Promise<string> {
  const write = process.stdout.write;
  let text = '';
  process.stdout.write = (chunk: string | Uint8Array) => {
    text += String(chunk);
    return true;
  };
  try {
    await runCommandLine(program(), [...name.split(' '), '--help']);
  } finally {
    process.stdout.write = write;
  }
  return text;
}

/** Pattern of an option in a help that is marked as required, before the next option begins. */
function required(option: string): RegExp {
  return new RegExp(`${option} (?:(?!\\n {2}-)[^])*?\\(required`);
}

/** The words of a line as a shell splits them; undefined where it does more than that. */
function wordsOf(line: string): string[] | undefined {
  const [text = ''] = line.split(/\s(?:>|\||#)\s?/);
  if (/[$`]/.test(text)) return undefined;
  return [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
}

const commands = [...every(program())].filter(({ parent }) => parent !== null);

describe('the help of every command', () => {
  it.each(commands.map((command) => [path(command), command] as const))(
    'of "%s" has an example that its own parser takes',
    async (_path, command) => {
      const examples = examplesOf(command);
      expect(examples.length).toBeGreaterThan(0);
      for (const line of examples) {
        const words = wordsOf(line.trim());
        if (words?.[1] !== 'bursar') continue;
        const fresh = program();
        const run: string[] = [];
        for (const each of every(fresh)) {
          // A command that only groups others has no action, and gets none.
          const hasAction = '_actionHandler' in each && each._actionHandler !== null;
          if (hasAction) each.action(() => void run.push(path(each)));
        }
        await runCommandLine(fresh, words.slice(2));
        expect({ line, run }).toEqual({ line, run: [expect.any(String)] });
      }
    },
  );

  it('marks what its parser requires, and shows no default that is empty', async () => {
    for (const command of commands) {
      const help = await helpOf(path(command));
      for (const { mandatory, long } of command.options) {
        if (mandatory) expect(help).toMatch(required(long ?? ''));
      }
      expect(help).not.toMatch(/default: (?:\[\]|false)/);
    }
  });

  it.each([
    ['raises ask', ['reason']],
    ['signer', ['socket']],
    ['wallets new', ['dir']],
    ['adopt', ['reason']],
    ['fence', ['reason']],
    ['unfence', ['reason']],
    ['grants mint', ['holder', 'budget']],
    ['grants delegate', ['holder', 'budget']],
    ['stop', ['treasury', 'all']],
    ['resume', ['treasury', 'all']],
  ])('of "%s" says that %j are required', async (name, options) => {
    const help = await helpOf(name);
    for (const option of options) expect(help).toMatch(required(`--${option}`));
  });

  it('has a summary of one line for the overview', () => {
    for (const command of commands) {
      expect(command.summary()).toMatch(/^[a-z].{5,90}[^.]$/);
      expect(command.description()).toMatch(/^.{5,}\.?$/s);
    }
  });
});

describe('a value', () => {
  it.each([
    [['payments', ''], /PAYMENT is empty; is a variable in it unset\?/],
    [['payments', '--grant', ''], /--grant is empty/],
    [['payments', '--grant', '--json'], /--grant needs a value/],
    [['grants', 'show', ''], /GRANT is empty/],
    [['fetch', 'x.example', '--intent', ''], /--intent is empty/],
  ])('that is missing in %j is named', async (words, message) => {
    await expect(runCommandLine(program(), words)).rejects.toThrow(message);
  });

  it('of -d may be empty', async () => {
    const fresh = program();
    const run: string[] = [];
    for (const each of every(fresh)) {
      if (each.name() === 'fetch') each.action((_url, { data }) => void run.push(...data));
    }
    await runCommandLine(fresh, ['fetch', 'x.example', '-d', '']);
    expect(run).toEqual(['']);
  });
});

function path(command: Command): string {
  return command.parent?.parent ? `${path(command.parent)} ${command.name()}` : command.name();
}
