import pg from 'pg';
import { forServer } from './records.js';
import type { Tally } from './report.js';

/** How long one query may run; more than a database of any sensible size takes. */
const STATEMENT_TIMEOUT = '30min';

/** How many rows of a long answer are held at once. */
const PAGE_ROWS = 5_000;

/**
 * A question to the books in SQL: it answers one row (`id`, `detail`) for everything that is wrong.
 */
export interface Question {
  /** Rule that should hold, in a few words. */
  readonly what: string;
  readonly sql: string;
}

/**
 * One consistent view of the database: everything is read as it was at one moment, without taking a
 * lock that anybody would wait for.
 */
export class Snapshot {
  #cursors = 0;

  private constructor(
    private readonly client: pg.Client,
    private readonly show: number,
    private readonly fit: (sql: string) => string,
  ) {}

  /**
   * Connects. Until {@link take}, what is asked is answered as things are then.
   *
   * @param show - how many offenders a question names; the others are counted.
   * @throws Error with one line when the database cannot be reached, or is none of Bursar's.
   */
  static async open(databaseUrl: string, show: number): Promise<Snapshot> {
    const client = new pg.Client({
      connectionString: databaseUrl,
      application_name: 'bursar check',
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
    });
    // A connection that breaks rejects the query under way; the event alone must not end the process.
    client.on('error', () => {});
    try {
      await client.connect();
      // Sets the scope of a user that does not own the tables. The owner sees all rows either way.
      await client.query(
        `SET bursar.treasuries = '*'; SET TIME ZONE 'UTC'; SET lock_timeout = '5s';
         SET statement_timeout = '${STATEMENT_TIMEOUT}'`,
      );
      const { rows } = await client.query<{ known: string | null }>(
        `SELECT to_regclass('payments')::text AS known`,
      );
      if (!rows[0]?.known) throw new Error('it has no tables of Bursar; is it the right database?');
      return new Snapshot(client, show, await forServer(client));
    } catch (error) {
      await client.end().catch(() => {});
      const { message, code } = error as NodeJS.ErrnoException;
      throw new Error(`the database cannot be checked: ${message || code}`);
    }
  }

  /** Takes the view. @returns the database's time of it. */
  async take(): Promise<Date> {
    await this.client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const [row] = await this.rows<{ at: Date }>('SELECT clock_timestamp() AS at');
    return row?.at ?? new Date(0);
  }

  /** Asks questions, and notes what is wrong. */
  async ask(tally: Tally, questions: readonly Question[]): Promise<void> {
    for (const { what, sql } of questions) {
      const { rows } = await this.client.query<{ id: string; detail: string; total: string }>(
        `SELECT id, detail, total FROM (
           SELECT q.id::text, q.detail::text, count(*) OVER () AS total FROM (${this.fit(sql)}) q) s
         LIMIT ${this.show}`,
      );
      const more = Number(rows[0]?.total ?? 0) - rows.length;
      rows.forEach(({ id, detail }, place) => {
        tally.broken({ id, what, detail: detail ?? '' }, place === rows.length - 1 ? more : 0);
      });
    }
  }

  /** Counts what a question is about. */
  async count(tally: Tally, counts: Readonly<Record<string, string>>): Promise<void> {
    const names = Object.keys(counts);
    if (names.length === 0) return;
    const columns = Object.values(counts).map((sql, place) => `(${sql}) AS "${place}"`);
    const { rows } = await this.client.query<Record<string, string>>(
      `SELECT ${columns.join(', ')}`,
    );
    names.forEach((name, place) => {
      tally.count(name, Number(rows[0]?.[place] ?? 0));
    });
  }

  /** Rows of a short answer. NUMERIC and BIGINT come as text. */
  async rows<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.client.query<Row>(this.fit(sql), values)).rows;
  }

  /** Pages of a long answer, however long it is. */
  async *pages<Row extends pg.QueryResultRow>(sql: string): AsyncGenerator<Row[]> {
    const name = await this.declare(sql, false);
    yield* this.fetch<Row>(name);
  }

  /** A long answer that is kept by the server past {@link close}, to be read page by page then. */
  hold(sql: string): Promise<string> {
    return this.declare(sql, true);
  }

  /** Pages of what was declared or held under a name. */
  async *fetch<Row extends pg.QueryResultRow>(name: string): AsyncGenerator<Row[]> {
    while (true) {
      const { rows } = await this.client.query<Row>(`FETCH ${PAGE_ROWS} FROM ${name}`);
      if (rows.length > 0) yield rows;
      if (rows.length < PAGE_ROWS) break;
    }
    await this.client.query(`CLOSE ${name}`);
  }

  /**
   * Lets go of the view, so that the server may clean up behind it again. What is asked afterwards is
   * answered as things are then.
   */
  async close(): Promise<void> {
    await this.client.query('COMMIT');
  }

  /** Ends the connection. */
  async end(): Promise<void> {
    await this.client.end();
  }

  private async declare(sql: string, isHeld: boolean): Promise<string> {
    this.#cursors += 1;
    const name = `bursar_check_${this.#cursors}`;
    await this.client.query(
      `DECLARE ${name} NO SCROLL CURSOR ${isHeld ? 'WITH' : 'WITHOUT'} HOLD FOR ${this.fit(sql)}`,
    );
    return name;
  }
}
