import { Button } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import { call, type Wallet } from '../api.js';
import { count, exact } from '../format.js';
import { useMay } from '../session.js';
import { CopyButton, Money, Status } from './bits.js';
import { useConfirmation } from './confirmation.js';
import { Dialog, DialogForm, Reason, useAct } from './dialog.js';

const Qr = lazy(() => import('./qr.js'));

/** Buttons of a wallet: to fund it, and to take it out of use. */
export function WalletActs({ balances }: { balances: readonly Wallet[] }) {
  const may = useMay();
  const [open, setOpen] = useState<'fund' | 'drain'>();
  const [wallet] = balances;
  if (!wallet) return null;
  const close = () => setOpen(undefined);
  return (
    <div className="acts">
      {wallet.status === 'active' ? (
        <Button variant="default" size="xs" onClick={() => setOpen('fund')}>
          Fund
        </Button>
      ) : null}
      {may('treasury') && wallet.status !== 'retired' ? (
        <Button variant="default" size="xs" onClick={() => setOpen('drain')}>
          {wallet.status === 'active' ? 'Drain' : 'Retire'}
        </Button>
      ) : null}
      {open === 'fund' ? <FundDialog balances={balances} close={close} /> : null}
      {open === 'drain' ? <DrainDialog balances={balances} close={close} /> : null}
    </div>
  );
}

function FundDialog({ balances, close }: { balances: readonly Wallet[]; close: () => void }) {
  const [wallet] = balances;
  if (!wallet) return null;
  return (
    <Dialog title="Fund the wallet" close={close}>
      <div className="form">
        <p>
          Send one of these tokens, on its network, to this address. Anything else is lost to
          Bursar.
        </p>
        <ul className="rows">
          {balances.map(({ network, asset, currency, free }) => (
            <li key={`${network} ${asset}`}>
              <span className="grow break">
                <strong>{currency}</strong> on {network}
                <br />
                <code className="soft">{asset}</code>
              </span>
              <span>
                <Money amount={free} currency={currency} /> free
              </span>
            </li>
          ))}
        </ul>
        <Suspense fallback={<div className="qr" />}>
          <Qr text={wallet.address} />
        </Suspense>
        <p className="break">
          <code>{wallet.address}</code>
        </p>
        <p className="soft">The balance here grows once the transfer is final on its network.</p>
        <div className="acts">
          <CopyButton text={wallet.address} label="Copy the address" />
          <Button variant="default" onClick={close}>
            Done
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

/** The steps that take a wallet out of use: it pays no more, what it signed ends, then it is retired. */
function DrainDialog({ balances, close }: { balances: readonly Wallet[]; close: () => void }) {
  const [wallet] = balances;
  const [reason, setReason] = useState('');
  const confirmation = useConfirmation();
  const held = balances.filter(({ reserved }) => exact(reserved) > 0n);
  const isActive = wallet?.status === 'active';
  const act = useAct(async () => {
    await confirmation.confirm();
    const text = reason.trim();
    await call('POST', `/v1/wallets/${wallet?.id}/status`, {
      body: { status: isActive ? 'draining' : 'retired', ...(text === '' ? {} : { reason: text }) },
    });
    setReason('');
  });
  if (!wallet) return null;
  if (wallet.status === 'retired') {
    return (
      <Dialog title="The wallet is retired" close={close}>
        <div className="form" role="status">
          <p className="note good">It signs nothing any more. What is left on it stays there.</p>
          {balances.map(({ network, asset, balance, currency }) => (
            <p key={`${network} ${asset}`}>
              <Money amount={balance} currency={currency} /> on {network}: move it with the
              wallet&apos;s key.
            </p>
          ))}
          <div className="acts">
            <Button onClick={close} data-autofocus>
              Done
            </Button>
          </div>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title="Take a wallet out of use" close={close}>
      <DialogForm
        submit={() => act.mutate(undefined)}
        isPending={act.isPending}
        error={act.error}
        label={isActive ? 'Drain: it pays no more' : 'Retire: for good'}
        isBad
        isReady={confirmation.isReady && (isActive || held.length === 0)}
        close={close}
      >
        <p className="break">
          <code>{wallet.address}</code> <Status of={wallet.status} />
        </p>
        <ol className="steps">
          <li className={isActive ? '' : 'good'}>
            <span>
              1. It is draining: it makes no new payment, and the other wallets pay. This can be
              undone with <code>npx bursar wallets</code>.
            </span>
          </li>
          <li className={!isActive && held.length === 0 ? 'good' : ''}>
            <span aria-live="polite">
              2. What it signed ends.{' '}
              {held.length === 0 ? (
                'Nothing is held.'
              ) : (
                <>
                  {count(held.length, 'balance')} with money held:{' '}
                  {held.map(({ network, reserved, currency }) => (
                    <span key={network}>
                      <Money amount={reserved} currency={currency} /> on {network}{' '}
                    </span>
                  ))}
                </>
              )}
            </span>
          </li>
          <li>
            <span>3. It is retired, for good. Its key may be destroyed once it is empty.</span>
          </li>
        </ol>
        <Reason value={reason} set={setReason} />
        {confirmation.field}
      </DialogForm>
    </Dialog>
  );
}
