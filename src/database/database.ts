import type { Writable } from 'node:stream';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaClient } from './generated/client.js';
import {
  currentLane,
  currentTreasuries,
  type Lane,
  type Treasuries,
  treasuriesSetting,
} from './treasury-scope.js';

/**
 * The role the service's sessions step down to. It owns nothing, so that row-level security holds for
 * them, whoever the database's user is.
 */
const SERVICE_ROLE = 'bursar_service';

/**
 * SQL: the privilege of `pg_has_role` that SET ROLE needs. Since Postgres 16 a member may lack it, such as whoever made the
 * role without being a superuser; Postgres 15 knows only members.
 */
export const MAY_SET_ROLE = `CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END`;

/** The mark of a database whose treasuries are kept apart. */
const APART = 'treasuries_apart';

/** How a {@link Database} treats its connections. Every time is in milliseconds; 0 turns it off. */
export interface DatabaseOptions {
  /** Connections of each lane open at most, shared by Prisma and plain SQL. Default 10. */
  maxConnections?: number | Readonly<Record<Lane, number>>;
  /**
   * How long a caller waits for a connection, be it a new one or one that others use. Default 5,000:
   * with the database gone or swamped, an error soon beats a queue that only grows.
   */
  connectionTimeoutMs?: number;
  /**
   * How long one statement may run, waiting for locks included. Default 15,000: by then nobody waits
   * for the answer, and statements behind one lock must not take up every connection. Longer jobs
   * `SET LOCAL statement_timeout` in their transaction.
   */
  statementTimeoutMs?: number;
  /**
   * How long a transaction may sit idle. Default 10,000: a process that hangs between two statements
   * holds row locks, and only the server can take them from it.
   */
  idleInTransactionTimeoutMs?: number;
  /** Hears of connections that broke while nobody used them; the pool replaces them by itself. */
  onConnectionError?: (error: Error) => void;
}

/**
 * Divides the connections of a process among the lanes. Each lane has its own, so that no number of reads keeps a
 * payment or a worker waiting.
 *
 * @param total - connections of the process, 4 at least.
 */
export function lanesOf(total: number): Record<Lane, number> {
  const third = Math.max(1, Math.floor(total * 0.3));
  return { payments: third, reads: third, work: Math.max(1, total - 2 * third) };
}

/**
 * The service's Postgres: a pool of connections for each lane, used through Prisma (`prisma`) where convenience
 * counts and through plain SQL (`pool`, `transaction`) where round trips do.
 *
 * Amounts come back from plain SQL as text: NUMERIC and int8, and arrays of them, are never parsed
 * into numbers. A parameter may be a bigint.
 */
export class Database {
  readonly #pools: Readonly<Record<Lane, ScopedPool>>;
  readonly #prisma = new Map<Lane, PrismaClient>();
  private closing: Promise<void> | undefined;

  /** Connects to nothing yet; see {@link ping}. */
  constructor(connectionString: string, options: DatabaseOptions = {}) {
    const {
      maxConnections = 10,
      connectionTimeoutMs = 5_000,
      statementTimeoutMs = 15_000,
      idleInTransactionTimeoutMs = 10_000,
      onConnectionError = () => {},
    } = options;
    const open = (max: number): ScopedPool => {
      const pool = new ScopedPool({
        connectionString,
        max,
        // A query that is sent before an earlier answer came travels with it, instead of waiting for its turn.
        pipeline: true,
        connectionTimeoutMillis: connectionTimeoutMs,
        keepAlive: true,
        // The server enforces statement_timeout; this one is for a server that can no longer be heard.
        query_timeout: statementTimeoutMs && statementTimeoutMs + 5_000,
        types: exactNumbers(),
        // UTC because PrismaPg writes and reads timestamps as if every session were in it. A statement
        // and not start-up parameters, which the connection string would override.
        onConnect: (client) =>
          client.query(
            `SET TIME ZONE 'UTC'; SET statement_timeout = ${statementTimeoutMs};
           SET idle_in_transaction_session_timeout = ${idleInTransactionTimeoutMs};
           SELECT set_config('role', rolname, false) FROM pg_roles
             WHERE rolname = '${SERVICE_ROLE}' AND pg_has_role(oid, ${MAY_SET_ROLE})`,
          ),
      });
      // Without a listener, a broken connection's 'error' event would end the process. The pool listens
      // to idle connections only, so every connection gets a listener of its own for its whole life; a
      // query under way is rejected besides.
      pool.on('error', onConnectionError);
      pool.on('connect', (client) => client.on('error', () => {}));
      return pool;
    };
    const of = (lane: Lane): number =>
      typeof maxConnections === 'number' ? maxConnections : maxConnections[lane];
    this.#pools = {
      payments: open(of('payments')),
      reads: open(of('reads')),
      work: open(of('work')),
    };
  }

  /** For single statements outside a transaction; of the lane of whatever runs. */
  get pool(): ScopedPool {
    return this.poolOf(currentLane());
  }

  /** For single statements that have a lane of their own, whatever runs. */
  poolOf(lane: Lane): ScopedPool {
    return this.#pools[lane];
  }

  /** Prisma over {@link pool}. */
  get prisma(): PrismaClient {
    const lane = currentLane();
    let client = this.#prisma.get(lane);
    if (!client) {
      client = new PrismaClient({ adapter: new PrismaPg(this.poolOf(lane)) });
      this.#prisma.set(lane, client);
    }
    return client;
  }

  /**
   * Runs `work` in one READ COMMITTED transaction on a connection of its own: commits when it
   * resolves, rolls back when it rejects. `work` must not release the connection, nor leave
   * queries running when it settles.
   *
   * @param treasuries - whose rows it sees: the request's, unless said. Work that is done for several
   *   requests at once says so, since it runs in the scope of whichever came first.
   * @returns what `work` returned, once that is committed
   * @throws what `work` threw; or the error of the commit. When the connection breaks during the
   *   commit, nobody knows whether it happened: a caller to whom that matters must look.
   */
  transaction<T>(
    work: (tx: pg.PoolClient) => Promise<T>,
    treasuries: Treasuries = currentTreasuries(),
  ): Promise<T> {
    return this.pipelined(async (tx, { begun }) => {
      await begun;
      return work(tx);
    }, treasuries);
  }

  /**
   * A {@link transaction} whose first statements travel with its BEGIN, and whose last one with its
   * COMMIT: two round trips for a work that asks much and writes once.
   *
   * @param work - sends reads and locks as it likes; before it writes anything it must await `begun`.
   * @param lane - of its connection: that of whatever runs, unless said.
   */
  async pipelined<T>(
    work: (tx: pg.PoolClient, ends: TransactionEnds) => Promise<T>,
    treasuries: Treasuries = currentTreasuries(),
    lane: Lane = currentLane(),
  ): Promise<T> {
    const setting = treasuriesSetting(treasuries);
    const client = await this.poolOf(lane).connectAnyScope();
    let result: T;
    try {
      sendTogether(client);
      const begun = client.query(
        `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL bursar.treasuries = '${setting}'`,
      );
      let last: Promise<unknown> | undefined;
      const working = work(client, {
        begun,
        last: (send) => {
          sendTogether(client);
          last = send();
          // Heard below, or not at all when something before it failed.
          last.catch(() => {});
        },
      });
      // The first failure is the one to tell; the other statements only follow it.
      const [beginning, worked] = await Promise.allSettled([begun, working]);
      if (beginning.status === 'rejected') throw beginning.reason;
      if (worked.status === 'rejected') throw worked.reason;
      result = worked.value;
      const [, { command }] = await Promise.all([last, client.query('COMMIT')]);
      // Postgres answers the COMMIT of a transaction with a failed statement by rolling back, quietly.
      if (command !== 'COMMIT') {
        throw new Error('the transaction was rolled back: a failed statement in it was ignored');
      }
    } catch (error) {
      // A connection that cannot even roll back is broken: the pool closes it.
      const broken = await client.query('ROLLBACK').then(
        () => undefined,
        (rollbackError: Error) => rollbackError,
      );
      client.release(broken);
      throw error;
    }
    client.release();
    return result;
  }

  /** Whether row-level security holds for the service's own sessions (docs/security.md). */
  async keepsTreasuriesApart(): Promise<boolean> {
    const { rows } = await this.pool.query<{ active: boolean }>(
      `SELECT row_security_active('grants') AS active`,
    );
    return rows[0]?.active === true;
  }

  /** Notes that row-level security holds, see {@link wasApart}. */
  async markApart(): Promise<void> {
    await this.pool.query('INSERT INTO database_marks (mark) VALUES ($1) ON CONFLICT DO NOTHING', [
      APART,
    ]);
  }

  /** Whether row-level security held for this database before, maybe on another server: a dump carries the mark. */
  async wasApart(): Promise<boolean> {
    const { rowCount } = await this.pool.query('SELECT FROM database_marks WHERE mark = $1', [
      APART,
    ]);
    return rowCount === 1;
  }

  /** @throws what the connection or Postgres says when it cannot answer a query now. */
  async ping(): Promise<void> {
    await this.pool.query('SELECT 1');
  }

  /** Waits for the connections in use to be given back and closes all. Calling it again is harmless. */
  close(): Promise<void> {
    this.closing ??= Promise.all([...this.#prisma.values()].map((each) => each.$disconnect()))
      .then(() => Promise.all(Object.values(this.#pools).map((pool) => pool.end())))
      .then(() => {});
    return this.closing;
  }
}

/** Handle of a {@link Database.pipelined} work on the ends of its transaction. */
export interface TransactionEnds {
  /**
   * The answer to BEGIN. Should it fail while its connection lives on, whatever is sent behind it stands
   * alone: locks are let go at once, and what is written is committed.
   */
  readonly begun: Promise<unknown>;
  /**
   * Sends the last statement, and the commit with it. Only one, and only where nothing was written before
   * it. Should it fail on the server, the commit rolls back; should it never have been sent, the commit
   * commits nothing; either way the transaction throws its error.
   */
  last(send: () => Promise<unknown>): void;
}

/**
 * Cork the socket until the promises of this turn have run, so that pipelined statements leave in one write. Each
 * statement by itself is a system call here, and wakes Postgres for itself.
 */
function sendTogether(client: pg.ClientBase): void {
  const { stream } = (client as unknown as { connection: { stream: Writable } }).connection;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

type ConnectCallback = Parameters<pg.Pool['connect']>[0];

/**
 * A pool that tells Postgres, before anything else, whose rows the session may see. A connection keeps
 * what it was told, so that only a change of treasury costs a round trip.
 */
class ScopedPool extends pg.Pool {
  readonly #told = new WeakMap<pg.ClientBase, string>();

  /** A connection whose scope is the caller's to set, for its transaction. */
  connectAnyScope(): Promise<pg.PoolClient> {
    return super.connect();
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<pg.PoolClient> | undefined {
    const connected = this.connectScoped(treasuriesSetting(currentTreasuries()));
    if (callback === undefined) return connected;
    connected.then(
      (client) => callback(undefined, client, client.release),
      (error: Error) => callback(error, undefined, () => {}),
    );
    return undefined;
  }

  private async connectScoped(setting: string): Promise<pg.PoolClient> {
    const client = await super.connect();
    if (this.#told.get(client) === setting) return client;
    try {
      await client.query(`SET bursar.treasuries = '${setting}'`);
      this.#told.set(client, setting);
      return client;
    } catch (error) {
      // Never handed out with the scope it had before.
      client.release(true);
      throw error;
    }
  }
}

/**
 * Whether an error from {@link Database}, through Prisma or plain SQL, means that the database cannot
 * be reached or cannot serve now: the same request may succeed later, unchanged. The state of a
 * transaction whose COMMIT failed so is unknown.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code === 'string') return UNAVAILABLE_CODES.test(code);
  return typeof message === 'string' && UNAVAILABLE_MESSAGES.test(message);
}

/**
 * Whether a transaction failed only for what others did at the same time: a deadlock, or a snapshot that
 * could not be serialised. It changed nothing, and may be tried again at once.
 */
export function isConflict(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === '40P01' || code === '40001';
}

/**
 * In turn: conflicts with others; sockets; Postgres's classes 08 (connection) and 53 (resources), the idle transaction
 * ended (25P03), lock and statement timeouts (55P03, 57014), shutting down and starting up (57P);
 * Prisma's words for the same.
 */
const UNAVAILABLE_CODES =
  /^(40P01|40001|E(CONNREFUSED|CONNRESET|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|NOTFOUND|AI_AGAIN)|08...|53...|25P03|55P03|57014|57P0.|P1001|P1002|P1008|P1017|P2024|P2037)$/;

/** Messages of errors that pg and its pool make themselves, without a code. */
const UNAVAILABLE_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Cannot use a pool after calling end)/;

/** NUMERIC and int8 as Postgres writes them: pg's default, pinned, except that it rounds NUMERIC[]. */
function exactNumbers(): pg.CustomTypesConfig {
  const { INT8, NUMERIC } = pg.types.builtins;
  const INT8_ARRAY = 1016;
  const NUMERIC_ARRAY = 1231;
  const TEXT_ARRAY = 1009;
  const types = new pg.TypeOverrides();
  for (const oid of [INT8, NUMERIC]) types.setTypeParser(oid, (text: string) => text);
  const parseTextArray = types.getTypeParser(TEXT_ARRAY) as unknown as (text: string) => string[];
  for (const oid of [INT8_ARRAY, NUMERIC_ARRAY]) types.setTypeParser(oid, parseTextArray);
  return types;
}
