import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { english, generateMnemonic } from 'viem/accounts';
import type { Config } from './config.js';

/**
 * Fills in the secrets the configuration leaves out, from files in the data directory that only their
 * owner may read, making them on first use.
 *
 * @returns the configuration with a master secret, and with a wallet mnemonic unless the keys are
 *   elsewhere.
 */
export async function resolveSecrets(config: Config): Promise<Config> {
  return {
    ...config,
    masterSecret:
      config.masterSecret ??
      (await keptSecret(config.dataDir, 'master-secret', () =>
        randomBytes(32).toString('base64url'),
      )),
    walletMnemonic:
      config.walletMnemonic ??
      (config.keystore === undefined && config.signerSocket === undefined
        ? await keptSecret(config.dataDir, 'wallet-mnemonic', () => generateMnemonic(english))
        : undefined),
  };
}

async function keptSecret(dataDir: string, name: string, make: () => string): Promise<string> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, name);
  // Written aside and linked into place: the file is never half there, and of two processes that make
  // one at once, both end up with the same.
  const draft = `${path}.${process.pid}`;
  const present = await readFile(path, 'utf8').catch(() => undefined);
  if (present === undefined) {
    await writeFile(draft, make(), { mode: 0o600 });
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await rm(draft, { force: true });
  }
  await chmod(path, 0o600);
  return (await readFile(path, 'utf8')).trim();
}
