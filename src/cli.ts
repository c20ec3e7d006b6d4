import { failWith } from './ops/exit.js';

/** A checker loads nothing of what it checks, and starts at once; everything else is the service's. */
async function main([command, ...args]: readonly string[]): Promise<void> {
  if (command === 'check') {
    const { checkCommand } = await import('./check/command.js');
    process.exitCode = await checkCommand(args, process.env);
    return;
  }
  const { runCommand } = await import('./commands.js');
  await runCommand();
}

main(process.argv.slice(2)).catch(failWith);
