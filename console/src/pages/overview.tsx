import type { Grant, SpendItem } from '@bursar/sdk';
import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Treasury } from '../api.js';
import { readGrant } from '../api.js';
import { type Attention, attentionOf } from '../attention.js';
import { count, exact, money, sum } from '../format.js';
import { useLive, useNow } from '../live.js';
import {
  Bar,
  Empty,
  Failure,
  Head,
  Id,
  LimitedBy,
  Loading,
  Money,
  Status,
  Time,
} from '../parts/bits.js';
import { LastDay } from '../parts/last-day.js';
import { RevokeDialog } from '../parts/revoke.js';
import { Runway } from '../parts/runway.js';
import { StopDialog } from '../parts/stop.js';
import {
  useApprovals,
  useEvents,
  useGrant,
  useHolders,
  useRaises,
  useRecentSpend,
  useRefusals,
  useSummary,
  useTreasuries,
  useTrips,
  useWallets,
  useWebhooks,
} from '../reads.js';
import { Link, useTitle } from '../router.js';
import { useMay, useSession } from '../session.js';

/** How many grants "spending now" names. */
const MOST_SPENDERS = 5;

/** Overview: what needs attention, who is spending, and how to stop them. */
export function Overview() {
  const { grantId } = useSession();
  const may = useMay();
  const treasuries = useTreasuries().data;
  const [stopping, setStopping] = useState<Treasury>();
  const [revoking, setRevoking] = useState<string>();
  useTitle('Overview');
  const active = treasuries?.filter(({ status }) => status === 'active') ?? [];
  return (
    <>
      <Head title="Overview">
        {may('treasury')
          ? active.map((treasury) => (
              <Button
                key={treasury.id}
                color="var(--bad)"
                variant="outline"
                onClick={() => setStopping(treasury)}
              >
                Stop everything{active.length > 1 ? ` of ${treasury.name}` : ''}
              </Button>
            ))
          : null}
      </Head>
      <NeedsAttention />
      <Spenders revoke={setRevoking} />
      {grantId === null ? <Totals /> : <OwnGrant id={grantId} />}
      <LastDay />
      {grantId === null ? <Balances /> : null}
      <Refusals />
      {stopping ? <StopDialog treasury={stopping} close={() => setStopping(undefined)} /> : null}
      {revoking ? <RevokeDialog id={revoking} close={() => setRevoking(undefined)} /> : null}
    </>
  );
}

function NeedsAttention() {
  const sources = {
    treasuries: useTreasuries(),
    summary: useSummary(),
    wallets: useWallets(),
    approvals: useApprovals(),
    raises: useRaises(),
    webhooks: useWebhooks(),
    trips: useTrips(),
  };
  const found = attentionOf({
    treasuries: sources.treasuries.data,
    summary: sources.summary.data,
    wallets: sources.wallets.data,
    approvals: sources.approvals.data,
    raises: sources.raises.data,
    webhooks: sources.webhooks.data,
    trips: sources.trips.data,
    now: useNow(),
  });
  // Nothing is said of what was not read. What the caller may not see is not asked for.
  const unread = Object.entries(sources).filter(
    ([, { data, isEnabled }]) => isEnabled && data === undefined,
  );
  const failed = unread.filter(([, { isError }]) => isError).map(([name]) => name);
  return (
    <section className="card" aria-labelledby="attention">
      <h2 id="attention">Needs attention</h2>
      {failed.length > 0 ? (
        <p className="note bad" role="alert">
          Something may be wrong that is not listed here. These could not be read:{' '}
          {failed.join(', ')}.
        </p>
      ) : null}
      {found.length === 0 && unread.length > failed.length ? <Loading what="what waits" /> : null}
      {found.length === 0 && unread.length === 0 ? (
        <p className="soft">Nothing. Payments flow, the log is sealed, nobody waits.</p>
      ) : null}
      {found.length > 0 ? (
        <ul className="rows">
          {found.map((each) => (
            <AttentionRow key={each.id} attention={each} />
          ))}
        </ul>
      ) : null}
    </section>
  );
}

function AttentionRow({ attention }: { attention: Attention }) {
  const { severity, text, detail, to, action } = attention;
  return (
    <li>
      <span className={`severity ${severity}`} />
      <span className="grow">
        <strong>{text}</strong>
        <br />
        <span className="soft">{detail}</span>
      </span>
      <Link to={to}>{action}</Link>
    </li>
  );
}

/** One grant of "spending now". */
interface Spender {
  readonly grantId: string;
  readonly rootId: string;
  readonly holder: string;
  readonly payments: number;
  readonly amount: string;
  readonly currency: string;
}

/** The grants of a report that spent most. A payment that was given back is none. */
function spendersOf(items: readonly SpendItem[]): Spender[] {
  return items
    .map(({ group, payments, settled, open, currency }) => ({
      grantId: group.grant ?? '',
      rootId: group.root ?? '',
      holder: group.holder ?? '',
      payments,
      amount: sum([settled, open]),
      currency,
    }))
    .filter(({ amount }) => exact(amount) > 0n)
    .sort((a, b) => (exact(a.amount) < exact(b.amount) ? 1 : -1))
    .slice(0, MOST_SPENDERS);
}

function Spenders({ revoke }: { revoke: (id: string) => void }) {
  const { data, error, refetch } = useRecentSpend();
  const spenders = spendersOf(data ?? []);
  return (
    <section className="card" aria-labelledby="spending">
      <h2 id="spending">Spending now</h2>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {data === undefined && !error ? <Loading what="payments" /> : null}
      {data && spenders.length === 0 ? (
        <p className="soft">No payment in the last ten minutes.</p>
      ) : null}
      <ul className="rows">
        {spenders.map((spender) => (
          <SpenderRow key={spender.grantId} spender={spender} revoke={revoke} />
        ))}
      </ul>
    </section>
  );
}

function SpenderRow({ spender, revoke }: { spender: Spender; revoke: (id: string) => void }) {
  const may = useMay();
  const { grantId, rootId, holder, payments, amount, currency } = spender;
  const grant = useGrant(grantId).data;
  const holders = useHolders(['root'], [{ group: { root: rootId } }]);
  return (
    <li>
      <span className="grow">
        <strong>
          <Link to={`/grants/${grantId}`}>{holder}</Link>
        </strong>{' '}
        {grant && grant.status !== 'active' ? <Status of={grant.status} /> : null}
        {rootId !== grantId && holders.has(rootId) ? (
          <span className="soft">
            {' '}
            below <Link to={`/grants/${rootId}`}>{holders.get(rootId)}</Link>
          </span>
        ) : null}
        <br />
        <Link to={`/payments?grantId=${grantId}`}>{count(payments, 'payment')}</Link>,{' '}
        <Money amount={amount} currency={currency} /> in ten minutes
      </span>
      <span className="grow">{grant ? <GrantBar grant={grant} /> : null}</span>
      {may('steer') && grant?.status !== 'revoked' ? (
        <Button size="xs" color="var(--bad)" variant="outline" onClick={() => revoke(grantId)}>
          Revoke
          <span className="sr"> {holder}</span>
        </Button>
      ) : null}
    </li>
  );
}

function GrantBar({ grant }: { grant: Grant }) {
  const binding = useLive(
    ['binding', grant.limitedBy.grantId],
    () => readGrant(grant.limitedBy.grantId).catch(() => null),
    { isOn: grant.limitedBy.grantId !== grant.id, everyMs: 30_000 },
  ).data;
  return (
    <>
      <Bar grant={grant} />
      <LimitedBy grant={grant} holders={new Map(binding ? [[binding.id, binding.holder]] : [])} />
    </>
  );
}

function Totals() {
  const { data, error, refetch } = useSummary();
  if (!data && error) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Loading what="totals" />;
  const { currency, exposure, spent, funds, grants } = data;
  return (
    <div className="grid tiles totals">
      <Tile title="Exposure" value={exposure.amount} to="/payments?status=authorized">
        {exposure.payments === 0 ? (
          'nothing signed is open'
        ) : (
          <>
            {currency} in {count(exposure.payments, 'open payment')}
            {exposure.lastValidBefore ? (
              <>
                , the last ends <Time at={exposure.lastValidBefore} />
              </>
            ) : null}
          </>
        )}
      </Tile>
      <Tile title="Spent" value={spent} to="/payments?status=settled">
        {currency}, settled for good
      </Tile>
      <Tile title="Free" value={funds.free} to="/treasury">
        {currency} of {money(funds.balance)} in the wallets
      </Tile>
      <Link to="/grants?status=active" className="card tile">
        <h2>Grants</h2>
        <span className="value num">{grants.active}</span>
        <span className="soft">
          active, {grants.suspended} suspended, {grants.revoked} revoked
        </span>
      </Link>
    </div>
  );
}

function Balances() {
  const { data } = useWallets();
  return data ? <Runway wallets={data.items} /> : null;
}

function Tile({
  title,
  value,
  to,
  children,
}: {
  title: string;
  value: string;
  to: string;
  children: React.ReactNode;
}) {
  return (
    <Link to={to} className="card tile">
      <h2>{title}</h2>
      <span className="value num">{money(value)}</span>
      <span className="soft">{children}</span>
    </Link>
  );
}

function OwnGrant({ id }: { id: string }) {
  const { data } = useGrant(id);
  if (!data) return <Loading what="your grant" />;
  return (
    <section className="card" aria-labelledby="own">
      <h2 id="own">
        Your grant: <Link to={`/grants/${id}`}>{data.holder}</Link> <Status of={data.status} />
      </h2>
      <GrantBar grant={data} />
    </section>
  );
}

function Refusals() {
  const { data, error, refetch } = useRefusals();
  const events = useEvents({ kind: 'payment.refused' }, 5).data?.items ?? [];
  // Together with the counts: nothing moves away under a click.
  const latest = data ? events : [];
  return (
    <section className="card" aria-labelledby="refusals">
      <h2 id="refusals">Refused in the last 24 hours</h2>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {data === undefined && !error ? <Loading what="refusals" /> : null}
      {data?.items.length === 0 ? (
        <Empty title="Nothing was refused">Every payment fitted its grant.</Empty>
      ) : null}
      <ul className="rows">
        {data?.items.map(({ code, refusals, grants, latestAt }) => (
          <li key={code}>
            <span className="grow break">
              <Link to={refusalsLink(code, data.from)}>
                <code>{code}</code>: {count(refusals, 'request')}
              </Link>{' '}
              <span className="soft">of {count(grants, 'grant')}</span>
            </span>
            <span className="soft">
              latest <Time at={latestAt} />
            </span>
          </li>
        ))}
      </ul>
      {latest.length > 0 ? <h3>The latest, and why</h3> : null}
      <ul className="rows">
        {latest.map(({ id, at, grantId, data: record }) => (
          <li key={id}>
            <Status of="refused" />
            <span className="grow break">
              <Link to={`/audit/${id}`}>{String(record.code)}</Link>: {String(record.detail)}
            </span>
            {grantId ? <Id id={grantId} to={`/grants/${grantId}`} /> : null}
            <span className="soft">
              <Time at={at} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function refusalsLink(code: string, from: string): string {
  return `/audit?code=${code}&from=${encodeURIComponent(from)}`;
}
