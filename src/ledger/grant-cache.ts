import type { ClientBase } from 'pg';
import { type GrantRecord, readGrants } from './grant-rows.js';

/** How much is kept in memory: grants, counted as one and one more for each so many characters of scope. */
const CAPACITY = 20_000;
const CHARACTERS_A_UNIT = 4_000;

/**
 * Grants as last read, for their terms: these never change after minting (the database refuses it, by
 * the trigger `grants_no_rewrite`). Nothing else of a cached grant may be believed.
 */
export class GrantCache {
  /** In the order of their last reading: the first is the one to forget. */
  readonly #grants = new Map<string, { grant: GrantRecord; weight: number }>();
  #weight = 0;

  /**
   * The chains of grants, from the root down, by the last one's id. Reads what is not known; a grant
   * that does not exist has no chain.
   */
  async chains(
    tx: ClientBase,
    treasuryId: string,
    grantIds: readonly string[],
  ): Promise<Map<string, GrantRecord[]>> {
    const asked = await this.read(tx, treasuryId, grantIds);
    const paths = [...asked.values()].map(({ path }) => path);
    const all = await this.read(tx, treasuryId, paths.flat());
    const chains = new Map<string, GrantRecord[]>();
    for (const grant of asked.values()) {
      const chain = grant.path.map((id) => all.get(id));
      if (chain.every((each) => each !== undefined)) chains.set(grant.id, chain);
    }
    return chains;
  }

  private async read(
    tx: ClientBase,
    treasuryId: string,
    ids: readonly string[],
  ): Promise<Map<string, GrantRecord>> {
    const found = new Map<string, GrantRecord>();
    const missing = new Set<string>();
    for (const id of ids) {
      const known = this.#grants.get(id)?.grant;
      if (known?.treasuryId === treasuryId) found.set(id, known);
      else missing.add(id);
    }
    if (missing.size === 0) return found;
    for (const [id, grant] of await readGrants(tx, treasuryId, [...missing])) {
      found.set(id, grant);
      this.keep(id, grant);
    }
    return found;
  }

  private keep(id: string, grant: GrantRecord): void {
    this.forget(id);
    const weight = 1 + Math.floor(JSON.stringify(grant.scope).length / CHARACTERS_A_UNIT);
    this.#grants.set(id, { grant, weight });
    this.#weight += weight;
    for (const oldest of this.#grants.keys()) {
      if (this.#weight <= CAPACITY) break;
      this.forget(oldest);
    }
  }

  private forget(id: string): void {
    this.#weight -= this.#grants.get(id)?.weight ?? 0;
    this.#grants.delete(id);
  }
}
