import type { Grant, GrantTerms } from '@bursar/sdk';
import { Button, NativeSelect, Textarea, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { bursar } from '../api.js';
import { isAmount } from '../format.js';
import { Empty, explain, Head, Loading, Secret } from '../parts/bits.js';
import { useAct } from '../parts/dialog.js';
import { useGrant } from '../reads.js';
import { Link, navigate, useParam, useTitle } from '../router.js';
import { useMay, useSession } from '../session.js';
import { sentence } from '../words.js';

/** The form, as text. */
export interface Fields {
  readonly holder: string;
  readonly budget: string;
  readonly maxPerPayment: string;
  readonly perHour: string;
  readonly ttlSeconds: string;
  readonly approvalAbove: string;
  readonly delegationDepth: string;
  readonly resources: string;
  readonly payTo: string;
  readonly purpose: string;
  readonly labels: string;
  readonly funding: string;
}

const EMPTY: Fields = {
  holder: '',
  budget: '5.00',
  maxPerPayment: '0.05',
  perHour: '1.00',
  ttlSeconds: '86400',
  approvalAbove: '',
  delegationDepth: '0',
  resources: '',
  payTo: '',
  purpose: '',
  labels: '',
  funding: 'shared',
};

const TEMPLATES: readonly (readonly [name: string, fields: Partial<Fields>])[] = [
  ['One task', { budget: '1.00', maxPerPayment: '0.05', perHour: '', ttlSeconds: '3600' }],
  [
    'Research agent',
    { budget: '5.00', maxPerPayment: '0.05', perHour: '1.00', approvalAbove: '0.50' },
  ],
  [
    'Orchestrator',
    {
      budget: '25.00',
      maxPerPayment: '0.50',
      perHour: '5.00',
      delegationDepth: '2',
      ttlSeconds: '604800',
    },
  ],
];

/** Sets the limits of a template, and sets back those it does not name. Who the agent is and whom it may pay stay. */
function apply(template: Partial<Fields>, { holder, purpose, labels, resources, payTo }: Fields) {
  return { ...EMPTY, holder, purpose, labels, resources, payTo, ...template };
}

const LIVES = [
  { value: '3600', label: 'an hour' },
  { value: '86400', label: 'a day' },
  { value: '604800', label: 'a week' },
  { value: '2592000', label: '30 days' },
];

/** Gives an agent a budget: a root grant, or a child of one. */
export function MintPage() {
  const [parentId] = useParam('parent');
  const { grantId } = useSession();
  const may = useMay();
  // A holder's grants are its own grant's.
  const id = grantId ?? parentId;
  if (!may('mint')) {
    return (
      <Empty title="Your role mints no grant" isPage>
        An admin does, or the holder of a grant that may hand on.
      </Empty>
    );
  }
  return id ? <Delegation id={id} /> : <MintForm parent={undefined} />;
}

function Delegation({ id }: { id: string }) {
  const { data, error } = useGrant(id);
  if (!data && error) return <p className="note bad">{explain(error)}</p>;
  return data ? <MintForm parent={data} /> : <Loading what="the grant above" />;
}

function MintForm({ parent }: { parent: Grant | undefined }) {
  const { grantId } = useSession();
  const [fields, setFields] = useState<Fields>(EMPTY);
  const [key] = useState(() => crypto.randomUUID());
  const terms = termsOf(fields, parent);
  const act = useAct(() =>
    // A holder's child is of its own grant; only an admin names the parent.
    bursar.grants.mint({ ...terms, ...(parent && !grantId ? { parentId: parent.id } : {}) }, key),
  );
  const title = parent ? `Delegate from ${parent.holder}` : 'Mint a grant';
  useTitle(title);
  const set = (name: keyof Fields) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    setFields((now) => ({ ...now, [name]: value }));
  };
  if (act.data) return <Minted grant={act.data.grant} token={act.data.token} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    act.mutate(undefined);
  };
  return (
    <>
      <Head title={title} crumbs={<Link to="/grants">Grants</Link>} />
      <form className="form card" onSubmit={submit}>
        <div className="acts" role="group" aria-label="Templates">
          {TEMPLATES.map(([name, template]) => (
            <Button
              key={name}
              variant="default"
              size="xs"
              onClick={() => setFields((now) => apply(template, now))}
            >
              {name}
            </Button>
          ))}
        </div>
        <p className="sentence" aria-live="polite" data-testid="sentence">
          {sentence(terms)}
        </p>
        <Limits fields={fields} set={set} isChild={parent !== undefined} />
        {act.error ? (
          <p className="note bad" role="alert">
            {explain(act.error)}
          </p>
        ) : null}
        <div className="acts">
          <Button type="submit" loading={act.isPending} disabled={!isWhole(fields)}>
            {parent ? 'Delegate' : 'Mint'}
          </Button>
          <Button variant="default" onClick={() => history.back()}>
            Cancel
          </Button>
        </div>
      </form>
    </>
  );
}

type Set = (name: keyof Fields) => (event: { currentTarget: { value: string } }) => void;

function Limits({ fields, set, isChild }: { fields: Fields; set: Set; isChild: boolean }) {
  const amount = (name: keyof Fields, label: string, placeholder = 'no limit') => (
    <TextInput
      label={label}
      placeholder={placeholder}
      inputMode="decimal"
      value={fields[name]}
      onChange={set(name)}
    />
  );
  return (
    <>
      <div className="two">
        <TextInput
          label="Holder"
          placeholder="research-agent-7"
          value={fields.holder}
          onChange={set('holder')}
          required
          maxLength={200}
        />
        <TextInput
          label="Purpose"
          placeholder="quarterly market scan"
          value={fields.purpose}
          onChange={set('purpose')}
        />
      </div>
      <div className="two">
        <TextInput
          label="Budget in all"
          inputMode="decimal"
          value={fields.budget}
          onChange={set('budget')}
          required
        />
        {amount('maxPerPayment', 'Most per payment')}
        {amount('perHour', 'Most per hour')}
        {amount('approvalAbove', 'A person approves above', 'never')}
      </div>
      <div className="two">
        <NativeSelect
          label="Lives for"
          data={LIVES}
          value={fields.ttlSeconds}
          onChange={set('ttlSeconds')}
        />
        <NativeSelect
          label="May hand on"
          data={[
            { value: '0', label: 'nothing' },
            { value: '1', label: 'once' },
            { value: '2', label: '2 levels deep' },
            { value: '3', label: '3 levels deep' },
          ]}
          value={fields.delegationDepth}
          onChange={set('delegationDepth')}
        />
        {isChild ? (
          <NativeSelect
            label="Money"
            data={[
              { value: 'shared', label: 'shared with the grant above' },
              { value: 'reserved', label: 'set aside from it now' },
            ]}
            value={fields.funding}
            onChange={set('funding')}
          />
        ) : null}
        <TextInput
          label="Labels"
          placeholder="task:t-42, team:research"
          value={fields.labels}
          onChange={set('labels')}
        />
      </div>
      <div className="two">
        <Textarea
          label="Sellers"
          description="One pattern a line, such as https://api.example.com/data/*. Empty: any."
          rows={3}
          value={fields.resources}
          onChange={set('resources')}
        />
        <Textarea
          label="Payees"
          description="One address a line. Empty: any."
          rows={3}
          value={fields.payTo}
          onChange={set('payTo')}
        />
      </div>
    </>
  );
}

function Minted({ grant, token }: { grant: Grant; token: string }) {
  return (
    <>
      <Head
        title={`${grant.holder} has ${grant.budget} ${grant.currency}`}
        crumbs={<Link to="/grants">Grants</Link>}
      >
        <Button variant="default" onClick={() => navigate(`/grants/${grant.id}`)}>
          See the grant
        </Button>
      </Head>
      <section className="card">
        <h2>Its token</h2>
        <Secret value={token} label={`Token of ${grant.holder}`} />
      </section>
    </>
  );
}

function isWhole(fields: Fields): boolean {
  const { holder, budget, maxPerPayment, perHour, approvalAbove, labels } = fields;
  const isLimit = (text: string) => text.trim() === '' || isAmount(text.trim());
  return (
    holder.trim() !== '' &&
    isAmount(budget.trim()) &&
    [maxPerPayment, perHour, approvalAbove].every(isLimit) &&
    entriesOf(labels).every((entry) => entry.includes(':'))
  );
}

/** The grant that the form asks for. */
export function termsOf(fields: Fields, parent: Grant | undefined): GrantTerms {
  const { holder, budget, purpose } = fields;
  const text = (name: keyof Fields) => fields[name].trim();
  const resources = entriesOf(fields.resources);
  const payTo = entriesOf(fields.payTo);
  const scope = {
    ...(resources.length > 0 ? { resources } : {}),
    ...(payTo.length > 0 ? { payTo } : {}),
  };
  const labels = Object.fromEntries(
    entriesOf(fields.labels).map((entry) => {
      const [name = '', ...rest] = entry.split(':');
      return [name.trim(), rest.join(':').trim()];
    }),
  );
  return {
    holder: holder.trim(),
    budget: budget.trim(),
    ttlSeconds: Number(fields.ttlSeconds),
    delegationDepth: Number(fields.delegationDepth),
    ...(text('maxPerPayment') ? { maxPerPayment: text('maxPerPayment') } : {}),
    ...(text('perHour') ? { windows: [{ seconds: 3_600, amount: text('perHour') }] } : {}),
    ...(text('approvalAbove') ? { approvalAbove: text('approvalAbove') } : {}),
    ...(Object.keys(scope).length > 0 ? { scope } : {}),
    ...(purpose.trim() ? { purpose: purpose.trim() } : {}),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    ...(parent ? { funding: fields.funding === 'reserved' ? 'reserved' : 'shared' } : {}),
    ...(parent ? { currency: parent.currency } : {}),
  };
}

function entriesOf(text: string): string[] {
  return text
    .split(/[\n,]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
