/** How often something could be done, and how long each took. */
export interface Sample {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU milliseconds of this process each. */
  readonly cpuMs: number;
}

/**
 * Does something again and again for a while.
 *
 * @param atOnce - how many are under way at a time.
 */
export async function sample(
  seconds: number,
  atOnce: number,
  once: () => Promise<unknown>,
): Promise<Sample> {
  const latencies: number[] = [];
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const until = began + seconds * 1_000;
  const again = async (): Promise<void> => {
    for (let at = performance.now(); at < until; ) {
      await once();
      const done = performance.now();
      latencies.push(done - at);
      at = done;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, again));
  const took = performance.now() - began;
  const { user, system } = process.cpuUsage(cpuBefore);
  const count = latencies.length;
  return {
    count,
    perSecond: (count * 1_000) / took,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    cpuMs: (user + system) / 1_000 / count,
  };
}

/** The value below which a share of all lies; NaN of none. Sorts what it is given. */
export function quantile(values: number[], share: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
}
