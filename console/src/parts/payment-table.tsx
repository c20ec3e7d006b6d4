import type { Payment } from '@bursar/sdk';
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, useRef } from 'react';
import { short } from '../format.js';
import { Link } from '../router.js';
import { Id, Money, Status, Time } from './bits.js';

const ROW_PX = 40;
const AHEAD = 30;
/** Rows that come and go together: for each page that is read, the virtualizer measures anew all that it counts. */
const BLOCK = 10;

/** Payments as a table of which only the rows on the screen exist. */
export function PaymentTable({
  payments,
  isShort = false,
  readMore,
}: {
  payments: readonly Payment[];
  isShort?: boolean;
  readMore?: (() => void) | undefined;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: Math.ceil(payments.length / BLOCK),
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX * BLOCK,
    overscan: 1,
  });
  const blocks = virtualizer.getVirtualItems();
  const first = (blocks[0]?.index ?? 0) * BLOCK;
  const end = ((blocks.at(-1)?.index ?? -1) + 1) * BLOCK;
  const isNearEnd = end >= payments.length - AHEAD;
  useEffect(() => {
    if (isNearEnd) readMore?.();
  }, [isNearEnd, readMore]);
  return (
    <section
      className={isShort ? 'scroll' : 'scroll tall'}
      ref={scroller}
      tabIndex={0}
      aria-label="Payments"
    >
      <div
        className="vtable"
        role="table"
        aria-label="Payments"
        aria-rowcount={payments.length + 1}
      >
        <div className="vrow vhead" role="row">
          {['Payment', 'When', 'Grant', 'For', 'Amount', 'Status'].map((name) => (
            <span key={name} role="columnheader" className={name === 'Amount' ? 'right' : ''}>
              {name}
            </span>
          ))}
        </div>
        <div className="vspace" role="rowgroup" style={{ height: payments.length * ROW_PX }}>
          {payments.slice(first, end).map((payment, place) => (
            <Row key={payment.id} payment={payment} index={first + place} />
          ))}
        </div>
      </div>
    </section>
  );
}

/** A row that stays as it is while others are scrolled past. */
const Row = memo(function Row({ payment, index }: { payment: Payment; index: number }) {
  const { id, createdAt, grantId, resource, payTo, amount, currency, status } = payment;
  return (
    <div
      className="vrow"
      role="row"
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${index * ROW_PX}px)` }}
    >
      <span role="cell">
        <Id id={id} to={`/payments/${id}`} />
      </span>
      <span role="cell">
        <Time at={createdAt} />
      </span>
      <span role="cell">
        <Link to={`/grants/${grantId}`}>
          <code>{short(grantId, 7)}</code>
        </Link>
      </span>
      <span role="cell" className="cut" title={`${resource} to ${payTo}`}>
        {payment.memo ? `${payment.memo} · ` : ''}
        {resource.replace(/^https?:\/\//, '')}
      </span>
      <span role="cell" className="right">
        <Money amount={amount} currency={currency} />
      </span>
      <span role="cell">
        <Status
          of={status === 'pending_approval' && payment.approval?.approvedAt ? 'approved' : status}
        />
      </span>
    </div>
  );
});
