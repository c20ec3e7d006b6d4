import { Controller, Get, Redirect } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiTags } from '@nestjs/swagger';
import { formatEther } from 'viem';
import { z } from 'zod';
import { Public } from '../access/allow.js';
import { Problem } from '../domain/problem.js';
import { Answers, Operation } from '../http/contract.js';
import { DOCS_PATH } from '../http/docs-page.js';
import type { GasFunds } from '../treasury/gas-funds.js';
import { VERSION } from '../version.js';
import { HealthService } from './health.service.js';

const healthSchema = z
  .object({ status: z.literal('ok'), version: z.string() })
  .meta({ id: 'Health' });

const readySchema = z
  .object({
    status: z.literal('ready'),
    networks: z.record(z.string(), z.string()),
    gas: z
      .record(z.string(), z.object({ account: z.string(), balance: z.string() }))
      .optional()
      .describe(
        'what pays for cancellations, by network, in coins of it; missing where no RPC answers or nothing pays',
      ),
    warnings: z
      .array(z.string())
      .optional()
      .describe('what is wrong without keeping it from its work, and the remedy'),
  })
  .meta({ id: 'Readiness' });

/** Whether the service can do its work now. */
@ApiTags('Operations')
@Controller()
export class HealthController {
  constructor(private readonly health: HealthService) {}

  /** Shows a browser what the service can do. */
  @Get()
  @Public()
  @ApiExcludeEndpoint()
  @Redirect(DOCS_PATH, 302)
  root() {}

  /** The process runs and answers: nothing more. */
  @Get('healthz')
  @Public()
  @Operation('getHealth', 'Ask whether the process answers')
  @Answers(200, healthSchema, 'The process answers')
  healthz() {
    return { status: 'ok', version: VERSION } as const;
  }

  /**
   * This process can do its work: the database and at least one network are there, it is not being
   * stopped, and where it has workers they show life and their queues are there. Payments need no queues:
   * a process that only pays must not be taken out of service for want of them.
   */
  @Get('readyz')
  @Public()
  @Operation('getReadiness', 'Ask whether the process can do its work')
  @Answers(200, readySchema, 'The process can do its work; 503 says what is missing')
  async readyz() {
    const { missing, networks, gas, warnings } = await this.health.look();
    if (missing.length > 0) throw new Problem('unavailable', `not ready: ${missing.join('; ')}`);
    return {
      status: 'ready' as const,
      networks: Object.fromEntries(networks.map(({ network, state }) => [network, state])),
      ...(gas.length > 0 ? { gas: viewGas(gas) } : {}),
      ...(warnings.length > 0 ? { warnings } : {}),
    };
  }
}

function viewGas(gas: readonly GasFunds[]) {
  return Object.fromEntries(
    gas.map(({ network, address, balance }) => [
      network,
      { account: address, balance: formatEther(balance) },
    ]),
  );
}
