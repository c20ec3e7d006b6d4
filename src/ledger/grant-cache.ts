import { LRUCache } from 'lru-cache';
import type { ClientBase } from 'pg';
import { type FixedGrant, readFixedGrants } from './grant-rows.js';

/** How much is kept in memory, in units: a grant takes one, and one more for every so many characters of its scope. */
const CAPACITY = 20_000;
const CHARACTERS_A_UNIT = 4_000;

/**
 * Keeps of each grant what is fixed at minting; the trigger `grants_no_rewrite` refuses its change. Terms that can be amended
 * are not kept: every decision reads them under its lock.
 */
export class GrantCache {
  readonly #grants = new LRUCache<string, FixedGrant>({
    maxSize: CAPACITY,
    sizeCalculation: ({ scope }) =>
      1 + Math.floor(JSON.stringify(scope).length / CHARACTERS_A_UNIT),
  });

  /**
   * The chains of grants, from the root down, by the last one's id. Reads what is not known; a grant
   * that does not exist has no chain.
   */
  async chains(
    tx: ClientBase,
    treasuryId: string,
    grantIds: readonly string[],
  ): Promise<Map<string, FixedGrant[]>> {
    const asked = await this.read(tx, treasuryId, grantIds);
    const paths = [...asked.values()].map(({ path }) => path);
    const all = await this.read(tx, treasuryId, paths.flat());
    const chains = new Map<string, FixedGrant[]>();
    for (const grant of asked.values()) {
      const chain = grant.path.map((id) => all.get(id));
      if (chain.every((each) => each !== undefined)) chains.set(grant.id, chain);
    }
    return chains;
  }

  /** The path of a grant, if it was read. */
  pathOf(treasuryId: string, grantId: string): readonly string[] | undefined {
    const grant = this.#grants.peek(grantId);
    return grant?.treasuryId === treasuryId ? grant.path : undefined;
  }

  private async read(
    tx: ClientBase,
    treasuryId: string,
    ids: readonly string[],
  ): Promise<Map<string, FixedGrant>> {
    const found = new Map<string, FixedGrant>();
    const missing = new Set<string>();
    for (const id of ids) {
      const known = this.#grants.get(id);
      if (known?.treasuryId === treasuryId) found.set(id, known);
      else missing.add(id);
    }
    if (missing.size === 0) return found;
    for (const [id, grant] of await readFixedGrants(tx, treasuryId, [...missing])) {
      found.set(id, grant);
      this.#grants.set(id, grant);
    }
    return found;
  }
}
