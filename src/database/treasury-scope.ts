import { AsyncLocalStorage } from 'node:async_hooks';

/** The treasuries that some work is for: their ids, or all there are. */
export type Treasuries = readonly string[] | 'all';

/** The request's own scope. It starts empty; the guard fills it once it knows who is calling. */
const requests = new AsyncLocalStorage<{ treasuries: Treasuries }>();

/**
 * Runs a request's handling. Until {@link seeTreasuries} is called in it, its queries see no treasury's
 * rows: a route that forgets to ask who is calling shows nobody's.
 */
export function withinRequest(handle: () => void): void {
  requests.run({ treasuries: [] }, handle);
}

/** From here on the request's queries see these treasuries. Outside a request it changes nothing. */
export function seeTreasuries(treasuries: Treasuries): void {
  const request = requests.getStore();
  if (request) request.treasuries = treasuries;
}

/** What queries made now may see: a request its caller's treasuries, everything else (workers) all. */
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
