import type { Grant, SpendItem } from '@bursar/sdk';
import { decimal, exact } from '../format.js';
import { useNow } from '../live.js';
import { useSpend } from '../reads.js';
import { Link } from '../router.js';
import { bucketMs, bucketName, nameValue, paymentsLink, type Scope, sumsOf } from '../spend.js';
import { Money } from './bits.js';
import { type BarData, Columns, Legend } from './chart.js';

const DAY_MS = 86_400_000;
/** Up to which age a grant is shown by the hour, in milliseconds. */
const HOURLY_MS = 3 * DAY_MS;
/** How many columns there are; the newest. */
const MOST_COLUMNS = 90;

/** Budget left of a grant over time, with the payments of each hour or day. */
export function BurnDown({ grant }: { grant: Grant }) {
  const { id, budget, currency, createdAt, expiresAt } = grant;
  const now = Math.min(useNow(), Date.parse(expiresAt));
  const unit = now - Date.parse(createdAt) < HOURLY_MS ? 'hour' : 'day';
  const { data } = useSpend([unit], { grantId: id });
  if (!data || data.items.length === 0) return null;
  const columns = burnDown(grant, data.items, unit, now);
  return (
    <section className="card" aria-labelledby="burn-down">
      <h2 id="burn-down">
        Budget left{' '}
        <Link to={`/spend?by=${unit},holder&period=all&grantId=${id}`}>spend by holder</Link>
      </h2>
      <p className="soft">
        By {unit}, after the payments of the grant and all below it, settled or signed.
      </p>
      <Columns
        bars={columns}
        currency={currency}
        label={`Budget left by ${unit}`}
        most={exact(budget)}
      />
      <Legend
        names={[
          ['left', 0],
          [`spent in the ${unit}`, 1],
        ]}
      />
      <details>
        <summary>Show as a table</summary>
        <Table columns={columns} unit={unit} currency={currency} />
      </details>
    </section>
  );
}

function Table({
  columns,
  unit,
  currency,
}: {
  columns: readonly BarData[];
  unit: string;
  currency: string;
}) {
  const rows = columns.filter(({ segments: [, spent] }) => spent && spent.value > 0n);
  return (
    <table>
      <thead>
        <tr>
          <th>{unit === 'hour' ? 'Hour' : 'Day'}</th>
          <th className="right">Spent</th>
          <th className="right">Left after it</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ key, name, segments: [left, spent] }) => (
          <tr key={key}>
            <td>{spent?.to ? <Link to={spent.to}>{name}</Link> : name}</td>
            <td className="right">
              <Money amount={spent?.amount ?? '0'} currency={currency} />
            </td>
            <td className="right">
              <Money amount={left?.amount ?? '0'} currency={currency} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A column for each hour or day: the budget left, and on top of it the spend of that time. */
function burnDown(
  { id, budget, currency, createdAt }: Grant,
  items: readonly SpendItem[],
  unit: 'hour' | 'day',
  now: number,
): BarData[] {
  const unitMs = bucketMs(unit) ?? DAY_MS;
  const scope: Scope = { span: {}, grantId: id };
  const own = items.filter((item) => item.currency === currency);
  const spentIn = new Map(
    own.map((item) => {
      const { settled, open } = sumsOf(item);
      return [item.group[unit] ?? '', settled + open];
    }),
  );
  const columns: BarData[] = [];
  let left = exact(budget);
  const first = Math.floor(Date.parse(createdAt) / unitMs) * unitMs;
  for (let at = first; at <= now; at += unitMs) {
    const group = bucketName(at, unitMs);
    const before = left;
    const spent = spentIn.get(group) ?? 0n;
    left = before > spent ? before - spent : 0n;
    columns.push({
      ...{ key: group, name: nameValue(unit, group, new Map()) },
      ...{ value: before, amount: decimal(before) },
      segments: [
        { key: 'left', colour: 0, name: 'left', value: left, amount: decimal(left) },
        {
          ...{ key: 'spent', colour: 1, name: 'spent', value: spent, amount: decimal(spent) },
          to: paymentsLink({ [unit]: group }, scope),
        },
      ],
    });
  }
  return columns.slice(-MOST_COLUMNS);
}
