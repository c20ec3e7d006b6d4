import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { programOf } from './cli/program.js';
import { runCommandLine } from './command-line.js';
import { printable } from './domain/printable.js';
import { runUntilSignalled } from './run.js';
import { aborted } from './stop-request.js';

// Output of commands comes partly from files and tables that others wrote: nothing of it may steer the terminal.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (text: string | Uint8Array, ...rest: never[]) =>
  write(typeof text === 'string' ? printable(text) : text, ...rest);

await runUntilSignalled('bursar', async (onStop, stopped) => {
  const args = keyIdsLast(process.argv.slice(2));
  const rest = args.slice(args.findIndex((arg) => !arg.startsWith('-')) + 1);
  let outcome: 'done' | 'running' = 'done';
  const program = programOf({
    stopped,
    hosts: {
      async mcp() {
        const { agentAccess } = await import('./cli/session.js');
        const { url, token, fetch, onToken } = agentAccess();
        const { mcpCommand } = await import('./mcp/command.js');
        // All other output goes to standard error: standard output carries the protocol.
        process.stdout.write = process.stderr.write.bind(process.stderr);
        await mcpCommand({
          access: { url, token, fetch, onToken },
          env: process.env,
          stdin: process.stdin,
          write: (chunk, done) => void write(chunk, done),
          stopped,
        });
      },
      async setup(host, values) {
        const { agentAccess } = await import('./cli/session.js');
        const { setupCommand } = await import('./setup/command.js');
        await setupCommand(host, values, {
          access() {
            const { url, token, renewToken } = agentAccess();
            return { url, token, isStored: renewToken };
          },
          env: process.env,
          home: homedir(),
          platform: process.platform,
          node: process.execPath,
          launcher: realpathSync(process.argv[1] ?? ''),
          print: (text) => void process.stdout.write(text),
        });
      },
    },
    async operate(command, values, words) {
      const { runCommand } = await import('./commands.js');
      outcome = await runCommand({ command, values, words }, onStop, stopped);
    },
    async verify() {
      const { auditCommand } = await import('./audit/verify-command.js');
      process.stdout.write(`${await Promise.race([auditCommand(rest), aborted(stopped)])}\n`);
    },
    async check() {
      // A checker loads nothing of what it checks, and starts at once; everything else is the service's.
      const { checkCommand } = await import('./check/command.js');
      process.exitCode = await Promise.race([checkCommand(rest, process.env), aborted(stopped)]);
    },
  });
  await runCommandLine(program, args);
  return outcome;
});

/** A key's id is base64url and may begin with a dash, which is no option then: it stands behind a `--`. */
function keyIdsLast(args: readonly string[]): string[] {
  const isId = (arg: string) => /^-[\w-]{42}$/.test(arg);
  if (args.includes('--') || !args.some(isId)) return [...args];
  return [...args.filter((arg) => !isId(arg)), '--', ...args.filter(isId)];
}
