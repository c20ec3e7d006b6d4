import { chmod, lstat, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeDirectory } from '../make-directory.js';

/** The text of a file; empty where there is none. */
export async function readConfig(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
}

/**
 * Replaces a file in one step, so that a host never reads half of it. Where the path is a link, its target is replaced.
 *
 * @param hasSecret - makes it readable by its owner alone; else it keeps its mode.
 */
export async function writeConfig(path: string, text: string, hasSecret: boolean): Promise<void> {
  await makeDirectory(dirname(path));
  const target = await realpath(path).catch(() => path);
  const mode = hasSecret ? 0o600 : (await stat(target).catch(() => ({ mode: 0o600 }))).mode & 0o777;
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.bursar`);
  await writeFile(temporary, text, { mode: 0o600, flag: 'wx' });
  await chmod(temporary, mode);
  await rename(temporary, target);
}

/** Removes a file that holds nothing any more. The target of a link is somebody's: it is left, with nothing in it. */
export async function removeConfig(path: string, emptied: string): Promise<void> {
  if ((await lstat(path)).isSymbolicLink()) await writeConfig(path, emptied, false);
  else await rm(path);
}

/** Pattern of a token, which is written and never shown. */
const TOKEN = /eyJ[\w-]+\.[\w-]+\.[\w-]+/g;

/** How many unchanged lines are shown on either side. */
const CONTEXT = 3;

/** Shows the change as lines with `-`, `+` or a blank before them. Tokens are masked. */
export function diffOf(before: string, after: string): string {
  const [old, young] = [before, after].map((text) => text.split(/\r?\n/)) as [string[], string[]];
  let start = 0;
  while (start < old.length && start < young.length && old[start] === young[start]) start += 1;
  let end = 0;
  const most = Math.min(old.length, young.length) - start;
  while (end < most && old.at(-1 - end) === young.at(-1 - end)) end += 1;
  const lines = [
    ...old.slice(Math.max(0, start - CONTEXT), start).map((line) => `  ${line}`),
    ...old.slice(start, old.length - end).map((line) => `- ${line}`),
    ...young.slice(start, young.length - end).map((line) => `+ ${line}`),
    ...young.slice(young.length - end, young.length - end + CONTEXT).map((line) => `  ${line}`),
  ];
  return lines
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
    .replace(TOKEN, '***');
}
