import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useState } from 'react';
import { callText } from '../api.js';
import { count, decimal, exact } from '../format.js';
import { useHour, useNow } from '../live.js';
import { panelsOf, type Report } from '../panels.js';
import { Empty, explain, Failure, Head, Loading, Money } from '../parts/bits.js';
import { download, spanOf, TimeField, TreasuryField } from '../parts/filters.js';
import { DimensionFields } from '../parts/spend-by.js';
import { SpendCharts } from '../parts/spend-charts.js';
import { SpendTable } from '../parts/spend-table.js';
import { isGrantId, type SpendFilter, useHolders, useSpend } from '../reads.js';
import { useParam, useTitle } from '../router.js';
import { nameValue, PERIODS, parseBy, parsePeriod, spanOfPeriod, unfiltered } from '../spend.js';

/** Spend: who spent what, by up to three dimensions, as charts and as a table. */
export function SpendPage() {
  const [byText, setBy] = useParam('by');
  const [grantId, setGrantId] = useParam('grantId');
  const { span, fields } = usePeriod();
  const [treasuryId, setTreasuryId] = useParam('treasuryId');
  const by = parseBy(byText);
  useTitle('Spend');
  const filter: SpendFilter = {
    ...span,
    ...(isGrantId(grantId) ? { grantId } : {}),
    ...(treasuryId ? { treasuryId } : {}),
  };
  return (
    <>
      <Head title="Spend">
        <CsvButton query={{ ...filter, groupBy: by.join(',') }} />
      </Head>
      <DimensionFields by={by} set={(next) => setBy(next.join(','))} />
      <div className="filters">
        {fields}
        <TextInput
          label="Grant and all below it"
          placeholder="grt_…"
          value={grantId}
          onChange={(event) => setGrantId(event.currentTarget.value.trim())}
        />
        <TreasuryField value={treasuryId} set={setTreasuryId} />
      </div>
      <SpendReport by={by} filter={filter} />
    </>
  );
}

/** The period of the report. One that ends now keeps its start for an hour, so that the report is the same query. */
function usePeriod() {
  const [periodText, setPeriod] = useParam('period');
  const [from, setFrom] = useParam('from');
  const [to, setTo] = useParam('to');
  const now = useHour();
  const period = parsePeriod(periodText);
  const fields = (
    <>
      <NativeSelect
        label="Period"
        data={PERIODS}
        value={period}
        onChange={(event) => setPeriod(event.currentTarget.value)}
      />
      {period === 'custom' ? (
        <>
          <TimeField label="From" value={from} set={setFrom} />
          <TimeField label="To" value={to} set={setTo} />
        </>
      ) : null}
    </>
  );
  return { span: period === 'custom' ? spanOf(from, to) : spanOfPeriod(period, now), fields };
}

function SpendReport({ by, filter }: { by: readonly string[]; filter: SpendFilter }) {
  const { grantId, treasuryId: _, ...span } = filter;
  const { data, error, refetch } = useSpend(by, filter);
  const sums = useSpend([], filter).data?.items ?? [];
  const holders = useHolders(by, data?.items ?? []);
  const now = useNow();
  if (!data && error) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Loading what="the report" />;
  if (data.items.length === 0) {
    return (
      <Empty title="Nothing was spent in this period">
        Choose a longer period, or clear the grant. Payments appear here as agents make them.
      </Empty>
    );
  }
  const report: Report = {
    items: data.items,
    by,
    scope: { span, grantId },
    name: (dimension, value) => nameValue(dimension, value, holders),
    now,
  };
  const missing = unfiltered(by);
  return (
    <>
      <div className="grid tiles">
        {sums.map(({ currency, settled, open, payments, refused }) => (
          <section key={currency} className="card tile" aria-label={`Sum in ${currency}`}>
            <h2>Spent or signed</h2>
            <span className="value num">
              <Money amount={decimal(exact(settled) + exact(open))} currency={currency} />
            </span>
            <span className="soft">
              <Money amount={settled} /> settled, <Money amount={open} /> signed and not settled;{' '}
              {count(payments, 'payment')}, {refused} refused
            </span>
          </section>
        ))}
      </div>
      {data.isCut ? (
        <p className="note warn">
          The report has more groups than the {data.items.length} below. Leave a dimension out, or
          choose a shorter period. The CSV has all.
        </p>
      ) : null}
      <SpendCharts by={by} panels={panelsOf(report)} />
      {missing.length > 0 ? (
        <p className="soft">
          The list of payments has no filter by {missing.join(' or ')}, so its links show more than
          the group.
        </p>
      ) : null}
      {by.includes('grant') || by.includes('holder') ? (
        <p className="soft">
          The list of a grant’s payments also has those of the grants below it.
        </p>
      ) : null}
      <SpendTable report={report} />
    </>
  );
}

/** Saves the report of the page as the service writes it: no cell is a formula. */
function CsvButton({ query }: { query: Readonly<Record<string, string>> }) {
  const [error, setError] = useState<unknown>();
  const save = async () => {
    setError(undefined);
    try {
      const text = await callText('GET', '/v1/reports/spend', { query, accept: 'text/csv' });
      download('bursar-spend', 'csv', text);
    } catch (cause) {
      setError(cause);
    }
  };
  return (
    <>
      {error ? (
        <span className="bad" role="alert">
          {explain(error)}
        </span>
      ) : null}
      <Button variant="default" onClick={() => void save()}>
        Download CSV
      </Button>
    </>
  );
}
