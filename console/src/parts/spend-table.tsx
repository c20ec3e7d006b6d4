import type { SpendItem } from '@bursar/sdk';
import { short } from '../format.js';
import type { Report } from '../panels.js';
import { Link } from '../router.js';
import { bucketMs, dimensionName, paymentsLink, refusalsLink, type Scope } from '../spend.js';
import { Money, Status } from './bits.js';

/** Every group of a report, with links to its payments and refusals. */
export function SpendTable({ report }: { report: Report }) {
  const { items, by, scope } = report;
  return (
    <section id="table" className="scroll tall" tabIndex={0} aria-label="Spend of each group">
      <table>
        <thead>
          <tr>
            {by.map((dimension) => (
              <th key={dimension}>{dimensionName(dimension)}</th>
            ))}
            {['Settled', 'Signed, not settled', 'Released', 'Payments', 'Refused'].map((name) => (
              <th key={name} className="right">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={JSON.stringify([item.group, item.currency])}>
              {by.map((dimension) => (
                <td key={dimension}>
                  <Value dimension={dimension} item={item} report={report} />
                </td>
              ))}
              <Figures item={item} scope={scope} />
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Figures({ item, scope }: { item: SpendItem; scope: Scope }) {
  const { currency, settled, open, released, payments, refused, group } = item;
  return (
    <>
      {[settled, open, released].map((amount, place) => (
        <td key={place} className="right">
          <Money amount={amount} currency={currency} />
        </td>
      ))}
      <td className="right num">
        <Count number={payments} to={paymentsLink(group, scope)} noun="payment" />
      </td>
      <td className="right num">
        <Count number={refused} to={refusalsLink(group, scope)} noun="refusal" />
      </td>
    </>
  );
}

function Count({ number, to, noun }: { number: number; to: string | undefined; noun: string }) {
  if (number === 0 || to === undefined) return number;
  return (
    <Link to={to}>
      {number}
      <span className="sr">{number === 1 ? ` ${noun}` : ` ${noun}s`}</span>
    </Link>
  );
}

function Value({
  dimension,
  item,
  report,
}: {
  dimension: string;
  item: SpendItem;
  report: Report;
}) {
  const value = item.group[dimension] ?? null;
  const name = report.name(dimension, value);
  if (value === null) return <span className="soft">{name}</span>;
  if (dimension === 'status') return <Status of={value} />;
  if (dimension === 'grant' || dimension === 'root') {
    return (
      <Link to={`/grants/${value}`} title={value}>
        {name}
      </Link>
    );
  }
  if (dimension === 'payTo') return <code title={value}>{short(value)}</code>;
  return bucketMs(dimension) === undefined ? name : <span className="num">{name}</span>;
}
