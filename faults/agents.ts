// Agents as they are: they pay, buy, lose answers, ask again with the same key, ask twice at once, race
// each other on one budget, and have their grants revoked in the middle of it.
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Agent as Connections } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, type Body, keptConnections, type Outcome } from './client.js';
import { type Random, random } from './random.js';
import { madeUpOrder, type Stack } from './stack.js';

/** How many agents share the load; each has a grant of its own below one hot root. */
const AGENTS = 12;

/** How often agents race for a budget, and how often a grant is revoked in the middle, in milliseconds. */
const RACE_EVERY_MS = 3_000;
const REVOKE_EVERY_MS = 4_000;

/** How many race, and for how many of them there is money. */
const RACERS = 12;
const RACE_PRIZES = 5;

/** How long an agent goes on asking with one key, in milliseconds: longer than any fault lasts. */
const PATIENCE_MS = 180_000;

const BACKOFF_MS = { first: 50, most: 1_000 } as const;

/** Somebody who may pay. */
export interface Payer {
  readonly grantId: string;
  readonly token: string;
}

/** The answer that settled a payment: its header, or a refusal for good. */
export type Settled = Extract<Outcome, { kind: 'answer' }>;

/** How one payment is asked for. */
export interface Asking {
  /** Where the first try goes; the next ones go to the other. */
  readonly first?: number | undefined;
  /** How often the answer is not waited for. */
  readonly lose?: number;
  readonly connections?: Connections | undefined;
}

/** The load of a stack. */
export interface Agents {
  /** An agent more, for whoever needs one. */
  newPayer(terms?: Record<string, unknown>): Promise<Payer>;
  /**
   * Pays with a key until that is settled: whatever becomes of a try, the next has the same key.
   *
   * @returns undefined when nothing settled it in {@link PATIENCE_MS}.
   */
  pay(payer: Payer, key: string, body: string, how?: Asking): Promise<Settled | undefined>;
  /** No new payments until {@link resume}; resolves when those under way are settled. */
  pause(): Promise<void>;
  resume(): void;
  /** Changes how many payments a second are asked for. */
  rate(perSecond: number): void;
  stop(): Promise<void>;
}

/** Mints the grants, and starts to pay. */
export async function startAgents(stack: Stack, seed: number, perSecond: number): Promise<Agents> {
  const { account, tally } = stack;
  const chance = random(seed, 'agents');
  const order = madeUpOrder(stack);
  const stopped = new AbortController();
  // An agent that waits listens.
  setMaxListeners(0, stopped.signal);
  let rate = perSecond;
  let pausing: Promise<void> | undefined;
  let resume = (): void => {};
  const underWay = new Set<Promise<unknown>>();

  /** Asks until somebody answers for good. */
  const insist = async (
    first: number,
    tries: (url: string, attempt: number) => Promise<Outcome>,
  ): Promise<Settled | undefined> => {
    const giveUpAt = performance.now() + PATIENCE_MS;
    let backoff: number = BACKOFF_MS.first;
    let last: Outcome | undefined;
    for (let attempt = 0; performance.now() < giveUpAt; attempt += 1) {
      const url = stack.apis[(first + attempt) % 2 === 0 ? 0 : 1].url;
      const outcome = await tries(url, attempt);
      last = outcome;
      if (outcome.kind === 'answer' && outcome.status < 500 && outcome.status !== 429) {
        return outcome;
      }
      if (stopped.signal.aborted) return undefined;
      // An agent that lost its answer asks again at once; one that was refused for now waits, ever longer.
      if (outcome.kind === 'lost') continue;
      const advice = outcome.kind === 'answer' ? (outcome.retryAfterMs ?? 0) : 0;
      const wait = Math.min(BACKOFF_MS.most, Math.max(advice, backoff * chance.between(0.5, 1.5)));
      await delay(wait, undefined, { signal: stopped.signal }).catch(() => {});
      backoff = Math.min(BACKOFF_MS.most, backoff * 2);
    }
    const told =
      last?.kind === 'answer'
        ? `${last.status} ${last.body.code}: ${last.body.detail}`
        : last?.kind;
    process.stderr.write(
      `faults: nobody answered for good within ${PATIENCE_MS / 1_000} s; last: ${told}\n`,
    );
    return undefined;
  };

  // One end for all, so that a child's is not later than its parent's.
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  const mint = async (token: string, terms: Record<string, unknown>): Promise<Payer> => {
    const key = randomUUID();
    const body = JSON.stringify({ holder: 'agent', expiresAt, ...terms });
    const made = await insist(0, (url) => ask(`${url}/v1/grants`, { token, body, key }));
    const { grant, token: own } = made?.body ?? {};
    if (!grant || own === undefined) throw new Error(`not minted: ${JSON.stringify(made?.body)}`);
    return { grantId: grant.id, token: own };
  };

  const pay: Agents['pay'] = async (payer, key, body, how = {}) => {
    const { first = chance.below(2), lose = 0, connections } = how;
    return insist(first, async (url, attempt) => {
      // Only at first: a client that never waits would never be answered.
      const loseAfterMs = attempt < 3 && chance.chance(lose) ? chance.between(0, 30) : undefined;
      const asked = ask(`${url}/v1/payments`, {
        token: payer.token,
        body,
        key,
        loseAfterMs,
        connections,
      });
      const outcome = await tally.count(asked);
      if (outcome.kind === 'answer' && outcome.status === 201) {
        account.received(payer.grantId, key, outcome.body);
      }
      return outcome;
    });
  };

  const root = await mint(stack.adminToken, {
    budget: '1000000000',
    delegationDepth: 3,
  });
  const newPayer: Agents['newPayer'] = (terms = {}) => {
    return mint(root.token, { budget: '1000000', ...terms });
  };

  // ---- What agents do

  const buy = async (payer: Payer, mine: Random, how: Asking): Promise<void> => {
    const url = `${stack.seller.url}/data/${mine.below(1_000)}`;
    const unpaid = await fetch(url);
    const paymentRequired = unpaid.headers.get('payment-required');
    await unpaid.arrayBuffer();
    const body = JSON.stringify({ paymentRequired, request: { method: 'GET', url } });
    const paid = await pay(payer, randomUUID(), body, how);
    const header = paid?.body.header;
    // The seller may be too late, or its transaction may be reorganised away: that is its business.
    if (header) await fetch(url, { headers: { [header.name]: header.value } }).catch(() => {});
  };

  const one = async (payer: Payer, mine: Random, connections?: Connections): Promise<void> => {
    const how = { first: mine.below(2), lose: 0.15, connections };
    const what = mine.next();
    if (what < 0.25) return buy(payer, mine, how);
    const key = randomUUID();
    const first = pay(payer, key, order, how);
    // Twice at once, on both replicas: the account sees whether both get the same.
    if (what < 0.35) await pay(payer, key, order, { ...how, first: how.first + 1 });
    const paid = await first;
    // And once more later, as after a crash of the agent's own.
    if (paid && what > 0.9) await pay(payer, key, order, how);
  };

  const race = async (): Promise<void> => {
    const payer = await newPayer({ budget: `0.0${RACE_PRIZES}` });
    const answers = await Promise.all(
      Array.from({ length: RACERS }, () => pay(payer, randomUUID(), order, { lose: 0.1 })),
    );
    const won = answers.filter((each) => each?.status === 201).length;
    // Released money may be spent again: only the checker can tell then.
    if (won > RACE_PRIZES && answers.every((each) => each !== undefined)) {
      const { rows } = await stack.db.query(
        `SELECT 1 FROM payments WHERE grant_id = $1 AND status NOT IN ('authorized', 'settled')`,
        [payer.grantId],
      );
      if (rows.length === 0) account.saw(`I1: ${won} of ${RACERS} won a budget for ${RACE_PRIZES}`);
    }
  };

  const revoke = async (mine: Random): Promise<void> => {
    const payer = await newPayer();
    let isRevoked = false;
    const stream = async (): Promise<void> => {
      for (let late = 0; late < 2 && !stopped.signal.aborted; ) {
        // A request that comes after the revocation's answer is never granted.
        const wasRevoked = isRevoked;
        const key = randomUUID();
        const paid = await pay(payer, key, order, { lose: 0.1 });
        if (wasRevoked) late += 1;
        if (wasRevoked && paid?.status === 201) {
          account.saw(`I5: ${paid.body.payment?.id} was paid after ${payer.grantId} was revoked`);
        }
        if (paid !== undefined && paid.status >= 400 && paid.body.code !== 'grant_revoked') {
          account.saw(`a payment of ${payer.grantId} was refused with ${paid.body.code}`);
        }
      }
    };
    const streams = Promise.all([stream(), stream(), stream()]);
    await delay(mine.between(20, 400));
    const body = JSON.stringify({ reason: 'faults', cancelOutstanding: mine.chance(0.3) });
    const path = `/v1/grants/${payer.grantId}/revoke`;
    const revoked = await insist(mine.below(2), (url) =>
      ask(`${url}${path}`, { token: stack.adminToken, body }),
    );
    if (revoked?.status === 200) isRevoked = true;
    else if (revoked) account.saw(`a revocation was answered ${revoked.status}`);
    else stopped.abort();
    await streams;
  };

  // ---- The load

  const track = <T>(work: Promise<T>): Promise<T> => {
    underWay.add(work);
    return work.finally(() => underWay.delete(work));
  };
  const failed = (error: Error): void => {
    if (!stopped.signal.aborted) account.saw(`an agent failed: ${error.message}`);
  };
  const again = async (pauseMs: () => number, work: () => Promise<void>): Promise<void> => {
    while (!stopped.signal.aborted) {
      await pausing;
      await delay(pauseMs(), undefined, { signal: stopped.signal }).catch(() => {});
      if (pausing || stopped.signal.aborted) continue;
      await track(work()).catch(failed);
    }
  };
  const loops: Promise<void>[] = [];
  for (let place = 0; place < AGENTS; place += 1) {
    const mine = random(seed, `agent ${place}`);
    // Half of them keep their connections, half open one for each request.
    const connections = place % 2 === 0 ? keptConnections() : undefined;
    let payer = await newPayer({ delegationDepth: 2 });
    for (let depth = 0; depth < place % 3; depth += 1) {
      payer = await mint(payer.token, { budget: '100000', delegationDepth: 1 - depth });
    }
    const mean = (): number => (AGENTS * 1_000) / rate;
    loops.push(
      again(
        () => mean() * mine.between(0, 2),
        () => one(payer, mine, connections),
      ),
    );
  }
  const racing = random(seed, 'racing');
  loops.push(again(() => RACE_EVERY_MS * racing.between(0.5, 1.5), race));
  const revoking = random(seed, 'revoking');
  loops.push(
    again(
      () => REVOKE_EVERY_MS * revoking.between(0.5, 1.5),
      () => revoke(revoking),
    ),
  );

  return {
    newPayer,
    pay,
    async pause() {
      pausing ??= new Promise((resolve) => {
        resume = resolve;
      });
      await Promise.all([...underWay].map((each) => each.catch(() => {})));
    },
    resume() {
      resume();
      pausing = undefined;
    },
    rate(next) {
      rate = next;
    },
    async stop() {
      stopped.abort();
      resume();
      await Promise.all(loops);
    },
  };
}

/** A body's header, if there is one. */
export function headerOf(settled: Settled | undefined): NonNullable<Body['header']> | undefined {
  return settled?.status === 201 ? settled.body.header : undefined;
}
