import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { AuditEvent } from '../api.js';
import { useGrowing } from '../growing.js';
import { EVENT_KINDS } from '../kinds.js';
import { Empty, Failure, Head, Loading } from '../parts/bits.js';
import { type Choice, EventTable } from '../parts/events.js';
import { download, spanOf, TimeField } from '../parts/filters.js';
import { type EventFilter, readEvents } from '../reads.js';
import { navigate, useParam, useTitle } from '../router.js';

/** Forms of the fields that take a text, and the words for what has another form. */
const FORMS = {
  actor: [/^(admin|grant|system):./, 'not applied: begins with admin:, grant: or system:'],
  grantId: [/^grt_[0-9a-z]{26}$/, 'not applied: paste the whole id of a grant'],
  paymentId: [/^pay_[0-9a-z]{26}$/, 'not applied: paste the whole id of a payment'],
  code: [/^[a-z][a-z0-9_]*$/, 'not applied: a code such as budget_exceeded'],
} as const;
type Field = keyof typeof FORMS;

function faultOf(field: Field, value: string): string | undefined {
  const [form, words] = FORMS[field];
  return value === '' || form.test(value) ? undefined : words;
}

/** The fields that the service takes. */
function wellFormed(fields: Record<Field, string>): Partial<Record<Field, string>> {
  const entries = Object.entries(fields) as [Field, string][];
  return Object.fromEntries(
    entries.filter(([field, value]) => value !== '' && faultOf(field, value) === undefined),
  );
}

/** The log: who did what, when, and why. */
export function AuditPage() {
  const [kind, setKind] = useParam('kind');
  const [actor, setActor] = useParam('actor');
  const [about, setAbout] = useParam('grantId');
  const [paymentId, setPaymentId] = useParam('paymentId');
  const [code, setCode] = useParam('code');
  const [from, setFrom] = useParam('from');
  const [to, setTo] = useParam('to');
  useTitle('Audit');
  const fields = { actor, grantId: about, paymentId, code };
  const filter: EventFilter = {
    ...(kind ? { kind } : {}),
    ...wellFormed(fields),
    ...spanOf(from, to),
  };
  const {
    items: events,
    hasMore,
    readMore,
    error,
    refetch,
  } = useGrowing(['events', filter, 'log'], (place) => readEvents(filter, place));
  const choice = useChoiceOfTwo();
  return (
    <>
      <Head title="Audit">
        <Button
          variant="default"
          disabled={choice.chosen.length < 2}
          onClick={() =>
            navigate(`/audit/compare?first=${choice.chosen[0]}&second=${choice.chosen[1]}`)
          }
        >
          Compare two
        </Button>
        <Button
          variant="default"
          disabled={!events?.length}
          onClick={() => exportEvents(events ?? [])}
        >
          Export what is shown
        </Button>
      </Head>
      <div className="filters">
        <NativeSelect
          label="Event"
          data={[{ value: '', label: 'All' }, ...EVENT_KINDS]}
          value={kind}
          onChange={(event) => setKind(event.currentTarget.value)}
        />
        <TextInput
          label="By"
          placeholder="admin:ann, grant:grt_…"
          value={actor}
          error={faultOf('actor', actor)}
          onChange={(event) => setActor(event.currentTarget.value.trim())}
        />
        <TextInput
          label="Grant and all below it"
          placeholder="grt_…"
          value={about}
          error={faultOf('grantId', about)}
          onChange={(event) => setAbout(event.currentTarget.value.trim())}
        />
        <TextInput
          label="Payment"
          placeholder="pay_…"
          value={paymentId}
          error={faultOf('paymentId', paymentId)}
          onChange={(event) => setPaymentId(event.currentTarget.value.trim())}
        />
        <TextInput
          label="Refused with code"
          placeholder="budget_exceeded"
          value={code}
          error={faultOf('code', code)}
          onChange={(event) => setCode(event.currentTarget.value.trim())}
        />
        <TimeField label="From" value={from} set={setFrom} />
        <TimeField label="To" value={to} set={setTo} />
      </div>
      {error ? <Failure error={error} retry={refetch} /> : null}
      {!events && !error ? <Loading what="the log" /> : null}
      {events?.length === 0 ? (
        <Empty title="No event matches">Clear a filter to see more.</Empty>
      ) : null}
      {events && events.length > 0 ? <EventTable events={events} choice={choice} /> : null}
      {hasMore ? (
        <div className="acts">
          <Button mt="md" variant="default" onClick={readMore}>
            Older events
          </Button>
        </div>
      ) : null}
    </>
  );
}

/** The choice of two events: a third one takes the place of the first. */
function useChoiceOfTwo(): Choice {
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const toggle = (id: string) =>
    setChosen((now) =>
      now.includes(id) ? now.filter((each) => each !== id) : [...now, id].slice(-2),
    );
  return { chosen, toggle };
}

/** JSON Lines of exactly the rows on the page. The whole log, byte for byte, is at `/v1/audit/export`. */
function exportEvents(events: readonly AuditEvent[]): void {
  const text = events.map((event) => `${JSON.stringify(event)}\n`).join('');
  download('bursar-events', 'jsonl', text);
}
