import { Button, Checkbox, TextInput } from '@mantine/core';
import { useState } from 'react';
import { call, type Webhook } from '../api.js';
import { EVENT_KINDS } from '../kinds.js';
import { isGrantId } from '../reads.js';
import { navigate } from '../router.js';
import { useSession } from '../session.js';
import { Secret } from './bits.js';
import { Dialog, DialogForm, useAct } from './dialog.js';
import { TreasuryField } from './filters.js';

const EVERYTHING = '*';
/** Patterns that stand for all kinds of one thing, such as `payment.*`. */
const FAMILIES = [...new Set(EVENT_KINDS.map((kind) => `${kind.split('.')[0]}.*`))];

/** Fields that can be changed later too. */
interface Fields {
  readonly url: string;
  readonly description: string;
  readonly kinds: readonly string[];
}

const isWhole = ({ url, kinds }: Fields) => url.trim() !== '' && kinds.length > 0;

/** Adds a webhook, and shows its secret once. */
export function NewWebhookDialog({ close }: { close: () => void }) {
  const { grantId: own } = useSession();
  const [fields, setFields] = useState<Fields>({ url: '', description: '', kinds: ['payment.*'] });
  const [grantId, setGrantId] = useState('');
  const [treasuryId, setTreasuryId] = useState('');
  const [approvalLinks, setApprovalLinks] = useState(false);
  const act = useAct(() =>
    call<{ webhook: Webhook; secret: string }>('POST', '/v1/webhooks', {
      body: {
        url: fields.url.trim(),
        kinds: fields.kinds,
        ...(fields.description.trim() ? { description: fields.description.trim() } : {}),
        ...(grantId ? { grantId } : {}),
        ...(treasuryId && !grantId ? { treasuryId } : {}),
        ...(approvalLinks ? { approvalLinks } : {}),
      },
    }),
  );
  if (act.data) {
    const { webhook, secret } = act.data;
    return (
      <Dialog title="Webhook added" close={close}>
        <Secret value={secret} label="Secret of the webhook" />
        <p className="soft">
          The receiver verifies deliveries with it, by any library of Standard Webhooks.
        </p>
        <Button variant="default" mt="sm" onClick={() => navigate(`/webhooks/${webhook.id}`)}>
          See the webhook
        </Button>
      </Dialog>
    );
  }
  return (
    <Dialog title="Add a webhook" close={close}>
      <DialogForm
        submit={() => act.mutate(undefined)}
        isPending={act.isPending}
        error={act.error}
        label="Add"
        isReady={isWhole(fields) && (grantId === '' || isGrantId(grantId))}
        close={close}
      >
        <CommonFields fields={fields} set={setFields} />
        <TextInput
          label="Grant and all below it"
          description={own ? 'Your own grant, unless you name one below it.' : 'Empty for all.'}
          placeholder="grt_…"
          value={grantId}
          onChange={(event) => setGrantId(event.currentTarget.value.trim())}
        />
        {grantId ? null : (
          <TreasuryField value={treasuryId} set={setTreasuryId} none="the main one" />
        )}
        <Checkbox
          label="Send approval links"
          description="An event of something that waits for a decision carries a one-time link. Whoever has the link decides as you."
          checked={approvalLinks}
          onChange={(event) => setApprovalLinks(event.currentTarget.checked)}
        />
      </DialogForm>
    </Dialog>
  );
}

/** Changes where a webhook sends to, and what. */
export function ChangeWebhookDialog({ webhook, close }: { webhook: Webhook; close: () => void }) {
  const { id, url, kinds, description, approvalLinks } = webhook;
  const [fields, setFields] = useState<Fields>({ url, kinds, description: description ?? '' });
  const act = useAct(
    () =>
      call('PATCH', `/v1/webhooks/${id}`, {
        body: {
          url: fields.url.trim(),
          kinds: fields.kinds,
          description: fields.description.trim() || null,
        },
      }),
    close,
  );
  return (
    <Dialog title="Change the webhook" close={close}>
      <DialogForm
        submit={() => act.mutate(undefined)}
        isPending={act.isPending}
        error={act.error}
        label="Change"
        isReady={isWhole(fields)}
        close={close}
      >
        <CommonFields fields={fields} set={setFields} />
        {approvalLinks && fields.url !== url ? (
          <p className="note warn">
            A new URL gets no approval links. Add another webhook for those.
          </p>
        ) : null}
      </DialogForm>
    </Dialog>
  );
}

function CommonFields({ fields, set }: { fields: Fields; set: (fields: Fields) => void }) {
  return (
    <>
      <TextInput
        label="URL"
        description="https, at a public address."
        placeholder="https://hooks.example.com/bursar"
        value={fields.url}
        onChange={(event) => set({ ...fields, url: event.currentTarget.value })}
        maxLength={2_048}
        required
        data-autofocus
      />
      <TextInput
        label="Description"
        value={fields.description}
        onChange={(event) => set({ ...fields, description: event.currentTarget.value })}
        maxLength={255}
      />
      <KindFields kinds={fields.kinds} set={(kinds) => set({ ...fields, kinds })} />
    </>
  );
}

function KindFields({
  kinds,
  set,
}: {
  kinds: readonly string[];
  set: (kinds: readonly string[]) => void;
}) {
  const patterns = [EVERYTHING, ...FAMILIES];
  const chosen = kinds.filter((kind) => patterns.includes(kind));
  const [text, setText] = useState(() =>
    kinds.filter((kind) => !patterns.includes(kind)).join(', '),
  );
  const single = (of: string) => of.split(',').flatMap((kind) => kind.trim() || []);
  const toggle = (pattern: string, is: boolean) => {
    const next = is ? [...chosen, pattern] : chosen.filter((kind) => kind !== pattern);
    set([...next, ...single(text)]);
  };
  return (
    <fieldset className="kinds">
      <legend>Events</legend>
      <div className="checks">
        {patterns.map((pattern) => (
          <Checkbox
            key={pattern}
            label={pattern === EVERYTHING ? 'everything' : pattern}
            checked={chosen.includes(pattern)}
            onChange={(event) => toggle(pattern, event.currentTarget.checked)}
          />
        ))}
      </div>
      <TextInput
        label="Single kinds, with commas between"
        placeholder="approval.needed, grant.tripped"
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          set([...chosen, ...single(event.currentTarget.value)]);
        }}
      />
    </fieldset>
  );
}
