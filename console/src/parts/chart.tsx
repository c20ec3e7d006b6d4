import { decimal, money, percent } from '../format.js';
import { Link } from '../router.js';

/** Part of a bar: an amount with the list of what it is made of. */
export interface Segment {
  readonly key: string;
  /** Number of its colour, from 1; 0 for a quiet one. */
  readonly colour: number;
  readonly name: string;
  readonly value: bigint;
  /** The amount as a text. */
  readonly amount: string;
  readonly to?: string | undefined;
}

/** One bar: a group of a report. */
export interface BarData {
  readonly key: string;
  readonly name: string;
  readonly value: bigint;
  /** The amount as a text. */
  readonly amount: string;
  readonly segments: readonly Segment[];
}

/** How many colours there are. */
export const COLOURS = 6;

/** Bars beside their names, for groups that are no time. Lengths are ratios of whole numbers. */
export function Bars({ bars, currency }: { bars: readonly BarData[]; currency: string }) {
  const most = largest(bars);
  return (
    <ol className="bars">
      {bars.map((bar) => (
        <li key={bar.key}>
          <span className="between">
            <span className="cut" title={bar.name}>
              {bar.name}
            </span>
            <span className="num">
              {money(bar.amount)} {currency}
            </span>
          </span>
          <span className="track">
            {bar.segments.map((segment) => (
              <Part
                key={segment.key}
                segment={segment}
                of={bar.name}
                currency={currency}
                style={{ width: `${percent(segment.value, most)}%` }}
              />
            ))}
          </span>
        </li>
      ))}
    </ol>
  );
}

/** Columns from left to right, for groups in time. @param most - the value of the full height; the highest column by default. */
export function Columns({
  bars,
  currency,
  label,
  most = largest(bars),
}: {
  bars: readonly BarData[];
  currency: string;
  label: string;
  most?: bigint;
}) {
  const ticks = [bars[0], bars[Math.floor(bars.length / 2)], bars.at(-1)];
  return (
    <section className="columns-frame" tabIndex={0} aria-label={label}>
      <p className="soft num">
        {money(decimal(most))} {currency}
      </p>
      <ol className="columns">
        {bars.map((bar) => (
          <li key={bar.key}>
            {bar.segments.map((segment) => (
              <Part
                key={segment.key}
                segment={segment}
                of={bar.name}
                currency={currency}
                style={{ height: `${percent(segment.value, most)}%` }}
              />
            ))}
          </li>
        ))}
      </ol>
      <p className="between soft num">
        {ticks.slice(0, bars.length).map((bar, place) => (
          <span key={[bar?.key, place].join()}>{bar?.name}</span>
        ))}
      </p>
    </section>
  );
}

function Part({
  segment,
  of,
  currency,
  style,
}: {
  segment: Segment;
  of: string;
  currency: string;
  style: React.CSSProperties;
}) {
  const { colour, name, value, amount, to } = segment;
  if (value <= 0n) return null;
  const label = `${[of, name].filter(Boolean).join(', ')}: ${money(amount)} ${currency}`;
  const className = `part colour-${colour}`;
  return to === undefined ? (
    <span className={className} style={style} role="img" aria-label={label} title={label} />
  ) : (
    <Link className={className} style={style} to={to} aria-label={label} title={label} />
  );
}

/** Names of the colours. */
export function Legend({ names }: { names: readonly (readonly [name: string, colour: number])[] }) {
  return (
    <p className="key">
      {names.map(([name, colour]) => (
        <span key={name}>
          <i className={`colour-${colour}`} />
          {name}
        </span>
      ))}
    </p>
  );
}

function largest(bars: readonly BarData[]): bigint {
  let most = 0n;
  for (const { value } of bars) if (value > most) most = value;
  return most;
}
