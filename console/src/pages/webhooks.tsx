import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Webhook } from '../api.js';
import { Empty, Failure, Head, Id, Loading, Status, Time } from '../parts/bits.js';
import { NewWebhookDialog } from '../parts/webhook-form.js';
import { useWebhooks } from '../reads.js';
import { Link, useTitle } from '../router.js';
import { useMay } from '../session.js';

/** Webhooks: who is told of events, and whether that works. */
export function WebhooksPage() {
  const { data, error, refetch } = useWebhooks();
  const may = useMay();
  const [isAdding, setAdding] = useState(false);
  useTitle('Webhooks');
  return (
    <>
      <Head title="Webhooks">
        {may('webhooks') ? <Button onClick={() => setAdding(true)}>Add a webhook</Button> : null}
      </Head>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {!data && !error ? <Loading what="webhooks" /> : null}
      {data?.length === 0 ? (
        <Empty title="No webhook yet">
          {may('webhooks')
            ? 'Add one: the service then posts events to your URL, signed, in order, at least once.'
            : 'An admin, or the holder of a grant, adds one.'}
        </Empty>
      ) : null}
      {data && data.length > 0 ? <WebhookTable webhooks={data} /> : null}
      {isAdding ? <NewWebhookDialog close={() => setAdding(false)} /> : null}
    </>
  );
}

function WebhookTable({ webhooks }: { webhooks: readonly Webhook[] }) {
  return (
    <section className="scroll" tabIndex={0} aria-label="Webhooks">
      <table>
        <thead>
          <tr>
            {['Receiver', 'State', 'Events', 'Scope', 'Added'].map((name) => (
              <th key={name}>{name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {webhooks.map((webhook) => (
            <tr key={webhook.id}>
              <td className="break">
                <Link to={`/webhooks/${webhook.id}`}>{webhook.description ?? webhook.url}</Link>
                {webhook.description ? <div className="soft break">{webhook.url}</div> : null}
              </td>
              <td>
                <WebhookState webhook={webhook} />
              </td>
              <td className="break">{webhook.kinds.join(', ')}</td>
              <td>
                {webhook.grantId ? (
                  <Id id={webhook.grantId} to={`/grants/${webhook.grantId}`} />
                ) : (
                  'the whole treasury'
                )}
              </td>
              <td>
                <Time at={webhook.createdAt} />
                <div className="soft break">{webhook.createdBy}</div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** State of a webhook, and why it is not sent to. */
export function WebhookState({ webhook }: { webhook: Webhook }) {
  const { status, statusReason, failingSince } = webhook;
  return (
    <>
      <Status of={status} />
      {status === 'active' && failingSince !== null ? (
        <div className="bad">
          failing; first failure <Time at={failingSince} />
        </div>
      ) : null}
      {status === 'active' ? null : (
        <div className="soft break">{statusReason ?? 'no reason was given'}</div>
      )}
    </>
  );
}
