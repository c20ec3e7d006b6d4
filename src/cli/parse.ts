import { readFileSync } from 'node:fs';
import { UsageError } from '../options.js';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Parses a time such as 90s, 30m, 12h or 7d. In seconds. */
export function parseDuration(option: string, text: string): number {
  const [, amount, unit = ''] = /^([1-9][0-9]{0,8})([smhd])$/.exec(text) ?? [];
  if (amount === undefined) {
    throw new UsageError(`${option} is "${text}"; give a time such as 90s, 30m, 12h or 7d`);
  }
  return Number(amount) * (SECONDS[unit] ?? 1);
}

/** Parses a whole number. */
export function parseWhole(option: string, text: string, most = 1_000_000_000, least = 0): number {
  const number = /^(?:0|[1-9][0-9]{0,9})$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`${option} is "${text}"; give a whole number from ${least} to ${most}`);
}

/** Checks a time, such as 2026-12-31T00:00:00Z. */
export function parseTimeText(option: string, text: string): string {
  if (/^\d{4}-\d\d-\d\dT/.test(text) && !Number.isNaN(Date.parse(text))) return text;
  throw new UsageError(`${option} is "${text}"; give a time such as 2026-12-31T00:00:00Z`);
}

/** Parses how many rows a list prints at most. */
export function parseLimit(text: string): number {
  return parseWhole('--limit', text, 100_000, 1);
}

/** Checks an amount in currency units, such as 0.05. */
export function parseAmountText(option: string, text: string): string {
  if (/^(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,36})?$/.test(text)) return text;
  throw new UsageError(`${option} is "${text}"; give an amount in currency units, such as 0.05`);
}

/** Collects an option that may be given again. */
export const again = (value: string, before: string[] | undefined): string[] => [
  ...(before ?? []),
  value,
];

/** A text, or what a file holds where it begins with @; `@-` is standard input. */
export function textOrFile(option: string, text: string): Buffer {
  if (!text.startsWith('@')) return Buffer.from(text);
  const file = text.slice(1);
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}

/** An option's value, parsed where it is given. */
export function given<Value>(
  option: string,
  text: string | undefined,
  parse: (option: string, text: string) => Value,
): Value | undefined {
  return text === undefined ? undefined : parse(option, text);
}

/** The members that are given. Requests of the API leave out what is not. */
export function defined<T extends object>(
  members: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined),
  ) as never;
}
