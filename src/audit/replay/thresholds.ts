import { THRESHOLD_ACTOR, THRESHOLDS } from '../../domain/threshold.js';
import type { Grant, History, Window } from './history.js';
import { type AuditRecord, amount, Contradiction, object, optionalCount } from './record.js';

/** A grant came to a threshold: of its budget once since the last amendment, of a window once in a period. */
export function reached(history: History, record: AuditRecord): undefined {
  const { data, actor } = record;
  const grant = history.grant(record.grantId);
  const percent = optionalCount(data.percent, 'percent');
  if (actor !== THRESHOLD_ACTOR || !THRESHOLDS.some((each) => each === percent)) {
    throw new Contradiction(
      `grant ${grant.id} comes to ${percent} % by ${actor}, and none tells that`,
    );
  }
  const used = amount(data.used, 'used');
  const limit = amount(data.limit, 'limit');
  const { now, bound, key } = usageOf(grant, data);
  if (used !== now || limit !== bound || 100n * used < BigInt(percent ?? 0) * limit) {
    throw new Contradiction(
      `grant ${grant.id} comes to ${percent} % with ${used} of ${limit}, and has ${now} of ${bound}`,
    );
  }
  if (grant.thresholds.has(`${key} ${percent}`)) {
    throw new Contradiction(`grant ${grant.id} comes to ${percent} % of the same twice`);
  }
  grant.thresholds.add(`${key} ${percent}`);
}

/** Usage that a record tells of, as the records before it make it. */
function usageOf(grant: Grant, data: AuditRecord['data']) {
  if (data.window === null) {
    const { reserved, spent, allocated, budget } = grant;
    return { now: reserved + spent + allocated, bound: budget, key: 'budget' };
  }
  const { index, seconds, period } = object(data.window, 'window');
  const window: Window | undefined = grant.windows[optionalCount(index, 'window.index') ?? -1];
  if (!window || window.seconds !== seconds || window.period !== period) {
    throw new Contradiction(`grant ${grant.id} comes to a threshold of a window that it has not`);
  }
  const isAmount = data.unit === 'amount';
  return {
    now: isAmount ? window.taken : BigInt(window.count),
    bound: isAmount ? window.amount : BigInt(window.payments ?? -1),
    key: `window ${String(index)} ${String(period)}`,
  };
}

/** An amended grant tells the thresholds of its budget anew. */
export function forgetThresholds(grant: Grant): void {
  for (const key of grant.thresholds) if (key.startsWith('budget ')) grant.thresholds.delete(key);
}
