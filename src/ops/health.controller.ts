import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Public } from '../access/allow.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { Answers } from '../http/contract.js';
import { Queues } from '../outbox/queues.js';
import { Networks } from '../treasury/networks.js';

const readySchema = z.object({
  status: z.literal('ready'),
  networks: z.record(z.string(), z.string()),
});

@ApiTags('operations')
@Controller()
export class HealthController {
  constructor(
    private readonly database: Database,
    private readonly queues: Queues,
    private readonly networks: Networks,
  ) {}

  /** The process runs and answers: nothing more. */
  @Get('healthz')
  @Public()
  @Answers(200, z.object({ status: z.literal('ok') }), 'The process answers')
  healthz() {
    return { status: 'ok' };
  }

  /** Payments can be made: the database, the queues and at least one network are there. */
  @Get('readyz')
  @Public()
  @Answers(200, readySchema, 'Payments can be made; 503 says what is missing')
  async readyz() {
    const missing: string[] = [];
    const [database, queues] = await Promise.allSettled([this.database.ping(), this.queues.ping()]);
    if (database.status === 'rejected') missing.push('the database cannot be reached');
    if (queues.status === 'rejected') missing.push('the queues cannot be reached');
    const networks = this.networks.all().map(({ network }) => {
      const health = this.networks.health(network);
      return { network, ready: health.ready, state: health.ready ? 'ready' : health.reason };
    });
    if (!networks.some(({ ready }) => ready)) {
      missing.push(...networks.map(({ network, state }) => `network ${network}: ${state}`));
    }
    if (missing.length > 0) throw new Problem('unavailable', `not ready: ${missing.join('; ')}`);
    return {
      status: 'ready',
      networks: Object.fromEntries(networks.map(({ network, state }) => [network, state])),
    };
  }
}
