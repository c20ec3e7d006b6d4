import { count } from '../format.js';
import type { Panel, Panels } from '../panels.js';
import { dimensionName } from '../spend.js';
import { Money } from './bits.js';
import { Bars, Columns, Legend } from './chart.js';

const MOST_PANELS = 6;

/** The charts of a report. The table below them has the same numbers and links. */
export function SpendCharts({
  by,
  panels: { panels, legend },
}: {
  by: readonly string[];
  panels: Panels;
}) {
  if (panels.length === 0) {
    return <p className="soft">No amount was settled or signed, so there is no chart.</p>;
  }
  return (
    <section aria-labelledby="charts">
      <h2 id="charts" className="sr">
        Charts
      </h2>
      <a className="sr skip" href="#table">
        Skip the charts
      </a>
      <div className="grid charts">
        {panels.slice(0, MOST_PANELS).map((panel) => (
          <Chart key={panel.key} by={by} panel={panel} legend={legend} />
        ))}
      </div>
      {panels.length > MOST_PANELS ? (
        <p className="soft">
          {count(panels.length - MOST_PANELS, 'smaller chart')} not shown; the table has every
          group.
        </p>
      ) : null}
    </section>
  );
}

function Chart({
  by,
  panel,
  legend,
}: {
  by: readonly string[];
  panel: Panel;
  legend: Panels['legend'];
}) {
  const { title, currency, amount, bars, isTime, omitted } = panel;
  const name = `By ${by.slice(0, 2).map(dimensionName).join(' and ').toLowerCase()}`;
  return (
    <figure className="card chart">
      <figcaption className="between">
        <strong>{title || name}</strong>
        <Money amount={amount} currency={currency} />
      </figcaption>
      {isTime ? (
        <Columns
          bars={bars}
          currency={currency}
          label={title ? `${title}, ${name.toLowerCase()}` : name}
        />
      ) : (
        <Bars bars={bars} currency={currency} />
      )}
      <Legend names={legend} />
      {omitted > 0 ? (
        <p className="soft">
          {isTime
            ? `The newest ${bars.length} are shown; the table has all.`
            : `${count(omitted, 'smaller group')} not shown; the table has all.`}
        </p>
      ) : null}
    </figure>
  );
}
