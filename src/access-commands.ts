import type { AdminTokenView } from './access/admin-tokens.js';
import type { AdminRole } from './access/caller.js';
import type { Keys } from './access/keys.js';
import type { OperatorValues } from './cli/operators.js';
import type { Database } from './database/database.js';
import type { OpenDatabase, WithDatabase } from './open-database.js';
import { UsageError } from './options.js';
import { printJson } from './terminal.js';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** How long a new key is known before it signs, at least: processes look every five seconds. */
const MIN_LEAD_SECONDS = 10;

/** The longest life of an admin token, in seconds: a year. */
const MAX_TTL_SECONDS = 31_536_000;

/** Mints, lists and revokes admin tokens. */
export async function adminToken(
  [action, who]: readonly string[],
  values: OperatorValues,
  withDatabase: WithDatabase,
): Promise<void> {
  if (action !== undefined && !(action === 'list' && who === undefined) && action !== 'revoke') {
    throw new UsageError(
      'admin-token takes nothing, or: list, revoke NAME; see: npx bursar help admin-token',
    );
  }
  if (action === 'revoke' && who === undefined) {
    throw new UsageError('admin-token revoke takes a name; see: npx bursar admin-token list');
  }
  const role = await parseRole(values.role);
  const ttlSeconds = parseTime('--ttl', values.ttl);
  const name = parseName(values.name);
  return withKeys(withDatabase, async (keys, { database, config }) => {
    const { JwtService } = await import('@nestjs/jwt');
    const { Tokens } = await import('./access/tokens.js');
    const { AdminTokens } = await import('./access/admin-tokens.js');
    const tokens = new AdminTokens(database, new Tokens(new JwtService({}), keys, config));
    if (action === 'list') return printAdminTokens(await tokens.list(), values.json);
    if (who !== undefined) {
      const ended = await tokens.revoke(who, 'system:cli');
      if (ended === 0) {
        throw new Error(`no admin token of "${who}" works; see: npx bursar admin-token list`);
      }
      process.stdout.write(
        `${who}: ${ended === 1 ? '1 token is' : `${ended} tokens are`} revoked\n`,
      );
      return;
    }
    const treasuries = await parseTreasuries(database, values.treasury);
    const token = await tokens.mint({ name, role, treasuries }, ttlSeconds, 'system:cli');
    process.stdout.write(`${token}\n`);
  });
}

function printAdminTokens(tokens: readonly AdminTokenView[], asJson = false): void {
  if (asJson) {
    printJson(tokens);
    return;
  }
  for (const { name, role, treasuries, expiresAt, lastUsedAt } of tokens) {
    const used = lastUsedAt === null ? 'never used' : `last used ${lastUsedAt.toISOString()}`;
    const where = treasuries.length === 0 ? '' : `  ${treasuries.join(', ')}`;
    process.stdout.write(`${name}  ${role}  until ${expiresAt.toISOString()}  ${used}${where}\n`);
  }
  if (tokens.length === 0) process.stdout.write('no admin token works\n');
}

/** Lists, rotates and retires the keys that sign tokens. */
export async function manageKeys(
  [action, kid, ...more]: readonly string[],
  values: OperatorValues,
  withDatabase: WithDatabase,
): Promise<void> {
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  if (action === 'list' && kid === undefined) {
    return withKeys(withDatabase, async (keys) => {
      const listed = await keys.list();
      if (values.json) {
        return printJson(
          listed.map(({ kid, retiredAt = null, ...key }) => ({ id: kid, ...key, retiredAt })),
        );
      }
      for (const key of listed) {
        const since = key.retiredAt ?? key.signsFrom;
        say(`${key.kid} ${key.state.padEnd(9)} since ${since.toISOString()}`);
      }
    });
  }
  if (action === 'rotate' && kid === undefined) {
    const seconds = parseTime('--in', values.in);
    if (seconds < MIN_LEAD_SECONDS) {
      throw new Error(
        `--in must be ${MIN_LEAD_SECONDS}s at least: every process must know the key first`,
      );
    }
    return withKeys(withDatabase, async (keys) => say(await keys.rotate(seconds)));
  }
  if (action === 'retire' && kid !== undefined && more.length === 0) {
    return withKeys(withDatabase, (keys) => keys.retire(kid));
  }
  throw new UsageError('keys takes one of: list, rotate, retire ID; see: npx bursar help');
}

async function withKeys(
  withDatabase: WithDatabase,
  work: (keys: Keys, open: OpenDatabase) => Promise<void>,
): Promise<void> {
  return withDatabase(async (open) => {
    const { Keys } = await import('./access/keys.js');
    const keys = new Keys(open.database, open.secrets.masterSecret);
    await keys.load();
    await work(keys, open);
  });
}

async function parseRole(text: string): Promise<AdminRole> {
  const { ADMIN_ROLES } = await import('./access/caller.js');
  const role = ADMIN_ROLES.find((each) => each === text);
  if (!role) throw new UsageError(`--role must be one of: ${ADMIN_ROLES.join(', ')}`);
  return role;
}

/** Whom events name. What comes from the identity provider begins differently: no one poses as another. */
function parseName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$/.test(text)) return text;
  throw new UsageError('--name takes 1 to 100 letters, digits, ".", "_", "@", "+" and "-"');
}

/** The treasuries' ids, in order. @throws UsageError for one that is not there. */
export async function parseTreasuries(
  database: Database,
  ids: string[] | undefined,
): Promise<string[] | undefined> {
  if (ids === undefined) return undefined;
  const { rows } = await database.pool.query<{ id: string }>(
    'SELECT id FROM treasuries WHERE id = ANY ($1::text[])',
    [ids],
  );
  const unknown = ids.find((id) => !rows.some((row) => row.id === id));
  if (unknown !== undefined) throw new UsageError(`--treasury: there is no treasury ${unknown}`);
  return rows.map(({ id }) => id).sort();
}

function parseTime(option: string, text: string): number {
  const match = /^([1-9][0-9]{0,8})([smhd])$/.exec(text);
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] ?? ''] ?? Number.NaN);
  if (!(seconds <= MAX_TTL_SECONDS)) {
    throw new UsageError(`${option} must be a time such as 90s, 30m, 12h or 7d, a year at most`);
  }
  return seconds;
}
