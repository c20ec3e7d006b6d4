/** One member of two JSON values. A side that lacks it is undefined; values are JSON texts. */
export interface Member {
  /** Such as `data.decision.value`. */
  readonly path: string;
  readonly first: string | undefined;
  readonly second: string | undefined;
}

/** The members of two JSON values, by their paths: those of the first in its order, then what only the second has. */
export function membersOf(first: unknown, second: unknown): Member[] {
  const [one, other] = [leavesOf(first), leavesOf(second)];
  const paths = new Set([...one.keys(), ...other.keys()]);
  return [...paths].map((path) => ({ path, first: one.get(path), second: other.get(path) }));
}

/** The leaves of a JSON value, each as a JSON text. An empty object or list is a leaf. */
function leavesOf(
  value: unknown,
  path = '',
  leaves: Map<string, string> = new Map(),
): Map<string, string> {
  const members = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (members.length === 0) leaves.set(path, JSON.stringify(value) ?? 'undefined');
  for (const [name, member] of members) {
    leavesOf(member, path === '' ? name : `${path}.${name}`, leaves);
  }
  return leaves;
}
