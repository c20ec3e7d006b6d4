import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory for its owner alone, and those above it, where they are not there yet. Node's own recursive
 * `mkdir` never returns where the system refuses a directory with ENOENT, as in /proc.
 *
 * @throws what the system says, with the path.
 */
export async function makeDirectory(path: string): Promise<void> {
  const present = await stat(path).catch(() => undefined);
  if (present?.isDirectory()) return;
  const parent = dirname(path);
  if (parent !== path) await makeDirectory(parent);
  await mkdir(path, { mode: 0o700 }).catch(async (error: NodeJS.ErrnoException) => {
    const isThere = error.code === 'EEXIST' && (await stat(path)).isDirectory();
    if (!isThere) throw error;
  });
}
