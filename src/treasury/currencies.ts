import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { ConfigError } from '../config/config-error.js';
import { currenciesOf } from '../config/networks.js';
import { Database } from '../database/database.js';
import { type Currency, registerCurrencies } from '../domain/money.js';
import type { Network } from '../domain/network.js';

/** How often a process looks for currencies that others recorded, in milliseconds. */
const REFRESH_MS = 2_000;

/**
 * Records the configured currencies, and registers all that are recorded.
 *
 * @returns the codes that grants are kept in and no configured token is of.
 * @throws ConfigError when a currency is configured with other decimals than the database keeps it with.
 */
export async function enrolCurrencies(
  tx: ClientBase,
  networks: readonly Network[],
): Promise<string[]> {
  const configured = currenciesOf(networks);
  // Sorted, so that processes that start at once do not deadlock.
  await tx.query(
    `INSERT INTO currencies (code, decimals)
     SELECT code, decimals FROM unnest($1::text[], $2::int[]) AS c (code, decimals) ORDER BY code
     ON CONFLICT (code) DO NOTHING`,
    [[...configured.keys()], [...configured.values()].map(({ decimals }) => decimals)],
  );
  const { rows } = await tx.query<Currency & { orphaned: boolean }>(
    `SELECT code, decimals, CASE WHEN code = ANY ($1::text[]) THEN false
       ELSE EXISTS (SELECT FROM grants WHERE currency = code) END AS orphaned
     FROM currencies ORDER BY code`,
    [[...configured.keys()]],
  );
  const problems = rows.flatMap(({ code, decimals }) => {
    const given = configured.get(code)?.decimals;
    return given === undefined || given === decimals
      ? []
      : `BURSAR_NETWORKS: ${code} has ${given} decimals under assets, but this database keeps its amounts with ` +
          `${decimals}; put the token with ${decimals} decimals back, or give the other token another currency code`;
  });
  if (problems.length > 0) throw new ConfigError(problems);
  registerCurrencies(rows);
  return rows.filter(({ orphaned }) => orphaned).map(({ code }) => code);
}

/**
 * Follows the table of currencies. While a new token is rolled out, a process that still runs with the old
 * configuration must list grants in the new currency, too.
 */
@Injectable()
export class Currencies implements OnModuleInit, OnModuleDestroy {
  readonly #log = new Logger('treasury');
  #refresh: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(private readonly database: Database) {}

  onModuleInit(): void {
    this.#refresh = setTimeout(() => void this.reload(), REFRESH_MS).unref();
  }

  onModuleDestroy(): void {
    this.#closed = true;
    clearTimeout(this.#refresh);
  }

  private async reload(): Promise<void> {
    try {
      const { rows } = await this.database.pool.query<Currency>(
        'SELECT code, decimals FROM currencies',
      );
      registerCurrencies(rows);
    } catch (error) {
      this.#log.debug(`the currencies could not be read: ${error}`);
    }
    // The next query is scheduled after this one has ended, so that none pile up while the database hangs.
    if (!this.#closed) this.#refresh?.refresh();
  }
}
