import { actingGrant, placeIn } from './actors.js';
import type { AmendableTerms, Grant, History } from './history.js';
import { bearing, requireBudget } from './money.js';
import {
  type AuditRecord,
  amount,
  Contradiction,
  object,
  optionalAmount,
  optionalCount,
  time,
} from './record.js';
import { forgetThresholds } from './thresholds.js';

type Value = bigint | number | undefined;

/** How each amendable term is read from a record. Times are Unix milliseconds. */
const READ: Readonly<Record<keyof AmendableTerms, (value: unknown, name: string) => Value>> = {
  budget: amount,
  maxPerPayment: optionalAmount,
  maxPayments: optionalCount,
  approvalAbove: optionalAmount,
  expiresAt: time,
};

/** Terms of a grant are raised or lowered: by an admin or a holder above, within the parent and above what is used. */
export function amended(history: History, record: AuditRecord, at: number): undefined {
  const { grantId, actor, data } = record;
  const grant = history.grant(grantId);
  const acting = actingGrant(actor);
  if (acting !== undefined && placeIn(grant, acting) >= grant.path.length - 1) {
    throw new Contradiction(`grant ${grant.id} is amended by its own holder`);
  }
  for (const each of grant.path) requireLiving(each, grant.id, at);
  const from = object(data.from, 'from');
  const to = object(data.to, 'to');
  if (Object.keys(from).join() !== Object.keys(to).join() || Object.keys(to).length === 0) {
    throw new Contradiction(`grant ${grant.id} is amended from other terms than to`);
  }
  const after: Record<string, Value> = {};
  const raised: string[] = [];
  for (const name of Object.keys(READ) as (keyof AmendableTerms)[]) {
    if (!(name in to)) continue;
    const before = READ[name](from[name], `from.${name}`);
    const value = READ[name](to[name], `to.${name}`);
    if (before !== grant[name] || value === before) {
      throw new Contradiction(
        `grant ${grant.id} is amended from ${name} ${String(before)} to ${String(value)}, and had ${String(grant[name])}`,
      );
    }
    if (exceeds(value, before)) {
      raised.push(name);
      requireWithinParent(grant, name, value);
    }
    after[name] = value;
  }
  if (JSON.stringify(data.raised) !== JSON.stringify(raised)) {
    throw new Contradiction(
      `grant ${grant.id} is raised in ${raised.join(', ') || 'nothing'}, and its record says otherwise`,
    );
  }
  if (raised.length > 0) {
    const problem = history.twoPerson.raise(
      record,
      grant.path.map(({ id }) => id),
    );
    if (problem !== undefined) throw new Contradiction(problem);
  }
  const more = ((after.budget as bigint | undefined) ?? grant.budget) - grant.budget;
  Object.assign(grant, after);
  forgetThresholds(grant);
  requireFloors(grant, after, at);
  if (grant.isCarveOut && more !== 0n) moveAside(grant, more);
}

function requireLiving(
  { id, isRevoked, isReturned, expiresAt }: Grant,
  amendedId: string,
  at: number,
) {
  if (!isRevoked && !isReturned && at < expiresAt) return;
  throw new Contradiction(`grant ${amendedId} is amended after the end of grant ${id}`);
}

function requireWithinParent(grant: Grant, name: keyof AmendableTerms, value: Value): void {
  const parent = grant.path.at(-2);
  if (!parent || !exceeds(value, parent[name])) return;
  throw new Contradiction(`grant ${grant.id} is raised beyond its parent ${parent.id}: ${name}`);
}

function requireFloors(grant: Grant, after: Readonly<Record<string, Value>>, at: number): void {
  requireBudget(grant, 'an amendment');
  if (grant.maxPayments !== undefined && grant.payments > grant.maxPayments) {
    throw new Contradiction(
      `grant ${grant.id} is amended to ${grant.maxPayments} payments, and has made ${grant.payments}`,
    );
  }
  if (!('expiresAt' in after) || (grant.expiresAt >= at && grant.expiresAt > grant.startsAt))
    return;
  throw new Contradiction(`grant ${grant.id} is amended to an end that was over`);
}

/** Moves what is set aside for a carve-out on the grants above it. */
function moveAside(grant: Grant, more: bigint): void {
  for (const each of bearing(grant.path.slice(0, -1))) {
    each.allocated += more;
    if (each.allocated < 0n) throw new Contradiction(`grant ${each.id} gets back too much`);
    requireBudget(each, `grant ${grant.id} is amended and`);
  }
}

/** Whether a limit allows more than another; an absent one allows everything. */
function exceeds(a: Value, b: Value): boolean {
  return b !== undefined && (a === undefined || a > b);
}
