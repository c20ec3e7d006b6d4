import type { Payment } from '@bursar/sdk';
import { explorerLink } from '../explorer.js';
import { whole } from '../format.js';
import { Failure, Head, Loading, Money, Outdated, Status, Time } from '../parts/bits.js';
import { Checks } from '../parts/checks.js';
import { EventTable } from '../parts/events.js';
import { Sequence, stepsOf } from '../parts/sequence.js';
import { Signed } from '../parts/signed.js';
import { useEvents, useGrant, usePayment } from '../reads.js';
import { Link, useTitle } from '../router.js';

/** One payment, from the 402 to the transfer on chain. */
export function PaymentPage({ id }: { id: string }) {
  const { data, error, refetch } = usePayment(id);
  const { data: events } = useEvents({ paymentId: id }, 50);
  const authorized = events?.items.find(
    ({ kind, data: record }) => kind === 'payment.authorized' && record.decision !== undefined,
  );
  useTitle(data ? `${data.amount} ${data.currency}` : 'Payment');
  if (!data && error) return <Failure isPage error={error} retry={() => void refetch()} />;
  if (!data) return <Loading what="the payment" />;
  return (
    <>
      <Head
        title={<Money amount={data.amount} currency={data.currency} />}
        crumbs={<Link to="/payments">Payments</Link>}
      >
        <Status
          of={
            data.status === 'pending_approval' && data.approval?.approvedAt
              ? 'approved'
              : data.status
          }
        />
      </Head>
      <Outdated error={error} />
      <Facts payment={data} />
      <Received payment={data} />
      {events ? (
        <>
          <section className="card" aria-labelledby="story">
            <h2 id="story">What happened</h2>
            <Sequence steps={stepsOf(data, events.items)} />
          </section>
          {authorized ? <Checks payment={data} authorized={authorized} /> : null}
          {authorized ? <Signed payment={data} authorized={authorized} /> : null}
          <section className="card" aria-labelledby="events">
            <h2 id="events">Its events, each with its proof</h2>
            <EventTable events={events.items} />
          </section>
        </>
      ) : null}
    </>
  );
}

function Facts({ payment }: { payment: Payment }) {
  const { data: grant } = useGrant(payment.grantId);
  const { approval, receipts = [], network } = payment;
  const transaction = payment.transaction ?? payment.seen?.transaction;
  const facts: readonly (readonly [string, React.ReactNode])[] = [
    [
      'Grant',
      <Link key="grant" to={`/grants/${payment.grantId}`}>
        {grant?.holder ?? payment.grantId}
      </Link>,
    ],
    ['For', payment.resource],
    ['Memo of the agent', payment.memo ?? 'none'],
    ['To', <OnChain key="to" network={network} page="address" id={payment.payTo} />],
    ['Network', network],
    [
      'From wallet',
      payment.wallet ? (
        <OnChain key="wallet" network={network} page="address" id={payment.wallet} />
      ) : (
        'not signed'
      ),
    ],
    ['Nonce', payment.nonce ? <code key="nonce">{payment.nonce}</code> : 'not signed'],
    [
      'Valid before',
      payment.validBefore ? <Until key="until" at={payment.validBefore} /> : 'not signed',
    ],
    [
      'Transaction',
      transaction ? (
        <OnChain key="transaction" network={network} page="tx" id={transaction} />
      ) : (
        'none seen'
      ),
    ],
    ['Idempotency key', payment.idempotencyKey],
    ['Asked', <Until key="asked" at={payment.createdAt} />],
    ...(payment.settledAt
      ? ([['Settled', <Until key="settled" at={payment.settledAt} />]] as const)
      : []),
    ...(payment.resourceMismatch
      ? ([
          [
            'The seller says',
            <span key="says" className="bad">
              {payment.declaredResource}: another host
            </span>,
          ],
        ] as const)
      : []),
    ...(approval
      ? ([
          [
            'Approval',
            approval.decidedBy ? (
              `${approval.approvedAt ? 'approved' : 'rejected'} by ${approval.decidedBy}${approval.reason ? `: ${approval.reason}` : ''}`
            ) : (
              <Link key="inbox" to="/inbox">
                waits in the inbox
              </Link>
            ),
          ],
        ] as const)
      : []),
    ...receipts.map(
      (receipt, index) =>
        [
          `Receipt ${index + 1}`,
          `${receipt.success === null ? 'a hash alone' : receipt.success ? 'the seller says paid' : 'the seller says not paid'}, signature ${receipt.signature.outcome}`,
        ] as const,
    ),
  ];
  return (
    <section className="card" aria-labelledby="facts">
      <h2 id="facts">The payment</h2>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name} style={{ display: 'contents' }}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        <dt>Id</dt>
        <dd>
          <code>{payment.id}</code>
        </dd>
      </dl>
    </section>
  );
}

/** Something on chain, with a link to the network's block explorer where one is known. */
function OnChain({ network, page, id }: { network: string; page: 'tx' | 'address'; id: string }) {
  const to = explorerLink(network, page, id);
  return (
    <span className="break">
      <code>{id}</code>{' '}
      {to ? (
        <a href={to} target="_blank" rel="noreferrer">
          explorer<span className="sr"> for {id}</span>
        </a>
      ) : null}
    </span>
  );
}

function Until({ at }: { at: string }) {
  return (
    <>
      {whole(at)} (<Time at={at} />)
    </>
  );
}

/** The 402 as the agent handed it in. */
function Received({ payment }: { payment: Payment }) {
  const { received } = payment;
  if (!received) return null;
  const { x402Version, requirement, resource, extensions } = received;
  const shown = {
    x402Version,
    ...(resource === null ? {} : { resource }),
    accepts: requirement,
    ...(extensions === null ? {} : { extensions }),
  };
  return (
    <section className="card" aria-labelledby="received">
      <h2 id="received">The 402 as received</h2>
      <p className="soft">
        The words of the seller, with the entry that is paid. Nobody vouches for them.
      </p>
      <pre tabIndex={0}>{JSON.stringify(shown, null, 2)}</pre>
    </section>
  );
}
