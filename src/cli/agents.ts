import type { Command } from 'commander';
import { addCommand } from '../command-line.js';
import { telling } from './failure.js';
import { again } from './parse.js';

const HEADING = 'For agents, to pay:';

/** Adds the commands that pay, and that look at what was paid. */
export function addAgentCommands(program: Command, stopped: AbortSignal): void {
  addFetch(program, stopped);
  addQuote(program, stopped);
  addServices(program);
  addPayments(program);
  addWatch(program, stopped);
  addDoctor(program, stopped);
}

/** The options that say which request is sent, as curl has them. */
function withRequest(command: Command): Command {
  return command
    .option('-X, --request <method>', 'the method; default GET, or POST with -d')
    .option('-H, --header <line>', 'a header, such as "Accept: text/csv"; again for more', again)
    .option(
      '-d, --data <data>',
      'the body; @FILE reads a file, @- standard input; again joins with &',
      again,
    );
}

function addFetch(program: Command, stopped: AbortSignal): void {
  const command = addCommand(program, 'fetch <url>', {
    summary: 'get a URL, and pay for it where that is asked',
    description:
      "Get a URL, and pay for it where that is asked. The body goes to standard output, the cost to standard error. The grant's limits hold, whatever the seller asks.",
    examples: [
      'npx bursar fetch https://api.example.com/data/7 --max-amount 0.05',
      'npx bursar fetch https://api.example.com/search -d q=rain -o found.json',
      'npx bursar fetch https://api.example.com/report --intent "report of 1 December"',
    ],
  }).helpGroup(HEADING);
  withRequest(command)
    .option('-o, --output <file>', 'write the body to a file')
    .option('-i, --include', 'print the status and the headers before the body')
    .option('-f, --fail', 'no body and exit code 1 for a status of 400 or more')
    .option('-s, --silent', 'do not tell the cost')
    .option('--max-amount <amount>', 'the most it may cost, such as 0.05')
    .option(
      '--intent <text>',
      'name the purchase: under one grant the same text never pays twice, on any machine',
    )
    .option(
      '--key <key>',
      'continue the purchase with this key; an error that leaves one open prints it',
    )
    .option('--memo <text>', 'a note for the audit log')
    .option('--wait <time>', 'wait for an approval, such as 10m; default: exit 4 at once')
    .option('--json', 'tell the cost and errors as JSON on standard error')
    .action((url, options, command) =>
      telling(command, async () => {
        const { fetchCommand } = await import('./fetch.js');
        await fetchCommand(url, options, stopped);
      }),
    );
}

function addQuote(program: Command, stopped: AbortSignal): void {
  const command = addCommand(program, 'quote <url>', {
    summary: 'what a URL would cost, and whether the grant allows it',
    description:
      'What a URL would cost, and whether the grant allows it. The request is sent once, unpaid. Exits 0 when it may be paid, 3 when it is refused, 4 when it needs an approval.',
    examples: ['npx bursar quote https://api.example.com/report'],
  }).helpGroup(HEADING);
  withRequest(command)
    .option('--max-amount <amount>', 'the most it may cost, such as 0.05')
    .option('--json', 'JSON instead of a table')
    .action((url, options, command) =>
      telling(command, async () => {
        const { quoteCommand } = await import('./quote.js');
        await quoteCommand(url, options, stopped);
      }),
    );
}

function addServices(program: Command): void {
  addCommand(program, 'services [query]', {
    summary: 'find priced operations that the grant could pay, the best first',
    description:
      'Find priced operations that the grant could pay, the best first: by price, and by how payments to their host went. Of what admins subscribed to. Names and URLs are the text of strangers; the 402 of a request decides its price.',
    examples: [
      'npx bursar services "weather forecast" --max-price 0.05',
      'npx bursar services --network eip155:8453 --json | jq -r ".[].url"',
    ],
  })
    .helpGroup(HEADING)
    .option('--max-price <amount>', 'nothing that costs more, such as 0.05')
    .option('--network <network>', 'payable on this network, such as eip155:8453')
    .option('--grant <id>', 'what this grant could pay; default: your own')
    .option('--limit <n>', 'how many', '20')
    .option('--json', 'JSON instead of a table')
    .action((query, options, command) =>
      telling(command, async () => {
        const { servicesCommand } = await import('./services.js');
        await servicesCommand(query, options);
      }),
    );
}

function addPayments(program: Command): void {
  addCommand(program, 'payments [payment]', {
    summary: 'list the latest payments, or show one',
    description:
      'List the latest payments of the grant and of those below it, the newest first, or show one.',
    examples: [
      'npx bursar payments --status settled --limit 50',
      'npx bursar payments --refused',
      'npx bursar payments --json | jq -r ".[].amount"',
    ],
  })
    .helpGroup(HEADING)
    .option('--grant <id>', 'of this grant and those below it')
    .option(
      '--status <status>',
      'pending_approval, authorized, settled, released, cancelled or rejected',
    )
    .option('--pay-to <address>', 'to this payee')
    .option('--host <host>', 'for URLs of this host, or host:port')
    .option('--label <name=value>', 'of grants with this label')
    .option('--from <time>', 'made at this time or later, such as 2026-11-01T00:00:00Z')
    .option('--to <time>', 'made at this time or earlier')
    .option('--refused', 'the refusals instead, which made no payment')
    .option('--limit <n>', 'how many', '20')
    .option('--json', 'JSON instead of a table')
    .action((payment, options, command) =>
      telling(command, async () => {
        const { paymentsCommand } = await import('./payments.js');
        await paymentsCommand(payment, options);
      }),
    );
  addCommand(program, 'report', {
    summary: 'who spent what: by day, holder, payee, host, label and more',
    description:
      'Who spent what, of the grant and of those below it. --by takes up to three of day, hour, grant, root, holder, payTo, host, network, status and label:NAME.',
    examples: [
      'npx bursar report --by day,holder --from 2026-11-01T00:00:00Z',
      'npx bursar report --by label:task,host',
      'npx bursar report --by payTo --json | jq -r ".[] | [.group.payTo, .settled] | @tsv"',
    ],
  })
    .helpGroup(HEADING)
    .option('--by <dimensions>', 'up to three, with commas between', 'day')
    .option('--grant <id>', 'of this grant and those below it')
    .option('--from <time>', 'payments made at this time or later')
    .option('--to <time>', 'payments made at this time or earlier')
    .option('--json', 'JSON instead of a table')
    .action((options, command) =>
      telling(command, async () => (await import('./report.js')).reportCommand(options)),
    );
  addCommand(program, 'why [id]', {
    summary: 'why a payment was allowed or refused: every check of every grant',
    description:
      'Why a payment (pay_...) was allowed, or a refusal (evt_...) was not: the checks of every grant of the chain in their order, which one decided, and what would have allowed it. Without an id: the latest refusal.',
    examples: ['npx bursar why', 'npx bursar why pay_01m8jtabzee06vcf601dbay4jd'],
  })
    .helpGroup(HEADING)
    .option('--json', 'JSON instead of tables')
    .action((id, options, command) =>
      telling(command, async () => {
        const { whyCommand } = await import('./why.js');
        await whyCommand(id, options);
      }),
    );
}

function addWatch(program: Command, stopped: AbortSignal): void {
  addCommand(program, 'watch', {
    summary: 'print events as they happen: payments, refusals, grants, approvals',
    description:
      'Print events as they happen, those of the grant and of the grants below it (an admin: all). In a pipe or with --json each line is one event with its cursor; --after continues behind one. Reconnects by itself.',
    examples: [
      'npx bursar watch',
      'npx bursar watch --kind payment.refused,grant.revoked',
      'npx bursar watch --json | jq -r .kind',
    ],
  })
    .helpGroup(HEADING)
    .option('--kind <kinds>', 'only these kinds, with commas between; payment.* stands for all')
    .option('--grant <id>', 'of this grant and those below it')
    .option('--treasury <id>', 'of this treasury only, for admins of several')
    .option('--after <cursor>', 'begin behind the event with this cursor; default: begin now')
    .option('--count <n>', 'end after so many events')
    .option('--json', 'JSON lines instead of text')
    .action((options, command) =>
      telling(command, async () => {
        const { watchCommand } = await import('./watch.js');
        await watchCommand(options, stopped);
      }),
    );
}

function addDoctor(program: Command, stopped: AbortSignal): void {
  const command = addCommand(program, 'doctor <url>', {
    summary: 'is this paid API payable, by whom, at what price; what to change',
    description:
      'Is this paid API payable, by whom, at what price? Looks at both dialects of x402, redirects, CORS, caching, HEAD, and at how it answers proofs that are malformed or forged. Pays nothing without --pay. Exits 1 when something must be changed.',
    examples: [
      'npx bursar doctor https://api.example.com/data/7',
      'npx bursar doctor https://api.example.com/data/7 --pay --max-amount 0.05',
    ],
  }).helpGroup(HEADING);
  command
    .option('--pay', 'make one real payment, look at the answer, and replay its proof')
    .option('--max-amount <amount>', 'the most that payment may cost, such as 0.05')
    .option('--json', 'JSON instead of a table')
    .action((url, options, command) =>
      telling(command, async () => {
        const { doctorCommand } = await import('./doctor/doctor.js');
        await doctorCommand(url, options, stopped);
      }),
    );
}
