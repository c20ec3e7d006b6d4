import { ResourceInfoSchema } from '@x402/core/schemas';
import { jsonParts } from '../domain/json-text.js';
import { PAYMENT_IDENTIFIER } from './payment-identifier.js';

/** The unsigned members of a v2 402 that a payment's header echoes, as JSON text. */
export interface Echo {
  readonly resourceJson: string | undefined;
  readonly extensionsJson: string | undefined;
}

/**
 * The longest header line that is handed out, in bytes, name and line end included: common servers take
 * lines of 8 KiB.
 */
export const MAX_HEADER_BYTES = 8_192;

/** How many `tags` the published schema of a resource takes. */
const MAX_TAGS = 5;

/**
 * Leaves the members out of a `resource` object that the published schema refuses, so that a seller's
 * server can read its own echo.
 *
 * @param json - the object's text.
 * @returns undefined when nothing is left of it: no object, or no URL.
 */
export function soundResource(value: unknown, json: string): string | undefined {
  const checked = ResourceInfoSchema.safeParse(withoutLongTags(value));
  if (checked.success) return json;
  const faulty = new Set(checked.error.issues.map(({ path }) => path[0]));
  if (faulty.has(undefined) || faulty.has('url')) return undefined;
  return without(json, (key) => faulty.has(key));
}

/**
 * Replaces `tags` that the schema refuses for their number by a value that it refuses too: zod reports
 * every faulty item of a list, which takes 0.2 s for the longest that a 402 can hold.
 */
function withoutLongTags(value: unknown): unknown {
  const isObject = typeof value === 'object' && value !== null;
  if (!isObject || !('tags' in value) || !Array.isArray(value.tags)) return value;
  return value.tags.length > MAX_TAGS ? { ...value, tags: false } : value;
}

/** An object's text without some of its members; every byte of the others stays as it came. */
export function without(json: string, isLeft: (key: string) => boolean): string {
  const kept = jsonParts(json).filter(({ key = '' }) => !isLeft(key));
  return `{${kept.map(({ from, end }) => json.slice(from, end)).join(',')}}`;
}

/**
 * The echoes of a 402, from all of them to none, as they are tried until the header fits: first
 * `extensions` go (a declared `payment-identifier` stays), then the resource's description, then the
 * resource.
 *
 * @param hasIdentifier - whether `payment-identifier` is declared properly.
 */
export function* shrinking(full: Echo, hasIdentifier: boolean): Generator<Echo> {
  yield full;
  const { resourceJson, extensionsJson } = full;
  const kept =
    extensionsJson !== undefined && hasIdentifier
      ? without(extensionsJson, (key) => key !== PAYMENT_IDENTIFIER)
      : undefined;
  yield { resourceJson, extensionsJson: kept };
  if (resourceJson === undefined) return;
  yield {
    resourceJson: without(resourceJson, (key) => key === 'description'),
    extensionsJson: kept,
  };
  yield { resourceJson: undefined, extensionsJson: kept };
}

/**
 * The bytes of a header line that carries a JSON text as base64.
 *
 * @param bytes - of the JSON text in UTF-8.
 */
export function headerLineBytes(name: string, bytes: number): number {
  return name.length + ': \r\n'.length + 4 * Math.ceil(bytes / 3);
}
