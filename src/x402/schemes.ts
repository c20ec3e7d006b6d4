import { exact } from './exact.js';

/** The schemes that are paid by, by name. The next one is a file of its own and a line here. */
const SCHEMES = { exact } as const;

/** A scheme's name. */
export type SchemeName = keyof typeof SCHEMES;

/** Their names, for errors. */
export const SCHEME_NAMES = Object.keys(SCHEMES) as readonly SchemeName[];

/** Finds a scheme by the name that `accepts` or a payment's row has for it. */
export function schemeOf(name: unknown): (typeof SCHEMES)[SchemeName] | undefined {
  return typeof name === 'string' && Object.hasOwn(SCHEMES, name)
    ? SCHEMES[name as SchemeName]
    : undefined;
}
