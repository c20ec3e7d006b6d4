import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, useState } from 'react';
import { bursar } from './api.js';
import { short } from './format.js';
import { Dialog } from './parts/dialog.js';
import { readPayments } from './reads.js';
import { navigate } from './router.js';
import { type Act, signOut, useMay } from './session.js';

/** Something to go to, or to do. */
interface Choice {
  readonly text: string;
  readonly hint: string;
  readonly run: () => void;
}

/** How many of the newest payments are searched for an address, a transaction or a URL. */
const MOST_SEARCHED = 1_000;

const PAGES: readonly (readonly [text: string, to: string, act?: Act])[] = [
  ['Overview', '/'],
  ['Grants', '/grants'],
  ['Mint a grant', '/grants/new', 'mint'],
  ['Payments', '/payments'],
  ['Spend', '/spend'],
  ['Spend by task', '/spend?by=label:task'],
  ['Inbox', '/inbox'],
  ['Audit', '/audit'],
  ['Refusals', '/audit?kind=payment.refused'],
  ['Treasury', '/treasury', 'see-treasury'],
  ['Sales', '/sales', 'see-treasury'],
  ['Webhooks', '/webhooks'],
];

/** Goes anywhere: by a page's name, or by any id, transaction, address, key or URL that is pasted. */
export function Palette({ close }: { close: () => void }) {
  const [text, setText] = useState('');
  const [place, setPlace] = useState(0);
  const may = useMay();
  const wanted = text.trim();
  const { data: found = [], isFetching } = useQuery({
    queryKey: ['find', wanted],
    queryFn: () => find(wanted),
    enabled: wanted.length >= 4,
  });
  const pages: Choice[] = [
    ...PAGES.filter(([, , act]) => act === undefined || may(act)).map(([name, to]) => ({
      text: name,
      hint: 'page',
      run: () => navigate(to),
    })),
    { text: 'Sign out', hint: 'act', run: () => void signOut() },
  ].filter((choice) => choice.text.toLowerCase().includes(wanted.toLowerCase()));
  const choices = [...found, ...pages];
  const at = Math.min(place, Math.max(0, choices.length - 1));
  const choose = (choice: Choice | undefined) => {
    if (!choice) return;
    close();
    choice.run();
  };
  const press = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setPlace(Math.min(choices.length - 1, Math.max(0, at + step)));
    }
    if (event.key === 'Enter') {
      event.preventDefault();
      choose(choices[at]);
    }
  };
  return (
    <Dialog title="Find" close={close}>
      <div className="palette">
        <TextInput
          aria-label="A page, or any id, transaction, address, key or URL"
          placeholder="A page, or any id, transaction, address, key or URL"
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value);
            setPlace(0);
          }}
          onKeyDown={press}
          role="combobox"
          aria-expanded="true"
          aria-controls="choices"
          aria-activedescendant={choices[at] ? `choice-${at}` : undefined}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
        />
        <Choices choices={choices} at={at} choose={choose} />
        {choices.length === 0 ? (
          <p className="soft">{isFetching ? 'Looking…' : 'Nothing is known by that name.'}</p>
        ) : null}
      </div>
    </Dialog>
  );
}

function Choices({
  choices,
  at,
  choose,
}: {
  choices: readonly Choice[];
  at: number;
  choose: (choice: Choice) => void;
}) {
  return (
    <div role="listbox" id="choices" aria-label="Found">
      {choices.map((choice, index) => (
        <div
          key={`${choice.hint} ${choice.text}`}
          id={`choice-${index}`}
          role="option"
          aria-selected={index === at}
          onClick={() => choose(choice)}
        >
          <span className="break">{choice.text}</span>
          <span className="soft">{choice.hint}</span>
        </div>
      ))}
    </div>
  );
}

const BY_ID: readonly (readonly [pattern: RegExp, hint: string, path: string])[] = [
  [/^grt_[0-9a-z]{26}$/, 'grant', '/grants/'],
  [/^pay_[0-9a-z]{26}$/, 'payment', '/payments/'],
  [/^evt_[0-9a-z]{26}$/, 'event', '/audit/'],
  [/^whk_[0-9a-z]{26}$/, 'webhook', '/webhooks/'],
];

/** Everything that a text may mean. */
async function find(text: string): Promise<Choice[]> {
  for (const [pattern, hint, path] of BY_ID) {
    if (pattern.test(text)) return [{ text, hint, run: () => navigate(path + text) }];
  }
  if (/^(wal|trs)_[0-9a-z]{26}$/.test(text)) {
    return [{ text, hint: 'treasury', run: () => navigate('/treasury') }];
  }
  const byKey = await readPayments({ idempotencyKey: text }, { limit: 5 });
  const newest = await newestPayments();
  const needle = text.toLowerCase();
  const payments = newest.filter((payment) =>
    [
      payment.transaction,
      payment.seen?.transaction,
      payment.nonce,
      payment.payTo,
      payment.wallet,
      payment.resource,
    ].some((value) => value?.toLowerCase().includes(needle)),
  );
  const grants = [];
  for await (const grant of bursar.grants.list({ holder: text, limit: 5 })) {
    grants.push({
      text: grant.holder,
      hint: `grant ${short(grant.id)}`,
      run: () => navigate(`/grants/${grant.id}`),
    });
    if (grants.length === 5) break;
  }
  const isNew = new Map([...byKey.items, ...payments].map((payment) => [payment.id, payment]));
  return [
    ...grants,
    ...[...isNew.values()].slice(0, 8).map(({ id, amount, currency, resource }) => ({
      text: `${amount} ${currency} for ${resource}`,
      hint: `payment ${short(id)}`,
      run: () => navigate(`/payments/${id}`),
    })),
  ];
}

async function newestPayments() {
  const first = await readPayments({});
  const items = [...first.items];
  let cursor = first.nextCursor;
  while (cursor !== null && items.length < MOST_SEARCHED) {
    const page = await readPayments({}, { cursor });
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  return items;
}
