import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { UsageError } from '../options.js';
import { callerEnvironment } from './environment.js';
import { at, fromNow, isTable, printFacts, printJson, printLine } from './output.js';
import { profilePath, readProfile, removeProfile, writeProfile } from './profile.js';
import { Api, Bursar } from './sdk.js';
import { accessOf, accessTo, grantOf, urlOf } from './session.js';

/** `bursar login`: stores address and token once the service has taken them. */
export async function loginCommand(options: { url?: string; tokenStdin?: boolean }): Promise<void> {
  const environment = callerEnvironment();
  const stored = readStored();
  const given = options.url ?? environment.url;
  const url = urlOf(
    given || (await ask('Address of the service', stored?.url ?? 'http://127.0.0.1:4020')),
    options.url === undefined ? 'BURSAR_URL' : '--url',
  );
  const token = options.tokenStdin
    ? readFileSync(0, 'utf8').trim()
    : (environment.token ?? (await askSecret('Token (not shown): ')));
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
    throw new UsageError(
      "that is no token of Bursar's: three parts with dots between; nothing is stored",
    );
  }
  const who = await identify(url, token);
  printLine(`logged in as ${who}; stored in ${writeProfile({ url, token })}`);
}

/** `bursar logout`. */
export function logoutCommand(): void {
  printLine(
    removeProfile()
      ? `${profilePath()} is removed; the token itself still works until it ends`
      : `nobody was logged in: there is no ${profilePath()}`,
  );
}

/** `bursar whoami`. */
export async function whoamiCommand({ json }: { json?: boolean }): Promise<void> {
  const { url, token } = accessOf();
  const who = await identify(url, token);
  const { exp } = claimsOf(token);
  const expiresAt = exp === undefined ? null : new Date(exp * 1_000).toISOString();
  const isOfEnvironment = callerEnvironment().token !== undefined;
  const source = isOfEnvironment ? 'environment' : profilePath();
  const grantId = grantOf(token) ?? null;
  if (!isTable(json)) return printJson({ url, who, grantId, expiresAt, source });
  printFacts([
    ['service', url],
    ['you are', who],
    ['token ends', expiresAt && `${at(expiresAt)} (${fromNow(expiresAt)})`],
    ['taken from', source],
  ]);
}

/** A stored profile that cannot be read is about to be replaced. */
function readStored() {
  try {
    return readProfile();
  } catch {
    return undefined;
  }
}

/** Asks the service with the token. */
async function identify(url: string, token: string): Promise<string> {
  const access = accessTo(url, token);
  if (grantOf(token) !== undefined) {
    const { id, holder, remaining, currency, status } = await new Bursar(access).grants.self();
    const state = status === 'active' ? '' : `, which is ${status.replaceAll('_', ' ')}`;
    return `${holder}, who holds ${id} with ${remaining} ${currency} left${state}`;
  }
  await new Api(access).call('GET', '/v1/grants', { query: { limit: 1 } });
  const { sub, role } = claimsOf(token);
  return `${sub}, ${role}`;
}

function claimsOf(token: string): { sub?: string; role?: string; exp?: number } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

async function ask(what: string, usual: string): Promise<string> {
  needTerminal();
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await lines.question(`${what} [${usual}]: `)).trim() || usual;
  } finally {
    lines.close();
  }
}

/** Asks without an echo. */
async function askSecret(prompt: string): Promise<string> {
  needTerminal();
  process.stderr.write(prompt);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return (await lines.question('')).trim();
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}

function needTerminal(): void {
  if (process.stdin.isTTY) return;
  throw new UsageError(
    'there is no terminal to ask on; set BURSAR_URL and BURSAR_TOKEN, or give --url and --token-stdin',
  );
}
