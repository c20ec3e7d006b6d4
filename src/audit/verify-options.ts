import type { Command } from 'commander';

const again = (value: string, before: string[]) => [...before, value];

/** Adds the options of `bursar audit verify`. A file of its own, because help and completions need nothing else. */
export function withVerifyOptions(command: Command): Command {
  return command
    .option('--checkpoint <file>', 'signed checkpoints of the log. Again for more', again, [])
    .option('--key <key>', "the log's public key, or a file that holds it")
    .option('--rpc <url>', 'a chain to compare the payments with. Again for more', again, []);
}
