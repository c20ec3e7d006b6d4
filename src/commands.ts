import { once } from 'node:events';
import { parseArgs } from 'node:util';
import type { AdminRole } from './access/caller.js';
import type { Keys } from './access/keys.js';
import type { Config } from './config.js';
import type { Database } from './database/database.js';
import type { OpenDatabase } from './open-database.js';

const HELP = `npx bursar COMMAND

  admin-token [--role admin|approver|auditor] [--name NAME] [--ttl 12h] [--treasury ID]...
              prints a bearer token for an admin, of all treasuries or of those named; --ttl takes
              s, m, h or d
  actor SUBJECT
              prints how somebody who signs in at the identity provider is named in the log
  keys list   prints the keys that tokens are signed with: id, state, since when
  keys rotate [--in 60s]
              makes a new key: published at once, signing after the time given. The keys before it
              go on verifying
  keys retire ID
              ends a key: tokens it signed are refused from then on
  jobs        prints the jobs that failed all their tries: id, job, where it was to look, when, why
  jobs retry ID|all
              has them tried again
  audit verify FILE [--checkpoint FILE]... [--key KEY] [--rpc URL]...
              verifies an exported log, without a database; see docs/audit.md
  check       tests the invariants I1 to I9 of the database and the chains; see: npx bursar check --help
  wallets     prints every wallet: address, treasury, status, and its funds as last read; then the
              account that pays the gas of cancellations
  wallets new --dir DIR [--count 1]
              makes encrypted keystores, opened by BURSAR_KEYSTORE_PASSWORD, and prints their addresses
  wallets active|draining|retired ADDRESS [--reason TEXT]
              sets what a wallet does: pay, only settle what is open, or nothing for good
  signer --socket PATH
              holds the wallets' keys for services whose BURSAR_SIGNER_SOCKET is PATH; until signalled

It reads the same environment as the service, and works while the service runs.
`;

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** How long a new key is known before it signs, at least: processes look every five seconds. */
const MIN_LEAD_SECONDS = 10;

/** The longest life of an admin token, in seconds: a year. */
const MAX_TTL_SECONDS = 31_536_000;

/**
 * Runs the command of the command line. Each loads what it needs and no more: the service's libraries take
 * longer to load than most commands to run.
 *
 * @throws Error with one line for what it cannot do.
 */
export async function runCommand(): Promise<void> {
  const [room, ...rest] = process.argv.slice(2);
  if (room === 'audit') {
    const { auditCommand } = await import('./audit/verify-command.js');
    process.stdout.write(`${await auditCommand(rest)}\n`);
    return;
  }
  const { values, positionals } = parseArgs({
    args: keyIdsLast(process.argv.slice(2)),
    allowPositionals: true,
    options: {
      role: { type: 'string', default: 'admin' },
      name: { type: 'string', default: 'cli' },
      ttl: { type: 'string', default: '12h' },
      dir: { type: 'string' },
      count: { type: 'string', default: '1' },
      reason: { type: 'string' },
      socket: { type: 'string' },
      treasury: { type: 'string', multiple: true },
      in: { type: 'string', default: '60s' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const [command, ...words] = positionals;
  if (values.help || command === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const most = { actor: 1, jobs: 2, keys: 2, wallets: words[0] === 'new' ? 1 : 2 }[command] ?? 0;
  if (words.length > most) throw new Error(`too many words: ${positionals.join(' ')}`);
  switch (command) {
    case 'actor': {
      const [subject] = words;
      if (subject === undefined)
        throw new Error('actor takes the subject, as the provider names it');
      const { Oidc } = await import('./access/oidc.js');
      const { resolveSecrets } = await import('./secrets.js');
      const oidc = new Oidc(await resolveSecrets(await configured()));
      process.stdout.write(`admin:${oidc.nameOf(subject)}\n`);
      return;
    }
    case 'admin-token': {
      const role = await parseRole(values.role);
      const ttlSeconds = parseTime('--ttl', values.ttl);
      const name = parseName(values.name);
      return withKeys(async (keys, { database, config }) => {
        const treasuries = await parseTreasuries(database, values.treasury);
        const { JwtService } = await import('@nestjs/jwt');
        const { Tokens } = await import('./access/tokens.js');
        const { appendServiceEvent } = await import('./ledger/service-events.js');
        const tokens = new Tokens(new JwtService({}), keys, config);
        // The event first: a token that is not in the log is never shown.
        await database.transaction((tx) =>
          appendServiceEvent(tx, {
            kind: 'admin.token_minted',
            actor: 'system:cli',
            data: { name, role, ttlSeconds, treasuries: treasuries ?? null },
          }),
        );
        const token = await tokens.mintAdminToken({ name, role, treasuries }, ttlSeconds);
        process.stdout.write(`${token}\n`);
      });
    }
    case 'jobs': {
      const [action, id] = words;
      if (action !== undefined && (action !== 'retry' || id === undefined)) {
        throw new Error('jobs takes nothing, or: retry ID, retry all; see: npx bursar --help');
      }
      const { printDeadLetters, retryDeadLetters } = await import('./outbox/commands.js');
      if (id === undefined)
        return withDatabase(({ database, config }) => printDeadLetters(database, config));
      return withDatabase(({ database, config }) => retryDeadLetters(database, config, id));
    }
    case 'keys':
      return manageKeys(words, () => parseTime('--in', values.in));
    case 'wallets': {
      const [what, address] = words;
      const { printWallets, setWalletStatus, writeKeystores } = await import(
        './treasury/commands.js'
      );
      const { WALLET_STATUSES } = await import('./treasury/wallets.js');
      if (what === undefined)
        return withDatabase(({ database, config }) => printWallets(database, config));
      if (what === 'new') {
        return writeKeystores(
          values.dir,
          parseCount(values.count),
          process.env.BURSAR_KEYSTORE_PASSWORD,
        );
      }
      const status = WALLET_STATUSES.find((each) => each === what);
      if (!status || address === undefined) {
        throw new Error(`"wallets ${what}" is not known; see: npx bursar --help`);
      }
      return withDatabase(({ database, config }) =>
        setWalletStatus(database, config, address, status, values.reason),
      );
    }
    case 'signer':
      return runSigner(values.socket);
    default:
      throw new Error(`there is no command "${command}"; see: npx bursar --help`);
  }
}

async function runSigner(socket: string | undefined): Promise<void> {
  if (socket === undefined) throw new Error('--socket is missing; give the path to listen on');
  const config = await configured();
  if (config.signerSocket !== undefined) {
    throw new Error(
      'BURSAR_SIGNER_SOCKET is for services; a signer needs BURSAR_KEYSTORE or BURSAR_WALLET_MNEMONIC',
    );
  }
  const stopped = Promise.race(['SIGINT', 'SIGTERM'].map((signal) => once(process, signal)));
  const { resolveSecrets } = await import('./secrets.js');
  const { signerOf } = await import('./treasury/signer-of.js');
  const { serveSigner } = await import('./treasury/signer-socket.js');
  const signer = signerOf(await resolveSecrets(config));
  const { addresses } = await signer.wallets({ position: 0, name: 'main' });
  const server = await serveSigner(signer, socket, config.networks);
  process.stdout.write(
    `The signer is ready on ${socket}, with ${addresses.length} wallets of main\n`,
  );
  await stopped;
  await server.close();
}

/** A key's id is base64url and may begin with a dash, which is no option then: it stands behind a `--`. */
function keyIdsLast(args: readonly string[]): string[] {
  const isId = (arg: string) => /^-[\w-]{42}$/.test(arg);
  if (args.includes('--') || !args.some(isId)) return [...args];
  return [...args.filter((arg) => !isId(arg)), '--', ...args.filter(isId)];
}

async function manageKeys(
  [action, kid, ...more]: readonly string[],
  leadSeconds: () => number,
): Promise<void> {
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  if (action === 'list' && kid === undefined) {
    return withKeys(async (keys) => {
      for (const key of await keys.list()) {
        const since = key.retiredAt ?? key.signsFrom;
        say(`${key.kid} ${key.state.padEnd(9)} since ${since.toISOString()}`);
      }
    });
  }
  if (action === 'rotate' && kid === undefined) {
    const seconds = leadSeconds();
    if (seconds < MIN_LEAD_SECONDS) {
      throw new Error(
        `--in must be ${MIN_LEAD_SECONDS}s at least: every process must know the key first`,
      );
    }
    return withKeys(async (keys) => say(await keys.rotate(seconds)));
  }
  if (action === 'retire' && kid !== undefined && more.length === 0) {
    return withKeys((keys) => keys.retire(kid));
  }
  throw new Error('keys takes one of: list, rotate, retire ID; see: npx bursar --help');
}

async function configured(): Promise<Config> {
  const { loadConfig } = await import('./config.js');
  return loadConfig(process.env);
}

async function withDatabase(work: (open: OpenDatabase) => Promise<void>): Promise<void> {
  const { createLogger } = await import('./ops/logger.js');
  const { openDatabase } = await import('./open-database.js');
  const open = await openDatabase(await configured(), createLogger('silent'));
  try {
    await work(open);
  } finally {
    await open.close();
  }
}

async function withKeys(work: (keys: Keys, open: OpenDatabase) => Promise<void>): Promise<void> {
  return withDatabase(async (open) => {
    const { Keys } = await import('./access/keys.js');
    const keys = new Keys(open.database, open.config);
    await keys.load();
    await work(keys, open);
  });
}

async function parseRole(text: string): Promise<AdminRole> {
  const { ADMIN_ROLES } = await import('./access/caller.js');
  const role = ADMIN_ROLES.find((each) => each === text);
  if (!role) throw new Error(`--role must be one of: ${ADMIN_ROLES.join(', ')}`);
  return role;
}

function parseCount(text: string): number {
  if (!/^([1-9][0-9]?|100)$/.test(text)) throw new Error('--count must be a number from 1 to 100');
  return Number(text);
}

/** Whom events name. What comes from the identity provider begins differently: no one poses as another. */
function parseName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$/.test(text)) return text;
  throw new Error('--name takes 1 to 100 letters, digits, ".", "_", "@", "+" and "-"');
}

async function parseTreasuries(
  database: Database,
  ids: string[] | undefined,
): Promise<string[] | undefined> {
  if (ids === undefined) return undefined;
  const { rows } = await database.pool.query<{ id: string }>(
    'SELECT id FROM treasuries WHERE id = ANY ($1::text[])',
    [ids],
  );
  const unknown = ids.find((id) => !rows.some((row) => row.id === id));
  if (unknown !== undefined) throw new Error(`--treasury: there is no treasury ${unknown}`);
  return rows.map(({ id }) => id).sort();
}

function parseTime(option: string, text: string): number {
  const match = /^([1-9][0-9]{0,8})([smhd])$/.exec(text);
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] ?? ''] ?? Number.NaN);
  if (!(seconds <= MAX_TTL_SECONDS)) {
    throw new Error(`${option} must be a time such as 90s, 30m, 12h or 7d, a year at most`);
  }
  return seconds;
}
