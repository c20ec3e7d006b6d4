import { UsageError } from '../options.js';
import {
  at,
  coloured,
  count,
  fromNow,
  isTable,
  printFacts,
  printJson,
  printLine,
  printTable,
} from './output.js';
import { parseLimit } from './parse.js';
import type { Bursar, Grant } from './sdk.js';
import { openBursar, ownGrant } from './session.js';

interface ListOptions {
  readonly parent?: string;
  readonly status?: string;
  readonly holder?: string;
  readonly label?: string;
  readonly limit: string;
  readonly json?: boolean;
}

/** `bursar grants list`. */
export async function listGrants({ parent, status, holder, label, limit, json }: ListOptions) {
  const most = parseLimit(limit);
  const query = {
    limit: Math.min(most, 200),
    ...(parent ? { parentId: parent } : {}),
    ...(status ? { status } : {}),
    ...(holder ? { holder } : {}),
    ...(label ? { label: labelOf(label).join(':') } : {}),
  };
  const found: Grant[] = [];
  for await (const grant of openBursar().grants.list(query as { limit: number })) {
    if (found.length === most) break;
    found.push(grant);
  }
  if (!isTable(json)) return printJson(found);
  printTable<Grant>(
    found,
    [
      { title: 'grant', of: ({ id }) => id },
      { title: 'holder', of: ({ holder: name }) => name, shrinks: true },
      { title: 'status', of: (grant) => grant.status, style: coloured },
      { title: 'budget', of: ({ budget, currency }) => `${budget} ${currency}`, isRight: true },
      { title: 'spent', dropped: 2, of: ({ spent }) => spent, isRight: true },
      { title: 'open', dropped: 1, of: ({ reserved }) => reserved, isRight: true },
      { title: 'left', of: ({ remaining }) => remaining, isRight: true },
      { title: 'ends', dropped: 3, of: ({ expiresAt }) => fromNow(expiresAt) },
    ],
    'no grant; an admin mints one with: npx bursar grants mint',
  );
}

/** `bursar grants show`. */
export async function showGrant(id: string | undefined, { json }: { json?: boolean }) {
  const grant = await openBursar().grants.get(ownGrant(id));
  if (!isTable(json)) return printJson(grant);
  printGrant(grant);
}

/** Prints a grant in lines, and leaves out what it does not limit. */
export function printGrant(grant: Grant): void {
  const { currency, scope } = grant;
  const money = (amount: string | null) => (amount === null ? null : `${amount} ${currency}`);
  const windows = grant.windows.map(({ seconds, amount, payments }) =>
    [amount && money(amount), payments && `${payments} payments`, `in ${seconds} s`]
      .filter(Boolean)
      .join(', '),
  );
  printFacts([
    ['grant', grant.id],
    ['holder', grant.holder],
    ['status', grant.status, coloured],
    ['left', money(grant.remaining)],
    ['budget', money(grant.budget)],
    ['spent', money(grant.spent)],
    ['open', money(grant.reserved)],
    ['set aside', /^0\.0+$/.test(grant.allocated) ? null : money(grant.allocated)],
    [
      'payments',
      `${grant.payments}${grant.maxPayments === null ? '' : ` of ${grant.maxPayments}`}`,
    ],
    ['per payment', money(grant.maxPerPayment)],
    ['approval above', money(grant.approvalAbove)],
    ['new payees', grant.approveNewPayees ? 'need an approval' : null],
    [
      'breaker',
      grant.breaker &&
        `${grant.breaker.refusals} refusals in ${grant.breaker.seconds} s suspend it`,
    ],
    ['windows', windows.join('; ')],
    ['networks', scope.networks?.join(', ')],
    ['payees', scope.payTo?.join(', ')],
    ['resources', scope.resources?.join(', ')],
    ['starts', Date.parse(grant.startsAt) > Date.now() ? at(grant.startsAt) : null],
    ['ends', `${at(grant.expiresAt)} (${fromNow(grant.expiresAt)})`],
    ['delegates', grant.delegationDepth === 0 ? 'no' : count(grant.delegationDepth, 'level')],
    ['funding', grant.funding],
    ['above it', grant.parentId],
    ['bound to a key', grant.holderKey ? 'yes' : null],
    ['purpose', grant.purpose],
    [
      'labels',
      Object.entries(grant.labels)
        .map((pair) => pair.join('='))
        .join(', '),
    ],
  ]);
}

/** `bursar grants tree`. */
export async function showTree(id: string | undefined, options: { limit: string; json?: boolean }) {
  const most = parseLimit(options.limit);
  const { grants, totals, isWhole } = await readTree(openBursar(), ownGrant(id), most);
  if (!isTable(options.json)) return printJson({ items: grants, totals, isWhole });
  const prefixes = prefixesOf(grants);
  printTable<Grant>(
    grants,
    [
      {
        title: 'holder',
        of: (grant) => `${prefixes.get(grant.id) ?? ''}${grant.holder}`,
        shrinks: true,
      },
      { title: 'grant', of: (grant) => grant.id },
      { title: 'status', of: ({ status }) => status, style: coloured },
      { title: 'budget', of: ({ budget }) => budget, isRight: true },
      { title: 'spent', dropped: 2, of: ({ spent }) => spent, isRight: true },
      { title: 'open', dropped: 1, of: ({ reserved }) => reserved, isRight: true },
      { title: 'left', of: ({ remaining }) => remaining, isRight: true },
      { title: 'ends', dropped: 3, of: ({ expiresAt }) => fromNow(expiresAt) },
    ],
    'no grant',
  );
  const { currency = '' } = grants[0] ?? {};
  printLine(
    `\n${count(totals.grants, 'grant')}, ${count(totals.payments, 'payment')}, ${totals.spent} ${currency} spent, ${totals.reserved} open, ${totals.remaining} left`,
  );
  if (!isWhole) printLine(`Only the first ${grants.length} are shown; give --limit for more`);
}

/** A grant's tree, a parent before its children, page by page up to so many. */
async function readTree(bursar: Bursar, id: string, most: number) {
  const grants: Grant[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await bursar.grants.tree(id, { limit: 200, ...(cursor ? { cursor } : {}) });
    grants.push(...page.items);
    const isWhole = page.nextCursor === null && grants.length <= most;
    if (page.nextCursor === null || grants.length >= most) {
      return { grants: grants.slice(0, most), totals: page.totals, isWhole };
    }
    cursor = page.nextCursor;
  }
}

/** The lines that lead to each grant of a tree, whose parents stand before their children. */
function prefixesOf(grants: readonly Grant[]): Map<string, string> {
  const top = grants[0]?.depth ?? 0;
  const lastOf = new Map<string | null, string>();
  for (const { parentId, id } of grants) lastOf.set(parentId, id);
  const below = new Map<string, string>();
  const prefixes = new Map<string, string>();
  for (const { id, parentId, depth } of grants) {
    const before = below.get(parentId ?? '') ?? '';
    const isLast = lastOf.get(parentId) === id;
    const isTop = depth === top;
    prefixes.set(id, isTop ? '' : `${before}${isLast ? '└─ ' : '├─ '}`);
    below.set(id, isTop ? '' : `${before}${isLast ? '   ' : '│  '}`);
  }
  return prefixes;
}

/** A label as it is typed: `name=value`, or `name:value`. */
export function labelOf(text: string): [name: string, value: string] {
  const [, name, value] = /^([^=:]+)[=:](.*)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new UsageError(`--label is "${text}"; give it as name=value`);
}
