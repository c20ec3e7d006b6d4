import { AsyncLocalStorage } from 'node:async_hooks';

/** The treasuries that some work is for: their ids, or all there are. */
export type Treasuries = readonly string[] | 'all';

/**
 * A group of connections that some work may take (a bulkhead): those that only payments have, those of reading requests
 * (lists, exports, summaries), or those of everything else, workers and changes.
 */
export type Lane = 'payments' | 'reads' | 'work';

/** The request's own scope. It starts empty; the guard fills it once it knows who is calling. */
const requests = new AsyncLocalStorage<{ treasuries: Treasuries; lane: Lane }>();

/**
 * Runs a request's handling. Until {@link seeTreasuries} is called in it, its queries see no treasury's
 * rows: a route that forgets to ask who is calling shows nobody's.
 *
 * @param lane - of its queries, until {@link takeLane} says otherwise.
 */
export function withinRequest(lane: Lane, handle: () => void): void {
  requests.run({ treasuries: [], lane }, handle);
}

/**
 * Runs what takes requests in: a server that begins to listen. Whatever comes of its connections and has no scope of
 * its own, because that was not set yet or got lost on the way, sees no treasury's rows.
 */
export function takingRequests<T>(listen: () => T): T {
  return requests.run({ treasuries: [], lane: 'work' }, listen);
}

/** From here on the request's queries take connections of this lane. Outside a request it changes nothing. */
export function takeLane(lane: Lane): void {
  const request = requests.getStore();
  if (request) request.lane = lane;
}

/** The lane of queries made now: a request's own, and that of the workers for everything else. */
export function currentLane(): Lane {
  return requests.getStore()?.lane ?? 'work';
}

/** Runs work of no request on another lane than the workers'. It sees every treasury's rows. */
export function onLane<T>(lane: Lane, work: () => Promise<T>): Promise<T> {
  return requests.run({ treasuries: 'all', lane }, work);
}

/** From here on the request's queries see these treasuries. Outside a request it changes nothing. */
export function seeTreasuries(treasuries: Treasuries): void {
  const request = requests.getStore();
  if (request) request.treasuries = treasuries;
}

/** Treasuries that queries made now may see: a request its caller's treasuries, everything else (workers) all. */
export function currentTreasuries(): Treasuries {
  return requests.getStore()?.treasuries ?? 'all';
}

/**
 * The value of the setting `bursar.treasuries`, as the policies of row-level security read it.
 *
 * @throws Error for an id that is none: it would stand in SQL as it is.
 */
export function treasuriesSetting(treasuries: Treasuries): string {
  if (treasuries === 'all') return '*';
  const wrong = treasuries.find((id) => !/^trs_[0-9a-z]{1,60}$/.test(id));
  if (wrong !== undefined) throw new Error(`"${wrong.slice(0, 64)}" is no treasury's id`);
  return treasuries.join(',');
}
