/** A statement of a record that cannot be true together with those before it. One line. */
export class Contradiction extends Error {
  override readonly name = 'Contradiction';
}

/** An audit record, as far as its form was checked. */
export interface AuditRecord {
  readonly id: string;
  readonly treasuryId: string;
  readonly kind: string;
  readonly actor: string;
  readonly at: string;
  readonly grantId: string | null;
  readonly paymentId: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

/** @throws Contradiction for anything but a JSON object. */
export function object(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new Contradiction(`${name} is not an object`);
}

/** @throws Contradiction for anything but a text that is not empty. */
export function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new Contradiction(`${name} is not a text`);
}

/** Atomic units. @throws Contradiction for anything but a decimal string. */
export function amount(value: unknown, name: string): bigint {
  if (typeof value === 'string' && /^(0|[1-9][0-9]{0,77})$/.test(value)) return BigInt(value);
  throw new Contradiction(`${name} is not an amount`);
}

/** Like {@link amount}; undefined for null and for a member that is not there. */
export function optionalAmount(value: unknown, name: string): bigint | undefined {
  return value === undefined || value === null ? undefined : amount(value, name);
}

/** A count; undefined for null and for a member that is not there. */
export function optionalCount(value: unknown, name: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new Contradiction(`${name} is not a number`);
}

/** Unix milliseconds of an RFC 3339 time. */
export function time(value: unknown, name: string): number {
  const at = Date.parse(text(value, name));
  if (!Number.isNaN(at)) return at;
  throw new Contradiction(`${name} is not a time`);
}

/** Like {@link time}; undefined for null and for a member that is not there. */
export function optionalTime(value: unknown, name: string): number | undefined {
  return value === undefined || value === null ? undefined : time(value, name);
}
