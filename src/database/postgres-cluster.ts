import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chown, link, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Program, run, watch } from './postgres-program.js';

/** The superuser and the database are both called so. */
export const NAME = 'bursar';

/** Paths of one data directory. */
export interface Files {
  readonly directory: string;
  readonly cluster: string;
  readonly pid: string;
  readonly password: string;
  readonly owner: string;
}

export function filesIn(directory: string): Files {
  const cluster = join(directory, 'postgres');
  return {
    directory,
    cluster,
    pid: join(cluster, 'postmaster.pid'),
    password: join(directory, 'postgres.password'),
    owner: join(directory, 'postgres.owner'),
  };
}

/** Whether `dataDir` holds a cluster, running or not. */
export function hasEmbeddedPostgres(dataDir: string): boolean {
  return existsSync(filesIn(dataDir).cluster);
}

/**
 * Makes the cluster if there is none: aside and then renamed, so that neither an interrupted start nor
 * two at once can leave half of one.
 */
export async function initialise(files: Files, program: Program): Promise<void> {
  if (existsSync(files.cluster)) {
    if (existsSync(files.password)) return;
    throw new Error(
      `The embedded Postgres in ${files.cluster} has lost its password file ${files.password}`,
    );
  }
  const password = await ensurePassword(files);
  const workshop = await mkdtemp(join(files.directory, 'postgres.init-'));
  try {
    // initdb reads the password as the server's user.
    await writeFile(join(workshop, 'password'), password, { mode: 0o600 });
    await mkdir(join(workshop, 'cluster'), { mode: 0o700 });
    if (program.user) {
      for (const path of [workshop, join(workshop, 'password'), join(workshop, 'cluster')]) {
        await chown(path, program.user.uid, program.user.gid);
      }
    }
    // The built-in UTF-8 locale sorts by code point, whatever locales this or the next machine has.
    const child = run(program, 'initdb', workshop, (directory) => [
      ...['-D', join(directory, 'cluster'), '--pwfile', join(directory, 'password')],
      ...['--username', NAME, '--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C'],
      ...['--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
    ]);
    const output = watch(child);
    await output.ended;
    if (child.exitCode !== 0) {
      throw new Error(`The embedded Postgres could not be initialised: ${output.complaint()}`);
    }
    await rename(join(workshop, 'cluster'), files.cluster).catch((error: unknown) => {
      // Another process was faster; its cluster has the same password.
      if (!existsSync(files.cluster)) throw error;
    });
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

/** A link is made whole or not at all, and only one of several: nobody reads half a password. */
async function ensurePassword(files: Files): Promise<string> {
  const draft = `${files.password}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, randomBytes(24).toString('base64url'), { mode: 0o600 });
  try {
    await link(draft, files.password);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return await readFile(files.password, 'utf8');
}
