import { parseArgs } from 'node:util';
import { JwtService } from '@nestjs/jwt';
import { ADMIN_ROLES, type AdminRole } from './access/caller.js';
import { Keys } from './access/keys.js';
import { Tokens } from './access/tokens.js';
import { auditCommand } from './audit/verify-command.js';
import { loadConfig } from './config.js';
import { appendServiceEvent } from './ledger/service-events.js';
import { failWith } from './ops/exit.js';
import { createLogger } from './ops/logger.js';
import { resolveSecrets } from './secrets.js';
import { type OpenDatabase, openDatabase } from './service.js';
import { MnemonicSigner } from './treasury/signer.js';

const HELP = `npx bursar COMMAND

  admin-token [--role admin|approver|auditor] [--name NAME] [--ttl 12h]
              prints a bearer token for an admin; --ttl takes s, m, h or d
  audit verify FILE [--checkpoint FILE]... [--key KEY] [--rpc URL]...
              verifies an exported log, without a database; see docs/audit.md
  wallets     prints the addresses of the treasury's wallets, one a line: fund these

It reads the same environment as the service, and works while the service runs.
`;

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** The longest life of an admin token, in seconds: a year. */
const MAX_TTL_SECONDS = 31_536_000;

async function main(): Promise<void> {
  const [room, ...rest] = process.argv.slice(2);
  if (room === 'audit') return auditCommand(rest);
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      role: { type: 'string', default: 'admin' },
      name: { type: 'string', default: 'cli' },
      ttl: { type: 'string', default: '12h' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const [command] = positionals;
  if (values.help || command === undefined) {
    process.stdout.write(HELP);
    return;
  }
  if (positionals.length > 1) throw new Error(`too many words: ${positionals.join(' ')}`);
  switch (command) {
    case 'admin-token': {
      const role = parseRole(values.role);
      const ttlSeconds = parseTtl(values.ttl);
      return withDatabase(async ({ database, config }) => {
        const keys = new Keys(database, config);
        await keys.load();
        const tokens = new Tokens(new JwtService({}), keys, config);
        // The event first: a token that is not in the log is never shown.
        await database.transaction((tx) =>
          appendServiceEvent(tx, {
            kind: 'admin.token_minted',
            actor: 'system:cli',
            data: { name: values.name, role, ttlSeconds },
          }),
        );
        const token = await tokens.mintAdminToken({ name: values.name, role }, ttlSeconds);
        process.stdout.write(`${token}\n`);
      });
    }
    case 'wallets':
      return printWallets();
    default:
      throw new Error(`there is no command "${command}"; see: npx bursar --help`);
  }
}

async function printWallets(): Promise<void> {
  const config = await resolveSecrets(loadConfig(process.env));
  const signer = new MnemonicSigner(config.walletMnemonic ?? '', config.walletCount);
  process.stdout.write(`${signer.addresses.join('\n')}\n`);
}

async function withDatabase(work: (open: OpenDatabase) => Promise<void>): Promise<void> {
  const open = await openDatabase(loadConfig(process.env), createLogger('silent'));
  try {
    await work(open);
  } finally {
    await open.close();
  }
}

function parseRole(text: string): AdminRole {
  const role = ADMIN_ROLES.find((each) => each === text);
  if (!role) throw new Error(`--role must be one of: ${ADMIN_ROLES.join(', ')}`);
  return role;
}

function parseTtl(text: string): number {
  const match = /^([1-9][0-9]{0,8})([smhd])$/.exec(text);
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] ?? ''] ?? Number.NaN);
  if (!(seconds <= MAX_TTL_SECONDS)) {
    throw new Error('--ttl must be a time such as 90s, 30m, 12h or 7d, a year at most');
  }
  return seconds;
}

main().catch(failWith);
