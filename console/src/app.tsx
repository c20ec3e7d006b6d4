import { Button, Kbd, useMantineColorScheme } from '@mantine/core';
import { type ComponentType, lazy, Suspense, useEffect, useState } from 'react';
import type { Session } from './api.js';
import { Boundary } from './boundary.js';
import icon from './icon.svg';
import { useEventStream, useFreshness } from './live.js';
import { Empty, Loading } from './parts/bits.js';
import { useNotifications } from './parts/notify.js';
import { useInboxCount, useTreasuries } from './reads.js';
import { Link, usePath } from './router.js';
import { type Act, signOut, useMay, useSession } from './session.js';

const lazyPage = <Name extends string>(
  load: () => Promise<Record<Name, ComponentType<{ id: string }>>>,
  name: Name,
) => lazy(async () => ({ default: (await load())[name] }));

const Overview = lazyPage(() => import('./pages/overview.js'), 'Overview');
const GrantsPage = lazyPage(() => import('./pages/grants.js'), 'GrantsPage');
const GrantPage = lazyPage(() => import('./pages/grant.js'), 'GrantPage');
const MintPage = lazyPage(() => import('./pages/mint.js'), 'MintPage');
const PaymentsPage = lazyPage(() => import('./pages/payments.js'), 'PaymentsPage');
const PaymentPage = lazyPage(() => import('./pages/payment.js'), 'PaymentPage');
const SpendPage = lazyPage(() => import('./pages/spend.js'), 'SpendPage');
const SalesPage = lazyPage(() => import('./pages/sales.js'), 'SalesPage');
const InboxPage = lazyPage(() => import('./pages/inbox.js'), 'InboxPage');
const AuditPage = lazyPage(() => import('./pages/audit.js'), 'AuditPage');
const ComparePage = lazyPage(() => import('./pages/compare.js'), 'ComparePage');
const EventPage = lazyPage(() => import('./pages/event.js'), 'EventPage');
const TreasuryPage = lazyPage(() => import('./pages/treasury.js'), 'TreasuryPage');
const WebhooksPage = lazyPage(() => import('./pages/webhooks.js'), 'WebhooksPage');
const WebhookPage = lazyPage(() => import('./pages/webhook.js'), 'WebhookPage');
const Palette = lazy(async () => ({ default: (await import('./palette.js')).Palette }));

const ROUTES: readonly (readonly [RegExp, ComponentType<{ id: string }>])[] = [
  [/^\/$/, Overview],
  [/^\/grants$/, GrantsPage],
  [/^\/grants\/new$/, MintPage],
  [/^\/grants\/(grt_[0-9a-z]+)$/, GrantPage],
  [/^\/payments$/, PaymentsPage],
  [/^\/payments\/(pay_[0-9a-z]+)$/, PaymentPage],
  [/^\/spend$/, SpendPage],
  [/^\/sales$/, SalesPage],
  [/^\/inbox$/, InboxPage],
  [/^\/audit$/, AuditPage],
  [/^\/audit\/compare$/, ComparePage],
  [/^\/audit\/(evt_[0-9a-z]+)$/, EventPage],
  [/^\/treasury$/, TreasuryPage],
  [/^\/webhooks$/, WebhooksPage],
  [/^\/webhooks\/(whk_[0-9a-z]+)$/, WebhookPage],
];

const NAV: readonly { readonly to: string; readonly text: string; readonly act?: Act }[] = [
  { to: '/', text: 'Overview' },
  { to: '/grants', text: 'Grants' },
  { to: '/payments', text: 'Payments' },
  { to: '/spend', text: 'Spend' },
  { to: '/inbox', text: 'Inbox' },
  { to: '/audit', text: 'Audit' },
  { to: '/treasury', text: 'Treasury', act: 'see-treasury' },
  { to: '/webhooks', text: 'Webhooks' },
  { to: '/sales', text: 'Sales', act: 'see-treasury' },
];

/** The frame of every page behind the sign-in. */
export function App() {
  const path = usePath();
  const [isFinding, setFinding] = useState(false);
  useEventStream();
  useNotifications();
  useEffect(() => {
    const open = (event: KeyboardEvent) => {
      if (event.key !== 'k' || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      setFinding((is) => !is);
    };
    window.addEventListener('keydown', open);
    return () => window.removeEventListener('keydown', open);
  }, []);
  return (
    <div className="frame">
      <a className="sr skip" href="#main">
        Skip to the page
      </a>
      <Side path={path} find={() => setFinding(true)} />
      <main className="main" id="main">
        <Banners />
        <Boundary key={path}>
          <Suspense fallback={<Loading what="the page" />}>
            <Page path={path} />
          </Suspense>
        </Boundary>
      </main>
      {isFinding ? (
        <Suspense>
          <Palette close={() => setFinding(false)} />
        </Suspense>
      ) : null}
    </div>
  );
}

function Page({ path }: { path: string }) {
  for (const [pattern, Component] of ROUTES) {
    const match = pattern.exec(path);
    // The key gives each grant a page of its own, with no state of the one before.
    if (match) return <Component key={path} id={match[1] ?? ''} />;
  }
  return (
    <Empty title="There is no such page" isPage>
      <p>
        Go to the <Link to="/">overview</Link>, or press Ctrl K and paste an id.
      </p>
    </Empty>
  );
}

function Side({ path, find }: { path: string; find: () => void }) {
  const session = useSession();
  const may = useMay();
  const waiting = useInboxCount();
  return (
    <aside className="side" aria-label="Console">
      <Link to="/" className="brand">
        <img src={icon} alt="" />
        Bursar
      </Link>
      <nav className="nav" aria-label="Pages">
        {NAV.filter(({ act }) => act === undefined || may(act)).map(({ to, text }) => (
          <Link key={to} to={to} aria-current={isUnder(path, to) ? 'page' : undefined}>
            {text}
            {to === '/inbox' && waiting > 0 ? (
              <span className="pill">
                {waiting}
                <span className="sr"> waiting</span>
              </span>
            ) : null}
          </Link>
        ))}
      </nav>
      <Button
        variant="default"
        size="xs"
        justify="space-between"
        onClick={find}
        rightSection={<Kbd size="xs">Ctrl K</Kbd>}
      >
        Find
      </Button>
      <Who session={session} />
    </aside>
  );
}

function Who({ session }: { session: Session }) {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const isDark =
    colorScheme === 'dark' ||
    (colorScheme === 'auto' && window.matchMedia('(prefers-color-scheme: dark)').matches);
  return (
    <div className="who">
      <span className="break">
        {session.actor.replace(/^admin:/, '')}
        <br />
        <span className="soft">{session.role === 'holder' ? 'grant holder' : session.role}</span>
      </span>
      <div className="acts">
        <Button
          size="compact-xs"
          variant="default"
          onClick={() => setColorScheme(isDark ? 'light' : 'dark')}
        >
          {isDark ? 'Light' : 'Dark'}
        </Button>
        <Button size="compact-xs" variant="default" onClick={() => void signOut()}>
          Sign out
        </Button>
      </div>
    </div>
  );
}

/** Warnings that stand on every page. */
function Banners() {
  const { isStale } = useFreshness();
  const stopped = useTreasuries().data?.filter(({ status }) => status === 'suspended') ?? [];
  return (
    <>
      {isStale ? (
        <div className="banner" role="alert">
          The service has not answered for a while. What you see is out of date.
        </div>
      ) : null}
      {stopped.map(({ id, name, suspension }) => (
        <div key={id} className="banner" role="status">
          Everything of treasury {name} is stopped
          {suspension?.reason ? `: ${suspension.reason}` : ''}
          <Link className="grow" to="/treasury">
            Resume it in Treasury
          </Link>
        </div>
      ))}
    </>
  );
}

function isUnder(path: string, to: string): boolean {
  return to === '/' ? path === '/' : path === to || path.startsWith(`${to}/`);
}
