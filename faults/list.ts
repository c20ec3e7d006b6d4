import type { Fault } from './fault.js';
import { apiKill } from './kinds/api-kill.js';
import { cutOff } from './kinds/cut.js';
import { diskFull } from './kinds/disk-full.js';
import { gatewayFaults } from './kinds/gateway.js';
import { postgresDown } from './kinds/postgres.js';
import { redisKilled, redisPaused, redisWiped } from './kinds/redis.js';
import { rpcFaults } from './kinds/rpc.js';
import { sigterm } from './kinds/sigterm.js';
import { workerKilled, workerStopped } from './kinds/workers.js';

/** Every fault, in the order of docs/reliability.md. */
export const FAULTS: readonly Fault[] = [
  apiKill,
  postgresDown,
  redisPaused,
  redisKilled,
  redisWiped,
  workerKilled,
  workerStopped,
  rpcFaults,
  cutOff,
  diskFull,
  sigterm,
  gatewayFaults,
];
