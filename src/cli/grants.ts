import type { Command } from 'commander';
import { addCommand, type CommandText } from '../command-line.js';
import { telling } from './failure.js';
import { again } from './parse.js';

const GRANT = 'grt_01m8jtabxke06vcf5jt8fd55r7';

/** Heading of the commands that decide about grants. */
export const HEADING = 'For holders and people, to give and to decide:';

/** Adds `grants` and all below it. */
export function addGrantCommands(program: Command): void {
  const grants = addCommand(program, 'grants', {
    summary: 'list, show, mint, delegate, amend, suspend, resume and revoke grants',
    examples: ['npx bursar grants list', 'npx bursar grants show'],
  }).helpGroup(HEADING);
  addReading(grants);
  addMinting(grants);
  addAmending(grants);
  addLife(grants);
  addRaises(program);
}

function addReading(grants: Command): void {
  addCommand(grants, 'list', {
    summary: 'list the grants that you may see: your own and those below it',
    examples: [
      'npx bursar grants list',
      'npx bursar grants list --status active --label task=t-42',
    ],
  })
    .option('--parent <id>', 'those next below this grant')
    .option('--status <status>', 'active, suspended, revoked, expired or not_started')
    .option('--holder <name>', 'of this holder')
    .option('--label <name=value>', 'with this label')
    .option('--limit <n>', 'how many', '100')
    .option('--json', 'JSON instead of a table')
    .action((options, command) =>
      telling(command, async () => (await import('./grant-reading.js')).listGrants(options)),
    );
  addCommand(grants, 'show [grant]', {
    summary: 'show a grant: its limits, its scope, what is spent and left',
    description:
      'Show a grant: its limits, its scope, what is spent and left. Without an id: your own.',
    examples: ['npx bursar grants show', `npx bursar grants show ${GRANT}`],
  })
    .option('--json', 'JSON instead of lines')
    .action((id, options, command) =>
      telling(command, async () => (await import('./grant-reading.js')).showGrant(id, options)),
    );
  addCommand(grants, 'tree [grant]', {
    summary: 'show a grant and all below it, with totals',
    description: 'Show a grant and all below it, with totals. Without an id: your own.',
    examples: ['npx bursar grants tree', `npx bursar grants tree ${GRANT} --json`],
  })
    .option('--limit <n>', 'how many grants at most', '200')
    .option('--json', 'JSON instead of a tree')
    .action((id, options, command) =>
      telling(command, async () => (await import('./grant-reading.js')).showTree(id, options)),
    );
}

function withTerms(command: Command): Command {
  return command
    .option('--holder <name>', 'who will hold it (required, here or in --terms)')
    .option(
      '--budget <amount>',
      'the most it may spend in all, such as 25.00 (required, here or in --terms)',
    )
    .option('--ttl <time>', 'at most how long it lasts, such as 90s, 30m, 12h or 7d')
    .option('--until <time>', 'exactly when it ends, such as 2026-12-31T00:00:00Z')
    .option('--max-per-payment <amount>', 'the most that one payment may be')
    .option('--max-payments <n>', 'how many payments')
    .option(
      '--window <seconds:amount>',
      'the most in each period, such as 3600:5.00; again for more',
      again,
    )
    .option('--approval-above <amount>', 'above this, a person must approve')
    .option('--approve-new-payees', 'a person must approve the first payment to each payee')
    .option('--breaker <refusals:seconds>', 'suspend it when it is refused so often, such as 20:60')
    .option('--pay-to <address>', 'payees it may pay; again for more', again)
    .option(
      '--resource <pattern>',
      'URLs it may pay for, such as https://api.example.com/*; again for more',
      again,
    )
    .option('--network <id>', 'networks it may pay on, such as eip155:8453; again for more', again)
    .option('--depth <n>', 'how many levels of grants may be minted below it; default 0')
    .option('--reserved', 'set the budget aside now, instead of sharing what is above')
    .option('--currency <code>', 'default USDC, or that of the grant above')
    .option('--purpose <text>', 'a note')
    .option('--label <name=value>', 'a label; again for more', again)
    .option(
      '--terms <file>',
      'terms as JSON, as POST /v1/grants has them; options win; - is standard input',
    )
    .option('--dry-run', 'print the terms that would be sent, and mint nothing')
    .option('--token-only', 'print the token and nothing else')
    .option('--json', 'JSON instead of lines');
}

function addMinting(grants: Command): void {
  const mint = addCommand(grants, 'mint', {
    summary: 'mint a grant and print its token, as an admin',
    description:
      'Mint a grant and print its token, as an admin: a root, which needs --ttl or --until, or a child of --parent. Limits and scope that are left out of a child are those of its parent.',
    examples: [
      'npx bursar grants mint --holder orchestrator --budget 25.00 --ttl 24h --depth 1',
      'export BURSAR_TOKEN=$(npx bursar grants mint --holder reader --budget 1.00 --ttl 1h --token-only)',
    ],
  });
  withTerms(mint)
    .option('--parent <id>', 'the grant to mint it below')
    .option('--treasury <id>', 'whose money; default main')
    .action((options, command) =>
      telling(command, async () => (await import('./minting.js')).mintGrant(options)),
    );
  const delegate = addCommand(grants, 'delegate', {
    summary: 'give a part of your own grant to a sub-agent and print its token',
    description:
      'Give a part of your own grant to a sub-agent and print its token. A child is never wider than its parent; limits and scope that are left out are those of the parent.',
    examples: [
      'npx bursar grants delegate --holder reader --budget 0.50 --max-per-payment 0.05 --ttl 10m',
    ],
  });
  withTerms(delegate).action((options, command) =>
    telling(command, async () => (await import('./minting.js')).delegateGrant(options)),
  );
}

function addAmending(grants: Command): void {
  addCommand(grants, 'amend <grant>', {
    summary: 'raise or lower the terms of a grant below you',
    description:
      'Raise or lower the terms of a grant below you; those left out stay. It stays within the grant above. What is signed may still be spent.',
    examples: [
      `npx bursar grants amend ${GRANT} --budget 50.00 --reason "more pages than expected"`,
      `npx bursar grants amend ${GRANT} --max-per-payment none`,
    ],
  })
    .option('--budget <amount>', 'the most it may spend in all')
    .option('--until <time>', 'when it ends, such as 2026-12-31T00:00:00Z')
    .option('--max-per-payment <amount>', 'the most that one payment may be; none for no limit')
    .option('--max-payments <n>', 'how many payments; none for no limit')
    .option('--approval-above <amount>', 'above this, a person must approve; none for nobody')
    .option('--reason <text>', 'for the audit log')
    .option('--json', 'JSON instead of lines')
    .action((id, options, command) =>
      telling(command, async () => (await import('./raises.js')).amendGrant(id, options)),
    );
}

const REQUEST = 'grq_01kf2v9m3xepgt5bnn2h8kq4zd';

function addRaises(program: Command): void {
  const raises = addCommand(program, 'raises', {
    summary: 'ask for a larger budget; list, approve and reject such requests',
    examples: ['npx bursar raises list', `npx bursar raises approve ${REQUEST}`],
  }).helpGroup(HEADING);
  addCommand(raises, 'ask <budget>', {
    summary: 'ask whoever is above your grant for a larger budget, in total',
    examples: ['npx bursar raises ask 50.00 --reason "twice the pages"'],
  })
    .requiredOption('--reason <text>', 'why, for whoever decides')
    .option('--until <time>', 'also for more time, such as 2026-12-31T00:00:00Z')
    .option('--json', 'JSON instead of lines')
    .action((budget, options, command) =>
      telling(command, async () => (await import('./raises.js')).askRaise(budget, options)),
    );
  addCommand(raises, 'list', {
    summary: 'list the raises that wait for a decision',
    examples: ['npx bursar raises list', 'npx bursar raises list --all --json'],
  })
    .option('--all', 'those decided too')
    .option('--json', 'JSON instead of a table')
    .action((options, command) =>
      telling(command, async () => (await import('./raises.js')).listRaises(options)),
    );
  const decide = {
    approve: 'amend the grant as its holder asked',
    reject: 'leave the grant as it is',
  };
  for (const [name, summary] of Object.entries(decide)) {
    addCommand(raises, `${name} <request>`, {
      summary,
      examples: [`npx bursar raises ${name} ${REQUEST} --reason "agreed with ann"`],
    })
      .option('--reason <text>', 'for the audit log')
      .option('--json', 'JSON instead of lines')
      .action((id, options, command) =>
        telling(command, async () => {
          const { decideRaise } = await import('./raises.js');
          await decideRaise(name as keyof typeof decide, id, options);
        }),
      );
  }
}

/** The commands that stop and start a grant. */
const LIFE: Readonly<Record<'suspend' | 'resume' | 'revoke', CommandText>> = {
  suspend: {
    summary: 'pause a grant and all below it',
    description:
      'Pause a grant and all below it, at once. What is signed may still be spent. --dry-run shows what it would stop.',
    examples: [
      `npx bursar grants suspend ${GRANT} --dry-run`,
      `npx bursar grants suspend ${GRANT} --reason "spends too fast"`,
    ],
  },
  resume: {
    summary: 'end the pause of a grant',
    examples: [`npx bursar grants resume ${GRANT}`],
  },
  revoke: {
    summary: 'end a grant and all below it, for good',
    description:
      'End a grant and all below it, at once and for good. What is signed may still be spent, unless --cancel-outstanding cancels it on chain in time. --dry-run shows what it would stop.',
    examples: [
      `npx bursar grants revoke ${GRANT} --dry-run`,
      `npx bursar grants revoke ${GRANT} --reason "task done" --yes`,
    ],
  },
};

function addLife(grants: Command): void {
  for (const [name, text] of Object.entries(LIFE)) {
    const command = addCommand(grants, `${name} <grant>`, text)
      .option('--reason <text>', 'for the audit log')
      .option('--dry-run', 'show what it would stop, or let go on, and do nothing')
      .option('--json', 'JSON instead of lines');
    if (name === 'revoke') {
      command
        .option('--cancel-outstanding', 'cancel what is signed and unsettled, on chain')
        .option('-y, --yes', 'do not ask on a terminal');
    }
    command.action((id, options, command) =>
      telling(command, async () => {
        const { changeGrant } = await import('./grant-life.js');
        await changeGrant(name as keyof typeof LIFE, id, options);
      }),
    );
  }
}
