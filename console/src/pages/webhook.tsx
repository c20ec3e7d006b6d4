import type { Webhook } from '../api.js';
import { whole } from '../format.js';
import { Failure, Head, Id, Loading, Outdated, Time } from '../parts/bits.js';
import { Deliveries } from '../parts/deliveries.js';
import { WebhookActs } from '../parts/webhook-acts.js';
import { useWebhook } from '../reads.js';
import { Link, useTitle } from '../router.js';
import { WebhookState } from './webhooks.js';

/** One webhook: its settings, its deliveries, and the ways to change it. */
export function WebhookPage({ id }: { id: string }) {
  const { data: webhook, error, refetch } = useWebhook(id);
  useTitle('Webhook');
  if (!webhook && error) return <Failure isPage error={error} retry={() => void refetch()} />;
  if (!webhook) return <Loading what="the webhook" />;
  return (
    <>
      <Head
        title={webhook.description ?? new URL(webhook.url).host}
        crumbs={<Link to="/webhooks">Webhooks</Link>}
      >
        <WebhookActs webhook={webhook} />
      </Head>
      <Outdated error={error} />
      <Terms webhook={webhook} />
      <Deliveries webhook={webhook} />
    </>
  );
}

function Terms({ webhook }: { webhook: Webhook }) {
  const { id, url, kinds, grantId, createdAt, createdBy, approvalLinks } = webhook;
  return (
    <section className="card" aria-labelledby="terms">
      <h2 id="terms">Settings</h2>
      <dl className="facts">
        <dt>State</dt>
        <dd>
          <WebhookState webhook={webhook} />
        </dd>
        <dt>URL</dt>
        <dd>
          <code className="break">{url}</code>
        </dd>
        <dt>Events</dt>
        <dd>{kinds.join(', ')}</dd>
        <dt>Scope</dt>
        <dd>
          {grantId ? (
            <>
              grant <Id id={grantId} to={`/grants/${grantId}`} /> and all below it
            </>
          ) : (
            'the whole treasury'
          )}
        </dd>
        <dt>Approval links</dt>
        <dd>{approvalLinks ? `sent; whoever has one decides as ${createdBy}` : 'not sent'}</dd>
        <dt>Added</dt>
        <dd>
          {whole(createdAt)} (<Time at={createdAt} />) by {createdBy}
        </dd>
        <dt>Id</dt>
        <dd>
          <code>{id}</code>
        </dd>
      </dl>
    </section>
  );
}
