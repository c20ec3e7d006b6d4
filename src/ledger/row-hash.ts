import { hash } from 'node:crypto';

/**
 * A record's word on members of its row that stand nowhere else in it: SHA-256 (hex) over all of them in their
 * order. Each is 0x00 for none, or else 0x01, its UTF-8 bytes and 0x00. No text of Postgres holds a NUL, so no two
 * rows have one such text. `bursar check` computes it anew in SQL.
 */
export function rowHash(members: readonly (string | undefined)[]): string {
  const parts = members.map((each) => (each === undefined ? '\u0000' : `\u0001${each}\u0000`));
  return hash('sha256', parts.join(''));
}
