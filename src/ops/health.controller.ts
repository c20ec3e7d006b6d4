import { Controller, Get, Inject } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Public } from '../access/allow.js';
import { CONFIG, type Config } from '../config.js';
import { Database } from '../database/database.js';
import { seeTreasuries } from '../database/treasury-scope.js';
import { Problem } from '../domain/problem.js';
import { Answers } from '../http/contract.js';
import { Queues } from '../outbox/queues.js';
import { Networks } from '../treasury/networks.js';
import {
  countWalletsWithCode,
  describeCode,
  listWalletsWithCode,
} from '../treasury/wallet-code-view.js';
import { within } from '../within.js';
import { Draining } from './draining.js';

const readySchema = z.object({
  status: z.literal('ready'),
  networks: z.record(z.string(), z.string()),
  warnings: z
    .array(z.string())
    .optional()
    .describe('what is wrong without keeping it from its work, and the remedy'),
});

/** The maximum of wallets that the warnings name; the log and `GET /v1/wallets` have the others. */
const WALLETS_NAMED = 8;

/** How long a dependency may take to answer before it counts as missing, in milliseconds. */
const PING_TIMEOUT_MS = 3_000;

/** Whether the service can do its work now. */
@ApiTags('operations')
@Controller()
export class HealthController {
  constructor(
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly networks: Networks,
    private readonly draining: Draining,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** The process runs and answers: nothing more. */
  @Get('healthz')
  @Public()
  @Answers(200, z.object({ status: z.literal('ok') }), 'The process answers')
  healthz() {
    return { status: 'ok' };
  }

  /**
   * This process can do its work: the database and at least one network are there, it is not being
   * stopped, and where it has workers they show life and their queues are there. Payments need no queues:
   * a process that only pays must not be taken out of service for want of them.
   */
  @Get('readyz')
  @Public()
  @Answers(200, readySchema, 'The process can do its work; 503 says what is missing')
  async readyz() {
    const missing: string[] = [];
    if (this.draining.isDraining) missing.push('this process is being stopped');
    for (const { queue, seconds } of this.queues.hung()) {
      missing.push(
        `queue ${queue}: the worker here has neither taken nor ended a job for ${seconds} s; it is being replaced`,
      );
    }
    const [database, queues] = await Promise.all([
      answers(this.database.ping()),
      this.config.role === 'api' || answers(this.queues.ping()),
    ]);
    if (!database) missing.push('the database cannot be reached');
    if (!queues) missing.push('the queues cannot be reached');
    const networks = this.networks.all().map(({ network }) => {
      const health = this.networks.health(network);
      return { network, ready: health.ready, state: health.ready ? 'ready' : health.reason };
    });
    if (!networks.some(({ ready }) => ready)) {
      missing.push(...networks.map(({ network, state }) => `network ${network}: ${state}`));
    }
    if (missing.length > 0) throw new Problem('unavailable', `not ready: ${missing.join('; ')}`);
    const warned = this.walletWarnings().catch(() => []);
    const warnings = (await within(warned, PING_TIMEOUT_MS)) ? await warned : [];
    return {
      status: 'ready',
      networks: Object.fromEntries(networks.map(({ network, state }) => [network, state])),
      ...(warnings.length > 0 ? { warnings } : {}),
    };
  }

  /** Names the wallets that cannot pay because of code on their address (EIP-7702). */
  private async walletWarnings(): Promise<string[]> {
    // Nobody signs in here: the addresses of all treasuries' wallets are public on their chain anyway.
    seeTreasuries('all');
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

function answers(ping: Promise<unknown>): Promise<boolean> {
  return within(ping, PING_TIMEOUT_MS).catch(() => false);
}
