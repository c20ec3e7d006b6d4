import type { Command } from 'commander';

const again = (value: string, before: string[]) => [...before, value];

/** Adds the options of `bursar check`. A file of its own, because help and completions need nothing else of the checker. */
export function withCheckOptions(command: Command): Command {
  return command
    .option(
      '--database-url <url>',
      'default: DATABASE_URL, else the embedded Postgres that runs under BURSAR_DATA_DIR',
    )
    .option(
      '--rpc <network=url>',
      'an RPC, such as eip155:8453=https://...; default: BURSAR_NETWORKS. Again for more',
      again,
      [],
    )
    .option(
      '--finality <network=n>',
      'when a block is final: n blocks under the head, safe or finalized. Default: BURSAR_NETWORKS, else finalized. Again for more',
      again,
      [],
    )
    .option(
      '--headers <file>',
      'payment headers that clients received, a line each. Again for more',
      again,
      [],
    )
    .option('--overdue <time>', 'what I9 allows past validBefore and finality: s, m or h', '60s')
    .option('--show <n>', 'how many offenders are named of each invariant', '10')
    .option('--json', 'one line of JSON instead of the table', false);
}
