import type { Command } from 'commander';
import { pathOf } from '../command-line.js';
import { UsageError } from '../options.js';
import { printLine } from './output.js';

/** The shells that there are completions for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** A command as a completion offers it. */
interface Place {
  /** Words that are typed to get there, such as `grants list`; empty for the program. */
  readonly path: string;
  /** Words that may follow, each with what it does. */
  readonly next: readonly (readonly [word: string, does: string])[];
}

/** `bursar completion`. */
export function completionCommand(program: Command, shell: string): void {
  const script = { bash, zsh, fish }[shell as (typeof SHELLS)[number]];
  if (script === undefined) {
    throw new UsageError(
      `there are no completions for "${shell}"; give one of: ${SHELLS.join(', ')}`,
    );
  }
  printLine(script(placesOf(program)));
}

function placesOf(command: Command): Place[] {
  const commands = command.commands.map((each) => [each.name(), each.summary()] as const);
  const options = [...command.options, { long: '--help', description: 'print this' }].flatMap(
    ({ long, description }) => (long ? [[long, description] as const] : []),
  );
  return [
    { path: pathOf(command), next: [...commands, ...options] },
    ...command.commands.flatMap(placesOf),
  ];
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The shell code that finds the place: the words so far that are commands. */
function walk(places: readonly Place[]): string {
  const paths = places.filter(({ path }) => path !== '').map(({ path }) => quoted(path));
  return `    case "\${place:+$place }$word" in
      ${paths.join('|')}) place="\${place:+$place }$word" ;;
    esac`;
}

function bash(places: readonly Place[]): string {
  const cases = places.map(
    ({ path, next }) =>
      `    ${quoted(path)}) words=${quoted(next.map(([word]) => word).join(' '))} ;;`,
  );
  return `# Completions of bursar for bash. In ~/.bashrc: eval "$(npx bursar completion bash)"
_bursar() {
  local word words='' place='' current="\${COMP_WORDS[COMP_CWORD]}"
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
${walk(places)}
  done
  case "$place" in
${cases.join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _bursar bursar`;
}

function zsh(places: readonly Place[]): string {
  const entry = ([word, does]: readonly [string, string]) =>
    quoted(`${word.replaceAll(':', '\\:')}:${does}`);
  const cases = places.map(
    ({ path, next }) => `    ${quoted(path)}) next=(${next.map(entry).join(' ')}) ;;`,
  );
  return `#compdef bursar
# Completions of bursar for zsh. In a folder of fpath: npx bursar completion zsh > ~/.zfunc/_bursar
_bursar() {
  local word place=''
  local -a next
  for word in "\${(@)words[2,CURRENT-1]}"; do
${walk(places)}
  done
  case "$place" in
${cases.join('\n')}
  esac
  _describe 'bursar' next || _files
}
if [ "$funcstack[1]" = _bursar ]; then _bursar "$@"; else compdef _bursar bursar; fi`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, next }) =>
    next.map(([word, does]) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c bursar -n '__bursar_at "${path}"' ${what} -d ${quoted(does)}`;
    }),
  );
  const paths = places.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  return `# Completions of bursar for fish: npx bursar completion fish > ~/.config/fish/completions/bursar.fish
function __bursar_at
    set -l place ''
    for word in (commandline -opc)[2..-1]
        set -l deeper (string trim "$place $word")
        contains -- $deeper ${paths.join(' ')}; and set place $deeper
    end
    test "$place" = "$argv[1]"
end
${lines.join('\n')}`;
}
