import { Button, NativeSelect } from '@mantine/core';
import { call, type Delivery, type Webhook } from '../api.js';
import { count } from '../format.js';
import { useGrowing } from '../growing.js';
import { readDeliveries } from '../reads.js';
import { Link, useParam } from '../router.js';
import { useMay } from '../session.js';
import { Empty, explain, Failure, Loading, Status, Time } from './bits.js';
import { useAct } from './dialog.js';

const STATUSES = [
  { value: '', label: 'All' },
  { value: 'pending', label: 'Pending' },
  { value: 'delivered', label: 'Delivered' },
  { value: 'dead', label: 'Dead letters' },
];

const ORIGINS: Readonly<Record<Delivery['origin'], string>> = {
  log: '',
  redelivery: 'sent again',
  replay: 'replay',
  test: 'test',
};

/** Deliveries of a webhook of the last 30 days, the newest first. */
export function Deliveries({ webhook }: { webhook: Webhook }) {
  const [status, setStatus] = useParam('status');
  const { items, hasMore, readMore, error, refetch } = useGrowing(
    ['deliveries', webhook.id, status],
    (place) => readDeliveries(webhook.id, status, place),
  );
  return (
    <section className="card" aria-labelledby="deliveries">
      <h2 id="deliveries">Deliveries of the last 30 days</h2>
      <div className="filters">
        <NativeSelect
          label="Outcome"
          data={STATUSES}
          value={status}
          onChange={(event) => setStatus(event.currentTarget.value)}
        />
      </div>
      {error ? <Failure error={error} retry={refetch} /> : null}
      {!items && !error ? <Loading what="deliveries" /> : null}
      {items?.length === 0 ? (
        <Empty title="No delivery matches">
          An event is sent as soon as it is sealed. Send a test to try the receiver.
        </Empty>
      ) : null}
      <ul className="rows">
        {items?.map((delivery) => (
          <DeliveryRow key={delivery.id} delivery={delivery} webhook={webhook} />
        ))}
      </ul>
      {hasMore ? (
        <Button variant="default" onClick={readMore}>
          Older deliveries
        </Button>
      ) : null}
    </section>
  );
}

function DeliveryRow({ delivery, webhook }: { delivery: Delivery; webhook: Webhook }) {
  const { kind, eventId, status, origin, nextTryAt, createdAt, attempts } = delivery;
  const last = attempts.at(-1);
  return (
    <li>
      <Status of={status} />
      <span className="grow">
        {eventId === null ? kind : <Link to={`/audit/${eventId}`}>{kind}</Link>}{' '}
        {ORIGINS[origin] === '' ? null : <span className="chip quiet">{ORIGINS[origin]}</span>}
        <br />
        <span className="soft">
          <Time at={createdAt} />
          {last ? `, last attempt: ${answerOf(last)}` : ', not tried yet'}
          {status === 'pending' && webhook.status === 'active' && nextTryAt !== null ? (
            <>
              , next <Time at={nextTryAt} />
            </>
          ) : null}
        </span>
        {attempts.length > 0 ? <Attempts attempts={attempts} /> : null}
      </span>
      <SendAgain delivery={delivery} webhook={webhook} />
    </li>
  );
}

function SendAgain({ delivery, webhook }: { delivery: Delivery; webhook: Webhook }) {
  const may = useMay();
  const path = `/v1/webhooks/${webhook.id}/deliveries/${delivery.id}/redeliver`;
  const act = useAct(() => call('POST', path));
  const canBe = delivery.eventId !== null && delivery.status !== 'pending';
  if (!may('webhooks') || webhook.status !== 'active' || !canBe) return null;
  return (
    <>
      {act.error ? (
        <span className="bad" role="alert">
          {explain(act.error)}
        </span>
      ) : null}
      <Button
        size="xs"
        variant="default"
        loading={act.isPending}
        onClick={() => act.mutate(undefined)}
      >
        Send again
        <span className="sr"> {delivery.kind}</span>
      </Button>
    </>
  );
}

function Attempts({ attempts }: { attempts: Delivery['attempts'] }) {
  return (
    <details>
      <summary>{count(attempts.length, 'attempt')}</summary>
      <ol className="rows">
        {attempts.map((attempt) => (
          <li key={attempt.at}>
            <span className="grow">
              <Time at={attempt.at} />: {answerOf(attempt)}, after{' '}
              <span className="num">{attempt.milliseconds} ms</span>
              {attempt.answer ? (
                <>
                  <span className="soft"> The receiver said:</span>
                  <pre>{attempt.answer}</pre>
                </>
              ) : null}
            </span>
          </li>
        ))}
      </ol>
    </details>
  );
}

function answerOf({ status, error }: Delivery['attempts'][number]): string {
  return status === null ? (error ?? 'no answer') : `answer ${status}`;
}
