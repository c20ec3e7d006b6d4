import type { Grant } from '@bursar/sdk';
import { Button, Checkbox, NativeSelect, TextInput } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type BulkOutcome, type BulkPreview, call } from '../api.js';
import { count } from '../format.js';
import { Link } from '../router.js';
import { Id, Money, Status, Time, useRested } from './bits.js';
import { Dialog, DialogForm, Reason, useAct } from './dialog.js';

type Act = 'suspend' | 'revoke';

const ACTS = [
  { value: 'suspend', label: 'Suspend: can be resumed' },
  { value: 'revoke', label: 'Revoke: for good' },
];

const WORDS = { suspend: 'Suspend', revoke: 'Revoke' } as const;

/** Suspends or revokes all grants that a filter finds, after showing which those are. */
export function BulkDialog({ label: asked, close }: { label: string; close: () => void }) {
  const [act, setAct] = useState<Act>('suspend');
  const [label, setLabel] = useState(asked);
  const [holder, setHolder] = useState('');
  const [excluded, setExcluded] = useState<readonly string[]>([]);
  const [reason, setReason] = useState('');
  const isLabel = /^[^:]+:./.test(label.trim());
  const isLabelWrong = label.trim() !== '' && !isLabel;
  const typed = {
    act,
    ...(isLabel ? { label: label.trim() } : {}),
    ...(holder.trim() === '' ? {} : { holder: holder.trim() }),
  };
  const filter = useRested(typed);
  const isNarrow = !isLabelWrong && ('label' in filter || 'holder' in filter);
  const { data, error, isPlaceholderData, refetch } = useQuery({
    queryKey: ['bulk', filter],
    queryFn: ({ signal }) =>
      call<BulkPreview>('POST', '/v1/grants/bulk/preview', { body: filter, signal }),
    // Nobody agreed to grants that come in after the person looked: the service refuses them, and then they are shown.
    enabled: ({ state }) => isNarrow && state.data === undefined,
    gcTime: 0,
    placeholderData: keepPreviousData,
  });
  // Only what is shown for exactly what is typed may be acted on.
  const isShown = !isPlaceholderData && JSON.stringify(filter) === JSON.stringify(typed);
  const expected = data?.ids.filter((id) => !excluded.includes(id)) ?? [];
  const run = useAct(() =>
    call<BulkOutcome>('POST', '/v1/grants/bulk', {
      body: { ...filter, exclude: excluded, expected, reason: reason.trim() },
    }).catch((refused: unknown) => {
      void refetch();
      throw refused;
    }),
  );
  if (run.data) return <Results outcome={run.data} act={filter.act} close={close} />;
  const toggle = (id: string) =>
    setExcluded(excluded.includes(id) ? excluded.filter((each) => each !== id) : [...excluded, id]);
  return (
    <Dialog title="Stop many grants" close={close}>
      <DialogForm
        submit={() => run.mutate(undefined)}
        isPending={run.isPending}
        error={run.error ?? (isNarrow ? error : undefined)}
        label={`${WORDS[filter.act]} ${count(expected.length, 'grant')}`}
        isBad
        isReady={isNarrow && isShown && expected.length > 0 && reason.trim() !== ''}
        close={close}
      >
        <div className="two">
          <NativeSelect
            label="Act"
            data={ACTS}
            value={act}
            onChange={(event) => setAct(event.currentTarget.value as Act)}
          />
          <TextInput
            label="With the label"
            placeholder="task:t-42"
            error={isLabelWrong ? 'A label is name:value, such as task:t-42' : undefined}
            value={label}
            onChange={(event) => setLabel(event.currentTarget.value)}
          />
          <TextInput
            label="Of the holder"
            placeholder="its whole name"
            value={holder}
            onChange={(event) => setHolder(event.currentTarget.value)}
          />
        </div>
        {isNarrow && data ? (
          <Found preview={data} excluded={excluded} toggle={toggle} />
        ) : (
          <p className="soft">Name a label or a holder. To stop everything, stop the treasury.</p>
        )}
        <Reason value={reason} set={setReason} isRequired />
      </DialogForm>
    </Dialog>
  );
}

function Found({
  preview,
  excluded,
  toggle,
}: {
  preview: BulkPreview;
  excluded: readonly string[];
  toggle: (id: string) => void;
}) {
  const { grants, first, stopped, exposure } = preview;
  return (
    <section aria-label="What this stops" className="form">
      <p aria-live="polite">
        <strong>{count(grants, 'grant')} found</strong>
        {grants > 0 ? `, ${count(stopped, 'grant')} stopped with all below` : ''}.
      </p>
      <ul className="rows">
        {first.map((grant) => (
          <Row key={grant.id} grant={grant} excluded={excluded} toggle={toggle} />
        ))}
      </ul>
      {grants > first.length ? <p className="soft">and {grants - first.length} more</p> : null}
      {exposure
        .filter(({ payments }) => payments > 0)
        .map(({ currency, payments, amount, lastValidBefore }) => (
          <p key={currency} className="note warn">
            <Money amount={amount} currency={currency} /> in {count(payments, 'signed payment')} may
            still be spent
            {lastValidBefore ? (
              <>
                , the last one <Time at={lastValidBefore} />
              </>
            ) : null}
            .
          </p>
        ))}
    </section>
  );
}

function Row({
  grant,
  excluded,
  toggle,
}: {
  grant: Grant;
  excluded: readonly string[];
  toggle: (id: string) => void;
}) {
  return (
    <li>
      <Checkbox
        label={
          <>
            {grant.holder} <Status of={grant.status} />{' '}
            <Money amount={grant.remaining} currency={grant.currency} /> left
          </>
        }
        checked={!excluded.includes(grant.id)}
        onChange={() => toggle(grant.id)}
      />
    </li>
  );
}

function Results({ outcome, act, close }: { outcome: BulkOutcome; act: Act; close: () => void }) {
  const failed = outcome.results.filter((result) => result.outcome === 'failed');
  const unchanged = outcome.results.filter((result) => result.outcome === 'unchanged');
  const done = act === 'revoke' ? 'revoked' : 'suspended';
  return (
    <Dialog title={`${count(outcome.changed, 'grant')} ${done}`} close={close}>
      <div className="form" role="status">
        {outcome.changed > 0 ? (
          <p className="note good">
            {count(outcome.changed, 'grant')} {done}. No payment is made under them.
          </p>
        ) : null}
        {failed.length > 0 ? (
          <p className="note bad">
            {count(failed.length, 'grant')} could not be {done}, and may go on paying.
          </p>
        ) : null}
        {unchanged.length > 0 ? (
          <p>{count(unchanged.length, 'grant')} had stopped before, such as with a grant above.</p>
        ) : null}
        {failed.length > 0 ? (
          <ul className="rows">
            {failed.map(({ grantId, detail }) => (
              <li key={grantId} className="bad">
                <Id id={grantId} to={`/grants/${grantId}`} /> {detail}
              </li>
            ))}
          </ul>
        ) : null}
        <details>
          <summary>Each grant</summary>
          <ul className="rows">
            {outcome.results.map((result) => (
              <li key={result.grantId}>
                <Link to={`/grants/${result.grantId}`}>
                  <code>{result.grantId}</code>
                </Link>{' '}
                {result.outcome}
              </li>
            ))}
          </ul>
        </details>
        <div className="acts">
          <Button onClick={close} data-autofocus>
            Done
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
