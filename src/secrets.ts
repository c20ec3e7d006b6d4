import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, link, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { english, generateMnemonic } from 'viem/accounts';
import { MasterSecret } from './access/master-secret.js';
import type { GivenConfig } from './config/config.js';
import { makeDirectory } from './make-directory.js';
import type { WalletKeys } from './treasury/signer-of.js';

/** The files of the secrets that the configuration may leave out. */
const FILES = { masterSecret: 'master-secret', walletMnemonic: 'wallet-mnemonic' } as const;

type SecretName = keyof typeof FILES;

const MAKERS: Readonly<Record<SecretName, () => string>> = {
  masterSecret: () => randomBytes(32).toString('base64url'),
  walletMnemonic: () => generateMnemonic(english),
};

const VARIABLES: Readonly<Record<SecretName, string>> = {
  masterSecret: 'BURSAR_MASTER_SECRET',
  walletMnemonic: 'BURSAR_WALLET_MNEMONIC',
};

/** Secrets of a process, each for whom it is given to and nobody else. */
export interface Secrets {
  readonly masterSecret: MasterSecret;
  readonly walletKeys: WalletKeys;
  readonly gasKey: `0x${string}` | undefined;
  readonly facilitatorKey: `0x${string}` | undefined;
}

/** Handles a secret that is neither configured nor in its file. */
type OnMissing = (name: SecretName) => void | Promise<void>;

/**
 * Reads what the configuration leaves out from files in the data directory that only their owner may read.
 *
 * @throws Error when a file is not there.
 */
export function readSecrets(config: GivenConfig): Promise<Secrets> {
  return secretsOf(config, refuseMissing(config));
}

/** Reads the master secret alone. @throws Error when its file is not there. */
export function readMasterSecret(config: GivenConfig): Promise<MasterSecret> {
  return masterSecretOf(config, refuseMissing(config));
}

/** Reads the place of the wallets' keys alone. @throws Error when the phrase's file is not there. */
export function readWalletKeys(config: GivenConfig): Promise<WalletKeys> {
  return walletKeysOf(config, refuseMissing(config));
}

/**
 * Reads the secrets as {@link readSecrets} does, and makes what is missing. A directory that already has a
 * database is refused instead: whatever would be made is not what this database was made with.
 *
 * @param onMade - hears which secret was made, and where.
 */
export function makeSecrets(
  config: GivenConfig,
  hasDatabase: boolean,
  onMade: (name: SecretName, path: string) => void,
): Promise<Secrets> {
  return secretsOf(config, async (name) => {
    const path = join(config.dataDir, FILES[name]);
    if (hasDatabase) {
      throw new Error(
        `BURSAR_DATA_DIR: ${config.dataDir} has a database but not its file ${FILES[name]}; restore the file from a ` +
          `backup, or set ${VARIABLES[name]} to what the service had`,
      );
    }
    if (await make(path, MAKERS[name]())) onMade(name, path);
  });
}

function refuseMissing(config: GivenConfig): OnMissing {
  return (name) => {
    throw new Error(
      `BURSAR_DATA_DIR: ${join(config.dataDir, FILES[name])} is not there, and only the start of the service ` +
        "makes it; run this where the service runs, or set the service's own variables",
    );
  };
}

async function secretsOf(config: GivenConfig, onMissing: OnMissing): Promise<Secrets> {
  const { gasKey, facilitatorKey } = config.secrets;
  return {
    masterSecret: await masterSecretOf(config, onMissing),
    walletKeys: await walletKeysOf(config, onMissing),
    gasKey,
    facilitatorKey,
  };
}

async function masterSecretOf(config: GivenConfig, onMissing: OnMissing): Promise<MasterSecret> {
  const text = config.secrets.masterSecret ?? (await readOrMake(config, 'masterSecret', onMissing));
  return new MasterSecret(text);
}

async function walletKeysOf(config: GivenConfig, onMissing: OnMissing): Promise<WalletKeys> {
  const { walletMnemonic, keystorePassword = '' } = config.secrets;
  const { signerSocket, keystore, walletCount: count, dataDir } = config;
  if (signerSocket !== undefined) return { kind: 'signer', socket: signerSocket };
  if (keystore !== undefined)
    return { kind: 'keystore', path: keystore, password: keystorePassword };
  const file = join(dataDir, FILES.walletMnemonic);
  const phrase = walletMnemonic ?? (await readOrMake(config, 'walletMnemonic', onMissing));
  return { kind: 'phrase', phrase, count, file };
}

async function readOrMake(
  { dataDir }: GivenConfig,
  name: SecretName,
  onMissing: OnMissing,
): Promise<string> {
  const path = join(dataDir, FILES[name]);
  if (!existsSync(path)) await onMissing(name);
  await chmod(path, 0o600);
  return (await readFile(path, 'utf8')).trim();
}

/** @returns false when another process was faster. */
async function make(path: string, secret: string): Promise<boolean> {
  await makeDirectory(dirname(path));
  // Written aside and linked into place: the file is never half there, and of two processes that make
  // one at once, both end up with the same.
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, secret, { mode: 0o600 });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    await rm(draft, { force: true });
  }
}
