import { UsageError } from '../options.js';
import { bold } from '../terminal.js';
import { type ChainGrant, type Check, checkOf, checksOf, type Purchase } from './checks.js';
import { atomicText } from './decimal.js';
import {
  type AuthorizedEvent,
  eventsOf,
  findRefusal,
  latestRefusals,
  type RefusalEvent,
} from './events.js';
import { at, coloured, isTable, printFacts, printJson, printLine, printTable } from './output.js';
import { type Api, Bursar, BursarError, type Payment } from './sdk.js';
import { accessOf, openApi } from './session.js';

/** A check with what came of it. */
interface CheckResult extends Omit<Check, 'remedy'> {
  /** Change that would let it pass; null where it passed, or passes now. */
  readonly remedy: string | null;
  /** `passed`, `refused`, or `not reached` because another had decided; and what it says now, where that differs. */
  readonly result: string;
}

/** Why a payment was allowed or not. */
interface Explanation {
  readonly outcome: string;
  readonly request: { readonly method: string; readonly url: string };
  readonly price: string;
  readonly payTo: string;
  readonly network: string;
  readonly at: string;
  readonly decidedBy: string | null;
  readonly detail: string | null;
  readonly checks: readonly CheckResult[];
  /** Changes needed, those of the deciding check first. */
  readonly allowedBy: readonly string[];
}

/** `bursar why`: the checks of every grant of the chain, which decided, and what would have allowed it. */
export async function whyCommand(
  id: string | undefined,
  { json }: { json?: boolean },
): Promise<void> {
  const api = openApi();
  const explanation = await explain(api, id);
  if (!isTable(json)) return printJson(explanation);
  printExplanation(explanation);
}

async function explain(api: Api, id: string | undefined): Promise<Explanation> {
  if (id === undefined) {
    const [latest] = await latestRefusals(api, 1);
    if (latest) return ofRefusal(latest);
    throw new UsageError('nothing was refused; name a payment; see: npx bursar payments');
  }
  if (id.startsWith('pay_')) return ofPayment(api, id);
  if (!id.startsWith('evt_')) {
    throw new UsageError(
      `"${id}" is no payment (pay_...) and no refusal (evt_...); see: npx bursar payments --refused`,
    );
  }
  const refusal = await findRefusal(api, id);
  if (refusal) return ofRefusal(refusal);
  throw new Error(`there is no refusal ${id} that you may see; see: npx bursar payments --refused`);
}

async function ofRefusal({ data, grantId, at: time }: RefusalEvent): Promise<Explanation> {
  const chain = await chainOf(grantId ?? '');
  const [option] = [...data.options].sort((a, b) => (BigInt(a.value) < BigInt(b.value) ? -1 : 1));
  if (!option) throw new Error('the refusal names no option');
  const paying = chain.at(-1);
  const currency = paying && 'currency' in paying ? paying.currency : '';
  const amount = amountIn(data.detail) ?? knownAmount(option.value, currency);
  const purchase = { url: data.request.url, network: option.network, payTo: option.payTo, amount };
  const decider = checkOf(data.code);
  const checks = checksOf(chain, purchase);
  if (decider === 'own maximum') checks.splice(chain.length, 0, ownMaximum(data.limit, amount));
  const at = checks.findIndex(
    ({ name, grantId: of }) =>
      name === decider && (of === (data.refusedBy ?? '') || !data.refusedBy),
  );
  const judged = checks.map((check, index) => judgedAs(check, resultOf(check, index, at)));
  const changes = judged
    .filter(({ result }) => /^refused|(?:refuses|asks) now$/.test(result))
    // Only the topmost grant that asks for an approval is asked: whoever stands above it decides for all.
    .filter(
      ({ name }, index, all) =>
        name !== 'approval' || all.findIndex((each) => each.name === name) === index,
    )
    .sort((a, b) => Number(b.result === 'refused') - Number(a.result === 'refused'));
  return {
    outcome: `refused: ${data.code}`,
    request: data.request,
    price: amount === undefined ? `${option.value} atomic units` : `${amount} ${currency}`,
    payTo: option.payTo,
    network: option.network,
    at: time,
    decidedBy: data.refusedBy ?? null,
    detail: data.detail,
    checks: judged,
    allowedBy: changes.flatMap(changeOf),
  };
}

/** The limit of the caller itself: the service asks after the life of the grants. */
function ownMaximum(limit: string | null | undefined, amount: string | undefined): Check {
  return {
    grantId: '',
    holder: 'the caller',
    name: 'own maximum',
    terms: `at most ${limit}`,
    refusesNow: true,
    remedy: `--max-amount ${amount ?? 'of the price'} or more, or none`,
  };
}

/** Without a decider among the checks, such as where a grant's terms have gone, none is said to have passed. */
function resultOf({ name, refusesNow }: Check, index: number, decider: number): string {
  if (index === decider) return 'refused';
  const hasPassed = decider >= 0 && index < decider;
  const result = hasPassed ? 'passed' : 'not reached';
  if (refusesNow === undefined || (hasPassed && !refusesNow)) return result;
  if (!refusesNow) return `${result}; passes now`;
  return `${result}; ${name === 'approval' ? 'asks now' : 'refuses now'}`;
}

function judgedAs(check: Check, result: string): CheckResult {
  const hasPassed = /^(?:passed|approved by .*)$|passes now$/.test(result);
  return { ...check, result, remedy: hasPassed ? null : check.remedy };
}

function changeOf({ grantId, holder, remedy }: CheckResult): string[] {
  if (remedy === null) return [];
  return [grantId === '' ? remedy : `${grantId} (${holder}): ${remedy}`];
}

async function ofPayment(api: Api, id: string): Promise<Explanation> {
  const [payment, events] = await Promise.all([
    new Bursar(accessOf()).payments.get(id),
    eventsOf(api, id),
  ]);
  const authorized = events.find(
    (event): event is AuthorizedEvent => event.kind === 'payment.authorized',
  );
  const pending = events.find((event) => event.kind === 'payment.pending');
  const rejected = events.find((event) => event.kind === 'payment.rejected');
  const approved = events.find((event) => event.kind === 'payment.approved');
  const chain = await chainOf(payment.grantId, authorized?.data.decision.grants);
  const purchase: Purchase = {
    url: payment.resource,
    network: payment.network,
    payTo: payment.payTo,
    amount: payment.amount,
  };
  const askedBy = pending?.kind === 'payment.pending' ? pending.data.askedBy : undefined;
  const decision = approved && `approved by ${approved.actor}`;
  const ending = rejected && `rejected by ${rejected.actor}`;
  const checks = checksOf(chain, purchase).map((check) => {
    const isAsked = check.name === 'approval' && check.grantId === askedBy;
    return judgedAs(check, isAsked ? (ending ?? decision ?? 'waits for an approval') : 'passed');
  });
  return {
    outcome: outcomeOf(payment, authorized !== undefined),
    request: authorized?.data.decision.request ?? { method: 'GET', url: payment.resource },
    price: `${payment.amount} ${payment.currency}`,
    payTo: payment.payTo,
    network: payment.network,
    at: authorized?.data.decision.decidedAt ?? payment.createdAt,
    decidedBy: authorized ? null : (askedBy ?? null),
    detail: rejected?.kind === 'payment.rejected' ? (payment.approval?.reason ?? null) : null,
    checks,
    allowedBy: authorized || rejected ? [] : [nextOf(payment)],
  };
}

/** Tells what an unsigned payment waits for. */
function nextOf({ id, idempotencyKey, approval }: Payment): string {
  return approval?.approvedAt
    ? `its agent must ask again, with the same intent or key (${idempotencyKey})`
    : `npx bursar approvals approve ${id}`;
}

function outcomeOf({ status, approval }: Payment, isAuthorized: boolean): string {
  if (isAuthorized) return `allowed; the payment is ${status}`;
  if (status === 'rejected') return 'refused: a person rejected it, or its approval lapsed';
  return approval?.approvedAt ? 'approved, and not collected yet' : 'waits for an approval';
}

/** The chain of a grant, the root first. Grants above the caller's own are not found, and stand there hidden. */
async function chainOf(grantId: string, ids: readonly string[] = []): Promise<ChainGrant[]> {
  const { grants } = new Bursar(accessOf());
  const chain: ChainGrant[] = [];
  for (let next: string | null = grantId; next !== null; ) {
    const id: string = next;
    const grant = await grants.get(id).catch((error: unknown) => {
      if (error instanceof BursarError && error.code === 'not_found') return undefined;
      throw error;
    });
    chain.unshift(grant ?? { id, isHidden: true });
    next = grant?.parentId ?? null;
  }
  // The caller may not look at what a decision names above those.
  const known = new Set(chain.map(({ id }) => id));
  const above = ids.filter((id) => !known.has(id));
  return [...above.map((id) => ({ id, isHidden: true as const })), ...chain];
}

/** The price that a refusal's detail begins with; absent where its figures are not the caller's to see. */
function amountIn(detail: string): string | undefined {
  return /^([0-9]+\.[0-9]+) [A-Za-z0-9.]{1,16} is more than /.exec(detail)?.[1];
}

/** Amounts of the stablecoins that are known without configuration: all of them have six decimals. */
function knownAmount(value: string, currency: string): string | undefined {
  return /^(?:USDC|EURC)$/.test(currency) ? atomicText(BigInt(value), 6) : undefined;
}

function printExplanation(explanation: Explanation): void {
  const { outcome, request, price, payTo, network, detail, checks, allowedBy } = explanation;
  printFacts([
    ['outcome', outcome, coloured],
    ['asked', `${request.method} ${request.url}`],
    ['price', `${price} to ${payTo} on ${network}`],
    ['when', at(explanation.at)],
    ['decided by', explanation.decidedBy],
    ['because', detail],
  ]);
  printLine('');
  printTable<CheckResult>(
    checks.filter(isTelling),
    [
      { title: 'check', of: ({ name }) => name },
      { title: 'grant', dropped: 1, of: ({ grantId }) => grantId },
      { title: 'holder', dropped: 2, of: ({ holder }) => holder },
      { title: 'terms now', of: ({ terms }) => cut(terms), shrinks: true },
      { title: 'result', of: ({ result }) => result, style: coloured },
    ],
    'no check is known',
  );
  if (allowedBy.length === 0) return;
  printLine(`\n${bold('What would allow it:')}`);
  for (const change of allowedBy) printLine(`  ${change}`);
}

/** A check without terms is left out of the table, unless it decided. */
function isTelling({ terms, result }: CheckResult): boolean {
  return !/^(?:any|any number|none)$/.test(terms) || !/^(?:passed|not reached)/.test(result);
}

function cut(text: string): string {
  return text.length > 44 ? `${text.slice(0, 43)}…` : text;
}
