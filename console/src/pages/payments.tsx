import type { Payment } from '@bursar/sdk';
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useCallback, useEffect, useState } from 'react';
import { useLive } from '../live.js';
import { Empty, Failure, Head, Loading } from '../parts/bits.js';
import { PaymentTable } from '../parts/payment-table.js';
import { type PaymentFilter, readPayments } from '../reads.js';
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

/** Payments as they happen, the newest first. */
export function PaymentsPage() {
  const [status, setStatus] = useParam('status');
  const [grantId, setGrantId] = useParam('grantId');
  const [key, setKey] = useParam('key');
  const [isPaused, setPaused] = useState(false);
  useTitle('Payments');
  const filter: PaymentFilter = {
    ...(status ? { status } : {}),
    ...(/^grt_[0-9a-z]{26}$/.test(grantId) ? { grantId } : {}),
    ...(key ? { idempotencyKey: key } : {}),
  };
  const { payments, error, refetch, readMore } = usePaymentFeed(filter, isPaused);
  return (
    <>
      <Head title="Payments">
        <Button variant="default" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? 'Go on' : 'Pause'}
        </Button>
      </Head>
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
        <TextInput
          label="Idempotency key"
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
        />
      </div>
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

/** Older pages, as they were when they were read. */
interface Older {
  readonly items: readonly Payment[];
  readonly cursor: string | null;
}

/** The newest payments, kept fresh, and behind them as many older ones as somebody scrolled to. */
function usePaymentFeed(filter: PaymentFilter, isPaused: boolean) {
  const name = JSON.stringify(filter);
  const [older, setOlder] = useState<Older>();
  // Another filter begins anew.
  useEffect(() => setOlder(undefined), [name]);
  const { data, error, refetch } = useLive(
    ['payments', filter, 'feed'],
    (signal) => readPayments(filter, { signal }),
    isPaused ? { everyMs: 3_600_000 } : {},
  );
  const cursor = older ? older.cursor : (data?.nextCursor ?? null);
  const readMore = useCallback(() => {
    if (cursor === null) return;
    void readPayments(filter, { cursor }).then((page) =>
      setOlder((now) => {
        if (now && now.cursor !== cursor) return now;
        return { items: [...(now?.items ?? []), ...page.items], cursor: page.nextCursor };
      }),
    );
  }, [name, cursor]);
  const newest = data?.items;
  const seen = new Set(newest?.map(({ id }) => id));
  const payments = newest && [...newest, ...(older?.items.filter(({ id }) => !seen.has(id)) ?? [])];
  return { payments, error, refetch: () => void refetch(), readMore };
}
