import { latestRefusals, type RefusalEvent } from './events.js';
import { labelOf } from './grant-reading.js';
import {
  at,
  coloured,
  fromNow,
  isTable,
  printFacts,
  printJson,
  printTable,
  short,
} from './output.js';
import { defined, given, parseLimit, parseTimeText } from './parse.js';
import type { Payment, PaymentQuery } from './sdk.js';
import { openApi, openBursar } from './session.js';

/** The options of `bursar payments`. */
interface PaymentsOptions {
  readonly grant?: string;
  readonly status?: string;
  readonly payTo?: string;
  readonly host?: string;
  readonly label?: string;
  readonly from?: string;
  readonly to?: string;
  readonly refused?: boolean;
  readonly limit: string;
  readonly json?: boolean;
}

/** `bursar payments`: the latest ones, or one of them. */
export async function paymentsCommand(
  id: string | undefined,
  options: PaymentsOptions,
): Promise<void> {
  const { grant, status, refused, limit, json, payTo, host, label, from, to } = options;
  if (id !== undefined) return showPayment(id, json);
  const most = parseLimit(limit);
  if (refused) {
    const refusals = await latestRefusals(openApi(), most, grant);
    return isTable(json) ? printRefusals(refusals) : printJson(refusals);
  }
  const latest: Payment[] = [];
  const filters = {
    grantId: grant,
    status,
    payTo,
    host,
    label: label === undefined ? undefined : labelOf(label).join(':'),
    from: given('--from', from, parseTimeText),
    to: given('--to', to, parseTimeText),
  };
  const query = { limit: Math.min(most, 200), order: 'desc', ...defined(filters) };
  for await (const payment of openBursar().payments.list(query as PaymentQuery)) {
    latest.push(payment);
    if (latest.length === most) break;
  }
  if (!isTable(json)) return printJson(latest);
  printPayments(latest, 'no payment yet; try: npx bursar fetch URL');
}

/** Prints payments as a table. */
function printPayments(payments: readonly Payment[], empty: string): void {
  printTable<Payment>(
    payments,
    [
      { title: 'payment', of: ({ id }) => id },
      { title: 'made', dropped: 1, of: ({ createdAt }) => at(createdAt) },
      { title: 'amount', of: ({ amount, currency }) => `${amount} ${currency}`, isRight: true },
      { title: 'status', of: ({ status }) => status, style: coloured },
      { title: 'for', of: ({ resource }) => shortUrl(resource), shrinks: true },
    ],
    empty,
  );
}

async function showPayment(id: string, json: boolean | undefined): Promise<void> {
  const payment = await openBursar().payments.get(id);
  if (!isTable(json)) return printJson(payment);
  const { approval } = payment;
  printFacts([
    ['payment', payment.id],
    ['status', payment.status, coloured],
    ['amount', `${payment.amount} ${payment.currency}`],
    ['for', payment.resource],
    ['memo', payment.memo],
    ['pay to', payment.payTo],
    ['network', payment.network],
    ['grant', payment.grantId],
    ['key', payment.idempotencyKey],
    ['made', at(payment.createdAt)],
    [
      'valid until',
      payment.validBefore && `${at(payment.validBefore)} (${fromNow(payment.validBefore)})`,
    ],
    ['approved', at(approval?.approvedAt)],
    ['approval lapses', at(approval?.lapsesAt)],
    ['cancel asked', at(payment.cancelRequestedAt)],
    ['settled', at(payment.settledAt)],
    ['transaction', payment.transaction ?? payment.seen?.transaction],
  ]);
}

function printRefusals(refusals: readonly RefusalEvent[]): void {
  printTable<RefusalEvent>(
    refusals,
    [
      { title: 'refusal', of: ({ id }) => id },
      { title: 'when', dropped: 1, of: ({ at: time }) => at(time) },
      { title: 'code', of: ({ data }) => data.code, style: coloured },
      {
        title: 'refused by',
        dropped: 2,
        of: ({ data }) => data.refusedBy ?? REFUSERS[data.code] ?? 'the treasury',
      },
      { title: 'for', of: ({ data }) => shortUrl(data.request.url), shrinks: true },
    ],
    'nothing was refused',
  );
}

/** Refuser where no grant refuses. */
const REFUSERS: Readonly<Record<string, string>> = { max_amount_exceeded: 'the caller itself' };

/** A URL without its scheme, and cut where a table has no room for it. */
export function shortUrl(url: string, most = 48): string {
  const text = short(url).replace(/^https?:\/\//, '');
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
