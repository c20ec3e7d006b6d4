import type { Argument, Command, CommanderError, Option } from 'commander';
import { UsageError } from './options.js';
import { bold, writeStyled } from './terminal.js';

/** Thrown where the command line asked for a text, such as help, which is printed by then. */
class TextPrinted extends Error {}

/** Texts of the help of a command. */
export interface CommandText {
  /** One line of what it does, without a full stop: the overview has it. */
  readonly summary: string;
  /** More, for its own help. */
  readonly description?: string;
  /** Command lines that work. */
  readonly examples: readonly string[];
}

/**
 * Adds a command to a tree.
 *
 * @param usage - its name and the words that follow it, such as `retire <id>`.
 */
export function addCommand(parent: Command, usage: string, text: CommandText): Command {
  const { summary, description = `${summary}.`, examples } = text;
  return parent
    .command(usage)
    .summary(summary)
    .description(description)
    .addHelpText('after', () =>
      ['', bold('For example:'), ...examples.map((line) => `  ${line}`)].join('\n'),
    );
}

/**
 * Parses a command line and runs the action of its command. Help is printed on standard output.
 *
 * @param args - without the program's name.
 * @throws UsageError with one line that says what is wrong, and where help is.
 */
export async function runCommandLine(program: Command, args: readonly string[]): Promise<void> {
  unify(program);
  program.hook('preAction', (_program, command) => checkValues(command));
  try {
    await program.parseAsync(helpLast(program, args), { from: 'user' });
  } catch (error) {
    if (!(error instanceof TextPrinted)) throw error;
  }
}

/**
 * Parses what follows a command that reads its own options.
 *
 * @param args - what follows its name. Its words are in `command.args`.
 * @throws UsageError
 */
export function readOptions<Values extends object>(
  command: Command,
  args: readonly string[],
): Values {
  unify(command);
  return command.parse([...args], { from: 'user' }).opts<Values>();
}

/** Gives a command and all below it one style of help and of errors. */
function unify(command: Command): void {
  command
    .helpOption('-h, --help', 'print this')
    .helpCommand(false)
    .showSuggestionAfterError()
    .configureOutput({ writeErr: () => {}, writeOut: writeStyled })
    .configureHelp({
      styleTitle: bold,
      optionDescription: describeOption,
      subcommandTerm: (each) => [each.name(), ...each.registeredArguments.map(termOf)].join(' '),
    })
    .exitOverride((error) => {
      throw isText(error) ? new TextPrinted() : new UsageError(inOurWords(error, command));
    });
  for (const each of command.commands) unify(each);
}

/** An option's description, with what the parser knows of it: that it is required, or its default. */
function describeOption({ description, mandatory, defaultValue }: Option): string {
  if (mandatory) return `${description} (required)`;
  return typeof defaultValue === 'string'
    ? `${description} (default: ${defaultValue})`
    : description;
}

/** Options whose value may be empty. Elsewhere an empty value is a variable that is not set. */
const MAY_BE_EMPTY: readonly (string | undefined)[] = ['--data'];

/** @throws UsageError for a value that is empty, or that is the next option because the value was forgotten. */
function checkValues(command: Command): void {
  const help = helpOf(command);
  for (const [at, argument] of command.registeredArguments.entries()) {
    if (command.args[at] !== '') continue;
    throw new UsageError(`${argument.name().toUpperCase()} ${EMPTY} ${help}`);
  }
  const names = command.options.flatMap(({ long, short }) => [long, short]);
  for (const option of command.options) {
    const values: unknown[] = [command.getOptionValue(option.attributeName())].flat();
    if (values.includes('') && !MAY_BE_EMPTY.includes(option.long)) {
      throw new UsageError(`${option.long} ${EMPTY} ${help}`);
    }
    if (values.some((value) => typeof value === 'string' && names.includes(value))) {
      throw new UsageError(`${option.long} needs a value; ${help}`);
    }
  }
}

const EMPTY = 'is empty; is a variable in it unset?';

function termOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

/** `help grants list` is `grants list --help`; nothing at all is `--help`; of a command that is not there, nothing is. */
function helpLast({ commands }: Command, args: readonly string[]): string[] {
  if (args.length === 0) return ['--help'];
  const asked = args[0] === 'help' ? [...args.slice(1), '--help'] : [...args];
  const [first = ''] = asked;
  const isKnown = first.startsWith('-') || commands.some((each) => each.name() === first);
  return isKnown ? asked : asked.filter((word) => word !== '--help' && word !== '-h');
}

function isText({ code, exitCode }: CommanderError): boolean {
  return exitCode === 0 && /^commander\.(?:help|helpDisplayed|version)$/.test(code);
}

/** A command as it is typed after `bursar`, such as `grants list`. */
export function pathOf(command: Command): string {
  const names: string[] = [];
  for (let each: Command | null = command; each?.parent; each = each.parent) {
    names.unshift(each.name());
  }
  return names.join(' ');
}

/** Tells where the help of a command is. */
function helpOf(command: Command): string {
  return `see: ${['npx bursar', pathOf(command), '--help'].filter(Boolean).join(' ')}`;
}

function inOurWords({ code, message }: CommanderError, command: Command): string {
  const path = pathOf(command);
  const [, given = ''] = /'([^']*)'/.exec(message) ?? [];
  const [, near] = /\(Did you mean (.+)\?\)/.exec(message) ?? [];
  const meant = near === undefined ? '' : `; did you mean ${near}?`;
  const help = helpOf(command);
  const option = given.split(' ').find((word) => word.startsWith('--')) ?? given;
  switch (code) {
    case 'commander.unknownOption':
      return `there is no option ${given}${meant || `; ${optionsOf(command)}`}; ${help}`;
    case 'commander.unknownCommand':
      return `there is no command "${path === '' ? '' : `${path} `}${given}"${meant || (path === '' ? '' : `; ${choicesOf(command)}`)}; ${help}`;
    case 'commander.help':
      return `${choicesOf(command)}; ${help}`;
    case 'commander.excessArguments':
      return `too many words: ${[path, ...command.args].join(' ')}; ${choicesOf(command)}; ${help}`;
    case 'commander.missingArgument':
      return `${path} needs ${given.toUpperCase()}; ${choicesOf(command)}; ${help}`;
    case 'commander.optionMissingArgument':
      return `${option} needs a value; ${help}`;
    case 'commander.missingMandatoryOptionValue':
      return `${option} is missing; ${help}`;
    case 'commander.invalidArgument':
      return `${option || path}: ${message.replace(/^error: .* is invalid\. /, '')}; ${help}`;
    default:
      return `${message.replace(/^error: /, '')}; ${help}`;
  }
}

function optionsOf({ options }: Command): string {
  const names = options.filter(({ hidden }) => !hidden).map(({ long }) => long);
  return names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`;
}

/** Words that may be typed where a command is one of several, such as `keys takes one of: list, rotate`. */
function choicesOf(command: Command): string {
  const family = command.commands.length > 0 ? command : (command.parent ?? command);
  if (!family.parent) return usageOf(command);
  const forms = family.commands.map((each) => [each.name(), ...wordsOf(each)].join(' '));
  return `${pathOf(family)} takes one of: ${forms.join(', ')}`;
}

function usageOf(command: Command): string {
  const path = pathOf(command);
  if (path === '') return 'a command is missing';
  const words = wordsOf(command);
  return words.length === 0 ? `${path} takes no words` : `${path} takes ${words.join(' ')}`;
}

function wordsOf({ registeredArguments }: Command): string[] {
  return registeredArguments.map((each) => {
    const name = each.name().toUpperCase();
    return each.required ? name : `[${name}]`;
  });
}
