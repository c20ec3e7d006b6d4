import type { History } from './history.js';
import type { AuditRecord } from './record.js';

/** The openings of the commitments of the records behind it. */
export function opened(history: History, { data }: AuditRecord): undefined {
  return history.openings.add(data);
}
