import type { GrantRequest, Payment } from '@bursar/sdk';
import { Button, TextInput } from '@mantine/core';
import { useState } from 'react';
import { call } from '../api.js';
import { count, sum } from '../format.js';
import { useGrant } from '../reads.js';
import { explain, Money } from './bits.js';
import { Dialog, DialogForm, useAct } from './dialog.js';

/** Something that waits for a decision. */
export type Item =
  | {
      readonly kind: 'payment';
      readonly id: string;
      readonly lapsesAt: string;
      readonly payment: Payment;
    }
  | {
      readonly kind: 'raise';
      readonly id: string;
      readonly lapsesAt: string;
      readonly raise: GrantRequest;
    };

/** The two decisions. */
export type Verdict = 'approve' | 'reject';

interface Result {
  readonly item: Item;
  readonly fault: string | undefined;
}

/** Approves or rejects, one or many, and says of each what came of it. */
export function DecideDialog({
  verdict,
  items,
  close,
}: {
  verdict: Verdict;
  items: readonly Item[];
  close: () => void;
}) {
  const [reason, setReason] = useState('');
  const act = useAct(
    () => decideAll(verdict, items, reason.trim()),
    (results: Result[]) => {
      if (results.every(({ fault }) => fault === undefined)) close();
    },
  );
  const name = verdict === 'approve' ? 'Approve' : 'Reject';
  const failed = act.data?.filter(({ fault }) => fault !== undefined) ?? [];
  return (
    <Dialog
      title={`${name} ${items.length === 1 ? titleOf(items[0]) : `${items.length} at once`}`}
      close={close}
    >
      {failed.length > 0 ? (
        <div className="form" role="alert">
          <p className="note bad">
            {count(failed.length, 'decision')} of {items.length} failed.
          </p>
          <ul className="rows">
            {failed.map(({ item, fault }) => (
              <li key={item.id}>
                <strong>{titleOf(item)}</strong> {fault}
              </li>
            ))}
          </ul>
          <div className="acts">
            <Button onClick={close}>Close</Button>
          </div>
        </div>
      ) : (
        <DialogForm
          submit={() => act.mutate(undefined)}
          isPending={act.isPending}
          error={act.error}
          label={name}
          isBad={verdict === 'reject'}
          close={close}
        >
          <ul className="rows" aria-label="What is decided">
            {items.map((item) => (
              <Target key={item.id} item={item} />
            ))}
          </ul>
          {items.length > 1 ? <Sums items={items} /> : null}
          <TextInput
            label="Reason"
            description="May be left out. Stands in the audit log for good."
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            maxLength={1_000}
            data-autofocus
          />
          {verdict === 'approve' && items.some(({ kind }) => kind === 'payment') ? (
            <p className="soft">
              An approval permits. The payment is decided again and signed when its agent asks next.
            </p>
          ) : null}
        </DialogForm>
      )}
    </Dialog>
  );
}

function Target({ item }: { item: Item }) {
  const grantId = item.kind === 'payment' ? item.payment.grantId : item.raise.grantId;
  const holder = useGrant(grantId).data?.holder ?? grantId;
  return (
    <li>
      <span className="break">
        <strong>{titleOf(item)}</strong> for {holder}
        <br />
        <span className="soft">
          {item.kind === 'payment'
            ? `${item.payment.resource}, to ${item.payment.payTo}`
            : item.raise.reason}
        </span>
      </span>
    </li>
  );
}

function Sums({ items }: { items: readonly Item[] }) {
  const payments = items.flatMap((item) => (item.kind === 'payment' ? [item.payment] : []));
  const currencies = [...new Set(payments.map(({ currency }) => currency))];
  return currencies.map((currency) => {
    const own = payments.filter((payment) => payment.currency === currency);
    return (
      <p key={currency}>
        <strong>
          <Money amount={sum(own.map(({ amount }) => amount))} currency={currency} />
        </strong>{' '}
        in {count(own.length, 'payment')}.
      </p>
    );
  });
}

function titleOf(item: Item | undefined): string {
  if (!item) return '';
  return item.kind === 'payment'
    ? `${item.payment.amount} ${item.payment.currency}`
    : `a raise to ${item.raise.budget} ${item.raise.currency}`;
}

/** One after the other: each decision takes the locks of its chain. */
async function decideAll(
  verdict: Verdict,
  items: readonly Item[],
  reason: string,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of items) {
    const room = item.kind === 'payment' ? 'payments' : 'grant-requests';
    const body = reason === '' ? {} : { reason };
    const fault = await call('POST', `/v1/${room}/${item.id}/${verdict}`, { body }).then(
      () => undefined,
      (error: unknown) => explain(error),
    );
    results.push({ item, fault });
  }
  return results;
}
