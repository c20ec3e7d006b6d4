import { describe, expect, it } from '@jest/globals';
import { Admission, type Place } from './admission.js';

/** Lets one path in as often as it can be. */
function flood(admission: Admission, ...path: string[]): Place[] {
  const places: Place[] = [];
  for (let place = admission.enter(path); place; place = admission.enter(path)) places.push(place);
  return places;
}

describe('admission', () => {
  it('lets one who asks alone fill the room, and no more', () => {
    const admission = new Admission(() => 100);
    expect(flood(admission, 'root', 'a', 'a')).toHaveLength(100);
    expect(admission.held).toBe(100);
  });

  it('lets a sibling of a flood in, up to its share', () => {
    const admission = new Admission(() => 100);
    flood(admission, 'root', 'a', 'a');
    expect(flood(admission, 'root', 'b', 'b')).toHaveLength(50);
    expect(flood(admission, 'root', 'a', 'a')).toHaveLength(0);
  });

  it('lets a grant in whose own children flood, and a root beside another', () => {
    const admission = new Admission(() => 100);
    flood(admission, 'root', 'a', 'a');
    expect(admission.enter(['root', 'root'])).toBeDefined();
    expect(admission.enter(['other', 'other'])).toBeDefined();
  });

  it('gives one who delegates no more than one who does not', () => {
    const admission = new Admission(() => 100);
    for (let n = 0; n < 200; n += 1) flood(admission, 'root', 'a', `child ${n}`, `child ${n}`);
    expect(admission.held).toBeLessThanOrEqual(125);
    expect(flood(admission, 'root', 'b', 'b')).toHaveLength(25);
    expect(admission.enter(['root', 'a', 'one more', 'one more'])).toBeUndefined();
  });

  it('never lets in more than twice what there is room for, however many ask', () => {
    const admission = new Admission(() => 100);
    for (let n = 0; n < 1_000; n += 1) flood(admission, `root ${n}`, `root ${n}`);
    expect(admission.held).toBeLessThanOrEqual(200);
  });

  it('keeps room for payments that exist already, and no more than half of it', () => {
    const admission = new Admission(() => 100);
    flood(admission, 'root', 'a', 'a');
    let known = 0;
    while (admission.enter(['root', 'a', 'a'], true)) known += 1;
    expect(known).toBe(50);
    expect(admission.enter(['root', 'b', 'b'])).toBeDefined();
  });

  it('has its room again when all have left, and a place is left once', () => {
    const admission = new Admission(() => 10);
    const places = [...flood(admission, 'root', 'a', 'a'), ...flood(admission, 'root', 'b', 'b')];
    for (const place of places) {
      place.leave();
      place.leave();
    }
    expect(admission.held).toBe(0);
    expect(flood(admission, 'root', 'c', 'c')).toHaveLength(10);
  });

  it('goes by the room there is now', () => {
    let room = 10;
    const admission = new Admission(() => room);
    flood(admission, 'root', 'a', 'a');
    room = 5;
    expect(admission.enter(['root', 'a', 'a'])).toBeUndefined();
    room = 20;
    expect(flood(admission, 'root', 'a', 'a')).toHaveLength(10);
  });
});
