import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { callerEnvironment } from './environment.js';

/** The service and the token that `bursar login` stored. */
export interface Profile {
  readonly url: string;
  readonly token: string;
}

/** Where the profile is: `bursar/profile.json` under XDG_CONFIG_HOME, which is `~/.config` where unset. */
export function profilePath(): string {
  return join(
    callerEnvironment().configHome ?? join(homedir(), '.config'),
    'bursar',
    'profile.json',
  );
}

/**
 * Reads the profile; undefined where there is none.
 *
 * @throws Error with one line where the file is not what `bursar login` wrote.
 */
export function readProfile(): Profile | undefined {
  const path = profilePath();
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { url, token } = JSON.parse(text) as Partial<Profile>;
    if (typeof url === 'string' && typeof token === 'string') return { url, token };
  } catch {
    // The text of a JSON error would quote the file, and with it the token.
  }
  throw new Error(`${path} is not a profile; run: npx bursar login`);
}

/** Writes the profile, for its owner alone (mode 0600). A reader sees the old file or the new one, never half of one. */
export function writeProfile(profile: Profile): string {
  const path = profilePath();
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(profile, null, 2)}\n`, { mode: 0o600 });
  // The umask may have taken more away, never less; an older draft may have been wider.
  chmodSync(draft, 0o600);
  renameSync(draft, path);
  return path;
}

/** Removes the profile. @returns whether there was one. */
export function removeProfile(): boolean {
  const isThere = existsSync(profilePath());
  rmSync(profilePath(), { force: true });
  return isThere;
}
