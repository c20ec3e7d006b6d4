import { isTable, printJson, printTable } from './output.js';
import { defined, given, parseTimeText } from './parse.js';
import type { SpendItem } from './sdk.js';
import { openBursar } from './session.js';

/** The options of `bursar report`. */
interface ReportOptions {
  readonly by: string;
  readonly grant?: string;
  readonly from?: string;
  readonly to?: string;
  readonly json?: boolean;
}

/** `bursar report`: who spent what. */
export async function reportCommand({ by, grant, from, to, json }: ReportOptions): Promise<void> {
  const groupBy = by.split(',').filter(Boolean);
  const items: SpendItem[] = [];
  const span = {
    from: given('--from', from, parseTimeText),
    to: given('--to', to, parseTimeText),
  };
  const query = { groupBy, ...defined({ grantId: grant, ...span }) };
  for await (const item of openBursar().reports.spend(query)) items.push(item);
  if (!isTable(json)) return printJson(items);
  const figures = ['settled', 'open', 'released'] as const;
  printTable<SpendItem>(
    items,
    [
      ...groupBy.map((name, place) => ({
        title: name,
        of: ({ group }: SpendItem) => group[name] ?? 'none',
        shrinks: place === groupBy.length - 1,
      })),
      { title: 'payments', of: ({ payments }) => String(payments), isRight: true },
      ...figures.map((figure) => ({
        title: figure,
        of: (item: SpendItem) => item[figure],
        isRight: true,
        ...(figure === 'released' ? { dropped: 1 } : {}),
      })),
      { title: 'refused', dropped: 2, of: ({ refused }) => String(refused), isRight: true },
      { title: '', of: ({ currency }) => currency },
    ],
    'nothing was spent',
  );
}
