import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { call, type Treasury } from '../api.js';
import { count } from '../format.js';
import { useConfirmation } from './confirmation.js';
import { Dialog, DialogForm, Reason, useAct } from './dialog.js';

/** Stops, or restarts, everything of a treasury. The name is typed, so that no slip of the mouse does it. */
export function StopDialog({ treasury, close }: { treasury: Treasury; close: () => void }) {
  const { id, name, status, openPayments } = treasury;
  const isStop = status === 'active';
  const [typed, setTyped] = useState('');
  const [reason, setReason] = useState('');
  const confirmation = useConfirmation();
  const act = useAct(async () => {
    await confirmation.confirm();
    const body = reason.trim() === '' ? {} : { reason: reason.trim() };
    return call('POST', `/v1/treasuries/${id}/${isStop ? 'suspend' : 'resume'}`, { body });
  }, close);
  return (
    <Dialog title={isStop ? 'Stop everything' : 'Resume the treasury'} close={close}>
      <DialogForm
        submit={() => act.mutate(undefined)}
        isPending={act.isPending}
        error={act.error}
        label={isStop ? `Stop everything of ${name}` : `Resume ${name}`}
        isBad={isStop}
        isReady={typed === name && confirmation.isReady}
        close={close}
      >
        <p>
          {isStop
            ? `No grant of ${name} pays, delegates or hands out a header from now on, on every replica. ` +
              `${count(openPayments, 'payment')} signed before may still be spent. Resuming undoes it.`
            : `All grants of ${name} go on as they were.`}
        </p>
        <TextInput
          label={`Type ${name} to confirm`}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
          required
          data-autofocus
        />
        <Reason value={reason} set={setReason} />
        {confirmation.field}
      </DialogForm>
    </Dialog>
  );
}
