import type { Grant } from '@bursar/sdk';
import { Button, TextInput } from '@mantine/core';
import { useState } from 'react';
import { bursar } from '../api.js';
import { isAmount } from '../format.js';
import { navigate } from '../router.js';
import { useMay, useSession } from '../session.js';
import { AmendDialog } from './amend.js';
import { Secret } from './bits.js';
import { Dialog, DialogForm, Reason, ReasonDialog, useAct } from './dialog.js';
import { RevokeDialog } from './revoke.js';

type Open = 'amend' | 'suspend' | 'resume' | 'token' | 'revoke' | 'raise';

/** Buttons for a grant, without those that the caller may not use. */
export function GrantActs({ grant }: { grant: Grant }) {
  const { grantId } = useSession();
  const may = useMay();
  const [open, setOpen] = useState<Open>();
  if (!may('steer')) return null;
  const isOwn = grantId === grant.id;
  const isAlive = grant.status !== 'revoked' && grant.status !== 'expired';
  // A holder mints children of its own grant only.
  const mayDelegate = grant.delegationDepth > 0 && (grantId === null || isOwn);
  const button = (name: Open, text: string) => (
    <Button variant="default" onClick={() => setOpen(name)}>
      {text}
    </Button>
  );
  return (
    <>
      {isAlive && mayDelegate ? (
        <Button variant="default" onClick={() => navigate(`/grants/new?parent=${grant.id}`)}>
          Delegate
        </Button>
      ) : null}
      {isAlive && !isOwn ? button('amend', 'Amend') : null}
      {isAlive && isOwn ? button('raise', 'Ask for a raise') : null}
      {grant.status === 'suspended' ? button('resume', 'Resume') : null}
      {grant.status === 'active' ? button('suspend', 'Suspend') : null}
      {/* The own token is the session's: replacing it would sign out before the new one is read. */}
      {isAlive && !isOwn ? button('token', 'New token') : null}
      {grant.status !== 'revoked' ? (
        <Button color="var(--danger)" onClick={() => setOpen('revoke')}>
          Revoke
        </Button>
      ) : null}
      <OpenDialog open={open} grant={grant} close={() => setOpen(undefined)} />
    </>
  );
}

function OpenDialog({
  open,
  grant,
  close,
}: {
  open: Open | undefined;
  grant: Grant;
  close: () => void;
}) {
  const { id, holder } = grant;
  switch (open) {
    case 'amend':
      return <AmendDialog grant={grant} close={close} />;
    case 'revoke':
      return <RevokeDialog id={id} close={close} />;
    case 'token':
      return <TokenDialog grant={grant} close={close} />;
    case 'raise':
      return <RaiseDialog grant={grant} close={close} />;
    case 'suspend':
      return (
        <ReasonDialog
          title={`Suspend ${holder}`}
          label="Suspend"
          text="It and all below it pay nothing until somebody of your standing or above resumes it. What is signed may still be spent."
          run={(reason) => bursar.grants.suspend(id, reason)}
          close={close}
        />
      );
    case 'resume':
      return (
        <ReasonDialog
          title={`Resume ${holder}`}
          label="Resume"
          text="It and all below it go on as they were, unless a grant above is paused or ended."
          run={(reason) => bursar.grants.resume(id, reason)}
          close={close}
        />
      );
    default:
      return null;
  }
}

function TokenDialog({ grant, close }: { grant: Grant; close: () => void }) {
  const act = useAct(() => bursar.grants.reissueToken(grant.id));
  return (
    <Dialog title={`New token for ${grant.holder}`} close={close}>
      {act.data ? (
        <Secret value={act.data.token} label={`Token of ${grant.holder}`} />
      ) : (
        <DialogForm
          submit={() => act.mutate(undefined)}
          isPending={act.isPending}
          error={act.error}
          label="Replace the token"
          close={close}
        >
          <p>The token in use stops working at once. Hand the new one to the agent.</p>
        </DialogForm>
      )}
    </Dialog>
  );
}

function RaiseDialog({ grant, close }: { grant: Grant; close: () => void }) {
  const [budget, setBudget] = useState(grant.budget);
  const [reason, setReason] = useState('');
  const act = useAct(() => bursar.requestRaise({ budget, reason }), close);
  return (
    <Dialog title="Ask for a raise" close={close}>
      <DialogForm
        submit={() => act.mutate(undefined)}
        isPending={act.isPending}
        error={act.error}
        label="Ask"
        isReady={isAmount(budget) && reason.trim() !== ''}
        close={close}
      >
        <TextInput
          label={`Budget in total, ${grant.currency}`}
          inputMode="decimal"
          value={budget}
          onChange={(event) => setBudget(event.currentTarget.value.trim())}
          required
        />
        <Reason value={reason} set={setReason} isRequired />
      </DialogForm>
    </Dialog>
  );
}
