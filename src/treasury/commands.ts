import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatEther, type Hex } from 'viem';
import { type Config } from '../config/config.js';
import { ConfigError } from '../config/config-error.js';
import type { Database } from '../database/database.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { UsageError } from '../options.js';
import { printJson } from '../terminal.js';
import { GasAccount } from './gas-account.js';
import { canCancel, readGasFunds } from './gas-funds.js';
import { makeKeystore } from './keystore.js';
import { Networks } from './networks.js';
import { weaknessOf } from './password.js';
import { connect } from './rpc-client.js';
import { signerOf, type WalletKeys } from './signer-of.js';
import { describeCode } from './wallet-code-view.js';
import type { WalletStatus } from './wallet-status.js';
import { Wallets } from './wallets.js';

/** Parts of an open database that the commands work on. */
interface WalletPlace {
  readonly database: Database;
  readonly config: Pick<Config, 'networks'>;
  readonly secrets: { readonly gasKey: Hex | undefined; readonly walletKeys: WalletKeys };
}

/** Prints every wallet with its funds as they were read last, one a line, then the gas account; or all of it as JSON. */
export async function printWallets(
  { database, config, secrets }: WalletPlace,
  asJson = false,
): Promise<void> {
  const wallets = walletsOf({ database, config, secrets });
  await wallets.enrol();
  const names = new Map<string, string>();
  const { items } = await wallets.treasuries(undefined, { limit: 1_000 });
  for (const { id, name } of items) names.set(id, name);
  const listings: WalletListing[] = [];
  let cursor: string | undefined;
  do {
    const page = await wallets.list(undefined, { limit: 200, cursor });
    for (const wallet of page.items) {
      const amount = (atomic: bigint) => formatAmount(atomic, currencyOf(wallet.currency));
      const { address, treasuryId, status, network, currency, code, heldSince } = wallet;
      listings.push({
        address,
        treasury: names.get(treasuryId) ?? treasuryId,
        treasuryId,
        status,
        network,
        currency,
        balance: amount(wallet.balance),
        reserved: amount(wallet.reserved),
        code: code === undefined ? null : describeCode(code.bytes),
        heldSince: heldSince?.toISOString() ?? null,
      });
    }
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  const gas = await gasAccounts(config, new GasAccount(secrets.gasKey, secrets.walletKeys));
  if (asJson) return printJson({ wallets: listings, gas });
  const lines = [...listings.map(lineOfWallet), ...gas.map(lineOfGas)];
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

/** A wallet with its funds in one token, in currency units. */
interface WalletListing {
  readonly address: string;
  readonly treasury: string;
  readonly treasuryId: string;
  readonly status: string;
  readonly network: string;
  readonly currency: string;
  readonly balance: string;
  readonly reserved: string;
  /** The code at its address there, which keeps it from paying; null where there is none. */
  readonly code: string | null;
  /** When a spend was found that no payment stands for, which keeps it from paying. */
  readonly heldSince: string | null;
}

function lineOfWallet(wallet: WalletListing): string {
  const { address, treasury, status, network, currency, balance, reserved, code, heldSince } =
    wallet;
  return (
    `${address}  ${treasury}  ${status}  ${network}  ${balance} ${currency}, ${reserved} reserved` +
    `${code === null ? '' : `; pays nothing there, has ${code}`}` +
    `${heldSince === null ? '' : '; pays nothing, has a spend that no payment stands for: npx bursar check'}`
  );
}

/** The account of cancellations on a network. */
interface GasListing {
  readonly address: string;
  readonly network: string;
  /** In the network's coin; null where no RPC tells. */
  readonly balance: string | null;
  readonly canCancel: boolean;
}

async function gasAccounts(
  config: Pick<Config, 'networks'>,
  { address }: GasAccount,
): Promise<GasListing[]> {
  if (address === undefined) return [];
  const listings: GasListing[] = [];
  for (const { network, rpcUrls } of config.networks) {
    const funds = await readGasFunds(address, network, connect(rpcUrls));
    listings.push({
      address,
      network,
      balance: funds === undefined ? null : formatEther(funds.balance),
      canCancel: funds !== undefined && canCancel(funds),
    });
  }
  return listings;
}

function lineOfGas({ address, network, balance, canCancel }: GasListing): string {
  const has =
    balance === null
      ? 'no RPC tells its balance'
      : `${balance} of its coin${canCancel ? '' : ', too little for a cancellation'}`;
  return `${address}  pays the gas of cancellations  ${network}  ${has}`;
}

/**
 * Sets the status of the wallet at an address.
 *
 * @throws Problem when it may not have that status now, Error when there is no such wallet.
 */
export async function setWalletStatus(
  place: WalletPlace,
  address: string,
  status: WalletStatus,
  reason: string | undefined,
): Promise<void> {
  const wallet = await place.database.prisma.wallet.findUnique({ where: { address } });
  if (!wallet) throw new Error(`no wallet ${address}; see: npx bursar wallets`);
  await walletsOf(place).setStatus(wallet.id, status, { actor: 'admin:cli', reason });
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
  if (folder === undefined)
    throw new UsageError('--dir is missing; give the folder for the keystores');
  if (password === undefined || password === '') {
    throw new ConfigError([
      'BURSAR_KEYSTORE_PASSWORD: is required; give what shall open the keystores',
    ]);
  }
  const weakness = weaknessOf(password);
  if (weakness !== undefined) {
    throw new ConfigError([
      `BURSAR_KEYSTORE_PASSWORD: ${weakness}, and whoever has a keystore can try as many passwords as they like; make one ` +
        'with: openssl rand -base64 24',
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

function walletsOf({ database, config, secrets }: WalletPlace): Wallets {
  return new Wallets(database, signerOf(secrets.walletKeys), new Networks(config, database));
}
