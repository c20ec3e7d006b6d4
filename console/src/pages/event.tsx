import { whole } from '../format.js';
import { Failure, Head, Id, Loading, Outdated, Time } from '../parts/bits.js';
import { Actor } from '../parts/events.js';
import { Verification } from '../parts/verification.js';
import { Why } from '../parts/why.js';
import { useEvent } from '../reads.js';
import { Link, useTitle } from '../router.js';

/** One event: what happened, why, and its proof. */
export function EventPage({ id }: { id: string }) {
  const { data, error, refetch } = useEvent(id);
  useTitle(data?.kind ?? 'Event');
  if (!data && error) return <Failure isPage error={error} retry={() => void refetch()} />;
  if (!data) return <Loading what="the event" />;
  return (
    <>
      <Head title={data.kind} crumbs={<Link to="/audit">Audit</Link>} />
      <Outdated error={error} />
      <section className="card" aria-labelledby="facts">
        <h2 id="facts">What happened</h2>
        <dl className="facts">
          <dt>When</dt>
          <dd>
            {whole(data.at)} (<Time at={data.at} />)
          </dd>
          <dt>By</dt>
          <dd>
            <Actor actor={data.actor} />
          </dd>
          {data.grantId ? (
            <>
              <dt>Grant</dt>
              <dd>
                <Id id={data.grantId} to={`/grants/${data.grantId}`} />
              </dd>
            </>
          ) : null}
          {data.paymentId ? (
            <>
              <dt>Payment</dt>
              <dd>
                <Id id={data.paymentId} to={`/payments/${data.paymentId}`} />
              </dd>
            </>
          ) : null}
          <dt>Reason</dt>
          <dd>{data.reason ?? 'none given'}</dd>
          <dt>Place in the log</dt>
          <dd>{data.leafIndex ?? 'not sealed yet'}</dd>
          <dt>Id</dt>
          <dd>
            <code>{data.id}</code>
          </dd>
        </dl>
      </section>
      {data.kind === 'payment.refused' ? <Why event={data} /> : null}
      <Verification id={id} treasuryId={data.treasuryId} />
      <section className="card" aria-labelledby="data">
        <h2 id="data">Its data</h2>
        <pre tabIndex={0}>{JSON.stringify(data.data, null, 2)}</pre>
      </section>
    </>
  );
}
