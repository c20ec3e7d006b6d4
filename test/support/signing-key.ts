import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Keys, type TokenKey } from '../../src/access/keys.js';
import { MasterSecret } from '../../src/access/master-secret.js';
import { Database } from '../../src/database/database.js';
import type { TestStack } from './bursar.js';

/** The key that a stack's service signs its tokens with, as only the service should have it. */
export async function signingKeyOf({ dataDir, databaseUrl }: TestStack): Promise<TokenKey> {
  const masterSecret = await readFile(join(dataDir, 'master-secret'), 'utf8');
  const database = new Database(databaseUrl);
  try {
    const keys = new Keys(database, new MasterSecret(masterSecret));
    await keys.load();
    return keys.current();
  } finally {
    await database.close();
  }
}
