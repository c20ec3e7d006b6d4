import { Problem } from '../domain/problem.js';

/** How deep a body may nest: an entry of `accepts` stands four levels into it. */
export const MAX_BODY_DEPTH = 16;

/** How many members and elements a body may have in all. */
export const MAX_BODY_MEMBERS = 4_096;

/**
 * Bounds what the schemas behind it have to walk, and refuses members that stand for a prototype. It walks level by level,
 * so no depth can exhaust the stack.
 *
 * @returns how many members its objects have in all; items of lists are not counted.
 * @throws Problem `invalid_request`.
 */
export function checkBodyBounds(body: unknown): number {
  let level: unknown[] = [body];
  let members = 0;
  let named = 0;
  for (let depth = 0; level.length > 0; depth += 1) {
    const below: unknown[] = [];
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue;
      if (depth === MAX_BODY_DEPTH) {
        throw new Problem(
          'invalid_request',
          `the body nests deeper than ${MAX_BODY_DEPTH} levels`,
          {
            field: 'body',
          },
        );
      }
      if (changesPrototype(value)) {
        throw new Problem(
          'invalid_request',
          'the body has a member named __proto__, or a prototype in one named constructor; leave it out',
          { field: 'body' },
        );
      }
      const values = Object.values(value);
      members += values.length;
      if (!Array.isArray(value)) named += values.length;
      if (members > MAX_BODY_MEMBERS) {
        throw new Problem('invalid_request', `the body has more than ${MAX_BODY_MEMBERS} members`, {
          field: 'body',
        });
      }
      for (const each of values) below.push(each);
    }
    level = below;
  }
  return named;
}

/** Whether copying an object member by member could change the prototype of others. */
function changesPrototype(value: object): boolean {
  if (Object.hasOwn(value, '__proto__')) return true;
  const made: unknown = Object.hasOwn(value, 'constructor') && value.constructor;
  return typeof made === 'object' && made !== null && Object.hasOwn(made, 'prototype');
}
