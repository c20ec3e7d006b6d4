import { isTable, printJson, printTable } from './output.js';
import { defined } from './parse.js';
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
  const query = { groupBy, ...defined({ grantId: grant, from, to }) };
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
      })),
      { title: 'refused', of: ({ refused }) => String(refused), isRight: true },
      { title: '', of: ({ currency }) => currency },
    ],
    'nothing was spent',
  );
}
