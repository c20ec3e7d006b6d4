import {
  coloured,
  isTable,
  printFacts,
  printJson,
  printLine,
  printTable,
  short,
  tell,
} from './output.js';
import { given, parseAmountText } from './parse.js';
import { plainError, type RequestOptions, requestOf, urlOfWords } from './request.js';
import type { Quote } from './sdk.js';
import { openBursar } from './session.js';

type Option = Quote['options'][number];

const EXIT_CODES = { allow: 0, deny: 3, require_approval: 4 };

/** `bursar quote`: every option of a 402 with its decision, and what would be left. */
export async function quoteCommand(
  url: string,
  options: RequestOptions & { readonly maxAmount?: string; readonly json?: boolean },
  stopped: AbortSignal,
): Promise<void> {
  const { maxAmount, json } = options;
  const target = urlOfWords(url);
  const quote = await openBursar()
    .quote(target, {
      ...requestOf(options),
      signal: stopped,
      maxAmount: given('--max-amount', maxAmount, parseAmountText),
    })
    .catch((error: unknown) => {
      throw plainError(error, target);
    });
  if (quote) process.exitCode = EXIT_CODES[quote.decision];
  if (!isTable(json)) return printJson(quote ?? { decision: 'free' });
  if (!quote) return printLine('free: it asks for no payment');
  printOptions(quote);
}

function printOptions({ options, selected, decision, grant }: Quote): void {
  const price = options.find(({ index }) => index === selected);
  const currency = options.find((each) => each.currency)?.currency ?? '';
  printFacts([
    ['decision', decision, coloured],
    ['price', price ? `${price.amount} ${price.currency}` : null],
    ['left now', `${grant.remaining} ${currency}`],
    ['left after', grant.remainingAfter === null ? null : `${grant.remainingAfter} ${currency}`],
  ]);
  printLine('');
  printTable<Option>(
    options,
    [
      { title: 'option', of: ({ index }) => `${index}${index === selected ? ' *' : ''}` },
      {
        title: 'amount',
        of: ({ amount, currency }) => (amount ? `${amount} ${currency}` : '?'),
        isRight: true,
      },
      { title: 'network', dropped: 2, of: ({ network }) => network },
      { title: 'pay to', dropped: 1, of: ({ payTo }) => short(payTo) },
      { title: 'decision', of: (each) => each.decision, style: coloured },
      {
        title: 'why',
        shrinks: true,
        of: ({ reasons }) => reasons.map(({ code }) => code).join(', '),
      },
    ],
    'the 402 offers nothing',
  );
  for (const { index, reasons } of options) {
    for (const { detail } of reasons) if (detail) tell(`option ${index}: ${detail}`);
  }
}
