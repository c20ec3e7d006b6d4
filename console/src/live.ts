import {
  type QueryClient,
  type QueryKey,
  type UseQueryResult,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import { bursar } from './api.js';

/** How often the screen's reads are repeated without the event stream, in milliseconds. */
const POLL_MS = 2_000;

/** How often at least they are repeated beside it: balances and times change without an event. */
const STREAMED_POLL_MS = 5_000;

/** Rest between two readings because of events, in milliseconds: a burst of events is one reading. */
const TOGETHER_MS = 200;

/** Wait before the stream is asked for again where the service refused it, in milliseconds. */
const RETRY_MS = 30_000;

/** How long without any answer before the page says that it is out of date, in milliseconds. */
const STALE_MS = 12_000;

let isStreaming = false;

/**
 * Reads something and keeps it fresh while it is on the screen: after every event of the stream, and now and then without
 * one. Every page reads through this hook. A held query keeps the data that it has.
 */
export function useLive<Data>(
  key: QueryKey,
  read: (signal: AbortSignal) => Promise<Data>,
  {
    isOn = true,
    isHeld = false,
    everyMs = POLL_MS,
  }: { isOn?: boolean; isHeld?: boolean; everyMs?: number } = {},
): UseQueryResult<Data> {
  return useQuery({
    queryKey: key,
    queryFn: ({ signal }) => read(signal),
    enabled: ({ state }) => isOn && !(isHeld && state.data !== undefined),
    refetchInterval: () => (isStreaming ? Math.max(everyMs, STREAMED_POLL_MS) : everyMs),
  });
}

/** Follows the event stream while somebody is signed in, and has the screen read again after events. */
export function useEventStream(): void {
  const client = useQueryClient();
  useEffect(() => {
    const left = new AbortController();
    void followEvents(client, left.signal);
    return () => left.abort();
  }, [client]);
}

async function followEvents(client: QueryClient, signal: AbortSignal): Promise<void> {
  const readAgain = reader(client);
  const onOpen = () => {
    isStreaming = true;
    readAgain();
  };
  while (!signal.aborted) {
    try {
      for await (const _ of bursar.events({ signal, onOpen })) readAgain();
    } catch {
      // Refused, such as for too many streams: polling goes on meanwhile.
    }
    isStreaming = false;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** A function that has the screen read again, once for all calls that come while it reads. */
function reader(client: QueryClient): () => void {
  let isDue = false;
  let isReading = false;
  return () => {
    isDue = true;
    if (isReading) return;
    isReading = true;
    void (async () => {
      while (isDue) {
        isDue = false;
        await client.invalidateQueries();
        await new Promise((resolve) => setTimeout(resolve, TOGETHER_MS));
      }
      isReading = false;
    })();
  };
}

/** How fresh the page is. */
export interface Freshness {
  /** When the service answered last, in milliseconds of the epoch; 0 for never. */
  readonly at: number;
  readonly isStale: boolean;
}

/** When the service answered last, and whether that is too long ago. */
export function useFreshness(): Freshness {
  const cache = useQueryClient().getQueryCache();
  const at = useSyncExternalStore(
    // Later: the cache also tells of queries that a page makes while it is drawn.
    (notify) => cache.subscribe(() => setTimeout(notify)),
    () => Math.max(0, ...cache.getAll().map(({ state }) => state.dataUpdatedAt)),
  );
  const now = useNow();
  return { at, isStale: at > 0 && now - at > STALE_MS };
}

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribeToClock(notify: () => void): () => void {
  listeners.add(notify);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 1_000);
  return () => {
    listeners.delete(notify);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** The time, once a second. */
export function useNow(): number {
  return useSyncExternalStore(subscribeToClock, () => now);
}

const HOUR_MS = 3_600_000;

/** The beginning of this hour: a report that ends now, or began a while ago, is the same query until the next one. */
export function useHour(): number {
  return useSyncExternalStore(subscribeToClock, () => Math.floor(now / HOUR_MS) * HOUR_MS);
}
