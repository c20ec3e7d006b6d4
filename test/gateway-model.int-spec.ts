import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { loadNetworks } from '../src/config/networks.js';
import { Database } from '../src/database/database.js';
import type { Network } from '../src/domain/network.js';
import { Answers } from '../src/gateway/answers.js';
import { Asks } from '../src/gateway/asks.js';
import { type FacilitatorLike, Facilitators } from '../src/gateway/facilitators.js';
import type { Ending, Order } from '../src/gateway/orders.js';
import { Recovery } from '../src/gateway/recovery.js';
import { SaleBooks } from '../src/gateway/sale-books.js';
import { findSale, noteAlive, type Sale } from '../src/gateway/sale-rows.js';
import { Sales } from '../src/gateway/sales.js';
import type { Upstream, UpstreamRequest } from '../src/gateway/upstream.js';
import { UpstreamFailure } from '../src/gateway/upstream-failure.js';
import { treasuryNamed } from '../src/ledger/service-events.js';
import { createLogger } from '../src/ops/logger.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { SimulatedChain, type SimulatedTransfer } from './support/simulated-chain.js';
import { until } from './support/until.js';

// Random lives of one credential, held against the contract of a sale. Two gateways sell it and a third looks after them, all on one
// real database; they die or freeze between any two steps. The chain, the facilitator and the upstream are simulated: a settlement
// may be refused, late, done and not told, and taken back by a reorganisation.
//
// BURSAR_MODEL_RUNS=20000 is the long form; BURSAR_MODEL_SEED repeats a run.
const RUNS = Number(process.env.BURSAR_MODEL_RUNS ?? 400);
const { BURSAR_MODEL_SEED } = process.env;
/** Lives that are tried at once. */
const ABREAST = 8;

jest.setTimeout(3_600_000);

/** Behaviour of a facilitator that is asked to settle. `deaf` ones answer nothing. */
type Mood = 'well' | 'refuses' | 'deaf' | 'deaf, and done' | 'deaf, and late';

/** Fate of a gateway at one of its steps, before it is done or after. */
interface Fate {
  readonly kind: 'lives' | 'dies' | 'freezes';
  readonly step: number;
  readonly isDone: boolean;
}

interface Life {
  readonly settle: Order['operation']['settle'];
  readonly isFree: boolean;
  readonly upstream: 'answers' | 'fails' | 'hangs' | 'breaks off';
  /** The moods of the settlements in their order; later ones go well. */
  readonly moods: readonly Mood[];
  readonly fates: readonly Fate[];
  /** The gateway that each copy of the request is sent to. */
  readonly copies: readonly number[];
  /** The gateway that another request with the same credential is sent to. */
  readonly other: number | undefined;
  readonly reorganisation: 'none' | 'mined again' | 'lost';
  /** Whether a late transfer is ever mined. */
  readonly isLateMined: boolean;
}

const fate: fc.Arbitrary<Fate> = fc.record({
  kind: fc.constantFrom('lives', 'lives', 'lives', 'dies', 'freezes'),
  step: fc.nat(9),
  isDone: fc.boolean(),
});

const life: fc.Arbitrary<Life> = fc.record({
  settle: fc.constantFrom('after', 'before', 'first_byte'),
  isFree: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  upstream: fc.constantFrom(
    'answers',
    'answers',
    'answers',
    'fails',
    'hangs',
    'breaks off',
    'breaks off',
  ),
  moods: fc.array(
    fc.constantFrom<Mood>('well', 'refuses', 'deaf', 'deaf, and done', 'deaf, and late'),
    { maxLength: 4 },
  ),
  fates: fc.tuple(fate, fate),
  copies: fc.array(fc.nat(1), { minLength: 1, maxLength: 4 }),
  other: fc.option(fc.nat(1), { nil: undefined }),
  reorganisation: fc.constantFrom('none', 'none', 'mined again', 'lost'),
  isLateMined: fc.boolean(),
});

let test: TestDatabase;
let database: Database;
let network: Network;

beforeAll(async () => {
  test = await createTestDatabase();
  database = new Database(test.url, { maxConnections: 12 });
  [network] = loadNetworks({}) as [Network];
});
afterAll(async () => {
  await database?.close();
  await test?.drop();
});

/** A gateway's process as far as its fate goes: from its last step on, nothing that it waits for comes. */
class Mortal {
  readonly name = randomUUID();
  readonly #thawed: Promise<void>;
  #thaw = () => {};
  #steps = 0;
  #isDown = false;

  constructor(
    private readonly fate: Fate,
    private readonly fall: (name: string) => Promise<unknown>,
  ) {
    this.#thawed = new Promise((resolve) => {
      this.#thaw = resolve;
    });
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  get isFrozen(): boolean {
    return this.#isDown && this.fate.kind === 'freezes';
  }

  thaw(): void {
    this.#isDown = false;
    this.#thaw();
  }

  async step<T>(work: () => Promise<T>): Promise<T> {
    const isLast = this.#steps++ === this.fate.step && this.fate.kind !== 'lives';
    if (isLast && !this.fate.isDone) await this.goDown();
    await this.rest();
    const outcome = await Promise.allSettled([work()]);
    if (isLast && this.fate.isDone) await this.goDown();
    await this.rest();
    if (outcome[0].status === 'rejected') throw outcome[0].reason;
    return outcome[0].value;
  }

  private async goDown(): Promise<void> {
    this.#isDown = true;
    await this.fall(this.name);
  }

  private async rest(): Promise<void> {
    if (this.#isDown) await (this.fate.kind === 'dies' ? new Promise(() => {}) : this.#thawed);
  }
}

/** The end of a copy, as its buyer sees it. */
interface Outcome {
  readonly kind: Ending['kind'] | 'broken off';
  readonly body?: string;
}

/** Everything around one credential. */
class World {
  readonly chain = new SimulatedChain();
  readonly transfer: SimulatedTransfer;
  calls = 0;
  #settlements = 0;
  treasuryId = '';

  constructor(readonly life: Life) {
    const [asset] = network.assets;
    if (!asset) throw new Error('the network has no token');
    this.transfer = {
      asset: asset.address,
      from: `0x${randomBytes(20).toString('hex')}`,
      to: `0x${'1'.repeat(40)}`,
      value: 10_000n,
      nonce: `0x${randomBytes(32).toString('hex')}`,
      validBefore: BigInt(Math.floor(Date.now() / 1_000) + 3_000),
    };
  }

  async open(): Promise<void> {
    const name = `shop ${this.transfer.nonce}`;
    this.treasuryId = await database.transaction((tx) =>
      treasuryNamed(tx, { name, actor: 'system:gateway' }),
    );
  }

  /** Has a process count as dead: nobody heard of it for long. */
  private readonly bury = (name: string) =>
    database.pool.query(
      `UPDATE gateway_processes SET seen_at = now() - interval '1 hour' WHERE treasury_id = $1 AND id = $2`,
      [this.treasuryId, name],
    );

  /** Starts a gateway. */
  async start(fate: Fate) {
    const mortal = new Mortal(fate, this.bury);
    const own = {
      pool: {
        query: (...given: [string, unknown[]]) => mortal.step(() => database.pool.query(...given)),
      },
      transaction: (...given: Parameters<Database['transaction']>) =>
        mortal.step(() => database.transaction(...given)),
      pipelined: (...given: Parameters<Database['pipelined']>) =>
        mortal.step(() => database.pipelined(...given)),
    } as unknown as Database;
    const answers = new Answers(Buffer.alloc(32, 7), 3_600);
    const books = new SaleBooks(own, answers);
    const facilitators = new Facilitators([this.facilitatorOf(mortal)]);
    const upstream = this.upstreamOf(mortal);
    const logger = createLogger('silent');
    const { treasuryId } = this;
    const sales = new Sales({
      ...{ database: own, treasuryId, process: mortal.name, answers, books, facilitators, logger },
      upstream: () => upstream,
    });
    const recovery = new Recovery({
      ...{ database: own, treasuryId, sales, books, answers, facilitators, logger },
      asks: new Asks(treasuryId),
      chains: new Map([
        [
          network.network,
          { network: { ...network, finality: { blocks: 2 } }, client: this.chain.client },
        ],
      ]),
      refunds: undefined,
      keepSeconds: 0,
    });
    await noteAlive(database.pool, treasuryId, mortal.name);
    return { mortal, sales, recovery };
  }

  private facilitatorOf(mortal: Mortal): FacilitatorLike {
    const { chain, transfer, life } = this;
    return {
      verify: async () => ({ isValid: !chain.has(transfer.nonce), invalidReason: 'nonce_used' }),
      settle: () =>
        mortal.step(async () => {
          const mood = life.moods[this.#settlements++] ?? 'well';
          if (mood === 'refuses' && !chain.has(transfer.nonce)) {
            return { success: false, errorReason: 'insufficient_funds', transaction: '' };
          }
          if (mood === 'deaf, and late') chain.send(transfer);
          if (mood.startsWith('deaf, and done')) chain.pay(transfer);
          if (mood.startsWith('deaf')) throw new Error('no answer in time');
          const transaction = chain.pay(transfer);
          return transaction === undefined
            ? { success: false, errorReason: 'nonce_used', transaction: '' }
            : { success: true, transaction };
        }),
    };
  }

  private upstreamOf(mortal: Mortal): Upstream {
    const answer = () =>
      mortal.step(async () => {
        this.calls += 1;
        const { upstream } = this.life;
        if (upstream === 'hangs') throw new UpstreamFailure('took too long');
        const body = Buffer.from(`answer ${this.calls}`);
        return { status: upstream === 'fails' ? 500 : 200, headers: [] as const, body };
      });
    const upstream: Pick<Upstream, 'prepare' | 'call' | 'open'> = {
      prepare: async () => {},
      call: async () => {
        const whole = await answer();
        if (this.life.upstream === 'breaks off') throw new UpstreamFailure('broke off');
        return whole;
      },
      open: async () => {
        const whole = await answer();
        if (whole.status >= 400) return whole;
        const breaksOff = this.life.upstream === 'breaks off';
        const parts = async function* () {
          yield whole.body.subarray(0, 3);
          if (breaksOff) throw new Error('broke off');
          yield whole.body.subarray(3);
        };
        return { ...whole, body: Readable.from(parts()) };
      },
    };
    return upstream as Upstream;
  }

  /** The request of a buyer; another one has another path. */
  order(path: string): Order {
    const { asset, from, to, value, nonce, validBefore } = this.transfer;
    const [token] = network.assets;
    if (!token) throw new Error('the network has no token');
    return {
      credential: {
        version: 2,
        signed: { signature: '0x01', authorization: { nonce } },
        resourceUrl: undefined,
        offered: { network: network.network, asset, payTo: to, amount: value },
        payer: from,
        nonce,
        validBefore,
        hash: nonce,
      },
      offer: { network, asset: token, payTo: to, amount: value, maxTimeoutSeconds: 60 },
      namesAnother: false,
      sold: {
        ...{ url: 'https://shop.example/', description: '', mimeType: '', serviceName: '' },
        ...{ tags: [], extensions: {} },
      },
      requestHash: path,
      request: { target: { path } } as unknown as UpstreamRequest,
      operation: {
        ...{ id: 'get', settle: this.life.settle, isStreamed: this.life.settle === 'first_byte' },
        ...{ timeoutMs: 5_000, maxAnswerBytes: 1_000, settleSeconds: 5 },
      },
      bounds: { concurrencyPerPayer: 100, freePerPayer: this.life.isFree ? 1 : 0 },
      configHash: 'model',
    };
  }

  sale(): Promise<Sale | undefined> {
    const { from, nonce } = this.transfer;
    return findSale(database.pool, { network: network.network, payer: from, nonce });
  }
}

type Shop = Awaited<ReturnType<World['start']>>;

/** A copy of a request, and its end once it has one. */
interface Copy {
  readonly path: string;
  readonly shop: Shop;
  outcome?: Outcome;
  failure?: unknown;
}

/** Sends a copy. Its end is noted when it comes, which at a dead gateway is never. */
function send(world: World, shop: Shop, path = '/it'): Copy {
  const copy: Copy = { path, shop };
  void shop.sales
    .sell(world.order(path))
    .then(read)
    .then(
      (outcome) => {
        copy.outcome = outcome;
      },
      (error: unknown) => {
        copy.failure = error;
      },
    );
  return copy;
}

/** The end as the buyer sees it, a stream read to where it ends. */
async function read(ending: Ending): Promise<Outcome> {
  if (!('answer' in ending)) return { kind: ending.kind };
  const { body } = ending.answer;
  if (Buffer.isBuffer(body)) return { kind: ending.kind, body: body.toString() };
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of body) chunks.push(chunk as Buffer);
    return { kind: ending.kind, body: Buffer.concat(chunks).toString() };
  } catch {
    return { kind: 'broken off' };
  }
}

/** Waits until every copy at a gateway that is up has its end. */
function answered(copies: readonly Copy[]): Promise<unknown> {
  return until('every copy has its end', () =>
    copies.every(({ outcome, failure, shop }) => outcome || failure || shop.mortal.isDown),
  );
}

/** Looks after what was left, until the sale has ended. The authorization expires after a while. */
async function lookAfter(world: World, { recovery }: Shop): Promise<void> {
  for (let look = 0; look < 40; look += 1) {
    const sale = await world.sale();
    if (!sale || sale.endedAt !== null) return;
    world.chain.mine(look < 10 ? 1n : 500n);
    await database.pool.query(
      'UPDATE gateway_sales SET next_try_at = now() WHERE treasury_id = $1 AND next_try_at IS NOT NULL',
      [world.treasuryId],
    );
    await recovery.look();
  }
  throw new Error(`the sale never ends: ${JSON.stringify(await world.sale(), shown)}`);
}

const shown = (_name: string, value: unknown) =>
  typeof value === 'bigint' ? value.toString() : value;

const seen = new Map<string, number>();

/** Lives one life to its end. @returns what of it the contract forbids. */
async function live(lived: Life): Promise<string[]> {
  const world = new World(lived);
  await world.open();
  const shops = await Promise.all(lived.fates.map((each) => world.start(each)));
  const keeper = await world.start({ kind: 'lives', step: 0, isDone: false });
  const at = (place: number) => shops[place] ?? keeper;
  const copies = lived.copies.map((place) => send(world, at(place)));
  if (lived.other !== undefined) copies.push(send(world, at(lived.other), '/other'));
  await answered(copies);
  if (lived.reorganisation !== 'none') {
    world.chain.reorganise();
    if (lived.reorganisation === 'lost') world.chain.forget();
  } else if (!lived.isLateMined) world.chain.forget();
  await lookAfter(world, keeper);
  for (const { mortal } of shops) if (mortal.isFrozen) mortal.thaw();
  await answered(copies);
  await lookAfter(world, keeper);
  for (let blocks = 0; blocks < 3; blocks += 1) world.chain.mine();
  // Where every copy was at a gateway that died before it sold, this one is sold.
  const path = (await world.sale())?.requestHash ?? '/it';
  copies.push(send(world, keeper, path));
  await answered(copies);
  await lookAfter(world, keeper);
  const late = send(world, keeper, path);
  await answered([late]);
  return judge(world, await world.sale(), [...copies, late], late);
}

async function judge(
  world: World,
  sale: Sale | undefined,
  copies: readonly Copy[],
  late: Copy,
): Promise<string[]> {
  const wrong: string[] = [];
  const must = (holds: boolean, rule: string) => {
    if (!holds) wrong.push(rule);
  };
  if (!sale) return ['the late copy has no sale'];
  const { life, chain, transfer, calls, treasuryId } = world;
  const { call, charge, settle } = sale;
  const state = `${settle} ${charge}/${call}`;
  seen.set(state, (seen.get(state) ?? 0) + 1);
  must(sale.endedAt !== null, 'it has ended');
  must(calls <= 1, 'one credential is one call');
  const isPaid = chain.has(transfer.nonce);
  must(!isPaid || charge === 'settled', 'what the chain moved is in the books');
  must(
    charge !== 'settled' || isPaid || life.reorganisation === 'lost',
    'what is settled was moved on chain',
  );
  must(settle !== 'free' || charge === 'none', 'a free request is never charged');
  must(
    settle !== 'after' || charge !== 'settled' || (call === 'answered' && calls === 1),
    'only an answer is charged for',
  );
  must(charge !== 'settled' || call !== 'none', 'a charge has its call, or is owed back');
  const isOwed = charge === 'settled' && call !== 'answered';
  const { rows: events } = await database.pool.query<{ kind: string }>(
    `SELECT kind FROM events WHERE treasury_id = $1 AND kind LIKE 'sale.%' ORDER BY seq`,
    [treasuryId],
  );
  const due = [
    ...(charge === 'settled' ? ['sale.settled'] : []),
    ...(isOwed ? ['sale.refund_owed'] : []),
  ];
  must(events.map(({ kind }) => kind).join() === due.join(), 'the log tells it, once');
  const { rows: notes } = await database.pool.query(
    'SELECT FROM gateway_credit_notes WHERE treasury_id = $1',
    [treasuryId],
  );
  must(notes.length === (isOwed ? 1 : 0), 'a credit note for what is owed, and for nothing else');
  const allowed = allowedEnds(sale);
  for (const { path, outcome, failure } of copies) {
    if (failure) wrong.push(`a copy failed: ${String(failure)}`);
    if (!outcome) continue;
    if (path !== sale.requestHash) {
      must(outcome.kind === 'conflict', `another request is refused, and not ${outcome.kind}`);
      continue;
    }
    must(allowed.has(outcome.kind), `of a sale ${state} a buyer hears no "${outcome.kind}"`);
    const isAnswer = outcome.kind === 'sold' || outcome.kind === 'streaming';
    must(
      !isAnswer || outcome.body === 'answer 1',
      `an answer is the one there was: ${outcome.body}`,
    );
  }
  must(late.outcome?.kind !== 'unknown', 'what has ended is known');
  if (charge === 'settled' && call === 'answered') {
    must(late.outcome?.body === 'answer 1', 'what was paid for is served again');
  }
  return wrong;
}

/** The ends that buyers may hear of a sale; `unknown` is for those who asked while it was. */
function allowedEnds({ call, charge, settle }: Sale): ReadonlySet<Outcome['kind']> {
  if (charge === 'settled') {
    return call === 'answered'
      ? new Set(['sold', 'streaming', 'unknown'])
      : new Set(['owed', 'broken off', 'streaming', 'unknown']);
  }
  if (charge === 'refused') return new Set(['refused', 'unknown']);
  // A gateway that was taken for dead may go on handing a free answer to its one reader. Of one that broke off nothing is kept.
  const free = settle === 'free' ? (['streaming', 'broken off', 'gone'] as const) : [];
  return call === 'lost' ? new Set(['lost', 'unknown', ...free]) : new Set(['uncharged', ...free]);
}

describe('a sale', () => {
  it('keeps its contract, whatever happens to it', async () => {
    const seed = Number(BURSAR_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const share = Math.ceil(RUNS / ABREAST);
    await Promise.all(
      Array.from({ length: ABREAST }, (_, place) =>
        fc.assert(
          fc.asyncProperty(life, async (lived) => {
            expect(await live(lived)).toEqual([]);
          }),
          { numRuns: share, seed: seed + place },
        ),
      ),
    );
    // A model that never gets anywhere proves nothing. What is rare is asked of long runs.
    for (const state of [
      'after settled/answered',
      'after none/lost',
      'after none/failed',
      'after refused/answered',
      'before settled/answered',
      'before settled/failed',
      'before settled/lost',
      'first_byte settled/answered',
      ...(RUNS < 2_000 ? [] : ['first_byte settled/failed']),
      'free none/answered',
    ]) {
      expect([state, (seen.get(state) ?? 0) > 0]).toEqual([state, true]);
    }
  });
});
