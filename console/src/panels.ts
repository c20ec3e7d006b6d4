import type { SpendItem } from '@bursar/sdk';
import { decimal } from './format.js';
import { type BarData, COLOURS, type Segment } from './parts/chart.js';
import { bucketMs, bucketName, paymentsLink, type Scope, type Sums, sumsOf } from './spend.js';

/** One chart: the groups of one currency and, with three dimensions, of one value of the third. */
export interface Panel {
  readonly key: string;
  /** Empty where there is one chart only. */
  readonly title: string;
  readonly currency: string;
  /** All of it, as a text. */
  readonly amount: string;
  readonly value: bigint;
  readonly bars: readonly BarData[];
  /** Whether the bars are columns in time. */
  readonly isTime: boolean;
  /** Groups that have no bar. */
  readonly omitted: number;
}

/** Charts, with the names of their colours. */
export interface Panels {
  readonly panels: readonly Panel[];
  readonly legend: readonly (readonly [name: string, colour: number])[];
}

/** The report that charts are made of. */
export interface Report {
  readonly items: readonly SpendItem[];
  readonly by: readonly string[];
  readonly scope: Scope;
  /** Names a value of a dimension. */
  readonly name: (dimension: string, value: string | null) => string;
  readonly now: number;
}

/** How many groups have a bar where they are no time. */
const MOST_BARS = 12;
/** How many groups in time have one; the newest. */
const MOST_COLUMNS = 168;
/** The colour of everything that has none of its own. */
const OTHERS = COLOURS;

/** Makes the charts of a report: bars by its first dimension, split by its second, one chart for each value of its third. */
export function panelsOf(report: Report): Panels {
  const { items, by, name } = report;
  const [, split, facet] = by;
  const colours = split === undefined ? undefined : rank(items, split, by);
  const groups = groupBy(items, (item) => JSON.stringify([groupOf(item, facet), item.currency]));
  const currencies = new Set(items.map(({ currency }) => currency));
  const panels = [...groups].map(([key, own]) => {
    const value = total(own, by);
    const currency = own[0]?.currency ?? '';
    const title = [
      facet === undefined ? undefined : name(facet, groupOf(own[0], facet)),
      currencies.size > 1 ? currency : undefined,
    ];
    return {
      ...{ key, currency, value, title: title.filter(Boolean).join(', ') },
      amount: decimal(value),
      ...barsOf(own, report, colours),
    };
  });
  return {
    panels: panels.filter(({ value }) => value > 0n).sort(byValue),
    legend: legendOf(report, colours),
  };
}

function legendOf({ by, name }: Report, colours: Colours | undefined): Panels['legend'] {
  const [, split] = by;
  if (split === undefined || !colours) {
    return states(by).map(({ name: state, colour }) => [state, colour]);
  }
  const named = [...colours]
    .filter(([, colour]) => colour !== OTHERS)
    .map(([value, colour]) => [name(split, value), colour] as const);
  return colours.size > named.length ? [...named, ['others', OTHERS]] : named;
}

function barsOf(
  items: readonly SpendItem[],
  report: Report,
  colours: Colours | undefined,
): Pick<Panel, 'bars' | 'isTime' | 'omitted'> {
  const { by, name } = report;
  const [main = 'day'] = by;
  const groups = groupBy(items, (item) => groupOf(item, main));
  const bar = (value: string | null, own: readonly SpendItem[]): BarData => {
    const whole = total(own, by);
    return {
      ...{ key: String(value), name: name(main, value), value: whole, amount: decimal(whole) },
      segments: segmentsOf(own, report, colours),
    };
  };
  const unitMs = bucketMs(main);
  if (unitMs !== undefined) {
    const buckets = bucketsOf([...groups.keys()], unitMs, report);
    const shown = buckets.slice(-MOST_COLUMNS);
    return {
      bars: shown.map((each) => bar(each, groups.get(each) ?? [])),
      isTime: true,
      omitted: buckets.length - shown.length,
    };
  }
  const bars = [...groups]
    .map(([value, own]) => bar(value, own))
    .filter(({ value }) => value > 0n)
    .sort(byValue);
  return {
    bars: bars.slice(0, MOST_BARS),
    isTime: false,
    omitted: Math.max(0, bars.length - MOST_BARS),
  };
}

/** Every group in time, those without a payment too, so that distances are times. */
function bucketsOf(names: readonly (string | null)[], unitMs: number, { scope, now }: Report) {
  const times = names.map((each) => Date.parse(each ?? '')).sort((a, b) => a - b);
  const start = Date.parse(scope.span.from ?? '') || times[0];
  const end = Date.parse(scope.span.to ?? '') || Math.max(now, times.at(-1) ?? now);
  if (start === undefined) return [];
  const buckets: string[] = [];
  const last = Math.floor(end / unitMs) * unitMs;
  const first = Math.floor(start / unitMs) * unitMs;
  // One more than is shown tells that some are not.
  for (let at = Math.max(first, last - MOST_COLUMNS * unitMs); at <= last; at += unitMs) {
    buckets.push(bucketName(at, unitMs));
  }
  return buckets;
}

function segmentsOf(
  items: readonly SpendItem[],
  { by, scope, name }: Report,
  colours: Colours | undefined,
): Segment[] {
  const [, split] = by;
  if (split === undefined || !colours) {
    return states(by).map(({ name: state, colour, status, of }) => {
      const value = items.reduce((sum, item) => sum + of(sumsOf(item)), 0n);
      const to = paymentsLink({ ...(status ? { status } : {}), ...items[0]?.group }, scope);
      return { key: state, colour, name: state, value, amount: decimal(value), to };
    });
  }
  const parts = groupBy(items, (item) => groupOf(item, split));
  const own = [...parts].filter(([value]) => colours.get(value) !== OTHERS);
  const segments = own.map(([part, of]): Segment & { value: bigint } => {
    const value = total(of, by);
    const to = paymentsLink(of[0]?.group ?? {}, scope);
    const colour = colours.get(part) ?? OTHERS;
    return {
      ...{ key: String(part), colour, value, to },
      ...{ name: name(split, part), amount: decimal(value) },
    };
  });
  const rest = [...parts].filter(([value]) => colours.get(value) === OTHERS);
  const others = total(
    rest.flatMap(([, of]) => of),
    by,
  );
  const left = { key: 'others', colour: OTHERS, name: 'others', value: others };
  return [...segments.sort((a, b) => a.colour - b.colour), { ...left, amount: decimal(others) }];
}

/** The states that a bar is split by where there is no second dimension. */
function states(by: readonly string[]) {
  const settled = { name: 'settled', colour: 1, status: 'settled', of: (of: Sums) => of.settled };
  const open = {
    ...{ name: 'signed, not settled', colour: 2, status: 'authorized' },
    of: (of: Sums) => of.open,
  };
  const released = {
    ...{ name: 'released', colour: OTHERS, status: undefined },
    of: (of: Sums) => of.released,
  };
  return by.includes('status') ? [settled, open, released] : [settled, open];
}

/** Colours of the values of a dimension; the ones with the most spend have their own. */
type Colours = ReadonlyMap<string | null, number>;

function rank(items: readonly SpendItem[], dimension: string, by: readonly string[]): Colours {
  const groups = groupBy(items, (item) => groupOf(item, dimension));
  const ranked = [...groups]
    .map(([key, own]) => ({ key, value: total(own, by) }))
    .filter(({ value }) => value > 0n)
    .sort(byValue);
  return new Map(ranked.map(({ key }, place) => [key, Math.min(place + 1, OTHERS)]));
}

/** Amount that a chart draws: settled or signed. Released only where the report is by status. */
function total(items: readonly SpendItem[], by: readonly string[]): bigint {
  return items.reduce((sum, item) => {
    const { settled, open, released } = sumsOf(item);
    return sum + settled + open + (by.includes('status') ? released : 0n);
  }, 0n);
}

function groupOf(item: SpendItem | undefined, dimension: string | undefined): string | null {
  return dimension === undefined ? null : (item?.group[dimension] ?? null);
}

function groupBy<Key>(items: readonly SpendItem[], keyOf: (item: SpendItem) => Key) {
  const groups = new Map<Key, SpendItem[]>();
  for (const item of items) {
    const key = keyOf(item);
    const own = groups.get(key);
    if (own) own.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

function byValue(a: { value: bigint }, b: { value: bigint }): number {
  return a.value < b.value ? 1 : a.value > b.value ? -1 : 0;
}
