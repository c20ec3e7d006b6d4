import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import pg from 'pg';
import type { AdminCaller } from '../src/access/caller.js';
import { MasterSecret } from '../src/access/master-secret.js';
import { EventFeed } from '../src/audit/event-feed.js';
import { LogKeys } from '../src/audit/log-keys.js';
import { Sealer } from '../src/audit/sealer.js';
import type { Config } from '../src/config/config.js';
import { Database } from '../src/database/database.js';
import { sha256Hex } from '../src/domain/canonical.js';
import type { Network } from '../src/domain/network.js';
import type { PaymentStatus } from '../src/domain/payment.js';
import type { PaymentOption } from '../src/domain/payment-option.js';
import { Problem } from '../src/domain/problem.js';
import { parseResource } from '../src/domain/scope.js';
import { AmendingService } from '../src/grants/amending.service.js';
import { CarveOuts } from '../src/grants/carve-outs.js';
import type { GrantTokens } from '../src/grants/grant-tokens.js';
import { GrantsService } from '../src/grants/grants.service.js';
import { LifeService } from '../src/grants/life.service.js';
import { MintingService } from '../src/grants/minting.service.js';
import { RequestsService } from '../src/grants/requests.service.js';
import { Approvals } from '../src/ledger/approvals.js';
import { requestCancellations } from '../src/ledger/cancellations.js';
import { appendEvents, type NewEvent } from '../src/ledger/events.js';
import { databaseNow } from '../src/ledger/grant-rows.js';
import { Ledger } from '../src/ledger/ledger.js';
import type { Reservation, ReservationOrder } from '../src/ledger/order.js';
import { EventCounts } from '../src/outbox/event-counts.js';
import type { Notifier } from '../src/outbox/notifier.js';
import type { Queues } from '../src/outbox/queues.js';
import { ChainReader } from '../src/settlement/chain-reader.js';
import { CodeWatch } from '../src/settlement/code-watch.js';
import { OutsideSpends } from '../src/settlement/outside-spends.js';
import { ReleaseReader } from '../src/settlement/releases.js';
import { SettlementService } from '../src/settlement/settlement.service.js';
import type { Tracing } from '../src/tracing/tracing.js';
import type { Networks } from '../src/treasury/networks.js';
import type { Signer } from '../src/treasury/signer.js';
import type { WalletStatus } from '../src/treasury/wallet-status.js';
import { Wallets } from '../src/treasury/wallets.js';
import { BOUNDS } from './support/bounds.js';
import { installClock, shiftClock } from './support/clock.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { Cut, Interleaving } from './support/interleaving.js';
import { brokenInvariants } from './support/invariants.js';
import { ModelChain, type OnChain } from './support/model-chain.js';

const ONE_BATCH = { maxBatch: 8, maxInFlight: 1, maxWaiting: 8, maxWaitMs: 60_000 };

// Interleavings that processes are too coarse for: the ledger's and settlement's own transactions, statement by
// statement, in an order that fast-check chooses. Postgres and its locks are real; the clock, the chain's
// RPC and the queues are behind their ports, so that time passes, answers come late and jobs come twice
// or never exactly where the seed says.
// BURSAR_INTERLEAVINGS raises how many seeds are tried; BURSAR_INTERLEAVINGS_SEED repeats a run.

const { BURSAR_INTERLEAVINGS, BURSAR_INTERLEAVINGS_SEED } = process.env;
const RUNS = Number(BURSAR_INTERLEAVINGS ?? 25);
const SEED = Number(BURSAR_INTERLEAVINGS_SEED ?? Math.floor(Math.random() * 2 ** 31));

const TERMINAL: readonly PaymentStatus[] = ['settled', 'released', 'cancelled', 'rejected'];

/** Seeds that share a database: the invariants are asked of all of it after each. */
const SEEDS_PER_DATABASE = 25;

const CENT = 10_000n;
/** Balance of a wallet: few payments, so that wallets run out too. */
const FUNDS = 6n * CENT;
const ASSET = '0x5FbDB2315678afecb367f032d93F642f64180aa3';
const PAYEES = [
  '0x1111111111111111111111111111111111111111',
  '0x2222222222222222222222222222222222222222',
] as const;
const FINALITY = 1;

const KEEPER = new MasterSecret('a secret of more than thirty-two characters');

const ADMIN: AdminCaller = {
  kind: 'admin',
  name: 'tester',
  role: 'admin',
  treasuries: undefined,
  actor: 'admin:tester',
};

/** Acts of an actor. Grants, payments and keys by their place, round and round. */
type Action =
  | {
      readonly do: 'pay';
      readonly grant: number;
      readonly cents: number;
      readonly key: number;
      readonly twice: boolean;
    }
  | { readonly do: 'revoke' | 'suspend' | 'resume' | 'carve out'; readonly grant: number }
  | { readonly do: 'amend' | 'ask for a raise'; readonly grant: number; readonly cents: number }
  | { readonly do: 'approve a raise' | 'reject a raise'; readonly raise: number }
  | { readonly do: 'settle' | 'cancel' | 'ask to cancel'; readonly payment: number }
  | { readonly do: 'approve' | 'reject'; readonly payment: number }
  | { readonly do: 'set wallet'; readonly wallet: number; readonly status: WalletStatus }
  | { readonly do: 'mint with a key'; readonly key: number }
  | { readonly do: 'read' | 'return' | 'lapse' | 'seal' | 'reorganise' | 'mine' }
  | { readonly do: 'wait'; readonly seconds: number };

/** Time that may pass within one scene: less than the log's reader grants a transaction (`src/audit/replay/times.ts`). */
const LONGEST_WAIT_SECONDS = 50;

const small = fc.nat({ max: 7 });
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('pay' as const),
      grant: small,
      cents: fc.integer({ min: 1, max: 3 }),
      key: small,
      twice: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'revoke' as const,
        'suspend' as const,
        'resume' as const,
        'carve out' as const,
      ),
      grant: small,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('amend' as const, 'ask for a raise' as const),
      grant: small,
      cents: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'approve a raise' as const,
        'approve a raise' as const,
        'reject a raise' as const,
      ),
      raise: small,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'settle' as const,
        'settle' as const,
        'cancel' as const,
        'ask to cancel' as const,
      ),
      payment: small,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'read' as const,
        'read' as const,
        'return' as const,
        'reorganise' as const,
        'mine' as const,
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('approve' as const, 'reject' as const),
      payment: small,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('set wallet' as const),
      wallet: fc.nat({ max: 1 }),
      status: fc.constantFrom('active' as const, 'draining' as const, 'retired' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('mint with a key' as const), key: fc.nat({ max: 1 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('lapse' as const, 'lapse' as const, 'lapse' as const, 'seal' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      seconds: fc.integer({ min: 1, max: LONGEST_WAIT_SECONDS }),
    }),
  },
);

/** Up to ten at once, some of which are cut off at a step of theirs. */
const scenes = fc.array(
  fc.record({
    action,
    diesAt: fc.oneof(
      { weight: 3, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.integer({ min: 2, max: 20 }) },
    ),
  }),
  { minLength: 4, maxLength: 10 },
);

/** A database with a clock of its own: what asks it for the time is told a shifted one. */
interface Shared {
  readonly test: TestDatabase;
  readonly database: Database;
  readonly db: pg.Pool;
  seeds: number;
}

let shared: Shared | undefined;
let interleaving: Interleaving | undefined;
/** How often things were seen: seeds in which nothing meets would prove nothing. */
const seen = new Map<string, number>();
const saw = (what: string, times = 1) => {
  if (times > 0) seen.set(what, (seen.get(what) ?? 0) + times);
};

async function closeShared(): Promise<void> {
  await shared?.database.close();
  await shared?.db.end();
  await shared?.test.drop();
  shared = undefined;
}
beforeAll(() => Logger.overrideLogger(false));
afterAll(closeShared);

async function openShared(): Promise<Shared> {
  if (shared && shared.seeds < SEEDS_PER_DATABASE) {
    shared.seeds += 1;
    return shared;
  }
  await closeShared();
  const test = await createTestDatabase();
  const db = new pg.Pool({ connectionString: test.url, max: 3 });
  // Dropping the database ends whoever is still on his way out.
  db.on('error', () => {});
  await installClock(db);
  const database = new Database(test.url, { maxConnections: 24 });
  Interleaving.through(database, () => interleaving);
  shared = { test, database, db, seeds: 1 };
  return shared;
}

/** The rooms over one database and one chain, and a tree of grants with two payments open. */
class World {
  readonly network: Network;
  readonly outcomes: { key: string; outcome: Reservation }[] = [];
  readonly #statuses = new Map<string, PaymentStatus>();
  /** How far the chain is read. */
  #read = -1n;
  #waited = 0;
  /** Grants whose revocation has answered. */
  readonly #revoked = new Set<string>();
  readonly #carveOuts: CarveOuts;
  readonly #settlement: SettlementService;
  readonly #life: LifeService;
  readonly #amending: AmendingService;
  readonly #requests: RequestsService;
  readonly #minting: MintingService;
  readonly #approvals: Approvals;
  readonly #sealer: Sealer;
  readonly #wallets: Wallets;
  readonly #minted = new Map<number, string>();
  readonly #order: Omit<
    ReservationOrder,
    'grantId' | 'idempotencyKey' | 'options' | 'offers' | 'matchable'
  >;
  /** Purchases by key: one key is one purchase. */
  readonly #amounts = new Map<string, bigint>();
  grants: { id: string; path: readonly string[] }[] = [];

  private constructor(
    private readonly shared: Shared,
    readonly treasuryId: string,
    readonly chain: ModelChain,
    name: string,
    signable: readonly string[],
  ) {
    const { database } = shared;
    this.network = {
      network: name,
      chainId: 1,
      rpcUrls: ['http://model.invalid'],
      finality: { blocks: FINALITY },
      pollMs: 1_000,
      maxClockSkewSeconds: 86_400,
      assets: [{ currency: 'USDC', address: ASSET, decimals: 6, name: 'USDC', version: '2' }],
    };
    const client = chain.client(async (call) => interleaving?.step(call, async () => {}));
    const networks = {
      all: () => [this.network],
      find: () => this.network,
      isChecked: () => true,
      clients: () => [client],
      mistrust: (_: string, reason: string | undefined) => {
        if (reason !== undefined) throw new Error(`the chain is mistrusted: ${reason}`);
      },
      clockRead: () => {},
    } as unknown as Networks;
    const queues = { add: async () => {} } as unknown as Queues;
    const notifier = { eventsWritten: () => {} } as unknown as Notifier;
    const carveOuts = new CarveOuts(database, queues, notifier);
    this.#carveOuts = carveOuts;
    const reader = new ChainReader(
      networks,
      database,
      new OutsideSpends(database, notifier),
      new ReleaseReader(database),
    );
    const codes = new CodeWatch(database, notifier);
    const tracing = { isOn: false } as Tracing;
    this.#settlement = new SettlementService(
      networks,
      reader,
      database,
      queues,
      notifier,
      codes,
      tracing,
    );
    const tokens = { mint: async () => 'a token' } as unknown as GrantTokens;
    const wallets = { treasuryFor: async () => treasuryId } as unknown as Wallets;
    const config = {
      maxGrantSeconds: 86_400,
      networks: [this.network],
      bounds: BOUNDS,
      approvalSeconds: 20,
      twoPerson: false,
    } as unknown as Config;
    const grants = new GrantsService(database);
    this.#approvals = new Approvals(database);
    this.#sealer = new Sealer(
      database,
      new LogKeys(KEEPER),
      new EventFeed(database),
      new EventCounts(),
    );
    this.#wallets = new Wallets(database, {} as Signer, networks);
    this.#life = new LifeService(database, grants, tokens, carveOuts, notifier, config);
    this.#amending = new AmendingService(database, grants, notifier, config);
    this.#requests = new RequestsService(database, notifier, config);
    this.#minting = new MintingService(database, tokens, wallets, notifier, config);
    this.#order = {
      treasuryId,
      tokenGeneration: 1,
      keyThumbprint: undefined,
      unusable: () => [],
      unpayable: () => new Problem('unavailable', 'its option is payable'),
      signable,
      x402Version: 2,
      request: { method: 'GET', url: 'https://api.example.com/data/7' },
      memo: undefined,
      maxAmount: undefined,
      option: undefined,
      requestId: 'request',
      maxValiditySeconds: 60,
      approvalSeconds: 20,
      twoPerson: false,
    };
  }

  static async open(): Promise<World> {
    const shared = await openShared();
    const { db, seeds } = shared;
    const treasuryId = `trs_${String(seeds).padStart(4, '0')}`;
    const network = `eip155:${seeds}`;
    await db.query('UPDATE clock.shift SET seconds = 0');
    await db.query('INSERT INTO treasuries (id, name) VALUES ($1, $1)', [treasuryId]);
    const addresses: string[] = [];
    for (const n of [0, 1]) {
      const id = `wal_${seeds}_${n}`;
      const address = `0x${String(seeds * 2 + n).padStart(40, '0')}`;
      addresses.push(address);
      await db.query(
        `INSERT INTO wallets (treasury_id, id, address, position) VALUES ($1, $2, $3, $4)`,
        [treasuryId, id, address, n],
      );
      await db.query(
        'INSERT INTO wallet_balances (treasury_id, wallet_id, network, asset) VALUES ($1, $2, $3, $4)',
        [treasuryId, id, network, ASSET],
      );
    }
    await shared.database.transaction(async (tx) => {
      const event = (kind: NewEvent['kind'], data: NewEvent['data']): NewEvent => ({
        treasuryId,
        kind,
        actor: 'system:test',
        data,
      });
      await appendEvents(tx, await databaseNow(tx), [
        event('treasury.created', { name: treasuryId }),
        ...addresses.map((address, position) => event('wallet.added', { address, position })),
      ]);
    });
    const chain = new ModelChain(BigInt(Math.floor(Date.now() / 1000)), FUNDS);
    chain.mine();
    const world = new World(shared, treasuryId, chain, network, addresses);
    await world.deliver('settlement.read');
    const root = await world.mint(undefined, '0.10', 2);
    const middle = await world.mint(root, '0.08', 1, 3_000, 'shared', undefined, '0.02');
    await world.mint(middle, '0.05', 0);
    // Refusals trip it, and payees wait until they are known.
    await world.mint(root, '0.06', 0, 45, 'shared', undefined, undefined, {
      maxPerPayment: '0.01',
      breaker: { refusals: 2, seconds: 60 },
    });
    // Another tree: of grants it shares nothing with the first, of wallets all.
    await world.mint(undefined, '0.20', 1, 3_000, 'shared', undefined, undefined, {
      approveNewPayees: true,
    });
    await world.ask(0, 9);
    await world.pay({ grant: 2, cents: 1, key: 0, twice: false });
    await world.pay({ grant: 3, cents: 1, key: 1, twice: false });
    await world.pay({ grant: 1, cents: 3, key: 2, twice: true });
    return world;
  }

  async act(action: Action): Promise<void> {
    switch (action.do) {
      case 'pay':
        return this.pay(action);
      case 'revoke': {
        const { id } = this.grant(action.grant);
        const body = { cancelOutstanding: action.grant % 2 === 0 };
        await this.#life.revoke(ADMIN, id, body, 'revoke');
        this.#revoked.add(id);
        return;
      }
      case 'suspend':
      case 'resume':
        await this.#life[action.do](ADMIN, this.grant(action.grant).id, {}, action.do);
        return;
      case 'amend': {
        const { id } = this.grant(action.grant);
        await this.#amending.amend(ADMIN, id, { budget: `0.0${action.cents}` }, 'amend');
        saw('an amendment');
        return;
      }
      case 'ask for a raise':
        return this.ask(action.grant, action.cents);
      case 'approve a raise':
      case 'reject a raise':
        return this.decideRaise(action);
      case 'carve out': {
        await this.mint(this.grant(action.grant), '0.02', 0, 60, 'reserved');
        return;
      }
      case 'approve':
      case 'reject':
        return this.decide(action);
      case 'lapse':
        await this.#approvals.lapse();
        await this.#requests.lapse();
        return;
      case 'seal':
        return this.#sealer.seal(this.treasuryId);
      case 'set wallet': {
        const { rows } = await this.shared.db.query<{ id: string }>(
          'SELECT id FROM wallets WHERE treasury_id = $1 AND position = $2',
          [this.treasuryId, action.wallet],
        );
        const set = (status: WalletStatus) =>
          this.#wallets.setStatus(rows[0]?.id ?? '', status, { actor: ADMIN.actor });
        // An operator drains it first, too.
        if (action.status === 'retired') await set('draining');
        return set(action.status);
      }
      case 'mint with a key': {
        const { id } = await this.mint(
          this.grants[0],
          '0.03',
          0,
          60,
          'shared',
          `mint-${action.key}`,
        );
        const before = this.#minted.get(action.key) ?? id;
        this.#minted.set(action.key, before);
        if (before !== id) throw new Error(`one key minted ${before} and ${id}`);
        return;
      }
      case 'read':
        return this.deliver('settlement.read');
      case 'return':
        return this.deliver('grants.return');
      case 'settle':
      case 'cancel': {
        const payment = await this.open(action.payment);
        if (!payment) return;
        const isEnded = this.chain.mine(payment, action.do === 'settle' ? 'settled' : 'cancelled');
        if (isEnded) saw(`${action.do} on chain`);
        return;
      }
      case 'ask to cancel': {
        const payment = await this.open(action.payment);
        if (!payment) return;
        await this.askToCancel({ paymentId: payment.id });
        return;
      }
      case 'mine':
        this.chain.mine();
        return;
      case 'reorganise':
        if (this.chain.reorganise()) saw('a settlement taken back');
        return;
      case 'wait': {
        // The others are in the middle of transactions. All waits together last no longer than a transaction may.
        const seconds = Math.min(action.seconds, LONGEST_WAIT_SECONDS - this.#waited);
        this.#waited += seconds;
        await this.wait(seconds);
      }
    }
  }

  async wait(seconds: number): Promise<void> {
    await shiftClock(this.shared.db, seconds);
    this.chain.now += BigInt(seconds);
  }

  /** Delivers a job; whoever calls this twice delivers it twice. */
  async deliver(job: 'settlement.read' | 'grants.return'): Promise<void> {
    if (job === 'grants.return') await this.#carveOuts.returnEnded();
    else await this.#settlement.onRead({ network: this.network.network });
  }

  /** After every commit: what has ended stays as it ended. */
  async check(): Promise<void> {
    const { rows } = await this.shared.db.query<{ id: string; status: PaymentStatus }>(
      'SELECT id, status FROM payments WHERE treasury_id = $1',
      [this.treasuryId],
    );
    const { rows: wrong } = await this.shared.db.query(
      `SELECT 'a retired wallet has an open payment' AS what FROM payments p
       JOIN wallets w ON w.treasury_id = p.treasury_id AND w.id = p.wallet_id
       WHERE p.treasury_id = $1 AND p.status = 'authorized' AND w.status = 'retired'
       UNION ALL
       SELECT 'the balance is of another block than the cursor' FROM wallet_balances b
       JOIN chain_cursors c ON c.network = b.network
       WHERE b.treasury_id = $1 AND b.block_number <> c.block_number
       UNION ALL
       SELECT 'a settlement is seen of a payment that has ended' FROM sightings s
       JOIN payments p ON p.treasury_id = s.treasury_id AND p.id = s.payment_id
       WHERE s.treasury_id = $1 AND p.status <> 'authorized'`,
      [this.treasuryId],
    );
    if (wrong[0]) throw new Error(wrong[0].what);
    const { rows: cursors } = await this.shared.db.query<{ block: string }>(
      'SELECT block_number AS block FROM chain_cursors WHERE network = $1',
      [this.network.network],
    );
    const block = BigInt(cursors[0]?.block ?? -1);
    if (block < this.#read) throw new Error('the cursor went back, without a reorganisation');
    this.#read = block;
    for (const { id, status } of rows) {
      const before = this.#statuses.get(id);
      if (before === status) continue;
      if (before !== undefined && TERMINAL.includes(before)) {
        throw new Error(`payment ${id} was ${before} for good, and is ${status}`);
      }
      this.#statuses.set(id, status);
      if (TERMINAL.includes(status)) saw(`a payment ${status}`);
    }
  }

  /** Once all is quiet: time runs out, the chain is read to its end, and every account is square. */
  async settleDown(): Promise<void> {
    await this.wait(200);
    for (let block = 0; block <= FINALITY + 1; block += 1) this.chain.mine();
    await this.deliver('settlement.read');
    await this.deliver('grants.return');
    await this.#approvals.lapse();
    await this.#requests.lapse();
    await this.#sealer.seal(this.treasuryId);
    await this.check();
    const { db } = this.shared;
    const { rows: places } = await db.query(
      `SELECT count(*)::int AS events, count(DISTINCT leaf_index)::int AS places,
         max(leaf_index)::int + 1 AS size FROM log_events WHERE treasury_id = $1`,
      [this.treasuryId],
    );
    const [{ events, size }] = places as [{ events: number; size: number }];
    expect(places).toEqual([{ events, places: events, size: events }]);
    expect(size).toBe(events);
    const { rows } = await db.query(
      `SELECT id FROM payments WHERE treasury_id = $1 AND status IN ('authorized', 'pending_approval')`,
      [this.treasuryId],
    );
    expect(rows).toEqual([]);
    const { rows: asked } = await db.query<{ status: string }>(
      'SELECT status FROM grant_requests WHERE treasury_id = $1',
      [this.treasuryId],
    );
    for (const { status } of asked) saw(`a raise ${status}`);
    expect(asked.filter(({ status }) => status === 'pending')).toEqual([]);
    const { rows: met } = await db.query<{ trips: number; payees: number }>(
      `SELECT (SELECT count(*)::int FROM events WHERE treasury_id = $1 AND kind = 'grant.tripped') AS trips,
         (SELECT count(*)::int FROM known_payees WHERE treasury_id = $1) AS payees`,
      [this.treasuryId],
    );
    saw('a breaker that tripped', met[0]?.trips);
    saw('a payee that became known', met[0]?.payees);
    const { rows: held } = await db.query(
      'SELECT id FROM grants WHERE treasury_id = $1 AND reserved <> 0',
      [this.treasuryId],
    );
    expect(held).toEqual([]);
    expect(await brokenInvariants(db)).toEqual([]);
    // Each change of a wallet's status began where the one before it ended.
    const { rows: changes } = await db.query<{ record: string }>(
      `SELECT record FROM events WHERE treasury_id = $1 AND kind IN
         ('wallet.active', 'wallet.draining', 'wallet.retired') ORDER BY seq`,
      [this.treasuryId],
    );
    const statuses = new Map<string, string>();
    for (const { record } of changes) {
      const { data } = JSON.parse(record) as {
        data: { walletId: string; from: string; to: string };
      };
      expect(data.from).toBe(statuses.get(data.walletId) ?? 'active');
      statuses.set(data.walletId, data.to);
    }
    // Nothing is open: there is nothing that anybody could ask to be cancelled.
    expect(await this.askToCancel({ grantId: this.grants[0]?.id ?? '' })).toEqual([]);
    // One key, one payment, whoever asked.
    const ids = new Map<string, Set<string>>();
    for (const { key, outcome } of this.outcomes) {
      if (outcome.outcome === 'refused') continue;
      ids.set(key, (ids.get(key) ?? new Set()).add(outcome.payment.id));
    }
    for (const [key, payments] of ids) expect([key, payments.size]).toEqual([key, 1]);
  }

  async pay(wish: { grant: number; cents: number; key: number; twice: boolean }): Promise<void> {
    const grant = this.grant(wish.grant);
    const isDead = grant.path.some((id) => this.#revoked.has(id));
    const wished = BigInt(wish.cents) * CENT;
    // A process of its own: what it shares with the others is in Postgres.
    const ledger = new Ledger(this.shared.database, ONE_BATCH, BOUNDS);
    const keys = [`key-${wish.key}`, ...(wish.twice ? [`key-${wish.key + 1}`] : [])];
    const made = await Promise.allSettled(
      keys.map(async (idempotencyKey) => {
        const outcome = await this.reserve(ledger, grant.id, idempotencyKey, wished);
        if (!outcome) return;
        this.outcomes.push({ key: `${grant.id} ${idempotencyKey}`, outcome });
        const isReserved = outcome.outcome === 'reserved';
        saw(isReserved ? (outcome.replayed ? 'a replay' : 'a reservation') : 'a refusal');
        if (isReserved && isDead && outcome.payment.status === 'authorized') {
          throw new Error(`${grant.id} paid after its revocation had answered`);
        }
      }),
    );
    for (const each of made) if (each.status === 'rejected') throw each.reason;
  }

  /** @returns undefined for a payment that has ended or is about to. */
  private async reserve(ledger: Ledger, grantId: string, idempotencyKey: string, wished: bigint) {
    const name = `${grantId} ${idempotencyKey}`;
    const amount = this.#amounts.get(name) ?? wished;
    this.#amounts.set(name, amount);
    // One key is one purchase, so it has one payee.
    const payTo = PAYEES[Number(idempotencyKey.at(-1)) % 2] ?? PAYEES[0];
    const option = this.option(amount, payTo);
    const offer = {
      ...option,
      json: '{}',
      hash: sha256Hex('{}'),
      declaredResource: undefined,
      echo: { resourceJson: undefined, extensionsJson: undefined },
    };
    try {
      return await ledger.reserve({
        ...this.#order,
        grantId,
        idempotencyKey,
        options: () => [option],
        offers: [offer],
        matchable: () => [offer],
      });
    } catch (error) {
      const { code } = error as Problem;
      if (code !== 'payment_ended' && code !== 'payment_expiring') throw error;
      saw(`a refusal: ${code}`);
      return undefined;
    }
  }

  private askToCancel(of: { paymentId: string } | { grantId: string }): Promise<string[]> {
    const { treasuryId, shared } = this;
    return shared.database.transaction(async (tx) =>
      requestCancellations(tx, await databaseNow(tx), {
        treasuryId,
        of,
        actor: ADMIN.actor,
        requestId: 'cancel',
      }),
    );
  }

  private option(amount: bigint, payTo: string): PaymentOption {
    const resource = parseResource(this.#order.request.url);
    return {
      index: 0,
      scheme: 'exact',
      network: this.network.network,
      asset: ASSET,
      currency: 'USDC',
      amount,
      payTo,
      maxTimeoutSeconds: 60,
      isUpfront: false,
      resources: resource ? [resource] : [],
    };
  }

  /** Has the holder of a grant ask for a raise. */
  private async ask(place: number, cents: number): Promise<void> {
    const { id: grantId } = this.grant(place);
    const holder = {
      kind: 'holder',
      treasuryId: this.treasuryId,
      grantId,
      tokenGeneration: 1,
      keyThumbprint: undefined,
      actor: `grant:${grantId}`,
    } as const;
    await this.#requests.ask(holder, { budget: `0.${cents % 2}${cents}`, reason: 'tested' }, 'ask');
    saw('a raise asked for');
  }

  /** Approves or rejects a raise that waits, or was decided meanwhile. */
  private async decideRaise(wish: {
    do: 'approve a raise' | 'reject a raise';
    raise: number;
  }): Promise<void> {
    const { rows } = await this.shared.db.query<{ id: string }>(
      'SELECT id FROM grant_requests WHERE treasury_id = $1 ORDER BY id DESC',
      [this.treasuryId],
    );
    const { id } = rows[wish.raise % rows.length] ?? {};
    if (id === undefined) return;
    const decision = wish.do === 'approve a raise' ? 'approve' : 'reject';
    await this.#requests[decision](ADMIN, id, { reason: 'tested' }, decision);
  }

  /** Approves or rejects a payment that waits. */
  private async decide(wish: { do: 'approve' | 'reject'; payment: number }): Promise<void> {
    const { rows } = await this.shared.db.query(
      `SELECT id, grant_id, idempotency_key, amount FROM payments
       WHERE treasury_id = $1 AND status = 'pending_approval' ORDER BY id`,
      [this.treasuryId],
    );
    const row = rows[wish.payment % Math.max(rows.length, 1)];
    if (!row) return;
    const verdict = {
      actor: ADMIN.actor,
      isCurrent: () => {},
      reason: 'tested',
      requestId: wish.do,
    };
    const waiting = { treasuryId: this.treasuryId, id: row.id, grantId: row.grant_id };
    if (wish.do === 'reject') {
      await this.#approvals.reject(waiting, verdict);
    } else {
      await this.#approvals.approve(waiting, verdict, { collectSeconds: 20, twoPerson: false });
      const ledger = new Ledger(this.shared.database, ONE_BATCH, BOUNDS);
      const made = await this.reserve(
        ledger,
        row.grant_id,
        row.idempotency_key,
        BigInt(row.amount),
      );
      if (made?.outcome === 'reserved') saw('a hand-over');
    }
    saw(`a verdict: ${wish.do}`);
  }

  private async mint(
    parent: { id: string } | undefined,
    budget: string,
    delegationDepth: number,
    ttlSeconds = 3_000,
    funding: 'shared' | 'reserved' = 'shared',
    key?: string,
    approvalAbove?: string,
    more: object = {},
  ) {
    const body = {
      holder: 'agent',
      budget,
      delegationDepth,
      ttlSeconds,
      funding,
      parentId: parent?.id,
      approvalAbove,
      ...more,
    };
    const ends = parent === undefined ? { ttlSeconds: 3_600 } : {};
    const { grant } = await this.#minting.mint(ADMIN, { ...body, ...ends } as never, key, 'mint');
    const minted = {
      id: grant.id,
      path: [...(this.grants.find(({ id }) => id === parent?.id)?.path ?? []), grant.id],
    };
    if (!this.grants.some(({ id }) => id === minted.id)) this.grants.push(minted);
    if (funding === 'reserved') saw('a carve-out');
    return minted;
  }

  private grant(place: number) {
    const grant = this.grants[place % this.grants.length];
    if (!grant) throw new Error('there is no grant');
    return grant;
  }

  /** An open payment as its holder could submit it. */
  private async open(place: number): Promise<(OnChain & { id: string }) | undefined> {
    const { rows } = await this.shared.db.query(
      `SELECT id, asset, payer, pay_to, amount, nonce, valid_before FROM payments
       WHERE treasury_id = $1 AND status = 'authorized' ORDER BY id`,
      [this.treasuryId],
    );
    const row = rows[place % Math.max(rows.length, 1)];
    return (
      row && {
        id: row.id,
        asset: row.asset,
        payer: row.payer,
        payTo: row.pay_to,
        amount: BigInt(row.amount),
        nonce: row.nonce,
        validBefore: BigInt(row.valid_before),
      }
    );
  }
}

describe('payments, grants and settlement', () => {
  it(
    `keep every invariant in whatever order their steps fall: ${RUNS} seeds from ${SEED}`,
    async () => {
      process.stdout.write(`interleavings: ${RUNS} seeds, BURSAR_INTERLEAVINGS_SEED=${SEED}\n`);
      await fc.assert(
        fc.asyncProperty(fc.scheduler(), scenes, async (scheduler, scene) => {
          const world = await World.open();
          const run = new Interleaving(scheduler, (shared as Shared).db);
          interleaving = run;
          for (const [place, { action, diesAt }] of scene.entries()) {
            run.start(`${place} ${action.do}`, diesAt, async () => {
              await world.act(action).catch((error: unknown) => {
                if (error instanceof Cut) return saw('a process cut off');
                // A refusal by the rules is an answer; anything else is a bug.
                if (!(error instanceof Problem)) throw error;
                saw(error.code);
              });
            });
          }
          try {
            await run.run(() => world.check());
          } finally {
            interleaving = undefined;
          }
          saw('a wait for a lock', run.lockWaits);
          await world.settleDown();
        }),
        { numRuns: RUNS, seed: SEED, endOnFailure: true },
      );
      process.stdout.write(
        `${[...seen]
          .map(([what, n]) => `${n} x ${what}`)
          .sort()
          .join(', ')}\n`,
      );
      if (RUNS >= 500) expect(EXPECTED.filter((what) => !seen.has(what))).toEqual([]);
    },
    60 * 60_000,
  );
});

/** Events that the seeds must have met for their agreement to mean something. */
const EXPECTED = [
  'a wait for a lock',
  'a reservation',
  'a refusal',
  'a replay',
  'a process cut off',
  'a payment settled',
  'a payment released',
  'a payment cancelled',
  'a settlement taken back',
  'a carve-out',
  'an amendment',
  'a payment rejected',
  'a verdict: approve',
  'a hand-over',
  'a raise asked for',
  'a raise approved',
  'a raise rejected',
  'a breaker that tripped',
  'a payee that became known',
];
