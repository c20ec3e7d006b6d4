import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Treasury, Wallet } from '../api.js';
import { count } from '../format.js';
import { Empty, Failure, Head, Loading, Money, Status } from '../parts/bits.js';
import { Runway } from '../parts/runway.js';
import { StopDialog } from '../parts/stop.js';
import { WalletActs } from '../parts/wallet-acts.js';
import { useSummary, useTreasuries, useWallets } from '../reads.js';
import { useTitle } from '../router.js';
import { useMay } from '../session.js';

/** Where the money is: treasuries, wallets, networks, and what pays for cancellations. */
export function TreasuryPage() {
  const { data, error, refetch } = useTreasuries();
  const may = useMay();
  const [changing, setChanging] = useState<Treasury>();
  useTitle('Treasury');
  return (
    <>
      <Head title="Treasury" />
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {!data && !error ? <Loading what="treasuries" /> : null}
      {data ? (
        <section className="card" aria-labelledby="treasuries">
          <h2 id="treasuries">Treasuries</h2>
          <ul className="rows">
            {data.map((treasury) => (
              <li key={treasury.id}>
                <span className="grow">
                  <strong>{treasury.name}</strong> <Status of={treasury.status} />
                  <br />
                  <span className="soft">
                    {count(treasury.openPayments, 'open payment')}
                    {treasury.suspension
                      ? `, stopped by ${treasury.suspension.by}${treasury.suspension.reason ? `: ${treasury.suspension.reason}` : ''}`
                      : ''}
                  </span>
                </span>
                {may('treasury') ? (
                  <Button
                    variant={treasury.status === 'active' ? 'outline' : 'filled'}
                    {...(treasury.status === 'active' ? { color: 'var(--bad)' } : {})}
                    onClick={() => setChanging(treasury)}
                  >
                    {treasury.status === 'active' ? 'Stop everything' : 'Resume'}
                  </Button>
                ) : null}
              </li>
            ))}
          </ul>
        </section>
      ) : null}
      <Wallets />
      <Health />
      {changing ? <StopDialog treasury={changing} close={() => setChanging(undefined)} /> : null}
    </>
  );
}

function Wallets() {
  const { data, error, refetch } = useWallets();
  if (!data && error) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Loading what="wallets" />;
  return (
    <>
      <section className="card" aria-labelledby="wallets">
        <h2 id="wallets">Wallets</h2>
        {data.items.length === 0 ? (
          <Empty title="No wallet yet">Give the service a key: see docs/operating.md.</Empty>
        ) : (
          <WalletTable wallets={data.items} />
        )}
      </section>
      <Runway wallets={data.items} />
      <section className="card" aria-labelledby="gas">
        <h2 id="gas">Gas for cancellations</h2>
        {data.gas.length === 0 ? (
          <p className="soft">No gas account is set: cancellations cannot be sent.</p>
        ) : (
          <ul className="rows">
            {data.gas.map(({ network, address, balance, cancellation }) => (
              <li key={network}>
                <span className="grow break">
                  <code>{address}</code> on {network}
                </span>
                <span className="soft break">
                  {balance} coins; a cancellation takes about {cancellation}
                </span>
              </li>
            ))}
          </ul>
        )}
      </section>
    </>
  );
}

function WalletTable({ wallets }: { wallets: readonly Wallet[] }) {
  return (
    <section className="scroll" tabIndex={0} aria-label="Balances of the wallets">
      <table>
        <thead>
          <tr>
            <th>Address</th>
            <th>Network</th>
            <th className="right">Balance</th>
            <th className="right">Held</th>
            <th className="right">Free</th>
            <th>Status</th>
          </tr>
        </thead>
        <tbody>
          {wallets.map((wallet, place) => (
            <tr key={`${wallet.id} ${wallet.network} ${wallet.asset}`}>
              {wallets[place - 1]?.id === wallet.id ? null : (
                <WalletCell balances={wallets.filter(({ id }) => id === wallet.id)} />
              )}
              <td>{wallet.network}</td>
              <td className="right">
                <Money amount={wallet.balance} currency={wallet.currency} />
              </td>
              <td className="right">
                <Money amount={wallet.reserved} />
              </td>
              <td className="right">
                <Money amount={wallet.free} />
              </td>
              <td>
                <Status of={wallet.heldSince ? 'held' : wallet.code ? 'has code' : wallet.status} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The first cell of a wallet's balances: its address, and what may be done with it. */
function WalletCell({ balances }: { balances: readonly Wallet[] }) {
  return (
    <td rowSpan={balances.length}>
      <code>{balances[0]?.address}</code>
      <WalletActs balances={balances} />
    </td>
  );
}

function Health() {
  const { data } = useSummary();
  if (!data) return null;
  return (
    <div className="grid">
      <section className="card" aria-labelledby="networks">
        <h2 id="networks">Networks</h2>
        <ul className="rows">
          {Object.entries(data.networks).map(([network, state]) => (
            <li key={network}>
              <span className="grow">{network}</span>
              <Status of={state} />
            </li>
          ))}
        </ul>
      </section>
      <section className="card" aria-labelledby="queues">
        <h2 id="queues">Queues</h2>
        {data.queues === null ? <p className="bad">They do not answer.</p> : null}
        <ul className="rows">
          {Object.entries(data.queues ?? {}).map(([name, { waiting, active, failed }]) => (
            <li key={name}>
              <span className="grow">{name}</span>
              <span className="num soft">
                {waiting} waiting, {active} running, {failed} failed
              </span>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}
