import type { GrantRequest, Payment } from '@bursar/sdk';
import { Button, Kbd } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { relative } from '../format.js';
import { useNow } from '../live.js';
import { Empty, Failure, Head, Loading, Money } from '../parts/bits.js';
import { DecideDialog, type Item, type Verdict } from '../parts/decide.js';
import { PaymentDetail, RaiseDetail } from '../parts/inbox-detail.js';
import { NotifyButton } from '../parts/notify.js';
import { useApprovals, useRaises } from '../reads.js';
import { useTitle } from '../router.js';
import { useMay, useSession } from '../session.js';

/** Approvals and raises in one list, for a hand on the keyboard. */
export function InboxPage() {
  const approvals = useApprovals();
  const raises = useRaises();
  useTitle('Inbox');
  const error = approvals.error ?? raises.error;
  const items = itemsOf(approvals.data ?? [], raises.data ?? []);
  const isRead = approvals.data !== undefined && raises.data !== undefined;
  return (
    <>
      <Head title="Inbox">
        <NotifyButton />
        <span className="soft">
          <Kbd>j</Kbd> <Kbd>k</Kbd> move, <Kbd>x</Kbd> select, <Kbd>a</Kbd> approve, <Kbd>r</Kbd>{' '}
          reject
        </span>
      </Head>
      {error ? (
        <Failure
          error={error}
          retry={() => {
            void approvals.refetch();
            void raises.refetch();
          }}
        />
      ) : null}
      {!isRead && !error ? <Loading what="what waits" /> : null}
      {isRead && items.length === 0 ? (
        <Empty title="Nobody waits for you">
          Payments above a grant’s approval limit, and raises that agents ask for, appear here.
        </Empty>
      ) : null}
      {items.length > 0 ? <Desk items={items} /> : null}
    </>
  );
}

function itemsOf(payments: readonly Payment[], raises: readonly GrantRequest[]): Item[] {
  return [
    ...payments.map((payment) => ({
      kind: 'payment' as const,
      id: payment.id,
      lapsesAt: payment.approval?.lapsesAt ?? payment.createdAt,
      payment,
    })),
    ...raises.map((raise) => ({
      kind: 'raise' as const,
      id: raise.id,
      lapsesAt: raise.lapsesAt,
      raise,
    })),
  ].sort((a, b) => Date.parse(a.lapsesAt) - Date.parse(b.lapsesAt));
}

/** Tells whether the caller may decide about an item. Nobody decides about its own grant. */
function useMayDecide(): (item: Item) => boolean {
  const may = useMay();
  const { grantId } = useSession();
  return (item) =>
    item.kind === 'payment'
      ? may('decide') && item.payment.grantId !== grantId
      : may('decide-raise') && item.raise.grantId !== grantId;
}

function Desk({ items }: { items: readonly Item[] }) {
  const mayDecide = useMayDecide();
  const [currentId, setCurrentId] = useState(items[0]?.id);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [verdict, setVerdict] = useState<Verdict>();
  const [deciding, setDeciding] = useState<readonly Item[]>([]);
  const latestPlace = useRef(0);
  const found = items.findIndex(({ id }) => id === currentId);
  // Where the current item is gone, as when somebody else decided it, its neighbour is next.
  const place = found >= 0 ? found : Math.min(latestPlace.current, items.length - 1);
  latestPlace.current = place;
  const current = items[place];
  const chosen = items.filter(({ id }) => selected.has(id));
  const targets = (chosen.length > 0 ? chosen : current ? [current] : []).filter(mayDecide);
  // A selection is decided, whichever item is shown beside it.
  const selection = chosen.length > 0 ? ` ${targets.length} selected` : '';
  const toggle = (id: string) =>
    setSelected((now) => {
      const next = new Set(now);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  const decide = (what: Verdict) => {
    if (targets.length === 0) return;
    setDeciding(targets);
    setVerdict(what);
  };
  useKeys(verdict === undefined, {
    j: () => setCurrentId(items[Math.min(items.length - 1, place + 1)]?.id),
    k: () => setCurrentId(items[Math.max(0, place - 1)]?.id),
    x: () => current && toggle(current.id),
    a: () => decide('approve'),
    r: () => decide('reject'),
  });
  return (
    <div className="split">
      <div className="card inbox" style={{ padding: 0 }}>
        <ul>
          {items.map((item) => (
            <Row
              key={item.id}
              item={item}
              isCurrent={item.id === current?.id}
              isSelected={selected.has(item.id)}
              select={() => setCurrentId(item.id)}
            />
          ))}
        </ul>
      </div>
      {current ? (
        <section className="card" aria-label="What waits">
          {current.kind === 'payment' ? (
            <PaymentDetail payment={current.payment} />
          ) : (
            <RaiseDetail raise={current.raise} />
          )}
          {targets.length > 0 ? (
            <div className="acts">
              <Button onClick={() => decide('approve')}>Approve{selection}</Button>
              <Button color="var(--bad)" variant="outline" onClick={() => decide('reject')}>
                Reject{selection}
              </Button>
            </div>
          ) : (
            <p className="note">Somebody above decides about this.</p>
          )}
        </section>
      ) : null}
      {verdict ? (
        <DecideDialog
          verdict={verdict}
          items={deciding}
          close={() => {
            setVerdict(undefined);
            setSelected(new Set());
          }}
        />
      ) : null}
    </div>
  );
}

/** Single keys, unless somebody types or a dialog is open. */
function useKeys(isOn: boolean, acts: Readonly<Record<string, () => void>>): void {
  const latest = useRef(acts);
  latest.current = acts;
  useEffect(() => {
    if (!isOn) return;
    const press = (event: KeyboardEvent) => {
      const isTyping = (event.target as HTMLElement).closest(
        'input, textarea, select, [role="dialog"]',
      );
      if (isTyping || event.metaKey || event.ctrlKey || event.altKey) return;
      const act = latest.current[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    window.addEventListener('keydown', press);
    return () => window.removeEventListener('keydown', press);
  }, [isOn]);
}

function Row({
  item,
  isCurrent,
  isSelected,
  select,
}: {
  item: Item;
  isCurrent: boolean;
  isSelected: boolean;
  select: () => void;
}) {
  const now = useNow();
  const line = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (isCurrent) line.current?.scrollIntoView({ block: 'nearest' });
  }, [isCurrent]);
  const { title, amount, currency } =
    item.kind === 'payment'
      ? {
          title: item.payment.resource.replace(/^https?:\/\//, ''),
          amount: item.payment.amount,
          currency: item.payment.currency,
        }
      : { title: item.raise.reason, amount: item.raise.budget, currency: item.raise.currency };
  return (
    <li>
      <button type="button" className="item" ref={line} aria-current={isCurrent} onClick={select}>
        <span className="between">
          <span className={item.kind === 'payment' ? 'chip warn' : 'chip'}>
            {isSelected ? '✓ ' : ''}
            {item.kind === 'payment' ? 'payment' : 'raise'}
          </span>
          <strong>
            <Money amount={amount} currency={currency} />
          </strong>
        </span>
        <span className="cut">{title}</span>
        <span className="soft num">lapses {relative(item.lapsesAt, now)}</span>
      </button>
    </li>
  );
}
