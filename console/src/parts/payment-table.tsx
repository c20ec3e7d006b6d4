import type { Payment } from '@bursar/sdk';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef } from 'react';
import { short } from '../format.js';
import { Link } from '../router.js';
import { Id, Money, Status, Time } from './bits.js';

const ROW_PX = 40;
const AHEAD = 30;

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
    count: payments.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 20,
  });
  const rows = virtualizer.getVirtualItems();
  const isNearEnd = (rows.at(-1)?.index ?? 0) >= payments.length - AHEAD;
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
        <div className="vspace" role="rowgroup" style={{ height: virtualizer.getTotalSize() }}>
          {rows.map(({ index, start }) => {
            const payment = payments[index];
            return payment ? (
              <div
                key={payment.id}
                className="vrow"
                role="row"
                aria-rowindex={index + 2}
                style={{ transform: `translateY(${start}px)` }}
              >
                <Cells payment={payment} />
              </div>
            ) : null;
          })}
        </div>
      </div>
    </section>
  );
}

function Cells({ payment }: { payment: Payment }) {
  const { id, createdAt, grantId, resource, payTo, amount, currency, status } = payment;
  return (
    <>
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
    </>
  );
}
