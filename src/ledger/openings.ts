import { randomBytes } from 'node:crypto';
import { type ConcealedOpening, conceal } from '../domain/disclosure.js';
import type { NewEvent } from './events.js';

/** No record of openings is much longer, in characters: a verifier reads lines of up to 1 MiB. */
const MAX_RECORD_SIZE = 262_144;

/** Commits to what a record must not show, with a fresh salt. */
export function concealNow(content: Readonly<Record<string, unknown>>): ConcealedOpening {
  return conceal(content, nextSalt());
}

/**
 * Puts a record in front of events that opens their commitments, or several where one would be too long. Its `grantId` and
 * `paymentId` are unset, so no holder sees it.
 */
export function withOpenings(events: readonly NewEvent[]): NewEvent[] {
  const opened: NewEvent[] = [];
  let openings: unknown[] = [];
  let size = 0;
  for (const { treasuryId, concealed } of events) {
    if (!concealed) continue;
    if (openings.length === 0 || size + concealed.size > MAX_RECORD_SIZE) {
      openings = [];
      size = 0;
      opened.push({
        treasuryId,
        kind: 'audit.opened',
        actor: 'system:ledger',
        data: { openings },
      });
    }
    openings.push(concealed.entry);
    size += concealed.size;
  }
  return opened.length === 0 ? [...events] : [...opened, ...events];
}

/** Bytes of a salt, and how many salts are drawn at once: asking for random bytes costs more than having them. */
const SALT_BYTES = 16;
const DRAWN = 256;

let drawn = Buffer.alloc(0);

function nextSalt(): string {
  if (drawn.length === 0) drawn = randomBytes(SALT_BYTES * DRAWN);
  const salt = drawn.toString('hex', 0, SALT_BYTES);
  drawn = drawn.subarray(SALT_BYTES);
  return salt;
}
