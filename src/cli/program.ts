import { Command } from 'commander';
import { VERSION } from '../version.js';
import { addAgentCommands } from './agents.js';
import { addGrantCommands } from './grants.js';
import { addHostCommands, type HostCommands } from './hosts.js';
import { addOperatorCommands, type Operators } from './operators.js';
import { addPeopleCommands } from './people.js';

/** The whole tree of commands. Definitions only: what a command needs is loaded when it runs. */
export function programOf({
  stopped,
  hosts,
  ...operators
}: Operators & { stopped: AbortSignal; hosts: HostCommands }): Command {
  const program = new Command('npx bursar')
    .description('Money for agents: bounded, revocable, auditable.')
    .version(VERSION, '--version', 'print the version')
    .addHelpText(
      'after',
      () => `
Agents and people give BURSAR_URL and BURSAR_TOKEN, or log in once: npx bursar login.
Tables on a terminal, JSON in a pipe or with --json. Exit codes: 0 done, 1 failed, 2 called wrongly,
3 refused, 4 waiting for an approval.`,
    );
  addAgentCommands(program, stopped);
  addGrantCommands(program);
  addPeopleCommands(program);
  addHostCommands(program, hosts);
  addOperatorCommands(program, operators);
  return program;
}
