import { UsageError } from '../options.js';
import type { Entry } from './entry.js';
import { FORMATS } from './formats.js';
import { HOSTS, type Host, type Machine } from './hosts.js';
import type { SetupValues } from './options.js';
import { diffOf, readConfig, removeConfig, writeConfig } from './write-config.js';

/** Process that {@link setupCommand} runs in. */
export interface SetupProcess extends Machine {
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
  const entry = values.remove ? undefined : entryOf(name, host, setup, values.http === true);
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
  if (isEmptied) await removeConfig(path);
  else await writeConfig(path, after, entry !== undefined);
  setup.print(
    values.remove
      ? `removed${isEmptied ? ', and with it the file, which held nothing else' : ''}; restart ${name}\n`
      : `written, readable by you alone since it holds the token; restart ${name}\n`,
  );
}

function edited(host: Host, path: string, before: string, entry: Entry | undefined): string {
  try {
    return FORMATS[host.format].edit(before, host.keys, entry);
  } catch (error) {
    const reason = (error as Error).message;
    throw new Error(`${path} cannot be edited: ${reason}; mend it, then run this again`);
  }
}

function entryOf(name: string, host: Host, setup: SetupProcess, isHttp: boolean): Entry {
  const url = needed(setup, 'BURSAR_URL', 'the address of the service').replace(/\/+$/, '');
  const token = needed(setup, 'BURSAR_TOKEN', 'the token of a grant for this host alone');
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new Error(
      `BURSAR_URL is "${url}"; give an http(s) URL, such as https://bursar.example.com`,
    );
  }
  if (!isHttp) {
    return host.stdio({
      command: setup.node,
      args: [setup.launcher, 'mcp'],
      env: { BURSAR_URL: url, BURSAR_TOKEN: token },
    });
  }
  if (!host.http) {
    throw new UsageError(`${name} starts local servers only; leave --http out`);
  }
  return host.http({ url: `${url}/mcp`, headers: { Authorization: `Bearer ${token}` } });
}

function needed({ env }: SetupProcess, name: string, what: string): string {
  const value = env[name];
  if (value) return value;
  throw new Error(`${name} is not set; set it to ${what}`);
}
