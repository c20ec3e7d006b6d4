import { Button } from '@mantine/core';
import { useState } from 'react';
import { call, type Webhook } from '../api.js';
import { count, instant } from '../format.js';
import { navigate } from '../router.js';
import { useMay } from '../session.js';
import { explain, Secret } from './bits.js';
import { Dialog, DialogForm, ReasonDialog, useAct } from './dialog.js';
import { TimeField } from './filters.js';
import { ChangeWebhookDialog } from './webhook-form.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

type Open = 'change' | 'pause' | 'resume' | 'rotate' | 'replay' | 'delete';

/** Buttons for a webhook, without those that the caller may not use or that its state does not allow. */
export function WebhookActs({ webhook }: { webhook: Webhook }) {
  const may = useMay();
  const [open, setOpen] = useState<Open>();
  const test = useAct(() => call('POST', `/v1/webhooks/${webhook.id}/test`));
  if (!may('webhooks')) return null;
  const { status } = webhook;
  const button = (name: Open, text: string) => (
    <Button variant="default" onClick={() => setOpen(name)}>
      {text}
    </Button>
  );
  return (
    <>
      {test.error ? (
        <span className="bad" role="alert">
          {explain(test.error)}
        </span>
      ) : null}
      {status === 'active' ? (
        <Button loading={test.isPending} onClick={() => test.mutate(undefined)}>
          Send a test
        </Button>
      ) : null}
      {status === 'paused' ? <Button onClick={() => setOpen('resume')}>Resume</Button> : null}
      {status === 'active' ? button('pause', 'Pause') : null}
      {status === 'active' ? button('replay', 'Replay') : null}
      {status === 'ended' ? null : button('change', 'Change')}
      {status === 'ended' ? null : button('rotate', 'New secret')}
      <Button color="var(--danger)" onClick={() => setOpen('delete')}>
        Delete
      </Button>
      <OpenDialog open={open} webhook={webhook} close={() => setOpen(undefined)} />
    </>
  );
}

interface Props {
  readonly webhook: Webhook;
  readonly close: () => void;
}

function OpenDialog({ open, webhook, close }: Props & { open: Open | undefined }) {
  const post = (act: string, reason: string | undefined) =>
    call('POST', `/v1/webhooks/${webhook.id}/${act}`, {
      body: reason === undefined ? {} : { reason },
    });
  switch (open) {
    case 'change':
      return <ChangeWebhookDialog webhook={webhook} close={close} />;
    case 'pause':
      return (
        <ReasonDialog
          title="Pause the webhook"
          label="Pause"
          text="Nothing is sent from now on. Its place in the log is kept: after a resume it gets everything that it missed, in order."
          run={(reason) => post('pause', reason)}
          close={close}
        />
      );
    case 'resume':
      return (
        <ReasonDialog
          title="Resume the webhook"
          label="Resume"
          text="It goes on with the event at which it stopped. What was pending is tried at once, with all its tries."
          run={(reason) => post('resume', reason)}
          close={close}
        />
      );
    case 'rotate':
      return <RotateDialog webhook={webhook} close={close} />;
    case 'replay':
      return <ReplayDialog webhook={webhook} close={close} />;
    case 'delete':
      return <DeleteDialog webhook={webhook} close={close} />;
    default:
      return null;
  }
}

function RotateDialog({ webhook, close }: Props) {
  const act = useAct(() =>
    call<{ secret: string; oldValidUntil: string }>('POST', `/v1/webhooks/${webhook.id}/rotate`),
  );
  return (
    <Dialog title="New secret" close={close}>
      {act.data ? (
        <Secret value={act.data.secret} label="Secret of the webhook" />
      ) : (
        <DialogForm
          submit={() => act.mutate(undefined)}
          isPending={act.isPending}
          error={act.error}
          label="Replace the secret"
          close={close}
        >
          <p>
            Deliveries carry both signatures for a day, so that the receiver can change in between.
            After that the secret in use verifies nothing.
          </p>
        </DialogForm>
      )}
    </Dialog>
  );
}

/** The minute that a time is in, as the fields have it. */
function wholeMinute(at: number): string {
  return new Date(Math.floor(at / MINUTE_MS) * MINUTE_MS).toISOString();
}

function ReplayDialog({ webhook, close }: Props) {
  const [from, setFrom] = useState(() => wholeMinute(Date.now() - HOUR_MS));
  const [to, setTo] = useState(() => wholeMinute(Date.now() + MINUTE_MS));
  const act = useAct(() =>
    call<{ deliveries: number }>('POST', `/v1/webhooks/${webhook.id}/replay`, {
      body: { from: instant(from), to: instant(to) },
    }),
  );
  return (
    <Dialog title="Replay events" close={close}>
      {act.data ? (
        <div className="form">
          <p className="note good" role="status">
            {count(act.data.deliveries, 'event')} {act.data.deliveries === 1 ? 'is' : 'are'} sent
            again.
          </p>
          <div className="acts">
            <Button onClick={close}>Close</Button>
          </div>
        </div>
      ) : (
        <DialogForm
          submit={() => act.mutate(undefined)}
          isPending={act.isPending}
          error={act.error}
          label="Replay"
          isReady={from !== '' && to !== '' && from <= to}
          close={close}
        >
          <p>
            Sends everything again that the webhook got, or would have got, in this time. Each event
            keeps its <code>webhook-id</code>, so that a receiver knows it. 10,000 events at most.
          </p>
          <div className="two">
            <TimeField label="From" value={from} set={setFrom} />
            <TimeField label="To" value={to} set={setTo} />
          </div>
        </DialogForm>
      )}
    </Dialog>
  );
}

function DeleteDialog({ webhook, close }: Props) {
  const act = useAct(
    () => call('DELETE', `/v1/webhooks/${webhook.id}`),
    () => navigate('/webhooks'),
  );
  return (
    <Dialog title="Delete the webhook" close={close}>
      <DialogForm
        submit={() => act.mutate(undefined)}
        isPending={act.isPending}
        error={act.error}
        label="Delete"
        isBad
        close={close}
      >
        <p className="break">
          {webhook.url} gets nothing more, and the list of its deliveries is gone. This cannot be
          undone. Pause it to stop for a while.
        </p>
      </DialogForm>
    </Dialog>
  );
}
