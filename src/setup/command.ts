import { UsageError } from '../options.js';
import type { Entry } from './entry.js';
import { FORMATS } from './formats.js';
import { HOSTS, type Host, type Machine } from './hosts.js';
import type { SetupValues } from './options.js';
import { diffOf, readConfig, removeConfig, writeConfig } from './write-config.js';

/** The service, and the token of the grant that the entry is for. */
export interface SetupAccess {
  readonly url: string;
  readonly token: string;
  /** Whether `bursar login` stored them: `bursar mcp` then reads them there, and stores each renewed token. */
  readonly isStored: boolean;
}

/** Process that {@link setupCommand} runs in. */
export interface SetupProcess extends Machine {
  /** @throws UsageError naming what is missing. */
  readonly access: () => SetupAccess;
  /** The program that the host is to start: an absolute path, since hosts have another PATH. */
  readonly node: string;
  readonly launcher: string;
  readonly print: (text: string) => void;
}

/**
 * `bursar setup`: writes an MCP host's configuration.
 *
 * @throws UsageError; Error with one line for a file that cannot be edited.
 */
export async function setupCommand(
  name: string,
  values: SetupValues,
  setup: SetupProcess,
): Promise<void> {
  const host = Object.hasOwn(HOSTS, name) ? HOSTS[name] : undefined;
  if (!host) throw new UsageError(`setup takes one host: ${Object.keys(HOSTS).join(', ')}`);
  if (values.http && values.stdio) throw new UsageError('give --http or --stdio, not both');
  const { entry, hasToken } = values.remove
    ? { entry: undefined, hasToken: false }
    : entryOf(name, host, setup, values.http === true);
  const path = host.path(setup);
  const before = await readConfig(path);
  const after = edited(host, path, before, entry);
  if (after === before) {
    const state = values.remove ? 'has no entry of Bursar' : 'is as it should be';
    return setup.print(`${path} ${state}; nothing was changed\n`);
  }
  setup.print(`${path}\n${diffOf(before, after)}`);
  if (values.dryRun) return setup.print('nothing was written (--dry-run)\n');
  const isEmptied = values.remove === true && /^\s*(?:\{\s*\}\s*)?$/.test(after);
  if (isEmptied) await removeConfig(path, after);
  else await writeConfig(path, after, hasToken);
  if (values.remove) {
    const file = isEmptied ? ', and with it the file, which held nothing else' : '';
    return setup.print(`removed${file}; restart ${name}\n`);
  }
  const told = hasToken
    ? 'readable by you alone since it holds the token'
    : 'without a token: npx bursar mcp takes the one that login stored';
  setup.print(`written, ${told}; restart ${name}\n`);
}

function edited(host: Host, path: string, before: string, entry: Entry | undefined): string {
  try {
    return FORMATS[host.format].edit(before, host.keys, entry);
  } catch (error) {
    const reason = (error as Error).message;
    throw new Error(`${path} cannot be edited: ${reason}; mend it, then run this again`);
  }
}

function entryOf(name: string, host: Host, setup: SetupProcess, isHttp: boolean) {
  const { url, token, isStored } = setup.access();
  if (!isHttp) {
    // A copy of a stored token would end with its first renewal, by the host or by the profile.
    const env = isStored ? profileEnvironment(setup) : { BURSAR_URL: url, BURSAR_TOKEN: token };
    const server = { command: setup.node, args: [setup.launcher, 'mcp'], env };
    return { entry: host.stdio(server), hasToken: !isStored };
  }
  if (!host.http) {
    throw new UsageError(`${name} starts local servers only; leave --http out`);
  }
  const headers = { Authorization: `Bearer ${token}` };
  return { entry: host.http({ url: `${url}/mcp`, headers }), hasToken: true };
}

/** Variables with which `bursar mcp` finds the profile: a host may start it with others than a shell has. */
function profileEnvironment({ env }: SetupProcess): Record<string, string> {
  return env.XDG_CONFIG_HOME ? { XDG_CONFIG_HOME: env.XDG_CONFIG_HOME } : {};
}
