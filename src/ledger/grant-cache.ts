import type { ClientBase } from 'pg';
import { type GrantRecord, readGrants } from './grant-rows.js';

/** How many grants are kept in memory. */
const CAPACITY = 20_000;

/**
 * Grants as last read, for their terms: these never change after minting (the database refuses it, by
 * the trigger `grants_no_rewrite`). Nothing else of a cached grant may be believed.
 */
export class GrantCache {
  /** In the order of their last reading: the first is the one to forget. */
  readonly #grants = new Map<string, GrantRecord>();

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
      const known = this.#grants.get(id);
      if (known?.treasuryId === treasuryId) found.set(id, known);
      else missing.add(id);
    }
    if (missing.size === 0) return found;
    for (const [id, grant] of await readGrants(tx, treasuryId, [...missing])) {
      found.set(id, grant);
      this.#grants.set(id, grant);
    }
    for (const id of this.#grants.keys()) {
      if (this.#grants.size <= CAPACITY) break;
      this.#grants.delete(id);
    }
    return found;
  }
}
