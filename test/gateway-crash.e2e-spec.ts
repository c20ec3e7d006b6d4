import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Gateway } from '../src/gateway/start-gateway.js';
import {
  type GatewayStack,
  type MoodyFacilitator,
  type Payer,
  signFor,
  startGatewayStack,
  startMoodyFacilitator,
} from './support/gateway.js';
import { build, killPrograms, type Program, startProgram } from './support/program.js';
import { until } from './support/until.js';

// A gateway is killed (SIGKILL) at each step of a sale. Whatever the step, the same credential ends at the other replica with one
// call and at most one transfer, or with a 502 that says that nothing was charged.

const CENT = 10_000n;

describe('a sale whose gateway is killed', () => {
  let stack: GatewayStack;
  let facilitator: MoodyFacilitator;
  let replica: Gateway;
  let payer: Payer;
  let victim: Program;
  let url: string;
  let income: bigint;
  let usual: GatewayStack['upstream']['answer'];

  beforeAll(async () => {
    await build();
    stack = await startGatewayStack();
    facilitator = await startMoodyFacilitator(stack.facilitator.url);
    replica = await stack.start({ facilitator: facilitator.url });
    payer = await stack.payer();
    usual = stack.upstream.answer;
  });
  afterAll(async () => {
    await killPrograms();
    await facilitator?.stop();
    await stack?.stop();
  });
  beforeEach(async () => {
    const file = await stack.write({ facilitator: facilitator.url, timeoutSeconds: 15 });
    victim = startProgram(stack.environment, [process.execPath, 'dist/cli.js', 'gateway', file]);
    url = await until('the gateway is ready', () => {
      const { stdout, stderr } = victim.output();
      if (/^bursar: (?!database)/m.test(stderr) && stdout === '' && stderr.includes('Error'))
        throw new Error(stderr);
      return /The gateway is ready on (http:\S+),/.exec(stdout)?.[1];
    });
    stack.upstream.calls.length = 0;
    facilitator.settlements = 0;
    income = await stack.income();
  });
  afterEach(async () => {
    facilitator.mood = 'well';
    stack.upstream.answer = usual;
    victim.signal('SIGKILL');
    await victim.exited;
  });

  /** A payment without the echo of the victim's URL, so that the replica takes it too. */
  const sign = async (path: string) => {
    const { payload } = await signFor(payer, `${url}${path}`);
    const { resource: _, ...rest } = payload;
    const headers = { 'payment-signature': Buffer.from(JSON.stringify(rest)).toString('base64') };
    return (origin: string) => fetch(`${origin}${path}`, { headers });
  };
  const kill = async () => {
    victim.signal('SIGKILL');
    await victim.exited;
  };
  /** The answer of the replica, once the victim counts as dead. */
  const ending = (send: (origin: string) => Promise<Response>) =>
    until('the replica knows how it ended', async () => {
      const answer = await send(replica.url);
      return answer.status !== 503 && answer;
    });
  const earned = async () => (await stack.income()) - income;

  it('during the call is lost: 502, not charged, never called again', async () => {
    stack.upstream.answer = () => {};
    const send = await sign('/things/1');
    const first = send(url).catch(() => undefined);
    await until('the upstream is called', () => stack.upstream.calls.length === 1);
    await kill();
    await first;
    stack.upstream.answer = usual;
    const answer = await ending(send);
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({ code: 'call_lost' });
    expect((await send(replica.url)).status).toBe(502);
    expect(stack.upstream.calls).toHaveLength(1);
    expect(facilitator.settlements).toBe(0);
    expect(await earned()).toBe(0n);
  });

  it('before its settlement reached the chain is settled by the replica, with the answer that was held', async () => {
    facilitator.mood = 'silent';
    const send = await sign('/things/2');
    const first = send(url).catch(() => undefined);
    await until('it is being settled', () => facilitator.settlements === 1);
    await kill();
    await first;
    facilitator.mood = 'well';
    const answer = await ending(send);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ call: 1, url: '/things/2' });
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await earned()).toBe(CENT);
  });

  it('after its settlement, before it was told, is found on the chain', async () => {
    facilitator.mood = 'held';
    const send = await sign('/things/3');
    const first = send(url).catch(() => undefined);
    await until('it is settled', async () => (await earned()) === CENT);
    await kill();
    await first;
    facilitator.mood = 'broken';
    const answer = await ending(send);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ call: 1 });
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await earned()).toBe(CENT);
  });

  it('after the charge that came first, during the call, is owed its price', async () => {
    stack.upstream.answer = () => {};
    const send = await sign('/report');
    const first = send(url).catch(() => undefined);
    await until('the upstream is called', () => stack.upstream.calls.length === 1);
    await kill();
    await first;
    const answer = await ending(send);
    expect(await answer.json()).toMatchObject({ code: 'refund_owed' });
    expect(stack.upstream.calls).toHaveLength(1);
    expect(await earned()).toBe(25n * CENT);
    const { rows } = await stack.db.query('SELECT status FROM gateway_credit_notes');
    expect(rows).toEqual([{ status: 'waiting' }]);
  });

  it('does nothing any more when it was only frozen: what it holds is not settled', async () => {
    let release = () => {};
    stack.upstream.answer = (call, response) => {
      release = () => void usual(call, response);
    };
    const send = await sign('/things/5');
    const first = send(url).catch(() => undefined);
    await until('the upstream is called', () => stack.upstream.calls.length === 1);
    victim.signal('SIGSTOP');
    const answer = await ending(send);
    expect(answer.status).toBe(502);
    release();
    victim.signal('SIGCONT');
    expect((await first)?.status).toBe(502);
    expect(facilitator.settlements).toBe(0);
    expect(await earned()).toBe(0n);
  });

  it('ends what is under way when it is told to stop, and takes no more', async () => {
    let release = () => {};
    stack.upstream.answer = (call, response) => {
      release = () => void usual(call, response);
    };
    const send = await sign('/things/6');
    const first = send(url);
    await until('the upstream is called', () => stack.upstream.calls.length === 1);
    victim.signal('SIGTERM');
    release();
    expect((await first).status).toBe(200);
    expect(await victim.exited).toBe(0);
    expect(await earned()).toBe(CENT);
  });
});
