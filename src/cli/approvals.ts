import { coloured, fromNow, isTable, printJson, printLine, printTable } from './output.js';
import { shortUrl } from './payments.js';
import type { Payment } from './sdk.js';
import { openBursar } from './session.js';

/** `bursar approvals list`: who waits, and what is approved and not collected. */
export async function listApprovals({ grant, json }: { grant?: string; json?: boolean }) {
  const waiting: Payment[] = [];
  const query = { status: 'pending_approval', limit: 200, ...(grant ? { grantId: grant } : {}) };
  for await (const payment of openBursar().payments.list(query as { limit: number })) {
    waiting.push(payment);
  }
  if (!isTable(json)) return printJson(waiting);
  printTable<Payment>(
    waiting,
    [
      { title: 'payment', of: ({ id }) => id },
      { title: 'amount', of: ({ amount, currency }) => `${amount} ${currency}`, isRight: true },
      { title: 'for', of: ({ resource }) => shortUrl(resource, 40), shrinks: true },
      { title: 'memo', dropped: 4, of: ({ memo }) => memo },
      { title: 'grant', dropped: 1, of: ({ grantId }) => grantId },
      { title: 'asked', dropped: 2, of: ({ createdAt }) => fromNow(createdAt) },
      { title: 'state', of: stateOf, style: coloured },
      { title: 'lapses', dropped: 3, of: ({ approval }) => fromNow(approval?.lapsesAt) },
    ],
    'no payment waits for an approval',
  );
}

function stateOf({ status, approval }: Payment): string {
  return approval?.approvedAt ? 'approved' : status;
}

/** `bursar approvals approve` and `reject`. */
export async function decideApproval(
  decision: 'approve' | 'reject',
  id: string,
  { reason, json }: { reason?: string; json?: boolean },
): Promise<void> {
  const payment = await openBursar().payments[decision](id, reason);
  if (!isTable(json)) return printJson(payment);
  const { amount, currency, resource, approval } = payment;
  const what = `${id}, ${amount} ${currency} for ${resource}`;
  if (decision === 'reject') return printLine(`${coloured('rejected')} ${what}`);
  printLine(`${coloured('approved')} ${what}`);
  printLine(
    `its agent must ask again ${fromNow(approval?.collectBefore)} at the latest; nothing is signed before`,
  );
}
