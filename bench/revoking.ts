import type { Lab } from './lab.js';
import { loadTree } from './loading.js';
import { openPaying } from './payments.js';
import { quantile } from './sample.js';

/** Time that revoking a tree took, over HTTP. */
export interface Revoking {
  readonly grants: number;
  readonly times: number;
  readonly p50Ms: number;
  readonly maxMs: number;
}

/** Revokes trees of several sizes in turn, each size so many times. */
export async function measureRevoking(
  lab: Lab,
  sizes: readonly number[],
  times: number,
  progress: (what: string) => void,
): Promise<{ trees: Revoking[]; violations: string[] }> {
  const paying = await openPaying(lab, 'hot-root', 'api');
  try {
    const { world, apis } = paying;
    const [api] = apis;
    if (!api) throw new Error('no process answers');
    const headers = {
      authorization: `Bearer ${await world.adminToken()}`,
      'content-type': 'application/json',
    };
    const revoke = async (id: string, size: number): Promise<number> => {
      const began = performance.now();
      const response = await fetch(`${api.url}/v1/grants/${id}/revoke`, {
        method: 'POST',
        headers,
        body: '{}',
      });
      const text = await response.text();
      const took = performance.now() - began;
      const { revokedGrants } = JSON.parse(text) as { revokedGrants?: number };
      if (revokedGrants !== size) throw new Error(`revoking ${size} grants answered ${text}`);
      return took;
    };
    let place = 0;
    const load = async (size: number): Promise<string> => {
      const root = await loadTree(world.db, place, size);
      place += size;
      return root;
    };
    for (let warm = 0; warm < 20; warm += 1) await revoke(await load(1), 1);
    const roots: { size: number; id: string }[] = [];
    for (let turn = 0; turn < times; turn += 1) {
      for (const size of sizes) roots.push({ size, id: await load(size) });
    }
    progress(`revoking ${roots.length} trees`);
    const took = new Map<number, number[]>(sizes.map((size) => [size, []]));
    for (const { size, id } of roots) took.get(size)?.push(await revoke(id, size));
    const trees = [...took].map(([grants, all]) => ({
      grants,
      times: all.length,
      p50Ms: quantile(all, 0.5),
      maxMs: Math.max(...all),
    }));
    return { trees, violations: await paying.violations() };
  } finally {
    await paying.stop();
  }
}
