import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useGrowing } from '../growing.js';
import { Empty, Failure, Head, Loading } from '../parts/bits.js';
import { spanOf, TimeField, TreasuryField } from '../parts/filters.js';
import { PaymentTable } from '../parts/payment-table.js';
import { isGrantId, type PaymentFilter, readPayments } from '../reads.js';
import { useParam, useTitle } from '../router.js';

const STATUSES = [
  { value: '', label: 'All' },
  { value: 'pending_approval', label: 'Waiting for approval' },
  { value: 'authorized', label: 'Open: signed, not settled' },
  { value: 'settled', label: 'Settled' },
  { value: 'released', label: 'Released' },
  { value: 'cancelled', label: 'Cancelled' },
  { value: 'rejected', label: 'Rejected' },
];

/** Filters that few need, by their names in the URL. */
const MORE = [
  ['holder', 'Holder', 'research-agent-7'],
  ['host', 'Host', 'api.example.com'],
  ['payTo', 'Payee', '0x…'],
  ['network', 'Network', 'eip155:8453'],
  ['label', 'Label', 'task:t-42'],
  ['key', 'Idempotency key', ''],
] as const;

/** Payments as they happen, the newest first. */
export function PaymentsPage() {
  const [isPaused, setPaused] = useState(false);
  const { filter, fields } = useFilter();
  useTitle('Payments');
  return (
    <>
      <Head title="Payments">
        <Button variant="default" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? 'Go on' : 'Pause'}
        </Button>
      </Head>
      {fields}
      <Feed filter={filter} isPaused={isPaused} />
    </>
  );
}

/** The filter of the URL, and its fields. */
function useFilter() {
  const [status, setStatus] = useParam('status');
  const [grantId, setGrantId] = useParam('grantId');
  const [from, setFrom] = useParam('from');
  const [to, setTo] = useParam('to');
  const [treasuryId, setTreasuryId] = useParam('treasuryId');
  const more = MORE.map(([name]) => useParam(name));
  const [holder, host, payTo, network = '', label = '', key] = more.map(([value]) => value);
  const filter: PaymentFilter = {
    ...(status ? { status } : {}),
    ...(treasuryId ? { treasuryId } : {}),
    ...(isGrantId(grantId) ? { grantId } : {}),
    ...(holder ? { holder } : {}),
    ...(/^eip155:[1-9][0-9]{0,15}$/.test(network) ? { network } : {}),
    ...(key ? { idempotencyKey: key } : {}),
    ...(host ? { host } : {}),
    ...(payTo && /^0x[0-9a-fA-F]{40}$/.test(payTo) ? { payTo } : {}),
    ...(/^[^:]{1,63}:/.test(label) ? { label } : {}),
    ...spanOf(from, to),
  };
  const fields = (
    <>
      <div className="filters">
        <NativeSelect
          label="Status"
          data={STATUSES}
          value={status}
          onChange={(event) => setStatus(event.currentTarget.value)}
        />
        <TextInput
          label="Grant and all below it"
          placeholder="grt_…"
          value={grantId}
          onChange={(event) => setGrantId(event.currentTarget.value.trim())}
        />
        <TimeField label="From" value={from} set={setFrom} />
        <TimeField label="To" value={to} set={setTo} />
        <TreasuryField value={treasuryId} set={setTreasuryId} />
      </div>
      <details className="more" open={more.some(([value]) => value !== '')}>
        <summary>More filters</summary>
        <div className="filters">
          {MORE.map(([name, text, placeholder], place) => (
            <TextInput
              key={name}
              label={text}
              placeholder={placeholder}
              value={more[place]?.[0] ?? ''}
              onChange={(event) => more[place]?.[1](event.currentTarget.value)}
            />
          ))}
        </div>
      </details>
    </>
  );
  return { filter, fields };
}

function Feed({ filter, isPaused }: { filter: PaymentFilter; isPaused: boolean }) {
  const feed = useGrowing(['payments', filter, 'feed'], (place) => readPayments(filter, place), {
    isHeld: isPaused,
  });
  const { items: payments, error, refetch, readMore } = feed;
  return (
    <>
      {error ? <Failure error={error} retry={refetch} /> : null}
      {!payments && !error ? <Loading what="payments" /> : null}
      {payments?.length === 0 ? (
        <Empty title="No payment matches">
          A payment appears here as soon as an agent asks for one. Clear a filter to see more.
        </Empty>
      ) : null}
      {payments && payments.length > 0 ? (
        <PaymentTable payments={payments} readMore={readMore} />
      ) : null}
    </>
  );
}
