import type { Grant } from '@bursar/sdk';
import { BursarError } from '@bursar/sdk';
import { Button, Loader } from '@mantine/core';
import { type ReactNode, useEffect, useState } from 'react';
import { clock, exact, money, percent, period, relative, short, whole } from '../format.js';
import { useFreshness, useNow } from '../live.js';
import { Link } from '../router.js';

/** An amount: exact, in figures of one width. */
export function Money({ amount, currency }: { amount: string; currency?: string | undefined }) {
  return (
    <span className="num">
      {money(amount)}
      {currency === undefined ? '' : ` ${currency}`}
    </span>
  );
}

/** A time as people say it; the date with its zone stands behind it. */
export function Time({ at }: { at: string }) {
  return (
    <time dateTime={at} title={whole(at)} className="num">
      {relative(at, useNow())}
    </time>
  );
}

const TONES: Readonly<Record<string, string>> = {
  active: 'good',
  settled: 'good',
  ready: 'good',
  delivered: 'good',
  authorized: 'info',
  open: 'info',
  approved: 'good',
  pending: 'warn',
  pending_approval: 'warn',
  suspended: 'warn',
  paused: 'warn',
  draining: 'warn',
  revoked: 'bad',
  rejected: 'bad',
  refused: 'bad',
  dead: 'bad',
  refund_owed: 'bad',
};

const WORDS: Readonly<Record<string, string>> = {
  pending_approval: 'waits',
  authorized: 'open',
  not_started: 'not started',
  dead: 'dead letter',
  refund_owed: 'refund owed',
  uncharged: 'not charged',
};

/** A status as a word with a colour; the word alone says it all. */
export function Status({ of }: { of: string }) {
  return <span className={`chip ${TONES[of] ?? 'quiet'}`}>{WORDS[of] ?? of}</span>;
}

/** An id, cut in the middle, that leads to its page. */
export function Id({ id, to }: { id: string; to?: string }) {
  const text = short(id, 7);
  return to === undefined ? (
    <code title={id}>{text}</code>
  ) : (
    <Link to={to} title={id}>
      <code>{text}</code>
    </Link>
  );
}

type Sums = Pick<
  Grant,
  'budget' | 'spent' | 'reserved' | 'allocated' | 'remaining' | 'currency' | 'limitedBy'
>;

/** Bar of a grant's budget: spent, held and set aside. */
export function Bar({ grant }: { grant: Sums }) {
  const budget = exact(grant.budget);
  const part = (amount: string) => ({ width: `${percent(exact(amount), budget)}%` });
  const { spent, reserved, allocated, remaining, currency } = grant;
  const label =
    `${spent} spent, ${reserved} held, ${allocated} set aside of ${grant.budget} ${currency}; ` +
    `${remaining} can be spent now`;
  return (
    <div className="bar" role="img" aria-label={label} title={label}>
      <span className="spent" style={part(spent)} />
      <span className="held" style={part(reserved)} />
      <span className="aside" style={part(allocated)} />
    </div>
  );
}

/** Legend of the bars. */
export function BarKey() {
  const parts = [
    ['spent', 'spent', '--bar-spent'],
    ['held', 'signed, not settled', '--bar-held'],
    ['aside', 'set aside below', '--bar-aside'],
    ['left', 'left', '--bar-left'],
  ] as const;
  return (
    <div className="key">
      {parts.map(([id, text, colour]) => (
        <span key={id}>
          <i style={{ background: `var(${colour})` }} />
          {text}
        </span>
      ))}
    </div>
  );
}

/** Which limit a grant meets first, and whose it is. */
export function LimitedBy({
  grant,
  holders,
  isBare = false,
}: {
  grant: Grant;
  holders: ReadonlyMap<string, string>;
  /** Whether a heading says already what this is. */
  isBare?: boolean;
}) {
  const { limitedBy, id, remaining, currency, status } = grant;
  const { grantId, by, windowSeconds, reopensAt } = limitedBy;
  const holder = grantId === id ? 'it' : (holders.get(grantId) ?? 'a grant above');
  const named = grantId === id ? holder : <Link to={`/grants/${grantId}`}>{holder}</Link>;
  if (by === 'status') {
    return (
      <span className="soft">
        nothing: {named} is {WORDS[status] ?? status}
      </span>
    );
  }
  const limit = {
    budget: 'budget',
    payments: 'number of payments',
    window: `limit per ${period(windowSeconds ?? 0)}`,
  }[by];
  return (
    <span className="soft">
      {isBare ? '' : 'limited by '}
      {grantId === id ? (
        `its own ${limit}`
      ) : (
        <>
          the {limit} of {named}
        </>
      )}
      : {money(remaining)} {currency} left{reopensAt ? `, resets ${clock(reopensAt)}` : ''}
    </span>
  );
}

/** Something that is being read. */
export function Loading({ what }: { what: string }) {
  return (
    <div className="empty" role="status">
      <Loader size="sm" color="var(--accent)" />
      <p>Reading {what}…</p>
    </div>
  );
}

/** A place with nothing in it, and what to do about that. */
export function Empty({
  title,
  isPage = false,
  children,
}: {
  title: string;
  isPage?: boolean;
  children?: ReactNode;
}) {
  return (
    <div className="empty">
      {isPage ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

/** An error in the service's words, with a way to go on. */
export function Failure({
  error,
  retry,
  isPage = false,
}: {
  error: unknown;
  retry?: () => void;
  isPage?: boolean;
}) {
  const isGone = error instanceof BursarError && error.code === 'not_found';
  const title = isGone ? 'Not there, or not yours to see' : 'This could not be read';
  return (
    <div className="empty" role="alert">
      {isPage ? <h1>{title}</h1> : <h2>{title}</h2>}
      <p>{explain(error)}</p>
      {retry && !isGone ? (
        <Button mt="sm" variant="default" onClick={retry}>
          Try again
        </Button>
      ) : null}
    </div>
  );
}

/** Tells that what is on the page could not be read again; the page stays, with whatever somebody does in it. */
export function Outdated({ error }: { error: unknown }) {
  return error ? (
    <p className="note warn" role="status">
      What you see may be out of date: {explain(error)}
    </p>
  ) : null;
}

/** The sentence of an error. */
export function explain(error: unknown): string {
  if (error instanceof BursarError) {
    return error.message || error.code;
  }
  return error instanceof Error ? error.message : String(error);
}

/** How fresh the page is, always on the screen. */
function FreshnessMark() {
  const { at, isStale } = useFreshness();
  const now = useNow();
  const ago = at === 0 ? 'reading' : relative(new Date(Math.min(at, now)).toISOString(), now);
  return (
    <span className={isStale ? 'fresh stale' : 'fresh'}>
      <span className="dot" />
      {isStale ? `out of date, read ${ago}` : `live, read ${ago}`}
    </span>
  );
}

/** Button that copies a text. */
export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [outcome, setOutcome] = useState<'copied' | 'refused'>();
  // A browser gives no clipboard to a page by http, or where somebody refused it.
  const copy = () =>
    Promise.resolve()
      .then(() => navigator.clipboard.writeText(text))
      .then(
        () => setOutcome('copied'),
        () => setOutcome('refused'),
      );
  return (
    <>
      <Button onClick={() => void copy()}>{outcome === 'copied' ? 'Copied' : label}</Button>
      {outcome === 'refused' ? (
        <span className="bad" role="status">
          This browser refuses the clipboard. Select the text and copy it.
        </span>
      ) : null}
    </>
  );
}

/** A secret that is shown once, with a button that copies it. */
export function Secret({ value, label }: { value: string; label: string }) {
  return (
    <div className="form">
      <p className="note warn">
        Shown once. Copy it now: nobody can show it again, only replace it by a fresh one.
      </p>
      <section aria-label={label}>
        <code className="token" data-testid="secret">
          {value}
        </code>
      </section>
      <div className="acts">
        <CopyButton text={value} />
      </div>
    </div>
  );
}

/** Page heading: where one is, the name, and what can be done. */
export function Head({
  title,
  crumbs,
  children,
}: {
  title: ReactNode;
  crumbs?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <header className="head">
      {crumbs ? <div className="crumbs">{crumbs}</div> : null}
      <h1 tabIndex={-1}>{title}</h1>
      <FreshnessMark />
      <div className="acts grow">{children}</div>
    </header>
  );
}

/** How long what is typed must rest before the service is asked about it, in milliseconds. */
const TYPED_MS = 300;

/** A value of plain data, once it has not changed for {@link TYPED_MS}. */
export function useRested<T>(value: T): T {
  const text = JSON.stringify(value);
  const [rested, setRested] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setRested(text), TYPED_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return JSON.parse(rested);
}
