import { effectiveStatus, type GrantSnapshot, headroom, payingGrants } from './grant.js';
import { endOfPeriod, leftIn, usageAt, type Window } from './window.js';

/** The grant and the limit that `remaining` comes from. */
export interface BindingLimit {
  /** The grant itself, or one above it. */
  readonly grantId: string;
  readonly by: 'status' | 'budget' | 'payments' | 'window';
  /** The window, where that is what binds. */
  readonly window: Window | undefined;
  /** When a new period of the window begins. */
  readonly reopensAt: Date | undefined;
}

/**
 * Names what bounds the next payment of a chain: whatever `remaining` is the least of. Of two that leave the same, the deeper
 * grant is named, since its holder can do more about it; of one grant the budget before a window.
 *
 * @param chain - from the root down, the grant itself last.
 */
export function bindingLimit(chain: readonly GrantSnapshot[], now: Date): BindingLimit {
  const closed = effectiveStatus(chain, now) !== 'active';
  if (closed) return plain(closedBy(chain, now), 'status');
  let least: { readonly left: bigint; readonly limit: BindingLimit } | undefined;
  const consider = (left: bigint, limit: BindingLimit) => {
    if (least === undefined || left < least.left) least = { left, limit };
  };
  const paying = new Set(payingGrants(chain));
  for (const grant of [...chain].reverse()) {
    if (paying.has(grant)) consider(headroom(grant), plain(grant, 'budget'));
    if (grant.maxPayments !== undefined && grant.payments >= grant.maxPayments) {
      consider(0n, plain(grant, 'payments'));
    }
    usageAt(grant, now).forEach((usage, index) => {
      const window = grant.windows[index];
      if (!window) return;
      const left = leftIn(window, usage);
      if (left === undefined) return;
      const reopensAt = endOfPeriod(grant.startsAt, window, usage.period);
      consider(left, { grantId: grant.id, by: 'window', window, reopensAt });
    });
  }
  if (!least) throw new Error('a chain has at least the grant itself');
  return least.limit;
}

/** The grant whose status the chain has: of several, the one nearest to the root. */
function closedBy(chain: readonly GrantSnapshot[], now: Date): GrantSnapshot {
  const status = effectiveStatus(chain, now);
  const found = chain.find((grant) => effectiveStatus([grant], now) === status) ?? chain.at(-1);
  if (!found) throw new Error('a chain has at least the grant itself');
  return found;
}

function plain({ id }: GrantSnapshot, by: BindingLimit['by']): BindingLimit {
  return { grantId: id, by, window: undefined, reopensAt: undefined };
}
