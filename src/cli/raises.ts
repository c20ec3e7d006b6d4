import { UsageError } from '../options.js';
import { printGrant } from './grant-reading.js';
import { coloured, count, fromNow, isTable, printJson, printLine, printTable } from './output.js';
import { defined, given, parseAmountText, parseTimeText, parseWhole } from './parse.js';
import type { Amendment, GrantRequest } from './sdk.js';
import { openBursar } from './session.js';

/** The options of `grants amend`. `none` takes a limit away. */
interface AmendOptions {
  readonly budget?: string;
  readonly until?: string;
  readonly maxPerPayment?: string;
  readonly maxPayments?: string;
  readonly approvalAbove?: string;
  readonly reason?: string;
  readonly json?: boolean;
}

/** `bursar grants amend`: raises or lowers the terms of a grant below the caller. */
export async function amendGrant(id: string, options: AmendOptions): Promise<void> {
  const { reason, json } = options;
  const terms = amendmentOf(options);
  if (Object.keys(terms).length === 0) {
    throw new UsageError('say what to change, such as --budget 50.00; see: --help');
  }
  const amended = await openBursar().grants.amend(id, { ...terms, ...defined({ reason }) });
  if (!isTable(json)) return printJson(amended);
  const { grant, exposure } = amended;
  printGrant(grant);
  if (exposure.payments === 0) return;
  const open = count(exposure.payments, 'payment');
  printLine(`${exposure.amount} ${grant.currency} of ${open} is signed and may still be spent`);
}

function amendmentOf(options: AmendOptions): Amendment {
  const { budget, until, maxPerPayment, maxPayments, approvalAbove } = options;
  const limit = <Value>(
    option: string,
    text: string | undefined,
    parse: (option: string, text: string) => Value,
  ) => (text === 'none' ? null : given(option, text, parse));
  return defined({
    budget: given('--budget', budget, parseAmountText),
    expiresAt: given('--until', until, parseTimeText),
    maxPerPayment: limit('--max-per-payment', maxPerPayment, parseAmountText),
    maxPayments: limit('--max-payments', maxPayments, parseWhole),
    approvalAbove: limit('--approval-above', approvalAbove, parseAmountText),
  });
}

/** `bursar raises ask`: asks whoever is above the caller's own grant for more. */
export async function askRaise(
  budget: string,
  { until, reason, json }: { until?: string; reason: string; json?: boolean },
): Promise<void> {
  const request = await openBursar().requestRaise({
    budget: parseAmountText('BUDGET', budget),
    reason,
    ...defined({ expiresAt: given('--until', until, parseTimeText) }),
  });
  if (!isTable(json)) return printJson(request);
  printLine(`${request.id} asks for ${request.budget} ${request.currency} in total`);
}

/** `bursar raises list`: the raises that holders asked for. */
export async function listRaises({ all, json }: { all?: boolean; json?: boolean }): Promise<void> {
  const requests: GrantRequest[] = [];
  for await (const each of openBursar().raises.list(all ? {} : { status: 'pending' })) {
    requests.push(each);
  }
  if (!isTable(json)) return printJson(requests);
  printTable<GrantRequest>(
    requests,
    [
      { title: 'request', of: ({ id }) => id },
      { title: 'budget', of: ({ budget, currency }) => `${budget} ${currency}`, isRight: true },
      { title: 'grant', dropped: 1, of: ({ grantId }) => grantId },
      { title: 'reason', of: ({ reason }) => reason, shrinks: true },
      { title: 'asked', dropped: 2, of: ({ createdAt }) => fromNow(createdAt) },
      { title: 'state', of: ({ status }) => status, style: coloured },
    ],
    'no raise is asked for',
  );
}

/** `bursar raises approve` and `reject`. */
export async function decideRaise(
  decision: 'approve' | 'reject',
  id: string,
  { reason, json }: { reason?: string; json?: boolean },
): Promise<void> {
  const request = await openBursar().raises[decision](id, reason);
  if (!isTable(json)) return printJson(request);
  const { budget, currency, grantId, status } = request;
  printLine(`${coloured(status)} ${id}, ${budget} ${currency} in total for ${grantId}`);
}
