import type { Page } from '@bursar/sdk';
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { type Answer, call, type Sale } from '../api.js';
import { short } from '../format.js';
import { useGrowing } from '../growing.js';
import { useLive } from '../live.js';
import { Empty, Failure, Head, Id, Loading, Money, Status, Time } from '../parts/bits.js';
import { useParam, useTitle } from '../router.js';
import { PERIODS, parsePeriod, spanOfPeriod } from '../spend.js';

const STATUSES = [
  { value: '', label: 'All' },
  { value: 'settled', label: 'Settled' },
  { value: 'open', label: 'Open: under way, or not known yet' },
  { value: 'refund_owed', label: 'Refund owed' },
  { value: 'uncharged', label: 'Not charged' },
  { value: 'free', label: 'Free request' },
];

/** Periods that a sum of sales can be of. */
const SUM_PERIODS = PERIODS.filter(({ value }) => value !== 'custom');

interface SaleFilter {
  readonly operation?: string;
  readonly payer?: string;
  readonly status?: string;
}

/** Sales of the gateways: revenue of each operation, how many that asked paid, and every sale. */
export function SalesPage() {
  const [period, setPeriod] = useParam('period');
  const [operation, setOperation] = useParam('operation');
  const [payer, setPayer] = useParam('payer');
  const [status, setStatus] = useParam('status');
  useTitle('Sales');
  const filter: SaleFilter = {
    ...(operation ? { operation } : {}),
    ...(/^0x[0-9a-fA-F]{40}$/.test(payer) ? { payer } : {}),
    ...(status ? { status } : {}),
  };
  return (
    <>
      <Head title="Sales" />
      <div className="filters">
        <NativeSelect
          label="Period of the sums"
          data={SUM_PERIODS}
          value={parsePeriod(period)}
          onChange={(event) => setPeriod(event.currentTarget.value)}
        />
      </div>
      <Sums period={parsePeriod(period)} choose={setOperation} />
      <div className="filters">
        <TextInput
          label="Operation"
          placeholder="getReport"
          value={operation}
          onChange={(event) => setOperation(event.currentTarget.value)}
        />
        <TextInput
          label="Payer"
          placeholder="0x…"
          value={payer}
          onChange={(event) => setPayer(event.currentTarget.value.trim())}
        />
        <NativeSelect
          label="Status"
          data={STATUSES}
          value={status}
          onChange={(event) => setStatus(event.currentTarget.value)}
        />
      </div>
      <Feed key={JSON.stringify(filter)} filter={filter} />
    </>
  );
}

/** The operations of a period: what they earned, and how many that asked for a price paid it. */
function useSums(period: string) {
  return useLive(
    ['sales-sums', period],
    async (signal) => {
      const { from } = spanOfPeriod(period, Date.now());
      const [revenue, conversion] = ['/v1/reports/revenue', '/v1/reports/conversion'] as const;
      const [earned, asked] = await Promise.all([
        call<Answer<typeof revenue>>('GET', revenue, {
          query: { groupBy: 'operation', from },
          signal,
        }),
        call<Answer<typeof conversion>>('GET', conversion, {
          query: { groupBy: 'operation', from: from?.slice(0, 10) },
          signal,
        }),
      ]);
      return { earned: earned.items, asked: asked.items };
    },
    { everyMs: 5_000 },
  );
}

function Sums({ period, choose }: { period: string; choose: (operation: string) => void }) {
  const { data, error, refetch } = useSums(period);
  if (!data && error) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Loading what="the sums" />;
  const names = [...data.asked, ...data.earned].map(({ group }) => group.operation ?? '');
  const operations = [...new Set(names)].sort();
  if (operations.length === 0) {
    return (
      <Empty title="Nothing was asked for">
        <code>npx bursar gateway FILE</code> sells an API by the request. Its sales appear here.
      </Empty>
    );
  }
  return (
    <section className="scroll" tabIndex={0} aria-label="Sums of each operation">
      <table>
        <thead>
          <tr>
            {['Operation', 'Asked', 'Paid', 'Of those that asked', 'Revenue', 'Owed back'].map(
              (name) => (
                <th key={name}>{name}</th>
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {operations.map((operation) => {
            const asked = data.asked.find(({ group }) => group.operation === operation);
            const earned = data.earned.filter(({ group }) => group.operation === operation);
            const paid = asked?.settled ?? 0;
            return (
              <tr key={operation}>
                <td className="break">
                  <Button variant="subtle" size="compact-sm" onClick={() => choose(operation)}>
                    {operation}
                  </Button>
                </td>
                <td className="num">{asked?.asked ?? 0}</td>
                <td className="num">{paid}</td>
                <td className="num">{share(paid, asked?.asked ?? 0)}</td>
                <td>
                  {earned.map(({ revenue, currency }) => (
                    <div key={currency}>
                      <Money amount={revenue} currency={currency} />
                    </div>
                  ))}
                </td>
                <td>
                  {earned.map(({ owed, currency }) => (
                    <div key={currency}>
                      <Money amount={owed} currency={currency} />
                    </div>
                  ))}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

function share(paid: number, asked: number): string {
  return asked === 0 ? '–' : `${Math.round((100 * paid) / asked)} %`;
}

/** The newest sales, kept fresh, and as many older ones as somebody asked for. */
function Feed({ filter }: { filter: SaleFilter }) {
  const { items, hasMore, readMore, error, refetch } = useGrowing<Page<Sale>>(
    ['sales', filter],
    ({ cursor, signal }) =>
      call('GET', '/v1/gateway/sales', {
        query: { ...filter, limit: 50, cursor },
        ...(signal ? { signal } : {}),
      }),
  );
  if (!items) {
    return error ? <Failure error={error} retry={refetch} /> : <Loading what="sales" />;
  }
  if (items.length === 0) {
    return (
      <Empty title="No sale matches">
        A sale appears here as soon as a payment is taken. Clear a filter to see more.
      </Empty>
    );
  }
  return (
    <>
      <SaleTable sales={items} />
      {error ? <Failure error={error} retry={refetch} /> : null}
      {hasMore ? (
        <Button mt="sm" variant="default" onClick={readMore}>
          Older sales
        </Button>
      ) : null}
    </>
  );
}

function SaleTable({ sales }: { sales: readonly Sale[] }) {
  return (
    <section className="scroll" tabIndex={0} aria-label="Sales">
      <table>
        <thead>
          <tr>
            {['Sale', 'When', 'Request', 'Payer', 'Amount', 'Status'].map((name) => (
              <th key={name}>{name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sales.map((sale) => (
            <tr key={sale.id}>
              <td>
                <Id id={sale.id} />
              </td>
              <td>
                <Time at={sale.createdAt} />
              </td>
              <td className="break">
                {sale.operation}
                <div className="soft break">{sale.resource}</div>
              </td>
              <td>
                <code title={sale.payer}>{short(sale.payer, 6)}</code>
              </td>
              <td>
                <Money amount={sale.amount} currency={sale.currency} />
              </td>
              <td>
                <Status of={sale.status} />
                <SaleEnd sale={sale} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** How a sale ended, in the words that are there. */
function SaleEnd({ sale: { statusCode, transaction, reason } }: { sale: Sale }) {
  const parts = [
    ...(statusCode === null ? [] : [`the API answered ${statusCode}`]),
    ...(reason === null ? [] : [reason]),
  ];
  return (
    <div className="soft break">
      {parts.join('; ')}
      {transaction === null ? null : (
        <>
          {parts.length > 0 ? '; ' : ''}
          <code title={transaction}>{short(transaction, 6)}</code>
        </>
      )}
    </div>
  );
}
