import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { readOptions } from '../command-line.js';
import { loadNetworks } from '../config/networks.js';
import { describeDatabase } from '../database/describe.js';
import { findRunningEmbeddedPostgres } from '../database/embedded-postgres.js';
import { printable } from '../domain/printable.js';
import type { FinalityRule, NetworkChoice } from './chain.js';
import { runCheck } from './check.js';
import { withCheckOptions } from './options.js';
import { formatReport } from './report.js';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 };

/** How often long work is told of where standard error is no terminal, in milliseconds. */
const PROGRESS_MS = 10_000;

/**
 * `bursar check`.
 *
 * @param args - what follows `check` on the command line.
 * @returns the exit code.
 */
export async function checkCommand(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<0 | 1 | 2> {
  const isJson = args.includes('--json');
  const progress = tellProgress(isJson);
  try {
    const options = parseOptions(args);
    const databaseUrl = options.databaseUrl ?? (await findDatabase(environment));
    process.stderr.write(`bursar: ${describeDatabase({ databaseUrl, dataDir: '' })}\n`);
    const report = await runCheck({
      databaseUrl,
      networks: networksOf(options, environment),
      headers: options.headers,
      overdueSeconds: options.overdueSeconds,
      show: options.show,
      progress: progress.say,
    });
    progress.done();
    process.stdout.write(`${isJson ? JSON.stringify(report) : formatReport(report)}\n`);
    return report.exitCode;
  } catch (error) {
    progress.done();
    const message = error instanceof Error ? error.message : String(error);
    if (isJson) {
      process.stdout.write(`${JSON.stringify({ ok: false, exitCode: 2, error: message })}\n`);
    }
    process.stderr.write(`bursar: ${printable(message)}\n`);
    return 2;
  }
}

function parseOptions(args: readonly string[]) {
  const values = readOptions<{
    databaseUrl?: string;
    rpc: string[];
    finality: string[];
    headers: string[];
    overdue: string;
    show: string;
  }>(withCheckOptions(new Command('npx bursar').command('check')), args);
  const [, amount, unit = ''] = /^([0-9]{1,6})([smh])$/.exec(values.overdue) ?? [];
  if (amount === undefined) throw new Error('--overdue must be a time such as 60s, 5m or 1h');
  if (!/^[1-9][0-9]{0,5}$/.test(values.show)) throw new Error('--show must be a number from 1');
  const missing = values.headers.find((file) => !existsSync(file));
  if (missing !== undefined) throw new Error(`--headers: there is no file ${missing}`);
  return {
    databaseUrl: values.databaseUrl,
    rpc: values.rpc
      .map((text) => [pair('--rpc', text), text] as const)
      .map(([each]) => ({
        network: each.network,
        url: parseUrl(each.value),
      })),
    finality: values.finality.map((text) => {
      const { network, value } = pair('--finality', text);
      return { network, rule: parseFinality(value) };
    }),
    headers: values.headers,
    overdueSeconds: Number(amount) * (SECONDS[unit] ?? 1),
    show: Number(values.show),
  };
}

function pair(option: string, text: string): { network: string; value: string } {
  const [, network, value] = /^(eip155:[1-9][0-9]{0,15})=(.+)$/.exec(text) ?? [];
  if (network === undefined || value === undefined) {
    throw new Error(`${option} takes NETWORK=VALUE, with a network such as eip155:8453`);
  }
  return { network, value };
}

function parseUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:/.test(text)) {
    throw new Error('--rpc takes NETWORK=URL, with an http(s) URL');
  }
  return text;
}

function parseFinality(text: string): FinalityRule {
  if (text === 'safe' || text === 'finalized') return text;
  if (/^[0-9]{1,5}$/.test(text)) return { blocks: Number(text) };
  throw new Error('--finality takes NETWORK=N, NETWORK=safe or NETWORK=finalized');
}

async function findDatabase({ DATABASE_URL, BURSAR_DATA_DIR }: NodeJS.ProcessEnv): Promise<string> {
  if (DATABASE_URL) return DATABASE_URL;
  const dataDir = resolve(BURSAR_DATA_DIR || '.bursar');
  const url = await findRunningEmbeddedPostgres(dataDir);
  if (url !== undefined) return url;
  throw new Error(
    `there is no database: give --database-url or DATABASE_URL; no embedded Postgres runs under ${dataDir}`,
  );
}

/** The networks of the environment, as the options change them. */
function networksOf(
  { rpc, finality }: ReturnType<typeof parseOptions>,
  environment: NodeJS.ProcessEnv,
): NetworkChoice[] {
  const choices = new Map<string, NetworkChoice>(
    loadNetworks(environment).map((each) => [each.network, each]),
  );
  for (const network of new Set(rpc.map((each) => each.network))) {
    const rpcUrls = rpc.filter((each) => each.network === network).map(({ url }) => url);
    // The default network's finality is nobody's choice, but a network's own entry is.
    const rule = choices.get(network)?.finality ?? 'finalized';
    choices.set(network, { network, rpcUrls, finality: rule });
  }
  for (const { network, rule } of finality) {
    const choice = choices.get(network);
    if (!choice) throw new Error(`--finality: no RPC is given for ${network}`);
    choices.set(network, { ...choice, finality: rule });
  }
  return [...choices.values()];
}

/** Tells of long work: on a terminal in one line that changes, else every now and then. */
function tellProgress(isJson: boolean) {
  const isTerminal = process.stderr.isTTY === true && !isJson;
  let told = performance.now();
  return {
    say(what: string) {
      if (isTerminal) process.stderr.write(`\r\u001b[K${what}`);
      else if (performance.now() - told > PROGRESS_MS) {
        told = performance.now();
        process.stderr.write(`bursar: ${what}\n`);
      }
    },
    done() {
      if (isTerminal) process.stderr.write('\r\u001b[K');
    },
  };
}
