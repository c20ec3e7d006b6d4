import type { Grant, History } from './history.js';
import { type AuditRecord, Contradiction } from './record.js';

/** @throws Contradiction when two-person mode held, and the approver had a part in the payment. */
export function requireTwoPersons(history: History, record: AuditRecord, grant: Grant): void {
  const path = grant.path.map(({ id }) => id);
  const problem = history.twoPerson.problem(record, path);
  if (problem !== undefined) throw new Contradiction(problem);
}
