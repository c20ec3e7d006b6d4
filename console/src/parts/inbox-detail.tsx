import type { GrantRequest, Payment } from '@bursar/sdk';
import { decimal, exact, whole } from '../format.js';
import { useGrant, usePayments } from '../reads.js';
import { Link } from '../router.js';
import { Bar, Id, LimitedBy, Money, Status, Time } from './bits.js';

/** Details of a waiting payment: purpose, remaining budget, and earlier decisions. */
export function PaymentDetail({ payment }: { payment: Payment }) {
  const { id, grantId, amount, currency, payTo, network, resource, memo, approval } = payment;
  const { data: grant } = useGrant(grantId);
  const after = grant ? exact(grant.remaining) - exact(amount) : undefined;
  return (
    <>
      <h2>
        <Money amount={amount} currency={currency} /> for <span className="break">{resource}</span>
      </h2>
      <dl className="facts">
        <dt>Asked by</dt>
        <dd>
          <Link to={`/grants/${grantId}`}>{grant?.holder ?? grantId}</Link>
        </dd>
        <dt>Memo of the agent</dt>
        <dd>{memo ?? 'none'}</dd>
        <dt>To</dt>
        <dd>
          <code>{payTo}</code> on {network}
        </dd>
        {payment.resourceMismatch ? (
          <>
            <dt>The seller says</dt>
            <dd className="bad break">{payment.declaredResource}: another host than was asked</dd>
          </>
        ) : null}
        <dt>Remaining after</dt>
        <dd className={after !== undefined && after < 0n ? 'bad' : ''}>
          {after === undefined ? '…' : <Money amount={decimal(after)} currency={currency} />}
          {after !== undefined && after < 0n ? ': it will be refused when it is decided again' : ''}
        </dd>
        <dt>Lapses</dt>
        <dd>{approval ? <Time at={approval.lapsesAt} /> : null}</dd>
        <dt>Payment</dt>
        <dd>
          <Id id={id} to={`/payments/${id}`} />
        </dd>
      </dl>
      {grant ? (
        <>
          <Bar grant={grant} />
          <p>
            <LimitedBy grant={grant} holders={new Map()} />
          </p>
        </>
      ) : null}
      <Similar payment={payment} />
    </>
  );
}

function Similar({ payment }: { payment: Payment }) {
  const { data } = usePayments({ grantId: payment.grantId });
  const past = (data?.items ?? []).filter(
    ({ id, payTo, approval }) =>
      id !== payment.id && payTo === payment.payTo && approval?.decidedBy != null,
  );
  return (
    <section aria-label="Decided before">
      <h2>Decided before, for this payee</h2>
      {past.length === 0 ? <p className="soft">Nothing: it is the first one.</p> : null}
      <ul className="rows">
        {past.slice(0, 4).map(({ id, amount, currency, status, approval }) => (
          <li key={id}>
            <Status of={status === 'rejected' ? 'rejected' : 'approved'} />
            <Money amount={amount} currency={currency} />
            <span className="soft break">
              by {approval?.decidedBy}
              {approval?.reason ? `: ${approval.reason}` : ''}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A raise: what is, what is asked, and why. */
export function RaiseDetail({ raise }: { raise: GrantRequest }) {
  const { grantId, budget, currency, expiresAt, reason, lapsesAt } = raise;
  const { data: grant } = useGrant(grantId);
  return (
    <>
      <h2>
        {grant?.holder ?? 'A holder'} asks for <Money amount={budget} currency={currency} />
      </h2>
      <dl className="facts">
        <dt>Budget</dt>
        <dd>
          {grant ? <Money amount={grant.budget} currency={currency} /> : '…'} →{' '}
          <strong>
            <Money amount={budget} currency={currency} />
          </strong>
        </dd>
        {expiresAt ? (
          <>
            <dt>Ends</dt>
            <dd>
              {grant ? whole(grant.expiresAt) : '…'} → <strong>{whole(expiresAt)}</strong>
            </dd>
          </>
        ) : null}
        <dt>Words of the agent</dt>
        <dd className="break">{reason}</dd>
        <dt>Lapses</dt>
        <dd>
          <Time at={lapsesAt} />
        </dd>
        <dt>Grant</dt>
        <dd>
          <Id id={grantId} to={`/grants/${grantId}`} />
        </dd>
      </dl>
      {grant ? <Bar grant={grant} /> : null}
    </>
  );
}
