import type { Grant, Page } from '@bursar/sdk';
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useEffect, useMemo, useState } from 'react';
import { useGrowing } from '../growing.js';
import { Empty, Failure, Head, Loading } from '../parts/bits.js';
import { BulkDialog } from '../parts/bulk.js';
import { GrantTree } from '../parts/tree.js';
import { readGrants } from '../reads.js';
import { navigate, useParam, useTitle } from '../router.js';
import { useMay } from '../session.js';

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
  const [isBulk, setBulk] = useState(false);
  useTitle('Grants');
  const query = {
    ...(label.includes(':') ? { label } : {}),
    ...(status === '' || status === 'all' ? {} : { status }),
  };
  const { items, hasMore, readMore, error, refetch } = useGrowing<Page<Grant>>(
    ['grants', query],
    (place) => readGrants(query, place),
  );
  const shown = useMemo(
    () => items?.filter((grant) => isWanted(grant, status, text)) ?? [],
    [items, status, text],
  );
  const isSearching = items !== undefined && shown.length === 0 && hasMore;
  // A match may stand behind everything that was read. From the first row on, the tree asks for more by itself.
  useEffect(() => {
    if (isSearching) readMore();
  }, [isSearching, readMore]);
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
      {error ? <Failure error={error} retry={refetch} /> : null}
      {(!items || isSearching) && !error ? <Loading what="grants" /> : null}
      {items && shown.length === 0 && !hasMore ? (
        <Empty title="No grant matches">
          {items.length === 0 && may('mint')
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

function isWanted(grant: Grant, status: string, text: string): boolean {
  const isAlive = grant.status !== 'revoked' && grant.status !== 'expired';
  if (status === '' && !isAlive) return false;
  const haystack = `${grant.id} ${grant.holder} ${grant.purpose ?? ''} ${JSON.stringify(grant.labels)}`;
  return haystack.toLowerCase().includes(text.toLowerCase());
}
