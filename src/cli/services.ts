import { coloured, isTable, printJson, printTable } from './output.js';
import { defined, parseAmountText, parseWhole } from './parse.js';
import type { Service } from './sdk.js';
import { openBursar } from './session.js';

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
  const most = parseWhole('--limit', limit);
  const price = maxPrice === undefined ? undefined : parseAmountText('--max-price', maxPrice);
  const query = defined({ q, maxPrice: price, network, grantId: grant });
  const found: Service[] = [];
  if (most > 0) {
    const page = { ...query, limit: String(Math.min(most, 100)) };
    for await (const service of openBursar().services(page as never)) {
      found.push(service);
      if (found.length === most) break;
    }
  }
  if (!isTable(json)) return printJson(found);
  printTable<Service>(
    found,
    [
      { title: 'method', of: ({ method }) => method },
      { title: 'url', of: ({ url }) => url, shrinks: true },
      { title: 'price', of: ({ amount, currency }) => `${amount} ${currency}`, isRight: true },
      { title: 'network', of: ({ network: name }) => name },
      { title: 'decision', of: ({ decision }) => decision, style: coloured },
      { title: 'settled', of: ({ outcomes }) => shareOf(outcomes), isRight: true },
      { title: 'name', of: ({ sellerText }) => sellerText.name.slice(0, 30) },
    ],
    'nothing that the grant could pay is listed; an admin subscribes by POST /v1/catalogs',
  );
}

/** Payments to the host that settled, of those that ended. */
function shareOf({ settled, released }: Service['outcomes']): string {
  const ended = settled + released;
  return ended === 0 ? '' : `${settled} of ${ended}`;
}
