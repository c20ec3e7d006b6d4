import { Injectable } from '@nestjs/common';
import { formatEther, type Hex, type PublicClient } from 'viem';
import { Shared } from '../shared.js';
import { within } from '../within.js';
import { GasAccount } from './gas-account.js';
import { Networks } from './networks.js';

/** The gas of a cancellation, about: what the account must be able to pay for one to be asked for. */
const LEAST_GAS = 60_000n;

/** How long an RPC may take to tell what the gas account has, in milliseconds. */
const TIMEOUT_MS = 2_000;

/** How old a reading may be that all share, in milliseconds: funds change by hand, and each asks every network. */
const FRESH_MS = 10_000;

/** Balance of the gas account on a network, at its newest block. */
export interface GasFunds {
  /** CAIP-2. */
  readonly network: string;
  readonly address: Hex;
  /** Wei of the network's own coin. */
  readonly balance: bigint;
  /** Approximate cost of a cancellation there now, in wei. */
  readonly cancellation: bigint;
}

/** Reads what the gas account has. */
@Injectable()
export class GasFundsReader {
  readonly #all = new Shared(() => this.readAll(), FRESH_MS);

  constructor(
    private readonly gas: GasAccount,
    private readonly networks: Networks,
  ) {}

  /** The account's funds on one network, as they are now; undefined without an account, or when no RPC answers in time. */
  async on(network: string): Promise<GasFunds | undefined> {
    const { address } = this.gas;
    const client = this.networks.client(network);
    if (address === undefined || client === undefined) return undefined;
    return readGasFunds(address, network, client);
  }

  /** The account's funds on every network whose RPC answers, read once for all who ask within some seconds. */
  all(): Promise<GasFunds[]> {
    return this.#all.get();
  }

  private async readAll(): Promise<GasFunds[]> {
    const found = await Promise.all(this.networks.all().map(({ network }) => this.on(network)));
    return found.filter((each) => each !== undefined);
  }
}

/** Reads what an account has on a network; undefined when no RPC answers in time. */
export async function readGasFunds(
  address: Hex,
  network: string,
  client: PublicClient,
): Promise<GasFunds | undefined> {
  const asked = Promise.all([client.getBalance({ address }), client.getGasPrice()]).catch(
    () => undefined,
  );
  const found = (await within(asked, TIMEOUT_MS)) ? await asked : undefined;
  if (!found) return undefined;
  const [balance, price] = found;
  return { network, address, balance, cancellation: LEAST_GAS * price };
}

/** Whether the account can pay for a cancellation. */
export function canCancel({ balance, cancellation }: GasFunds): boolean {
  return balance >= cancellation;
}

/** Says what is missing and whom to send it to, as a part of a sentence. */
export function describeLack({ network, address, balance, cancellation }: GasFunds): string {
  return (
    `the gas account ${address} has ${formatEther(balance)} of the coin of ${network}, and a cancellation takes about ` +
    `${formatEther(cancellation)}; send it some`
  );
}
