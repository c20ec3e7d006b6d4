import type { Amendment, Grant } from '@bursar/sdk';
import { NativeSelect } from '@mantine/core';
import { useState } from 'react';
import { count } from '../format.js';
import { usePolicyReplay } from '../reads.js';
import { Link } from '../router.js';
import { Money, Time, useRested } from './bits.js';

/** How many refused payments the form shows. */
const SHOWN = 5;

const PERIODS = [
  { value: '1', label: 'the last day' },
  { value: '7', label: 'the last 7 days' },
  { value: '30', label: 'the last 30 days' },
];

/** Says what changed terms would have done to the payments of the last days, before they are saved. */
export function ReplayedPolicy({ grant, change }: { grant: Grant; change: Amendment }) {
  const [days, setDays] = useState('7');
  const { budget, maxPerPayment, maxPayments, approvalAbove } = change;
  const terms = useRested({
    days: Number(days),
    budget,
    maxPerPayment,
    maxPayments,
    approvalAbove,
  });
  const { data, error } = usePolicyReplay(grant.id, terms, { isOn: true });
  const { currency } = grant;
  return (
    <section aria-labelledby="replay" className="replay">
      <div className="row">
        <h3 id="replay">These terms in</h3>
        <NativeSelect
          aria-label="Period of the replay"
          data={PERIODS}
          value={days}
          onChange={(event) => setDays(event.currentTarget.value)}
          size="xs"
        />
      </div>
      <div aria-live="polite">
        {error ? <p className="bad">{error.message}</p> : null}
        {!data && !error ? <p className="soft">Trying the payments of that time</p> : null}
        {data ? (
          <>
            <p>
              <strong className={data.refused.payments > 0 ? 'bad' : ''}>
                {count(data.refused.payments, 'payment')} refused
              </strong>{' '}
              (<Money amount={data.refused.amount} currency={currency} />
              ), {data.allowed.payments} allowed (
              <Money amount={data.allowed.amount} currency={currency} />)
              {data.waiting.payments > 0
                ? `, ${data.waiting.payments} of them after an approval`
                : ''}
              .
            </p>
            <ul className="plain">
              {data.examples.slice(0, SHOWN).map((each) => (
                <li key={each.paymentId} title={each.detail}>
                  <Link to={`/payments/${each.paymentId}`}>
                    <Money amount={each.amount} currency={currency} />
                  </Link>{' '}
                  <Time at={each.at} /> <code>{each.code}</code>
                </li>
              ))}
            </ul>
            {data.refused.payments > SHOWN ? (
              <p className="soft">and {data.refused.payments - SHOWN} more</p>
            ) : null}
          </>
        ) : null}
      </div>
    </section>
  );
}
