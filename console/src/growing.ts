import type { Page } from '@bursar/sdk';
import type { QueryKey } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useLive } from './live.js';

type Listed = Page<{ readonly id: string }>;
type ItemOf<First extends Listed> = First['items'][number];

/** A list as far as it was read. */
export interface Growing<First extends Listed> {
  /** The beginning, kept fresh; undefined until it was read. */
  readonly first: First | undefined;
  /** The beginning and what was read behind it. */
  readonly items: readonly ItemOf<First>[] | undefined;
  readonly hasMore: boolean;
  readonly readMore: () => void;
  readonly error: unknown;
  readonly refetch: () => void;
}

/** The part behind the beginning, as it was when it was read. */
interface Older<Item> {
  readonly items: readonly Item[];
  readonly cursor: string | null;
}

/**
 * A list whose first page is kept fresh, and behind it as many more pages as somebody asked for. Another key begins anew.
 *
 * @param readPage - reads the page behind a cursor; without one, the first.
 */
export function useGrowing<First extends Listed>(
  key: QueryKey,
  readPage: (place: { cursor?: string; signal?: AbortSignal }) => Promise<First>,
  options: { isHeld?: boolean; everyMs?: number } = {},
): Growing<First> {
  const name = JSON.stringify(key);
  const [older, setOlder] = useState<Older<ItemOf<First>>>();
  const [failure, setFailure] = useState<unknown>(null);
  const shown = useRef<readonly ItemOf<First>[]>(undefined);
  const { data, error, refetch } = useLive(key, (signal) => readPage({ signal }), options);
  useEffect(() => {
    setOlder(undefined);
    setFailure(null);
    shown.current = undefined;
  }, [name]);
  useEffect(() => {
    if (!data) return;
    const before = shown.current;
    shown.current = data.items;
    if (before) setOlder((now) => now && withPushedOut(now, before, data.items));
  }, [data]);
  const cursor = older ? older.cursor : (data?.nextCursor ?? null);
  const readMore = useCallback(() => {
    if (cursor === null) return;
    setFailure(null);
    // From here on, what newer items push out of the first page is kept.
    setOlder((now) => now ?? { items: [], cursor });
    readPage({ cursor }).then(
      (page) =>
        setOlder((now) =>
          now?.cursor === cursor
            ? { items: now.items.concat(page.items), cursor: page.nextCursor }
            : now,
        ),
      setFailure,
    );
  }, [name, cursor]);
  // A list may have 100,000 items, and its page is drawn at each step of a scroll: only the seam is compared. What left the first
  // page lets it reach down to items that were read behind it, which are the first of those.
  const items = useMemo(() => {
    if (!data || !older) return data?.items;
    const here = new Set(data.items.map(({ id }) => id));
    const first = older.items.findIndex(({ id }) => !here.has(id));
    return data.items.concat(first < 0 ? [] : older.items.slice(first));
  }, [data, older]);
  return {
    first: data,
    items,
    hasMore: cursor !== null,
    readMore,
    error: error ?? failure,
    refetch: () => (failure === null ? void refetch() : readMore()),
  };
}

/**
 * Puts items that newer ones pushed out of the first page before the older ones. Where all of them were pushed out, nobody knows
 * what is between, and the list begins anew.
 */
function withPushedOut<Item extends { readonly id: string }>(
  older: Older<Item>,
  before: readonly Item[],
  now: readonly Item[],
): Older<Item> | undefined {
  const here = new Set(now.map(({ id }) => id));
  const last = before.findLastIndex(({ id }) => here.has(id));
  if (last < 0 && before.length > 0) return undefined;
  return { ...older, items: [...before.slice(last + 1), ...older.items] };
}
