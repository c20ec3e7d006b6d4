import type { Command } from 'commander';

/** Options that have another name than their field of the API. All others follow the rule `maxAmount`, `--max-amount`. */
const OPTIONS: Readonly<Record<string, string>> = {
  expiresAt: '--until',
  delegationDepth: '--depth',
  funding: '--reserved',
  grantId: '--grant',
  groupBy: '--by',
  'Idempotency-Key': '--key',
  labels: '--label',
  'Last-Event-ID': '--after',
  parentId: '--parent',
  'request.method': '--request',
  'scope.networks': '--network',
  'scope.payTo': '--pay-to',
  'scope.resources': '--resource',
  treasuryId: '--treasury',
  ttlSeconds: '--ttl',
  waitForApproval: '--wait',
  windows: '--window',
};

/** Words of a command that have another name than their field. */
const WORDS: Readonly<Record<string, string>> = { q: 'query', request: 'url' };

/** Names of fields as they stand in a sentence, not in a URL or a quotation. A field of one word could be any word. */
const NAMES =
  /(?<![/?&="'\w])(?:scope\.[a-zA-Z]+|[a-z]+(?:[A-Z][a-z]+)+|Idempotency-Key|Last-Event-ID)(?![/?&="'\w])/g;

/**
 * The option or the word of a command that a field of the API is given as, such as `--until` for `expiresAt`; undefined
 * where the command has none.
 *
 * @param field - a dotted path; `scope.payTo.0` is a part of `scope.payTo`.
 */
export function givenAs(command: Command, field: string): string | undefined {
  const { options, registeredArguments: words } = command;
  const name = WORDS[field] ?? field;
  const word = field === 'id' ? words[0] : words.find((each) => each.name() === name);
  if (word) return word.name().toUpperCase();
  const kebab = field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const option = OPTIONS[field] ?? `--${kebab}`;
  if (options.some(({ long }) => long === option)) return option;
  return field.includes('.') ? givenAs(command, field.replace(/\.[^.]*$/, '')) : undefined;
}

/**
 * A sentence of the service or of the SDK in the words of a command: fields are the command's options.
 *
 * @param field - the field that the sentence is about, where there is one.
 */
export function inWordsOf(command: Command, text: string, field?: string): string {
  const option = field === undefined ? undefined : givenAs(command, field);
  const begins = field !== undefined && text.startsWith(field);
  const named = option !== undefined && begins ? option + text.slice(field.length) : text;
  const worded = named
    .replace(NAMES, (name) => givenAs(command, name) ?? name)
    .replace(/\b(the same|repeat the) call\b/g, '$1 command')
    .replaceAll('another intent', `another ${givenAs(command, 'intent') ?? 'intent'}`);
  return option === undefined || worded.includes(option) ? worded : `${option}: ${worded}`;
}
