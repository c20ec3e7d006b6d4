import type { SpendItem } from '@bursar/sdk';
import { exact, short } from './format.js';
import type { Span } from './parts/filters.js';

/** Dimensions of a report that have a name of their own, as people say them. */
export const DIMENSIONS: readonly (readonly [dimension: string, name: string])[] = [
  ['day', 'Day'],
  ['hour', 'Hour'],
  ['holder', 'Holder'],
  ['grant', 'Grant'],
  ['root', 'Top grant'],
  ['payTo', 'Payee'],
  ['host', 'Host'],
  ['network', 'Network'],
  ['status', 'Status'],
];

const LABEL = /^label:[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const MOST_DIMENSIONS = 3;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The name of a dimension: `Payee`, `Label task`. */
export function dimensionName(dimension: string): string {
  const named = DIMENSIONS.find(([name]) => name === dimension);
  return named ? named[1] : `Label ${dimension.slice('label:'.length)}`;
}

/** The dimensions of the URL. What the report does not know is left out; nothing is each day's spend by holder. */
export function parseBy(text: string): readonly string[] {
  const names = text
    .split(',')
    .filter((name) => DIMENSIONS.some(([known]) => known === name) || LABEL.test(name));
  const distinct = [...new Set(names)].slice(0, MOST_DIMENSIONS);
  return distinct.length === 0 ? ['day', 'holder'] : distinct;
}

/** Periods that end now, and the two that do not. */
export const PERIODS = [
  { value: '24h', label: 'Last 24 hours' },
  { value: '7d', label: 'Last 7 days' },
  { value: '30d', label: 'Last 30 days' },
  { value: '90d', label: 'Last 90 days' },
  { value: 'all', label: 'All time' },
  { value: 'custom', label: 'From and to' },
];

/** The period of the URL, with its default. */
export function parsePeriod(text: string): string {
  return PERIODS.some(({ value }) => value === text) ? text : '7d';
}

/** The span of a period that ends now. It begins with a whole hour or day in UTC, as the groups of a report do. */
export function spanOfPeriod(period: string, now: number): Span {
  if (period === '24h') return sinceUnit(HOUR_MS, 24, now);
  const days = /^(\d+)d$/.exec(period)?.[1];
  return days === undefined ? {} : sinceUnit(DAY_MS, Number(days), now);
}

function sinceUnit(unitMs: number, units: number, now: number): Span {
  const first = Math.floor(now / unitMs) * unitMs - (units - 1) * unitMs;
  return { from: new Date(first).toISOString() };
}

/** Length of a dimension's groups in time, in milliseconds; undefined for one that is no time. */
export function bucketMs(dimension: string | undefined): number | undefined {
  return dimension === 'day' ? DAY_MS : dimension === 'hour' ? HOUR_MS : undefined;
}

/** The name of the group of a time, as the report has it. */
export function bucketName(at: number, unitMs: number): string {
  const text = new Date(at).toISOString();
  return unitMs === DAY_MS ? text.slice(0, 10) : `${text.slice(0, 13)}:00:00Z`;
}

/** The part of a report that its links lead to. */
export interface Scope {
  readonly span: Span;
  readonly grantId: string | undefined;
}

type Group = Readonly<Record<string, string | null | undefined>>;

/**
 * The list of the payments of a group. Undefined where no filter tells them from others: a payment without the label, refused
 * requests.
 */
export function paymentsLink(group: Group, scope: Scope): string | undefined {
  if (Object.values(group).includes(null) || group.status === 'refused') return undefined;
  const label = Object.entries(group).find(([dimension]) => dimension.startsWith('label:'));
  return linkTo('/payments', {
    status: group.status,
    holder: group.holder,
    grantId: group.grant ?? scope.grantId ?? group.root,
    payTo: group.payTo,
    host: group.host,
    label: label && `${label[0].slice('label:'.length)}:${label[1]}`,
    ...clip(group, scope.span),
  });
}

/** The events of the refusals of a group; undefined where the log has no filter that tells them from others. */
export function refusalsLink(group: Group, scope: Scope): string | undefined {
  const known = ['day', 'hour', 'grant', 'root', 'status'];
  if (Object.keys(group).some((dimension) => !known.includes(dimension))) return undefined;
  return linkTo('/audit', {
    kind: 'payment.refused',
    grantId: group.grant ?? scope.grantId ?? group.root,
    ...clip(group, scope.span),
  });
}

/** Dimensions that the list of payments cannot be filtered by. */
export function unfiltered(by: readonly string[]): string[] {
  const labels = by.filter((dimension) => dimension.startsWith('label:')).slice(1);
  return by
    .filter((dimension) => dimension === 'network' || labels.includes(dimension))
    .map((dimension) => dimensionName(dimension).toLowerCase());
}

function linkTo(path: string, parameters: Readonly<Record<string, string | null | undefined>>) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value);
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}

/** The span of a group in time, within the span of the report. */
function clip({ day, hour }: Group, { from, to }: Span): Span {
  const start = Date.parse(hour ?? day ?? '');
  if (Number.isNaN(start)) return { ...(from ? { from } : {}), ...(to ? { to } : {}) };
  const end = start + (hour ? HOUR_MS : DAY_MS) - 1;
  const first = Math.max(start, from === undefined ? start : Date.parse(from));
  const last = Math.min(end, to === undefined ? end : Date.parse(to));
  return { from: new Date(first).toISOString(), to: new Date(last).toISOString() };
}

/** Sums of a group as exact numbers. */
export interface Sums {
  readonly settled: bigint;
  readonly open: bigint;
  readonly released: bigint;
}

/** Sums of an item. */
export function sumsOf({ settled, open, released }: SpendItem): Sums {
  return { settled: exact(settled), open: exact(open), released: exact(released) };
}

/** A value of a dimension for the eye. @param holders - names of grants by their ids. */
export function nameValue(
  dimension: string,
  value: string | null,
  holders: ReadonlyMap<string, string>,
): string {
  if (value === null) return 'none';
  switch (dimension) {
    case 'hour':
      return `${value.slice(0, 10)} ${value.slice(11, 16)} UTC`;
    case 'grant':
    case 'root':
      return `${holders.get(value) ?? 'grant'} ${short(value, 7)}`;
    case 'payTo':
      return short(value);
    case 'status':
      return STATUS_NAMES[value] ?? value;
    default:
      return value;
  }
}

const STATUS_NAMES: Readonly<Record<string, string>> = {
  authorized: 'signed, not settled',
  pending_approval: 'waits for an approval',
};
