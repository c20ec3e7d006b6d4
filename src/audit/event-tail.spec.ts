import { describe, expect, it } from '@jest/globals';
import type { EventKind } from '../ledger/events.js';
import { EventTail, type SealedEvent } from './event-tail.js';

const LOG = 'trs_1';
const GRANTS: ReadonlySet<EventKind> = new Set(['grant.minted', 'grant.revoked']);
const MINTED: ReadonlySet<EventKind> = new Set(['grant.minted']);

const event = (leafIndex: number, kind: EventKind = 'grant.minted', record = 'r'): SealedEvent => ({
  leafIndex,
  kind,
  path: [],
  record,
});
const places = (batch: { readonly events: readonly SealedEvent[] } | undefined) =>
  batch?.events.map(({ leafIndex }) => leafIndex);

describe('EventTail', () => {
  it('gives the events from a place on, and the place to go on from, over leaves of other kinds', () => {
    const tail = new EventTail();
    tail.begin(LOG, 10, GRANTS);
    tail.append(LOG, { events: [event(12), event(15)], next: 20 });
    tail.append(LOG, { events: [event(20)], next: 30 });
    expect(places(tail.read(LOG, 10, 9, GRANTS))).toEqual([12, 15, 20]);
    expect(places(tail.read(LOG, 13, 9, GRANTS))).toEqual([15, 20]);
    expect(tail.read(LOG, 21, 9, GRANTS)).toEqual({ events: [], next: 30 });
    expect(tail.read(LOG, 10, 2, GRANTS)).toMatchObject({ next: 16 });
    expect(tail.read(LOG, 16, 2, GRANTS)).toMatchObject({ next: 30 });
    expect(tail.read(LOG, 30, 2, GRANTS)).toEqual({ events: [], next: 30 });
  });

  it('does not know what is before it, behind it, of other kinds or of another log', () => {
    const tail = new EventTail();
    tail.begin(LOG, 10, GRANTS);
    tail.append(LOG, { events: [event(12)], next: 20 });
    expect(tail.read(LOG, 9, 9, GRANTS)).toBeUndefined();
    expect(tail.read(LOG, 21, 9, GRANTS)).toBeUndefined();
    expect(tail.read(LOG, 10, 9, new Set<EventKind>(['payment.settled']))).toBeUndefined();
    expect(tail.read(LOG, 10, 9, undefined)).toBeUndefined();
    expect(tail.read('trs_2', 10, 9, GRANTS)).toBeUndefined();
    expect(places(tail.read(LOG, 10, 9, MINTED))).toEqual([12]);
  });

  it('goes on where it ends, for as many kinds as it has', () => {
    const tail = new EventTail();
    tail.begin(LOG, 10, GRANTS);
    tail.append(LOG, { events: [event(12)], next: 20 });
    expect(tail.begin(LOG, 20, MINTED)).toBe(GRANTS);
    expect(places(tail.read(LOG, 10, 9, GRANTS))).toEqual([12]);
    // A kind that it lacks, or a gap: what was kept is forgotten.
    expect(tail.begin(LOG, 20, undefined)).toBeUndefined();
    expect(tail.read(LOG, 12, 9, GRANTS)).toBeUndefined();
    tail.append(LOG, { events: [event(20, 'payment.settled')], next: 25 });
    expect(places(tail.read(LOG, 20, 9, undefined))).toEqual([20]);
    tail.begin(LOG, 26, undefined);
    expect(tail.read(LOG, 20, 9, undefined)).toBeUndefined();
  });

  it('forgets the oldest events where it has too many, and knows from where on it has all', () => {
    const tail = new EventTail();
    tail.begin(LOG, 0, undefined);
    const megabyte = 'x'.repeat(1_048_576);
    for (let n = 0; n < 10; n += 1) {
      tail.append(LOG, { events: [event(3 * n, 'grant.minted', megabyte)], next: 3 * n + 3 });
    }
    expect(tail.read(LOG, 3, 20, undefined)).toBeUndefined();
    expect(places(tail.read(LOG, 4, 20, undefined))).toEqual([6, 9, 12, 15, 18, 21, 24, 27]);
  });
});
