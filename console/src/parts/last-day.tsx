import { decimal } from '../format.js';
import { useHour } from '../live.js';
import { type Panel, panelsOf } from '../panels.js';
import { useSpend } from '../reads.js';
import { Link } from '../router.js';
import { nameValue, paymentsLink, spanOfPeriod } from '../spend.js';
import { Money } from './bits.js';
import { type BarData, Columns, Legend } from './chart.js';

/** Spend of the last 24 hours by the hour, and what of it was spent today. Each column leads to its payments. */
export function LastDay() {
  const now = useHour();
  const span = spanOfPeriod('24h', now);
  const { data } = useSpend(['hour'], span);
  if (!data) return null;
  const { panels, legend } = panelsOf({
    items: data.items,
    by: ['hour'],
    scope: { span, grantId: undefined },
    name: (dimension, value) => nameValue(dimension, value, new Map()),
    now,
  });
  return (
    <section className="card" aria-labelledby="last-day">
      <h2 id="last-day">
        Last 24 hours <Link to="/spend?by=hour,holder&period=24h">spend by holder</Link>
      </h2>
      {panels.length === 0 ? <p className="soft">Nothing was spent.</p> : null}
      {panels.map((panel) => (
        <SpendOfDay key={panel.key} panel={panel} now={now} />
      ))}
      {panels.length > 0 ? <Legend names={legend} /> : null}
    </section>
  );
}

function SpendOfDay({ panel, now }: { panel: Panel; now: number }) {
  const { amount, currency, bars } = panel;
  const today = new Date(now).toISOString().slice(0, 10);
  const ofToday = bars.filter(({ key }) => key.startsWith(today));
  const spent = ofToday.reduce((total, { value }) => total + value, 0n);
  return (
    <>
      <p>
        <Link to={paymentsLink({ day: today }, { span: {}, grantId: undefined }) ?? '/payments'}>
          <Money amount={decimal(spent)} currency={currency} /> today
        </Link>{' '}
        <span className="soft">
          (since 00:00 UTC), <Money amount={amount} currency={currency} /> in 24 hours
        </span>
      </p>
      <Columns bars={bars} currency={currency} label={`Spend in ${currency} by the hour`} />
      <details>
        <summary>Show as a table</summary>
        <Hours bars={bars} currency={currency} />
      </details>
    </>
  );
}

function Hours({ bars, currency }: { bars: readonly BarData[]; currency: string }) {
  return (
    <table>
      <thead>
        <tr>
          <th>Hour</th>
          <th className="right">Settled</th>
          <th className="right">Signed, not settled</th>
        </tr>
      </thead>
      <tbody>
        {bars
          .filter(({ value }) => value > 0n)
          .map(({ key, name, segments: [settled, open] }) => (
            <tr key={key}>
              <td>{name}</td>
              <td className="right">
                <Money amount={settled?.amount ?? '0'} currency={currency} />
              </td>
              <td className="right">
                <Money amount={open?.amount ?? '0'} currency={currency} />
              </td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}
