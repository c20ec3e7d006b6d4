import { readFileSync } from 'node:fs';
import { UsageError } from '../options.js';
import { bold } from '../terminal.js';
import { labelOf, printGrant } from './grant-reading.js';
import { at, isTable, printJson, printLine, tell } from './output.js';
import {
  defined,
  given,
  parseAmountText,
  parseDuration,
  parseTimeText,
  parseWhole,
} from './parse.js';
import type { Grant, GrantTerms } from './sdk.js';
import { isAdmin, openBursar } from './session.js';

/** The options of `grants mint` and `grants delegate`. */
interface MintOptions {
  readonly holder?: string;
  readonly budget?: string;
  readonly ttl?: string;
  readonly until?: string;
  readonly maxPerPayment?: string;
  readonly maxPayments?: string;
  readonly window?: readonly string[];
  readonly approvalAbove?: string;
  readonly approveNewPayees?: boolean;
  readonly breaker?: string;
  readonly payTo?: string[];
  readonly resource?: string[];
  readonly network?: string[];
  readonly depth?: string;
  readonly reserved?: boolean;
  readonly currency?: string;
  readonly purpose?: string;
  readonly label?: readonly string[];
  readonly terms?: string;
  readonly parent?: string;
  readonly treasury?: string;
  readonly dryRun?: boolean;
  readonly tokenOnly?: boolean;
  readonly json?: boolean;
}

/** `bursar grants mint`: a root, or a child of `--parent`, by an admin. */
export function mintGrant(options: MintOptions): Promise<void> {
  if (!options.dryRun && !isAdmin()) {
    throw new UsageError(
      "mint takes an admin's token; the holder of a grant gives a part of it with: npx bursar grants delegate",
    );
  }
  return mint(options);
}

/** `bursar grants delegate`: a child of the caller's own grant. */
export function delegateGrant(options: MintOptions): Promise<void> {
  if (isAdmin()) {
    throw new UsageError(
      'delegate takes the token of a grant; an admin mints a child with: npx bursar grants mint --parent GRANT',
    );
  }
  return mint(options);
}

async function mint(options: MintOptions): Promise<void> {
  const { json, tokenOnly, dryRun } = options;
  const terms = termsOf(options);
  if (dryRun) return printJson(terms);
  const { grant, token } = await openBursar().grants.mint(terms);
  tellOfCut(terms, grant);
  if (tokenOnly) return printLine(token);
  if (!isTable(json)) return printJson({ grant, token });
  printGrant(grant);
  printLine(`\n${bold('Its token')}, which is not shown again:\n\n${token}\n`);
  tell('its holder uses it as BURSAR_TOKEN, or runs: npx bursar login');
}

/** Tells of a grant that ends before its --ttl is over: with the grant above it. */
function tellOfCut({ ttlSeconds }: GrantTerms, { createdAt, expiresAt }: Grant): void {
  const seconds = (Date.parse(expiresAt) - Date.parse(createdAt)) / 1_000;
  if (ttlSeconds === undefined || seconds > ttlSeconds - 1) return;
  tell(`--ttl is cut: the grant ends at ${at(expiresAt)}, the parent's end`);
}

/** The terms that the options say, over those of `--terms`. */
function termsOf(options: MintOptions): GrantTerms {
  const { ttl, until, maxPerPayment, approvalAbove, maxPayments, depth } = options;
  const scope = defined({
    networks: options.network,
    payTo: options.payTo,
    resources: options.resource,
  });
  const terms = {
    ...(options.terms === undefined ? {} : fileTerms(options.terms)),
    ...defined({
      holder: options.holder,
      budget: given('--budget', options.budget, parseAmountText),
      ttlSeconds: given('--ttl', ttl, parseDuration),
      expiresAt: given('--until', until, parseTimeText),
      maxPerPayment: given('--max-per-payment', maxPerPayment, parseAmountText),
      maxPayments: given('--max-payments', maxPayments, parseWhole),
      approvalAbove: given('--approval-above', approvalAbove, parseAmountText),
      approveNewPayees: options.approveNewPayees,
      breaker: options.breaker === undefined ? undefined : breakerOf(options.breaker),
      windows: options.window?.map(windowOf),
      scope: Object.keys(scope).length === 0 ? undefined : scope,
      delegationDepth: depth === undefined ? undefined : parseWhole('--depth', depth, 8),
      funding: options.reserved ? ('reserved' as const) : undefined,
      currency: options.currency,
      purpose: options.purpose,
      labels: options.label && Object.fromEntries(options.label.map(labelOf)),
      parentId: options.parent,
      treasuryId: options.treasury,
    }),
  };
  const missing = [
    'holder' in terms ? '' : '--holder NAME',
    'budget' in terms ? '' : '--budget AMOUNT',
  ].filter(Boolean);
  if (missing.length > 0)
    throw new UsageError(`${missing.join(' and ')} missing; who gets how much?`);
  return terms as GrantTerms;
}

function fileTerms(file: string): object {
  try {
    const terms: unknown = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
    if (typeof terms === 'object' && terms !== null && !Array.isArray(terms)) return terms;
    throw new Error('is no JSON object');
  } catch (error) {
    throw new UsageError(`--terms ${file}: ${(error as Error).message}`);
  }
}

/** `20:60`: so many refusals in so many seconds. */
function breakerOf(text: string) {
  const [, refusals, seconds] = /^([0-9]+):([0-9]+)$/.exec(text) ?? [];
  if (refusals === undefined || seconds === undefined) {
    throw new UsageError(`--breaker is "${text}"; give REFUSALS:SECONDS, such as 20:60`);
  }
  return {
    refusals: parseWhole('--breaker', refusals),
    seconds: parseWhole('--breaker', seconds),
  };
}

/** `3600:5.00` or, with a count of payments, `3600:5.00:200`. */
function windowOf(text: string) {
  const [, seconds, amount, payments] = /^([0-9]+):([0-9.]*)(?::([0-9]+))?$/.exec(text) ?? [];
  if (seconds === undefined || (!amount && payments === undefined)) {
    throw new UsageError(`--window is "${text}"; give SECONDS:AMOUNT, such as 3600:5.00`);
  }
  return {
    seconds: parseWhole('--window', seconds),
    ...(amount ? { amount: parseAmountText('--window', amount) } : {}),
    ...(payments === undefined ? {} : { payments: parseWhole('--window', payments) }),
  };
}
