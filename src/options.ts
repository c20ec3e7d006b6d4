import { type ParseArgsConfig, parseArgs } from 'node:util';

/** A program that was called wrongly. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Parses a command line as `parseArgs` does, and says in one line what is wrong with it.
 *
 * @param help - the command that shows what may be given.
 * @throws UsageError
 */
export function parseOptions<T extends ParseArgsConfig>(
  config: T,
  help: string,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(`${inOurWords(error, config)}; see: ${help}`);
  }
}

/** The options as they are typed, such as `--name NAME`'s `--name`. */
function namesOf(options: ParseArgsConfig['options'] = {}): string {
  const names = Object.keys(options).filter((name) => name !== 'help');
  return names.length === 0 ? 'it takes none' : `it takes ${names.map((n) => `--${n}`).join(', ')}`;
}

function inOurWords(error: unknown, { options = {} }: ParseArgsConfig): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const [, given = ''] = /'([^']*)'/.exec(message) ?? [];
  const name = /--[\w-]+/.exec(given)?.[0] ?? given;
  switch (code) {
    case 'ERR_PARSE_ARGS_UNKNOWN_OPTION':
      return `there is no option ${given}; ${namesOf(options)}`;
    case 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE':
      return options[name.slice(2)]?.type === 'boolean'
        ? `${name} takes no value`
        : `${name} needs a value`;
    case 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL':
      return `there is nothing to do with "${given}"`;
    default:
      return message;
  }
}
