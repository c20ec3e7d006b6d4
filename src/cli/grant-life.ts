import { createInterface } from 'node:readline/promises';
import { units, unitsText } from './decimal.js';
import {
  at,
  coloured,
  count,
  fromNow,
  isTable,
  printFacts,
  printJson,
  printLine,
  tell,
} from './output.js';
import type { Bursar, Grant, Payment } from './sdk.js';
import { openBursar } from './session.js';

interface LifeOptions {
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly cancelOutstanding?: boolean;
  readonly yes?: boolean;
}

/** Effect of a change of a grant. */
interface Reach {
  readonly grant: Grant;
  /** The grants of the tree that are alive. */
  readonly grants: number;
  readonly openPayments: number;
  /** Signed and unsettled, in currency units: may still be spent whatever is done now. */
  readonly openAmount: string;
  /** Amount that the grant could still spend. */
  readonly remaining: string;
  /** When the last signature runs out; null where none is open. */
  readonly lastValidBefore: string | null;
  /** Payments that wait for an approval. */
  readonly waiting: number;
}

/** `bursar grants suspend`, `resume` and `revoke`. */
export async function changeGrant(
  change: 'suspend' | 'resume' | 'revoke',
  id: string,
  options: LifeOptions,
): Promise<void> {
  const { reason, dryRun, json, yes } = options;
  const bursar = openBursar();
  if (dryRun) {
    const reach = await reachOf(bursar, id);
    if (!isTable(json)) return printJson({ dryRun: true, change, ...reach });
    printReach(change, reach);
    return tell('dry run: nothing was done');
  }
  if (change !== 'revoke') {
    const grant = await bursar.grants[change](id, reason);
    if (!isTable(json)) return printJson(grant);
    return printLine(`${grant.id} (${grant.holder}) is ${coloured(grant.status)}`);
  }
  if (!yes && isTable(json) && process.stdin.isTTY && !(await confirm(bursar, id))) {
    tell('nothing was done');
    process.exitCode = 1;
    return;
  }
  const revoked = await bursar.grants.revoke(id, {
    ...(reason === undefined ? {} : { reason }),
    ...(options.cancelOutstanding ? { cancelOutstanding: true } : {}),
  });
  if (!isTable(json)) return printJson(revoked);
  const { grant, revokedGrants, exposure } = revoked;
  printLine(
    `${grant.id} (${grant.holder}) is ${coloured(grant.status)}, ${count(revokedGrants, 'grant')} in all`,
  );
  printLine(
    exposure.payments === 0
      ? 'nothing is signed and unsettled'
      : `${exposure.amount} ${grant.currency} of ${count(exposure.payments, 'payment')} is signed and may still be spent until ${at(exposure.lastValidBefore)}`,
  );
}

async function reachOf(bursar: Bursar, id: string): Promise<Reach> {
  const [first, open, waiting] = await Promise.all([
    bursar.grants.tree(id, { limit: 200 }),
    paymentsOf(bursar, id, 'authorized'),
    paymentsOf(bursar, id, 'pending_approval'),
  ]);
  const [grant] = first.items;
  if (!grant) throw new Error(`${id} has no tree`);
  let alive = countAlive(first.items);
  for (let cursor = first.nextCursor; cursor !== null; ) {
    const page = await bursar.grants.tree(id, { limit: 200, cursor });
    alive += countAlive(page.items);
    cursor = page.nextCursor;
  }
  const ends = open.flatMap(({ validBefore }) => validBefore ?? []).sort();
  return {
    grant,
    grants: alive,
    openPayments: open.length,
    openAmount: unitsText(open.reduce((sum, { amount }) => sum + units(amount), 0n)),
    remaining: grant.remaining,
    lastValidBefore: ends.at(-1) ?? null,
    waiting: waiting.length,
  };
}

function countAlive(grants: readonly Grant[]): number {
  return grants.filter(({ status }) => status !== 'revoked' && status !== 'expired').length;
}

async function paymentsOf(bursar: Bursar, grantId: string, status: Payment['status']) {
  const found: Payment[] = [];
  for await (const payment of bursar.payments.list({ grantId, status, limit: 200 }))
    found.push(payment);
  return found;
}

function printReach(change: 'suspend' | 'resume' | 'revoke', reach: Reach): void {
  const { grant, grants, openPayments, openAmount, remaining, lastValidBefore, waiting } = reach;
  const { currency } = grant;
  const would = { suspend: 'would pause', resume: 'would let go on', revoke: 'would end for good' };
  printFacts([
    ['grant', `${grant.id} (${grant.holder})`],
    ['status', grant.status, coloured],
    [would[change], `${count(grants, 'grant')}, which could still spend ${remaining} ${currency}`],
    ['waiting', `${count(waiting, 'payment')} for an approval`],
    [
      'still open',
      openPayments === 0
        ? 'nothing is signed and unsettled'
        : `${openAmount} ${currency} of ${count(openPayments, 'signed payment')}, until ${at(lastValidBefore)} (${fromNow(lastValidBefore)})`,
    ],
  ]);
}

async function confirm(bursar: Bursar, id: string): Promise<boolean> {
  printReach('revoke', await reachOf(bursar, id));
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question('End it for good? [y/N] ');
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
