import type pg from 'pg';

/**
 * Puts a clock of its own into a database: functions found before Postgres's own of the same name, so that
 * all SQL stays untouched. For sessions that begin afterwards. Queues on Postgres keep the real clock.
 */
export async function installClock(db: pg.Pool | pg.Client): Promise<void> {
  await db.query(`
    CREATE SCHEMA clock;
    CREATE TABLE clock.shift (seconds int NOT NULL);
    INSERT INTO clock.shift VALUES (0);
    CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
      'SELECT pg_catalog.clock_timestamp() + make_interval(secs => (SELECT seconds FROM clock.shift))';
    CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS
      'SELECT pg_catalog.now() + make_interval(secs => (SELECT seconds FROM clock.shift))';
    GRANT USAGE ON SCHEMA clock TO PUBLIC;
    GRANT SELECT ON clock.shift TO PUBLIC;
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = clock, public, pg_catalog', current_database()); END $$`);
}

/** Moves the clock of {@link installClock} on. */
export async function shiftClock(db: pg.Pool | pg.Client, seconds: number): Promise<void> {
  await db.query('UPDATE clock.shift SET seconds = seconds + $1', [seconds]);
}
