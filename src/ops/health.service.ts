import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { seeTreasuries, takeLane } from '../database/treasury-scope.js';
import { DrainSwitch } from '../http/draining.js';
import { readChainStates } from '../ledger/chain-states.js';
import { Queues } from '../outbox/queues.js';
import { Shared } from '../shared.js';
import { canCancel, describeLack, type GasFunds, GasFundsReader } from '../treasury/gas-funds.js';
import { Networks } from '../treasury/networks.js';
import { countUnexplained } from '../treasury/outside-spends-view.js';
import {
  countWalletsWithCode,
  describeCode,
  listWalletsWithCode,
} from '../treasury/wallet-code-view.js';
import { within } from '../within.js';

/** The maximum of wallets that the warnings name; the log and `GET /v1/wallets` have the others. */
const WALLETS_NAMED = 8;

/** How long a dependency may take to answer before it counts as missing, in milliseconds. */
const PING_TIMEOUT_MS = 3_000;

/** How long a look waits for the chains to tell what the gas account has, in milliseconds. */
const GAS_WAIT_MS = 250;

/** How old a look at the dependencies may be, in milliseconds. */
const LOOK_EVERY_MS = 250;

/** Looks whether this process can do its work, and what is wrong without keeping it from that. */
@Injectable()
export class HealthService {
  /** One look at the dependencies for all who ask: anybody may, as often as they like. */
  readonly #dependencies = new Shared(() => this.readDependencies(), LOOK_EVERY_MS);

  #gas: readonly GasFunds[] = [];

  constructor(
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly networks: Networks,
    private readonly draining: DrainSwitch,
    private readonly gasFunds: GasFundsReader,
    @Inject(CONFIG) private readonly config: Pick<Config, 'role'>,
  ) {}

  /** Faults that keep this process from its work now; nothing when it is ready. */
  async missing(): Promise<readonly string[]> {
    return (await this.look()).missing;
  }

  /** Looks at all that the work of this process needs. */
  async look() {
    const missing: string[] = [];
    if (this.draining.isDraining) missing.push('this process is being stopped');
    const { database, queues, warnings, gas } = await this.#dependencies.get();
    for (const { queue, seconds } of this.queues.hung()) {
      missing.push(
        `queue ${queue}: the worker here has neither taken nor ended a job for ${seconds} s; it is being replaced`,
      );
    }
    if (!database) missing.push('the database cannot be reached');
    if (!queues) missing.push('the queues cannot be reached');
    const networks = this.networks.all().map(({ network }) => {
      const health = this.networks.health(network);
      return { network, ready: health.ready, state: health.ready ? 'ready' : health.reason };
    });
    if (!networks.some(({ ready }) => ready)) {
      missing.push(...networks.map(({ network, state }) => `network ${network}: ${state}`));
    }
    return { missing, networks, gas, warnings };
  }

  /** Names the treasuries with spends that no payment stands for, and those whose lost keys are fenced. */
  private async spendWarnings(): Promise<string[]> {
    seeTreasuries('all');
    const counts = await countUnexplained(this.database);
    return counts.flatMap(({ treasury, unexplained, isFenced }) => [
      ...(unexplained > 0
        ? [
            `treasury ${treasury}: ${unexplained} spends of its wallets are of no payment, and the wallets make none until ` +
              'each is explained; see npx bursar check, then npx bursar adopt',
          ]
        : []),
      ...(isFenced
        ? [
            `treasury ${treasury}: payments may be missing from the database, so keys without a payment make none`,
          ]
        : []),
    ]);
  }

  /** Says what keeps readings of a chain from being complete, as the workers found it. */
  private async chainWarnings(): Promise<string[]> {
    const states = await readChainStates(this.database.pool);
    return this.networks.all().flatMap(({ network }) => {
      const { quorum, code } = states.get(network) ?? {};
      return [
        ...(quorum === undefined
          ? []
          : [
              `network ${network}: ${quorum}; payments go on, but none is settled or released and no balance is ` +
                'read until every RPC of its rpcUrls in BURSAR_NETWORKS answers again',
            ]),
        ...(code === undefined
          ? []
          : [
              `network ${network}: its wallets could not be looked at for code (${code}); a wallet with code would ` +
                'go on signing what tokens refuse. Use RPCs that answer eth_call without "to"',
            ]),
        ...this.networks
          .leftAside(network)
          .map(
            ({ address, currency }) =>
              `network ${network}: token ${address} (${currency}) is left aside, because it does not answer ` +
              'DOMAIN_SEPARATOR() and decimals(); name the other tokens under assets in BURSAR_NETWORKS to stop this',
          ),
      ];
    });
  }

  private async readDependencies() {
    // Reads that take all their connections must not make this process seem away, whoever looks, and however often.
    takeLane('work');
    // Nobody signs in here: the addresses of all treasuries' wallets are public on their chain anyway.
    seeTreasuries('all');
    const [database, queues] = await Promise.all([
      answers(this.database.ping()),
      this.config.role === 'api' || answers(this.queues.ping()),
    ]);
    const warned = Promise.all(
      database
        ? [this.chainWarnings(), this.walletWarnings(), this.spendWarnings()].map((each) =>
            each.catch(() => []),
          )
        : [],
    );
    const gas = await this.readGas();
    const warnings = (await within(warned, PING_TIMEOUT_MS)) ? (await warned).flat() : [];
    return { database, queues, gas, warnings: [...warnings, ...gasWarnings(gas)] };
  }

  /** Balance of the gas account; as read before where an RPC is slow, since a probe does not wait for a chain. */
  private async readGas(): Promise<readonly GasFunds[]> {
    const reading = this.gasFunds.all().then((funds) => {
      this.#gas = funds;
    });
    await within(reading, GAS_WAIT_MS).catch(() => {});
    return this.#gas;
  }

  /** Names the wallets that cannot pay because of code on their address (EIP-7702). */
  private async walletWarnings(): Promise<string[]> {
    const networks = this.networks.all().map(({ network }) => network);
    const counts = await countWalletsWithCode(this.database, networks);
    const total = counts.reduce((sum, { withCode }) => sum + withCode, 0);
    if (total === 0) return [];
    const blocked = counts.filter(({ isBlocked }) => isBlocked);
    const wallets = await listWalletsWithCode(this.database, networks, WALLETS_NAMED);
    return [
      ...blocked.map(
        ({ treasury, network }) =>
          `network ${network}: no wallet of treasury ${treasury} can pay, because all have code; add a wallet or remove the code`,
      ),
      ...wallets.map(
        ({ treasury, network, address, code }) =>
          `network ${network}: wallet ${address} of treasury ${treasury} has ${describeCode(code)}, so tokens refuse its ` +
          'signatures and it makes no payment there; remove the delegation with its key, or move its funds and retire it',
      ),
      ...(total > wallets.length
        ? [`${total - wallets.length} more wallets have code; GET /v1/wallets shows them`]
        : []),
    ];
  }
}

/** Names the networks on which no payment can be cancelled. */
function gasWarnings(gas: readonly GasFunds[]): string[] {
  return gas
    .filter((funds) => !canCancel(funds))
    .map(
      (funds) => `network ${funds.network}: no payment can be cancelled: ${describeLack(funds)}`,
    );
}

function answers(ping: Promise<unknown>): Promise<boolean> {
  return within(ping, PING_TIMEOUT_MS).catch(() => false);
}
