import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MasterSecret } from './access/master-secret.js';
import { loadConfig } from './config/config.js';
import { makeSecrets, readSecrets } from './secrets.js';
import { writeKeystores } from './treasury/commands.js';

let folder: string;
let mask: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bursar-secrets-'));
  // Nothing but the code itself keeps others out.
  mask = process.umask(0);
});
afterAll(async () => {
  process.umask(mask);
  await rm(folder, { recursive: true });
});

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

describe('what only its owner may read', () => {
  it('is made so: the data directory, and each secret in it', async () => {
    const dataDir = join(folder, 'new', 'data');
    const config = loadConfig({ BURSAR_DATA_DIR: dataDir });
    await makeSecrets(config, false, () => {});
    expect(await modeOf(dataDir)).toBe(0o700);
    for (const name of ['master-secret', 'wallet-mnemonic']) {
      expect(await modeOf(join(dataDir, name))).toBe(0o600);
    }
  });

  it('is made so again where a backup was restored for all to read', async () => {
    const dataDir = join(folder, 'restored');
    const config = loadConfig({ BURSAR_DATA_DIR: dataDir });
    await makeSecrets(config, false, () => {});
    const path = join(dataDir, 'master-secret');
    await chmod(path, 0o644);
    const { masterSecret } = await readSecrets(config);
    const kept = new MasterSecret((await readFile(path, 'utf8')).trim());
    expect(masterSecret.derive('a test')).toEqual(kept.derive('a test'));
    expect(await modeOf(path)).toBe(0o600);
  });

  it('is so for keystores and their folder', async () => {
    const keys = join(folder, 'keys');
    const printed = await written(() => writeKeystores(keys, 1, 'pVx3mVqK8sT1uYw0'));
    expect(await modeOf(keys)).toBe(0o700);
    expect(await modeOf(printed.trim().split(/\s+/)[1] ?? '')).toBe(0o600);
  });
});

/** The text that some work writes to standard output. */
async function written(work: () => Promise<void>): Promise<string> {
  const write = process.stdout.write;
  let text = '';
  process.stdout.write = ((piece: string) => {
    text += piece;
    return true;
  }) as typeof process.stdout.write;
  try {
    await work();
  } finally {
    process.stdout.write = write;
  }
  return text;
}
