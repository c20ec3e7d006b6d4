import { coloured, isTable, printJson, printTable, tell } from './output.js';
import { defined, given, parseAmountText, parseLimit } from './parse.js';
import type { Page, Service } from './sdk.js';
import { isAdmin, openApi, openBursar } from './session.js';

/** The options of `bursar services`. */
interface ServicesOptions {
  readonly maxPrice?: string;
  readonly network?: string;
  readonly grant?: string;
  readonly limit: string;
  readonly json?: boolean;
}

/** `bursar services`: finds priced operations that the grant could pay. */
export async function servicesCommand(
  q: string | undefined,
  { maxPrice, network, grant, limit, json }: ServicesOptions,
): Promise<void> {
  const most = parseLimit(limit);
  const price = given('--max-price', maxPrice, parseAmountText);
  const query = defined({ q, maxPrice: price, network, grantId: grant });
  const found: Service[] = [];
  const page = { ...query, limit: String(Math.min(most, 100)) };
  for await (const service of openBursar().services(page as never)) {
    found.push(service);
    if (found.length === most) break;
  }
  if (found.length === 0) tell(await causeOfNone(query));
  if (!isTable(json)) return printJson(found);
  printTable<Service>(
    found,
    [
      { title: 'method', of: ({ method }) => method },
      { title: 'url', of: ({ url }) => url, shrinks: true },
      { title: 'price', of: ({ amount, currency }) => `${amount} ${currency}`, isRight: true },
      { title: 'network', dropped: 2, of: ({ network: name }) => name },
      { title: 'decision', of: ({ decision }) => decision, style: coloured },
      { title: 'settled', dropped: 1, of: ({ outcomes }) => shareOf(outcomes), isRight: true },
      { title: 'name', dropped: 3, of: ({ sellerText }) => sellerText.name.slice(0, 30) },
    ],
    'nothing is found',
  );
}

/** A search as the API takes it. */
interface Search {
  readonly q?: string;
  readonly maxPrice?: string;
  readonly network?: string;
  readonly grantId?: string;
}

/** Finds out why a search finds nothing, by asking again with less. */
async function causeOfNone({ q, maxPrice, network, grantId }: Search): Promise<string> {
  const hasFilters = maxPrice !== undefined || network !== undefined;
  if (hasFilters && (await isAny('/v1/services', { q, grantId }))) {
    return 'services match, but --max-price or --network excludes all of them';
  }
  if (q !== undefined && (await isAny('/v1/services', { grantId }))) {
    return `services are listed, and none of them matches "${q}"; try other words, or none`;
  }
  if (!isAdmin()) {
    return 'nothing that the grant could pay is listed: no admin has subscribed to a catalog (docs/catalog.md), or the grant leaves it out; see: npx bursar grants show';
  }
  return (await isAny('/v1/catalogs'))
    ? 'the catalogs list nothing that could be paid; see GET /v1/catalogs for how they were read'
    : 'no catalog is configured; subscribe to one by POST /v1/catalogs (docs/catalog.md)';
}

/** Whether a list of the API has an item. */
async function isAny(path: string, query: object = {}): Promise<boolean> {
  const { body } = await openApi().call<Page<unknown>>('GET', path, {
    query: { ...query, limit: 1 },
  });
  return body.items.length > 0;
}

/** Payments to the host that settled, of those that ended. */
function shareOf({ settled, released }: Service['outcomes']): string {
  const ended = settled + released;
  return ended === 0 ? '' : `${settled} of ${ended}`;
}
