import type { Grant } from '@bursar/sdk';
import { useMemo } from 'react';
import { count, whole } from '../format.js';
import { useGrowing } from '../growing.js';
import { GrantActs } from '../parts/acts.js';
import {
  Bar,
  BarKey,
  Failure,
  Head,
  LimitedBy,
  Loading,
  Money,
  Outdated,
  Status,
  Time,
} from '../parts/bits.js';
import { BurnDown } from '../parts/burn-down.js';
import { EventTable } from '../parts/events.js';
import { PaymentTable } from '../parts/payment-table.js';
import { GrantTree } from '../parts/tree.js';
import { readTree, useChain, useEvents, useGrant, usePayments } from '../reads.js';
import { Link, useTitle } from '../router.js';
import { sentence, termsOf } from '../words.js';

/** One grant: what it allows, what it used, what is below it, and the ways to change it. */
export function GrantPage({ id }: { id: string }) {
  const { data: grant, error, refetch } = useGrant(id);
  const { data: chain = [] } = useChain(grant);
  useTitle(grant?.holder ?? 'Grant');
  if (!grant && error) return <Failure isPage error={error} retry={() => void refetch()} />;
  if (!grant) return <Loading what="the grant" />;
  return (
    <>
      <Head
        title={grant.holder}
        crumbs={
          <>
            <Link to="/grants">Grants</Link>
            {chain.map((above) => (
              <span key={above.id}>
                {' / '}
                <Link to={`/grants/${above.id}`}>{above.holder}</Link>
              </span>
            ))}
          </>
        }
      >
        <GrantActs grant={grant} />
      </Head>
      <Outdated error={error} />
      <Terms grant={grant} chain={chain} />
      <BurnDown grant={grant} />
      <Below grant={grant} above={chain} />
      <Payments id={id} />
      <Events id={id} />
    </>
  );
}

function Terms({ grant, chain }: { grant: Grant; chain: readonly Grant[] }) {
  const { currency } = grant;
  const holders = new Map(chain.map(({ id, holder }) => [id, holder]));
  const sums = [
    ['Can be spent now', grant.remaining],
    ['Spent', grant.spent],
    ['Signed, not settled', grant.reserved],
    ['Set aside below', grant.allocated],
    ['Budget', grant.budget],
  ] as const;
  return (
    <div className="grid">
      <section className="card" aria-labelledby="allows">
        <h2 id="allows">
          What it allows <Status of={grant.status} />
        </h2>
        <p className="sentence">{sentence(termsOf(grant))}</p>
        <dl className="facts">
          {grant.suspendedBy ? (
            <>
              <dt>Suspended by</dt>
              <dd>{grant.suspendedBy}</dd>
            </>
          ) : null}
          <dt>Purpose</dt>
          <dd>{grant.purpose ?? 'none given'}</dd>
          <dt>Labels</dt>
          <dd>
            {Object.entries(grant.labels).map(([name, value]) => (
              <span key={name} className="chip quiet">
                {name}:{value}
              </span>
            ))}
            {Object.keys(grant.labels).length === 0 ? 'none' : null}
          </dd>
          <dt>Token</dt>
          <dd>{grant.holderKey ? 'bound to a key (DPoP)' : 'a bearer token'}</dd>
          <dt>Ends</dt>
          <dd>
            {whole(grant.expiresAt)} (<Time at={grant.expiresAt} />)
          </dd>
          <dt>Id</dt>
          <dd>
            <code>{grant.id}</code>
          </dd>
        </dl>
      </section>
      <section className="card" aria-labelledby="used">
        <h2 id="used">What of it is used</h2>
        <Bar grant={grant} />
        <BarKey />
        <p>
          <LimitedBy grant={grant} holders={holders} />
        </p>
        <table>
          <tbody>
            {sums.map(([name, amount]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td className="right">
                  <Money amount={amount} currency={currency} />
                </td>
              </tr>
            ))}
            <tr>
              <th scope="row">Payments</th>
              <td className="right num">
                {grant.payments}
                {grant.maxPayments === null ? '' : ` of ${grant.maxPayments}`}
              </td>
            </tr>
          </tbody>
        </table>
      </section>
    </div>
  );
}

function Below({ grant, above }: { grant: Grant; above: readonly Grant[] }) {
  const { id } = grant;
  const { first, items, hasMore, readMore } = useGrowing(
    ['tree', id],
    (place) => readTree(id, place),
    { everyMs: 4_000 },
  );
  const below = useMemo(() => items?.filter((each) => each.id !== id) ?? [], [items, id]);
  const chain = useMemo(() => [...above, grant], [above, grant]);
  if (!first) return null;
  return (
    <section className="card" aria-labelledby="below">
      <h2 id="below">{count(Math.max(0, first.totals.grants - 1), 'grant')} alive below</h2>
      {below.length > 0 ? (
        <GrantTree grants={below} above={chain} readMore={hasMore ? readMore : undefined} />
      ) : (
        <p className="soft">It has handed nothing on.</p>
      )}
    </section>
  );
}

function Payments({ id }: { id: string }) {
  const { data } = usePayments({ grantId: id }, 10);
  if (!data) return null;
  return (
    <section className="card" aria-labelledby="payments">
      <h2 id="payments">
        Newest payments <Link to={`/payments?grantId=${id}`}>all of them</Link>
      </h2>
      {data.items.length > 0 ? (
        <PaymentTable payments={data.items} isShort />
      ) : (
        <p className="soft">It has paid nothing yet.</p>
      )}
    </section>
  );
}

function Events({ id }: { id: string }) {
  const { data } = useEvents({ grantId: id }, 10);
  if (!data) return null;
  return (
    <section className="card" aria-labelledby="events">
      <h2 id="events">
        Newest events <Link to={`/audit?grantId=${id}`}>all of them</Link>
      </h2>
      <EventTable events={data.items} />
    </section>
  );
}
