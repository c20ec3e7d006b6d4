import type { Command } from 'commander';
import { withVerifyOptions } from '../audit/verify-options.js';
import { withCheckOptions } from '../check/options.js';
import { addCommand } from '../command-line.js';

/** The options of all operators' commands. Those with a default are always there. */
export interface OperatorValues {
  readonly role: string;
  readonly name: string;
  readonly ttl: string;
  readonly treasury?: string[];
  readonly all?: boolean;
  readonly in: string;
  readonly dir?: string;
  readonly count: string;
  readonly reason?: string;
  readonly grant?: string;
  readonly key?: string;
  readonly socket?: string;
  readonly maxPerHour?: string;
  readonly check?: boolean;
  readonly json?: boolean;
}

const DEFAULTS = { role: 'admin', name: 'cli', ttl: '12h', in: '60s', count: '1' };

/** Actions of the operators' commands. The room of the command line loads none of their code. */
export interface Operators {
  operate(command: string, values: OperatorValues, words: readonly string[]): Promise<void>;
  /** `audit verify`, which reads its own options. */
  verify(): Promise<void>;
  /** `check`, which reads its own options. */
  check(): Promise<void>;
}

const HEADING = 'For operators, with the environment of the service:';

/** Adds the operators' commands: those that read the database, the chains or files. */
export function addOperatorCommands(program: Command, operators: Operators): void {
  // Words that are missing are undefined; the options come after them, then the command itself.
  const runs =
    (command: string, ...before: string[]) =>
    (...given: unknown[]) =>
      operators.operate(command, { ...DEFAULTS, ...(given.at(-2) as Partial<OperatorValues>) }, [
        ...before,
        ...given.slice(0, -2).filter((word) => typeof word === 'string'),
      ]);
  addAccess(program, runs);
  addOperations(program, runs, operators);
  addGateway(program, runs);
  addWallets(program, runs);
  addIncidents(program, runs);
  addRecovery(program, runs);
}

type Runs = (command: string, ...before: string[]) => (...given: unknown[]) => Promise<void>;

const JSON_OPTION = ['--json', 'JSON instead of lines'] as const;

const again = (value: string, before: string[] | undefined) => [...(before ?? []), value];

function addAccess(program: Command, runs: Runs): void {
  const tokens = addCommand(program, 'admin-token', {
    summary: 'print a bearer token for an admin; list those that work, or end them',
    examples: [
      'npx bursar admin-token --role auditor --name ann --ttl 7d',
      'npx bursar admin-token list',
      'npx bursar admin-token revoke ann',
    ],
  }).helpGroup(HEADING);
  tokens
    .option('--role <role>', 'admin, approver or auditor', DEFAULTS.role)
    .option('--name <name>', 'who has it: events say so', DEFAULTS.name)
    .option('--ttl <time>', 'how long it works, such as 30m, 12h or 7d', DEFAULTS.ttl)
    .option('--treasury <id>', 'for this treasury alone; again for more', again)
    .action(runs('admin-token'));
  addCommand(tokens, 'list', {
    summary: 'print the admin tokens that work: name, role, until when, last use, treasuries',
    examples: [
      'npx bursar admin-token list',
      'npx bursar admin-token list --json | jq -r ".[].name"',
    ],
  })
    .option(...JSON_OPTION)
    .action(runs('admin-token', 'list'));
  addCommand(tokens, 'revoke <name>', {
    summary: 'end all admin tokens of a name, at once and everywhere',
    examples: ['npx bursar admin-token revoke ann'],
  }).action(runs('admin-token', 'revoke'));

  addCommand(program, 'actor <subject>', {
    summary: 'print how somebody who signs in at the identity provider is named in the log',
    examples: ['npx bursar actor 00u1ab2cd3ef'],
  })
    .helpGroup(HEADING)
    .action(runs('actor'));

  const keys = addCommand(program, 'keys', {
    summary: 'list, rotate and retire the keys that tokens are signed with',
    examples: ['npx bursar keys list', 'npx bursar keys rotate --in 5m'],
  }).helpGroup(HEADING);
  addCommand(keys, 'list', {
    summary: 'print the keys: id, state, since when',
    examples: ['npx bursar keys list', 'npx bursar keys list --json | jq -r ".[0].id"'],
  })
    .option(...JSON_OPTION)
    .action(runs('keys', 'list'));
  addCommand(keys, 'rotate', {
    summary: 'make a new key, published at once; the keys before it go on verifying',
    examples: ['npx bursar keys rotate --in 5m'],
  })
    .option('--in <time>', 'when it starts to sign, 10s at least', DEFAULTS.in)
    .action(runs('keys', 'rotate'));
  addCommand(keys, 'retire <id>', {
    summary: 'end a key: tokens it signed are refused from then on',
    examples: [
      'npx bursar keys retire "$(npx bursar keys list | awk \'/verifying/ { print $1; exit }\')"',
    ],
  }).action(runs('keys', 'retire'));
}

function addOperations(program: Command, runs: Runs, operators: Operators): void {
  const jobs = addCommand(program, 'jobs', {
    summary: 'print the jobs that failed all their tries, or have them tried again',
    description:
      'Print the jobs that failed all their tries: id, job, where it was to look, when, why.',
    examples: ['npx bursar jobs', 'npx bursar jobs retry all'],
  })
    .helpGroup(HEADING)
    .option(...JSON_OPTION)
    .action(runs('jobs'));
  addCommand(jobs, 'retry <id>', {
    summary: 'have a job tried again, or all',
    examples: ['npx bursar jobs retry all'],
  }).action(runs('jobs', 'retry'));

  const check = addCommand(program, 'check', {
    summary: 'test the invariants I1 to I9 of the database and the chains',
    description:
      'Test the invariants I1 to I9 from outside: it reads the database and the chains, and changes nothing. It may run while the service does. Exits 0 when all of it holds, 1 when something is broken, 2 when nothing is known to be broken but not all could be checked.',
    examples: ['npx bursar check --rpc eip155:84532=https://sepolia.base.org'],
  }).helpGroup(HEADING);
  // The checker says itself what is wrong, as JSON where that was asked for.
  withCheckOptions(check)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => operators.check());
  const audit = addCommand(program, 'audit', {
    summary: 'verify an exported log, without a database (docs/audit.md)',
    examples: ['npx bursar audit verify log.jsonl --checkpoint log.note --key log.key'],
  }).helpGroup(HEADING);
  const verify = addCommand(audit, 'verify <file>', {
    summary: 'verify an exported log, without a database (docs/audit.md)',
    examples: ['npx bursar audit verify log.jsonl --checkpoint log.note --key log.key'],
  });
  withVerifyOptions(verify).action(() => operators.verify());
  addCommand(program, 'signer', {
    summary: "hold the wallets' keys for services whose BURSAR_SIGNER_SOCKET is the socket",
    description:
      "Hold the wallets' keys for services whose BURSAR_SIGNER_SOCKET is the socket. Runs until signalled.",
    examples: ['npx bursar signer --socket /run/bursar/signer.sock --max-per-hour 50.00'],
  })
    .helpGroup(HEADING)
    .requiredOption('--socket <path>', 'where to listen')
    .option('--max-per-hour <amount>', 'sign no more within an hour, of each wallet and token')
    .action(runs('signer'));
}

function addGateway(program: Command, runs: Runs): void {
  addCommand(program, 'gateway <file>', {
    summary: 'sell an API by the request: an OpenAPI document in, a priced API out',
    description:
      'Sell an API by the request: an OpenAPI document in, a priced API out. The file says what is sold, for how much and to whom the money goes (docs/gateway.md). It uses the database of the service, or makes one where none runs. Runs until signalled.',
    examples: ['npx bursar gateway gateway.yaml', 'npx bursar gateway --check gateway.yaml'],
  })
    .helpGroup(HEADING)
    .option('--check', 'only read the file and the document, and print what would be served')
    .action(runs('gateway'));
}

function addWallets(program: Command, runs: Runs): void {
  const wallets = addCommand(program, 'wallets', {
    summary: 'print the wallets and their funds; make new ones, or set what one does',
    description:
      'Print every wallet: address, treasury, status, and its funds as last read; then the account that pays the gas of cancellations.',
    examples: [
      'npx bursar wallets',
      'npx bursar wallets --json',
      'npx bursar wallets new --dir keys --count 4',
    ],
  })
    .helpGroup(HEADING)
    .option(...JSON_OPTION)
    .action(runs('wallets'));
  addCommand(wallets, 'new', {
    summary: 'make encrypted keystores and print their addresses',
    description:
      'Make encrypted keystores, opened by BURSAR_KEYSTORE_PASSWORD, and print their addresses.',
    examples: ['npx bursar wallets new --dir keys --count 4'],
  })
    .requiredOption('--dir <dir>', 'where to write them')
    .option('--count <n>', 'how many', DEFAULTS.count)
    .action(runs('wallets', 'new'));
  const does = {
    active: 'let a wallet pay',
    draining: 'let a wallet only settle what is open',
    retired: 'let a wallet do nothing, for good',
  };
  for (const [status, summary] of Object.entries(does)) {
    addCommand(wallets, `${status} <address>`, {
      summary,
      examples: [
        `npx bursar wallets ${status} 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --reason rotation`,
      ],
    })
      .option('--reason <text>', 'for the audit log')
      .action(runs('wallets', status));
  }
}

function addIncidents(program: Command, runs: Runs): void {
  addCommand(program, 'stop', {
    summary: 'stop everything of a treasury at once, on every replica',
    description:
      'Stop everything of a treasury at once, on every replica: no grant pays or delegates, and no header is handed out. What is signed may still be spent.',
    examples: [
      'npx bursar stop --all --reason "a leaked token is being spent"',
      'npx bursar stop --treasury main',
    ],
  })
    .helpGroup(HEADING)
    .option('--treasury <name>', 'its name or id; again for more (required, or --all)', again)
    .option('--all', 'every treasury (required, or --treasury)')
    .option('--reason <text>', 'for the audit log')
    .action(runs('stop'));
  addCommand(program, 'resume', {
    summary: 'let a stopped treasury go on',
    description:
      'Let a stopped treasury go on. Its grants are as they were: one that was suspended or revoked stays so.',
    examples: ['npx bursar resume --treasury main --reason "the token is revoked"'],
  })
    .helpGroup(HEADING)
    .option('--treasury <name>', 'its name or id; again for more (required, or --all)', again)
    .option('--all', 'every treasury (required, or --treasury)')
    .option('--reason <text>', 'for the audit log')
    .action(runs('resume'));
  addCommand(program, 'adopt <transaction>', {
    summary: 'explain the spends of a transaction that no payment stands for',
    description:
      'Explain the spends of a transaction that no payment stands for, such as a withdrawal of yours. They are written into the books, and their wallets may pay again. With --grant and --key they are the payment of that Idempotency-Key, settled, which the database has lost.',
    examples: [`npx bursar adopt 0x${'5'.repeat(8)}... --reason "withdrawn to the cold wallet"`],
  })
    .helpGroup(HEADING)
    .requiredOption('--reason <text>', 'for the audit log')
    .option('--grant <id>', 'whose payment it was')
    .option('--key <key>', "that payment's Idempotency-Key")
    .action(runs('adopt'));
}

function addRecovery(program: Command, runs: Runs): void {
  addCommand(program, 'restore [dump]', {
    summary: 'restore a dump into the empty database of DATABASE_URL, with row-level security',
    description:
      'Restore a dump of pg_dump --no-owner into the empty database of DATABASE_URL, with row-level security, migrate it, and fence the keys that the dump may not know. Needs psql or pg_restore. Without a dump: put row-level security up in a database that was restored by other means.',
    examples: ['npx bursar restore bursar.dump'],
  })
    .helpGroup(HEADING)
    .option('--reason <text>', 'for the audit log')
    .action(runs('restore'));
  addCommand(program, 'fence', {
    summary: 'after a restore: let no unknown key make a payment until nothing can be lost',
    description:
      'After a restore, before the service starts: no key without a payment makes one until every signature that may be lost has run out, the chains show the rest, and each spend they show is explained.',
    examples: ['npx bursar fence --reason "restored the dump of 02:00"'],
  })
    .helpGroup(HEADING)
    .requiredOption('--reason <text>', 'for the audit log')
    .option('--treasury <id>', 'this treasury alone; again for more', again)
    .action(runs('fence'));
  addCommand(program, 'unfence', {
    summary: 'end a fence at once, where you know that nothing is lost',
    examples: ['npx bursar unfence --reason "no payment was made after the dump"'],
  })
    .helpGroup(HEADING)
    .requiredOption('--reason <text>', 'for the audit log')
    .option('--treasury <id>', 'this treasury alone; again for more', again)
    .action(runs('unfence'));
}
