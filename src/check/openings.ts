import { openedBy } from '../domain/opened.js';
import type { Tally } from './report.js';
import type { Question, Snapshot } from './snapshot.js';

/** Every commitment of a record, and every one that a record opens; their texts need no JSON reader. */
const COMMITTED = `SELECT e.treasury_id, e.id, e.seq, e.record::jsonb -> 'data' ->> 'ancestors' AS commitment
  FROM events e WHERE strpos(e.record, '"ancestors":"') > 0 AND e.kind <> 'audit.opened'`;
const OPENED = `SELECT e.treasury_id, e.id, e.seq, o.entry ->> 'commitment' AS commitment
  FROM events e CROSS JOIN LATERAL jsonb_array_elements(e.record::jsonb -> 'data' -> 'openings') AS o (entry)
  WHERE e.kind = 'audit.opened'`;

/** I8, commitments: what a record keeps from holders stands in a record for auditors, and in one only. */
export const OPENINGS: readonly Question[] = [
  {
    what: 'what it commits to is opened by one record before it',
    sql: `SELECT c.id, coalesce(c.commitment, 'no commitment') AS detail FROM (${COMMITTED}) c
      LEFT JOIN (${OPENED}) o ON o.treasury_id = c.treasury_id AND o.commitment = c.commitment AND o.seq < c.seq
      WHERE c.commitment IS NOT NULL GROUP BY c.id, c.commitment HAVING count(o.id) <> 1`,
  },
  {
    what: 'what it opens is what one record committed to',
    sql: `SELECT o.id, coalesce(o.commitment, 'no commitment') AS detail FROM (${OPENED}) o
      LEFT JOIN (${COMMITTED}) c ON c.treasury_id = o.treasury_id AND c.commitment = o.commitment
      GROUP BY o.id, o.commitment HAVING count(c.id) <> 1`,
  },
];

/** I8, commitments: each opening is what its commitment is the hash of. */
export async function checkOpenings(snapshot: Snapshot, tally: Tally): Promise<void> {
  let opened = 0;
  for await (const page of snapshot.pages<{ id: string; record: string }>(
    `SELECT id, record FROM events WHERE kind = 'audit.opened'`,
  )) {
    for (const { id, record } of page) {
      const { data } = JSON.parse(record) as { data: { openings?: unknown } };
      for (const each of Array.isArray(data.openings) ? data.openings : [undefined]) {
        opened += 1;
        const detail = wrongWith(each);
        if (detail) tally.broken({ id, what: 'its openings are of their commitments', detail });
      }
    }
  }
  tally.count('openings', opened);
}

function wrongWith(entry: unknown): string | undefined {
  try {
    openedBy(entry);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
