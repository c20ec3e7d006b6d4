import { Replay } from '../../src/audit/replay.js';
import { runCheck } from '../../src/check/check.js';
import type { TestStack } from './bursar.js';
import { until } from './until.js';

/** Everything that the checker finds wrong in a stack's database, and the offline verifier in its sealed log. */
export async function wrongInBooks(stack: TestStack): Promise<string[]> {
  await until('every event is sealed', async () => {
    const { rows } = await stack.db.query('SELECT FROM unsealed_events LIMIT 1');
    return rows.length === 0;
  });
  const { invariants } = await runCheck({
    databaseUrl: stack.databaseUrl,
    networks: [],
    headers: [],
    overdueSeconds: 3600,
    show: 5,
    progress: () => {},
  });
  const broken = invariants.flatMap(({ id, offenders }) =>
    offenders.map((each) => `${id} ${each.id}: ${each.what}: ${each.detail}`),
  );
  return [...broken, ...(await contradictions(stack))];
}

/** Offenders that the checker finds in a stack's database beside its chain: invariant, thing, what, why. */
export async function wrongBesideChain({
  databaseUrl,
  chain,
}: Pick<TestStack, 'databaseUrl' | 'chain'>): Promise<[string, string, string, string][]> {
  const { invariants } = await runCheck({
    databaseUrl,
    networks: [{ network: chain.network, rpcUrls: [chain.rpcUrl], finality: { blocks: 2 } }],
    headers: [],
    overdueSeconds: 60,
    show: 10,
    progress: () => {},
  });
  return invariants.flatMap(({ id, offenders }) =>
    offenders.map((each): [string, string, string, string] => [
      id,
      each.id,
      each.what,
      each.detail,
    ]),
  );
}

/** The first contradiction of the log as it is served. */
async function contradictions({ admin }: TestStack): Promise<string[]> {
  const { text } = await admin.get('/v1/audit/export');
  const replay = new Replay();
  try {
    for (const line of text.split('\n')) if (line !== '') replay.apply(JSON.parse(line));
  } catch (error) {
    return [String(error)];
  }
  return replay.unknownKinds.map((kind) => `${kind} is not replayed`);
}
