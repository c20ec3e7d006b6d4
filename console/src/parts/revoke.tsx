import { Button, Checkbox } from '@mantine/core';
import { useState } from 'react';
import { bursar, type RevocationPreview } from '../api.js';
import { count } from '../format.js';
import { useRevocation } from '../reads.js';
import { Failure, Loading, Money, Time } from './bits.js';
import { Dialog, DialogForm, Reason, useAct } from './dialog.js';

/** Ends a grant: first what that stops, then what is still open until nothing is. */
export function RevokeDialog({ id, close }: { id: string; close: () => void }) {
  const preview = useRevocation(id);
  const [reason, setReason] = useState('');
  const [cancels, setCancels] = useState(false);
  const act = useAct((text: string) =>
    bursar.grants.revoke(id, { reason: text, cancelOutstanding: cancels }),
  );
  const { data, error, refetch } = preview;
  const title = data ? `Revoke ${data.grant.holder}` : 'Revoke';
  if (act.data) {
    return (
      <Dialog title={`Revoked: ${act.data.grant.holder}`} close={close}>
        <Stopped ended={act.data.revokedGrants} preview={data} />
        <div className="acts">
          <Button mt="md" onClick={close} data-autofocus>
            Done
          </Button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={title} close={close}>
      <DialogForm
        submit={() => act.mutate(reason.trim())}
        isPending={act.isPending}
        error={act.error}
        label={data ? `Revoke ${count(data.revokedGrants, 'grant')}` : 'Revoke'}
        isBad
        isReady={reason.trim() !== ''}
        close={close}
      >
        {data ? <Stops preview={data} /> : null}
        {error ? <Failure error={error} retry={() => void refetch()} /> : null}
        {!data && !error ? <Loading what="what this stops" /> : null}
        <Reason value={reason} set={setReason} isRequired />
        {data && data.exposure.payments > 0 ? (
          <Checkbox
            label="Also cancel on chain what is signed. Costs gas; what lands first decides."
            checked={cancels}
            onChange={(event) => setCancels(event.currentTarget.checked)}
          />
        ) : null}
      </DialogForm>
    </Dialog>
  );
}

function Stops({ preview }: { preview: RevocationPreview }) {
  const { grant, revokedGrants, waitingApprovals, exposure, networks } = preview;
  const below = Math.max(0, revokedGrants - 1);
  return (
    <section aria-label="What this stops">
      <ul className="rows">
        <li>
          {below === 0 ? (
            'No grant is below it. It ends at once and for good.'
          ) : (
            <span>
              <strong>{count(below, 'grant')} below</strong> {below === 1 ? 'ends' : 'end'} with it,
              at once and for good.
            </span>
          )}
        </li>
        <li>
          <strong>
            <Money amount={grant.remaining} currency={grant.currency} />
          </strong>{' '}
          can no longer be spent.
        </li>
        {waitingApprovals > 0 ? (
          <li>
            <strong>{count(waitingApprovals, 'payment')}</strong> that wait for an approval will not
            be made.
          </li>
        ) : null}
        {exposure.payments === 0 ? (
          <li>Nothing is signed and open: no more money leaves.</li>
        ) : (
          networks.map(({ network, payments, amount, lastValidBefore }) => (
            <li key={network} className="bad">
              <span>
                <strong>
                  <Money amount={amount} currency={grant.currency} />
                </strong>{' '}
                in {count(payments, 'signed payment')} on {network} may still be spent. The last one
                ends <Time at={lastValidBefore} />.
              </span>
            </li>
          ))
        )}
      </ul>
    </section>
  );
}

function Stopped({ ended, preview }: { ended: number; preview: RevocationPreview | undefined }) {
  const exposure = preview?.exposure;
  const isOver = exposure?.payments === 0;
  return (
    <div className="form" role="status">
      <p className="note good">{count(ended, 'grant')} ended. No payment is made under them.</p>
      {exposure === undefined ? null : (
        <p className={isOver ? 'note good' : 'note warn'} data-testid="exposure">
          {isOver ? (
            'Exposure is 0: nothing that was signed can be spent any more.'
          ) : (
            <>
              <Money amount={exposure.amount} currency={preview?.grant.currency} /> in{' '}
              {count(exposure.payments, 'payment')} signed before may still be spent
              {exposure.lastValidBefore ? (
                <>
                  , the last one <Time at={exposure.lastValidBefore} />
                </>
              ) : null}
              . This line follows them until none is left.
            </>
          )}
        </p>
      )}
    </div>
  );
}
