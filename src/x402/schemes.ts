import { exact, exactSigning } from './exact.js';

/** The schemes that are read and written, by name. A new one is a file of its own, a line in each of these tables and one in `settlement/schemes.ts`. */
const WIRE = { exact } as const;

/** A scheme's name. */
export type SchemeName = keyof typeof WIRE;

/** The signing half of each scheme. */
const SIGNING = { exact: exactSigning } as const satisfies Readonly<Record<SchemeName, unknown>>;

/** Their names, for errors. */
export const SCHEME_NAMES = Object.keys(WIRE) as readonly SchemeName[];

/** Finds a scheme by the name that `accepts` or a payment's row has for it. */
export function schemeOf(name: unknown): (typeof WIRE)[SchemeName] | undefined {
  return isSchemeName(name) ? WIRE[name] : undefined;
}

/** Finds what signs by a scheme. */
export function signingOf(name: unknown): (typeof SIGNING)[SchemeName] | undefined {
  return isSchemeName(name) ? SIGNING[name] : undefined;
}

/** Whether this is the name of a scheme that is paid. */
export function isSchemeName(name: unknown): name is SchemeName {
  return typeof name === 'string' && Object.hasOwn(WIRE, name);
}
