import type { Command } from 'commander';
import { addCommand } from '../command-line.js';
import type { SetupValues } from '../setup/options.js';
import { SETTING_UP } from './people.js';

/** Actions of the commands for MCP hosts. */
export interface HostCommands {
  mcp(): Promise<void>;
  setup(host: string, values: SetupValues): Promise<void>;
}

/** Adds the commands that serve MCP hosts and write their configuration. */
export function addHostCommands(program: Command, hosts: HostCommands): void {
  addCommand(program, 'mcp', {
    summary: 'serve the tools of a grant to an MCP host',
    description:
      'Serve the tools of a grant to an MCP host (docs/mcp.md) on standard input and output, with fetch_paid_url. Takes BURSAR_URL and BURSAR_TOKEN, else what login stored.',
    examples: [
      'npx bursar mcp',
      'BURSAR_URL=http://127.0.0.1:4020 BURSAR_TOKEN=... npx bursar mcp',
    ],
  })
    .helpGroup(SETTING_UP)
    .action(() => hosts.mcp());
  addCommand(program, 'setup <host>', {
    summary: 'write Bursar into the configuration of an MCP host',
    description:
      'Write Bursar into the configuration of an MCP host, for the grant of BURSAR_URL and BURSAR_TOKEN, else of what login stored: claude-code, claude-desktop, cursor, vscode, codex, gemini or goose. Shows what changes, then writes it. Other entries and comments stay. A second run changes nothing.',
    examples: ['npx bursar setup claude-code', 'npx bursar setup cursor --http --dry-run'],
  })
    .helpGroup(SETTING_UP)
    .option('--stdio', 'the host starts npx bursar mcp, which adds fetch_paid_url (the default)')
    .option('--http', 'the host asks the service itself')
    .option('--remove', 'take the entry out again')
    .option('--dry-run', 'only show what would change')
    .action((host: string, values: SetupValues) => hosts.setup(host, values));
}
