import { EVENT_GUIDE } from './event-guide.js';
import type { EventKind } from './events.js';

const KINDS = Object.keys(EVENT_GUIDE) as EventKind[];

/**
 * The kinds of events that patterns name: a kind (`grant.revoked`), all kinds of one thing (`payment.*`), or all
 * there are (`*`).
 *
 * @returns the kinds; undefined for all.
 * @throws RangeError with the pattern that names no kind.
 */
export function kindsOf(patterns: readonly string[]): ReadonlySet<EventKind> | undefined {
  const named = new Set<EventKind>();
  for (const pattern of patterns) {
    if (pattern === '*') return undefined;
    const found = KINDS.filter(
      (kind) =>
        kind === pattern || (pattern.endsWith('.*') && kind.startsWith(pattern.slice(0, -1))),
    );
    if (found.length === 0) throw new RangeError(pattern);
    for (const kind of found) named.add(kind);
  }
  return named;
}

/** Error text for a wrong pattern of {@link kindsOf}. */
export const KIND_PATTERN_HELP =
  'must name kinds of events, such as payment.settled, or all of one thing, such as grant.*';
