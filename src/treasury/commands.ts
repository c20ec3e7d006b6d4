import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, ConfigError } from '../config.js';
import type { Database } from '../database/database.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { GasAccount } from './gas-account.js';
import { makeKeystore } from './keystore.js';
import { Networks } from './networks.js';
import { signerOf } from './signer-of.js';
import { describeCode } from './wallet-code-view.js';
import { type WalletStatus, Wallets } from './wallets.js';

/** Prints every wallet with its funds as they were read last, one a line; then the gas account. */
export async function printWallets(database: Database, config: Config): Promise<void> {
  const wallets = walletsOf(database, config);
  await wallets.enrol();
  const names = new Map<string, string>();
  const { items } = await wallets.treasuries(undefined, { limit: 1_000 });
  for (const { id, name } of items) names.set(id, name);
  let cursor: string | undefined;
  do {
    const page = await wallets.list(undefined, { limit: 200, cursor });
    for (const wallet of page.items) {
      const amount = (atomic: bigint) => formatAmount(atomic, currencyOf(wallet.currency));
      const { address, treasuryId, status, network, balance, reserved, currency, code } = wallet;
      process.stdout.write(
        `${address}  ${names.get(treasuryId) ?? treasuryId}  ${status}  ${network}  ` +
          `${amount(balance)} ${currency}, ${amount(reserved)} reserved` +
          `${code === undefined ? '' : `; pays nothing there, has ${describeCode(code.bytes)}`}\n`,
      );
    }
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  const gas = new GasAccount(config).address;
  process.stdout.write(gas === undefined ? '' : `${gas}  pays the gas of cancellations\n`);
}

/**
 * Sets the status of the wallet at an address.
 *
 * @throws Problem when it may not have that status now, Error when there is no such wallet.
 */
export async function setWalletStatus(
  database: Database,
  config: Config,
  address: string,
  status: WalletStatus,
  reason: string | undefined,
): Promise<void> {
  const wallet = await database.prisma.wallet.findUnique({ where: { address } });
  if (!wallet) throw new Error(`no wallet ${address}; see: npx bursar wallets`);
  await walletsOf(database, config).setStatus(wallet.id, status, { actor: 'admin:cli', reason });
  process.stdout.write(`${address} is ${status}\n`);
}

/**
 * Makes encrypted keystores in a folder, readable by their owner only, and prints each address and
 * file. The keys themselves are never printed.
 *
 * @throws ConfigError without a password, Error without a folder.
 */
export async function writeKeystores(
  folder: string | undefined,
  count: number,
  password: string | undefined,
): Promise<void> {
  if (folder === undefined) throw new Error('--dir is missing; give the folder for the keystores');
  if (password === undefined || password === '') {
    throw new ConfigError([
      'BURSAR_KEYSTORE_PASSWORD: is required; give what shall open the keystores',
    ]);
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (let made = 0; made < count; made += 1) {
    const { address, json } = await makeKeystore(password);
    const time = new Date().toISOString().replaceAll(':', '-');
    const file = join(folder, `UTC--${time}--${address.slice(2).toLowerCase()}.json`);
    await writeFile(file, json, { mode: 0o600, flag: 'wx' });
    process.stdout.write(`${address}  ${file}\n`);
  }
}

function walletsOf(database: Database, config: Config): Wallets {
  return new Wallets(database, signerOf(config), new Networks(config, database));
}
