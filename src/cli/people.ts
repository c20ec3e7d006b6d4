import type { Command } from 'commander';
import { addCommand } from '../command-line.js';
import { SHELLS } from './completion.js';
import { telling } from './failure.js';
import { HEADING } from './grants.js';

/** Heading of the commands that come before all others. */
export const SETTING_UP = 'To set up:';

const PAYMENT = 'pay_01m8jtad3fe06vcf798k41p7av';

/** Adds approvals, logging in and completions. */
export function addPeopleCommands(program: Command): void {
  addApprovals(program);
  addLogin(program);
  addCommand(program, 'completion <shell>', {
    summary: 'print completions for bash, zsh or fish',
    examples: [
      'eval "$(npx bursar completion bash)"       # in ~/.bashrc',
      'npx bursar completion zsh > ~/.zfunc/_bursar',
      'npx bursar completion fish > ~/.config/fish/completions/bursar.fish',
    ],
    description: `Print completions of the command "bursar" for a shell: ${SHELLS.join(', ')}. With alias bursar='npx bursar' they complete that.`,
  })
    .helpGroup(SETTING_UP)
    .action(async (shell) => {
      const { completionCommand } = await import('./completion.js');
      completionCommand(program, shell);
    });
}

function addApprovals(program: Command): void {
  const approvals = addCommand(program, 'approvals', {
    summary: 'list, approve and reject payments that wait for a person',
    examples: ['npx bursar approvals list', `npx bursar approvals approve ${PAYMENT}`],
  }).helpGroup(HEADING);
  addCommand(approvals, 'list', {
    summary: 'list the payments that wait for an approval, or to be collected',
    examples: ['npx bursar approvals list'],
  })
    .option('--grant <id>', 'of this grant and those below it')
    .option('--json', 'JSON instead of a table')
    .action((options, command) =>
      telling(command, async () => (await import('./approvals.js')).listApprovals(options)),
    );
  const decide = {
    approve: 'let a payment be signed when its agent asks again',
    reject: 'refuse a payment for good; also takes an approval back that was not used yet',
  };
  for (const [name, summary] of Object.entries(decide)) {
    addCommand(approvals, `${name} <payment>`, {
      summary,
      examples: [`npx bursar approvals ${name} ${PAYMENT} --reason "asked by ann"`],
    })
      .option('--reason <text>', 'for the audit log')
      .option('--json', 'JSON instead of lines')
      .action((id, options, command) =>
        telling(command, async () => {
          const { decideApproval } = await import('./approvals.js');
          await decideApproval(name as keyof typeof decide, id, options);
        }),
      );
  }
}

function addLogin(program: Command): void {
  addCommand(program, 'login', {
    summary: 'store the address of the service and a token, for you alone',
    description:
      'Store the address of the service and a token in a file for you alone (mode 0600). Takes them from BURSAR_URL and BURSAR_TOKEN, else asks. Later the environment wins over the file.',
    examples: [
      'npx bursar login',
      'npx bursar admin-token | npx bursar login --url http://127.0.0.1:4020 --token-stdin',
    ],
  })
    .helpGroup(SETTING_UP)
    .option('--url <url>', 'the address of the service')
    .option('--token-stdin', 'read the token from standard input')
    .action((options, command) =>
      telling(command, async () => (await import('./login.js')).loginCommand(options)),
    );
  addCommand(program, 'logout', {
    summary: 'remove what login stored',
    examples: ['npx bursar logout'],
  })
    .helpGroup(SETTING_UP)
    .action(async () => (await import('./login.js')).logoutCommand());
  addCommand(program, 'whoami', {
    summary: 'whose token is used, from where, and until when',
    examples: ['npx bursar whoami'],
  })
    .helpGroup(SETTING_UP)
    .option('--json', 'JSON instead of lines')
    .action((options, command) =>
      telling(command, async () => (await import('./login.js')).whoamiCommand(options)),
    );
}
