import type { Grant, Page } from '@bursar/sdk';
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useCallback, useState } from 'react';
import { call } from '../api.js';
import { useLive } from '../live.js';
import { Empty, Failure, Head, Loading } from '../parts/bits.js';
import { BulkDialog } from '../parts/bulk.js';
import { GrantTree } from '../parts/tree.js';
import { navigate, useParam, useTitle } from '../router.js';
import { useMay } from '../session.js';

const PAGE = 200;
/** How often a page of grants is read again, in milliseconds: the more are on the screen, the more rarely. */
const POLL_PER_PAGE_MS = 2_500;

const STATUSES = [
  { value: '', label: 'Alive' },
  { value: 'all', label: 'All, ended too' },
  { value: 'active', label: 'Active' },
  { value: 'suspended', label: 'Suspended' },
  { value: 'revoked', label: 'Revoked' },
  { value: 'expired', label: 'Expired' },
  { value: 'not_started', label: 'Not started' },
];

/** Everything that may be spent: the forest of grants. */
export function GrantsPage() {
  const may = useMay();
  const [status, setStatus] = useParam('status');
  const [text, setText] = useParam('text');
  const [label, setLabel] = useParam('label');
  const [pages, setPages] = useState(1);
  const [isBulk, setBulk] = useState(false);
  useTitle('Grants');
  const query = {
    ...(label.includes(':') ? { label } : {}),
    ...(status === '' || status === 'all' ? {} : { status }),
  };
  const { data, error, refetch } = useLive(
    ['grants', query, pages],
    () => readPages(query, pages),
    { everyMs: pages * POLL_PER_PAGE_MS },
  );
  const hasMore = data?.nextCursor != null;
  const readMore = useCallback(() => setPages((now) => now + 1), []);
  const shown = data?.items.filter((grant) => isWanted(grant, status, text)) ?? [];
  return (
    <>
      <Head title="Grants">
        {may('steer') ? (
          <Button variant="default" onClick={() => setBulk(true)}>
            Stop many
          </Button>
        ) : null}
        {may('mint') ? (
          <Button onClick={() => navigate('/grants/new')}>
            {may('treasury') ? 'Mint a grant' : 'Delegate'}
          </Button>
        ) : null}
      </Head>
      <div className="filters">
        <TextInput
          label="Search"
          placeholder="Holder, purpose, id"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        <TextInput
          label="Label"
          placeholder="task:t-42"
          value={label}
          onChange={(event) => setLabel(event.currentTarget.value)}
        />
        <NativeSelect
          label="Status"
          data={STATUSES}
          value={status}
          onChange={(event) => setStatus(event.currentTarget.value)}
        />
      </div>
      {isBulk ? <BulkDialog label={label} close={() => setBulk(false)} /> : null}
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {!data && !error ? <Loading what="grants" /> : null}
      {data && shown.length === 0 ? (
        <Empty title="No grant matches">
          {data.items.length === 0 && may('mint')
            ? 'Mint the first one: it gives an agent a budget, and a token.'
            : 'Clear a filter to see more.'}
        </Empty>
      ) : null}
      {shown.length > 0 ? (
        <GrantTree grants={shown} readMore={hasMore ? readMore : undefined} />
      ) : null}
    </>
  );
}

async function readPages(query: object, pages: number): Promise<Page<Grant>> {
  let page: Page<Grant> | undefined;
  const items: Grant[] = [];
  for (let read = 0; read < pages && page?.nextCursor !== null; read += 1) {
    const cursor = page?.nextCursor;
    page = await call<Page<Grant>>('GET', '/v1/grants', {
      query: { ...query, limit: PAGE, ...(cursor ? { cursor } : {}) },
    });
    items.push(...page.items);
  }
  return { items, nextCursor: page?.nextCursor ?? null };
}

function isWanted(grant: Grant, status: string, text: string): boolean {
  const isAlive = grant.status !== 'revoked' && grant.status !== 'expired';
  if (status === '' && !isAlive) return false;
  const haystack = `${grant.id} ${grant.holder} ${grant.purpose ?? ''} ${JSON.stringify(grant.labels)}`;
  return haystack.toLowerCase().includes(text.toLowerCase());
}
