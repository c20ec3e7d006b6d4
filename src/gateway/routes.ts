import type { RequestTarget } from './target.js';

/** A path of an OpenAPI document, such as `/things/{id}.json`, ready to be matched. */
interface Template {
  readonly segments: readonly (string | RegExp)[];
  readonly names: readonly string[];
}

/** An operation found for a request. */
export interface RouteMatch<T> {
  readonly operation: T;
  /** The path's parameters, decoded. */
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * The operations that are there, by method and path. Where several paths fit, the one with the literal segment further to
 * the front is taken (OpenAPI 3.1, "Path Templating Matching": concrete before templated).
 */
export class Routes<T extends { readonly method: string; readonly path: string }> {
  readonly #byLength = new Map<
    number,
    { readonly template: Template; readonly operations: Map<string, T> }[]
  >();

  constructor(operations: readonly T[]) {
    const byPath = new Map<string, T[]>();
    for (const operation of operations) {
      byPath.set(operation.path, [...(byPath.get(operation.path) ?? []), operation]);
    }
    for (const [path, same] of byPath) {
      const template = compile(path);
      const routes = this.#byLength.get(template.segments.length) ?? [];
      routes.push({ template, operations: new Map(same.map((each) => [each.method, each])) });
      this.#byLength.set(template.segments.length, routes);
    }
    for (const routes of this.#byLength.values()) {
      routes.sort((a, b) => compare(a.template, b.template));
    }
  }

  /** The operation of a method and a target; undefined when none is listed. */
  find(method: string, { segments }: RequestTarget): RouteMatch<T> | undefined {
    for (const { template, operations } of this.#byLength.get(segments.length) ?? []) {
      const parameters = match(template, segments);
      if (!parameters) continue;
      const operation = operations.get(method);
      // A path of literals that lacks the method is not taken for a template that has it: that is another resource.
      return operation && { operation, parameters };
    }
    return undefined;
  }

  /** The methods that are listed for a target. */
  methods({ segments }: RequestTarget): string[] {
    for (const { template, operations } of this.#byLength.get(segments.length) ?? []) {
      if (match(template, segments)) return [...operations.keys()];
    }
    return [];
  }
}

function compile(path: string): Template {
  const names: string[] = [];
  const segments = path
    .slice(1)
    .split('/')
    .map((segment) => {
      if (!segment.includes('{')) return segment;
      const pattern = segment.split(/(\{[^{}]*\})/).map((part) => {
        if (!/^\{.*\}$/.test(part)) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
        names.push(part.slice(1, -1));
        return '([^/]+?)';
      });
      return new RegExp(`^${pattern.join('')}$`, 'su');
    });
  return { segments, names };
}

function match(
  { segments, names }: Template,
  given: readonly string[],
): Record<string, string> | undefined {
  const values: string[] = [];
  for (const [place, segment] of segments.entries()) {
    const value = given[place] ?? '';
    if (typeof segment === 'string') {
      if (segment !== value) return undefined;
      continue;
    }
    const found = segment.exec(value);
    if (!found) return undefined;
    values.push(...found.slice(1));
  }
  return Object.fromEntries(names.map((name, place) => [name, values[place] ?? '']));
}

function compare(a: Template, b: Template): number {
  for (const [place, segment] of a.segments.entries()) {
    const other = b.segments[place];
    if (typeof segment === typeof other) continue;
    return typeof segment === 'string' ? -1 : 1;
  }
  return 0;
}
