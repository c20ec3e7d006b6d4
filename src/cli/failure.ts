import type { Command } from 'commander';
import { pathOf } from '../command-line.js';
import { givenAs, inWordsOf } from './api-words.js';
import { callerEnvironment } from './environment.js';
import { tell, tellJson } from './output.js';
import { ApprovalRequired, BursarError, type Payment } from './sdk.js';
import { ADMIN_PAYS_NOTHING, isAdmin } from './session.js';

/** Problems that say no to a purchase, or to a change of a grant. All others say that something failed. */
const REFUSALS = [
  'allowance_required',
  'attenuation_violation',
  'budget_exceeded',
  'declined',
  'delegation_not_allowed',
  'forbidden',
  'max_amount_exceeded',
  'payments_exceeded',
  'per_payment_exceeded',
  'window_exceeded',
];

/** The exit code of an error of the service: 2 called wrongly, 3 refused, 4 waiting for an approval, else 1. */
function exitCodeOf(error: BursarError, command: Command): number {
  if (error instanceof ApprovalRequired) return 4;
  if (isMisuse(error, command)) return 2;
  const { code, nextAction, payment } = error;
  const isRefused =
    REFUSALS.includes(code) ||
    /_not_allowed$|^(?:grant|treasury)_(?:suspended|revoked|expired|not_started)$/.test(code) ||
    (code === 'payment_ended' && nextAction === 'stop' && payment !== undefined);
  return isRefused ? 3 : 1;
}

/** Whether the service found a mistake in what was typed, or in the file of `--terms`. */
function isMisuse({ code, field }: BursarError, command: Command): boolean {
  if (code !== 'invalid_request' || field === undefined) return false;
  return givenAs(command, field) !== undefined || command.getOptionValue('terms') !== undefined;
}

/** Tells what to do next about an error, in the words of this command line. */
const ADVICE: Readonly<Partial<Record<string, string>>> = {
  ask: 'a person or the grant above can raise the limit or resume the grant; see: npx bursar why',
  renew_token: 'the token no longer works; run: npx bursar login, or set BURSAR_TOKEN',
  use_payment: 'the key has a payment already; see: npx bursar payments',
  new_key: 'the payment is over and took no money; repeat with another --intent or --key',
};

/**
 * Runs the work of a command. An error of the service is told in one line, and another with what to do; with `--json` it
 * is a JSON object on standard error. Both are in the words of the command, whose options the SDK does not know.
 */
export async function telling(command: Command, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof BursarError)) throw error;
    process.exitCode = exitCodeOf(error, command);
    const detail = inWordsOf(command, error.detail, error.field);
    if (command.getOptionValue('json') === true) {
      const { code, nextAction, retryAfter, grantId, limit, remaining, field, payment, key } =
        error;
      const told = { code, detail, nextAction, retryAfter, grantId, limit, remaining, field, key };
      const about = payment && { id: payment.id, status: payment.status };
      return tellJson({ error: { ...told, payment: about } });
    }
    if (!(error instanceof ApprovalRequired)) {
      tell(isMisuse(error, command) ? detail : `${error.code}: ${detail}`);
    }
    const advice = adviceOf(error, command);
    if (advice !== undefined) tell(advice);
  }
}

function adviceOf(error: BursarError, command: Command): string | undefined {
  const { code, detail, nextAction, retryAfter, key, payment } = error;
  const { intent, key: givenKey, wait } = command.opts<Record<string, string | undefined>>();
  // A command that names its purchase continues it when it is repeated.
  const isNamed = intent !== undefined || givenKey !== undefined;
  const again =
    key === undefined || isNamed ? 'repeat the same command' : `repeat it with: --key ${key}`;
  if (error instanceof ApprovalRequired) {
    return wait === undefined
      ? `${approvalOf(payment)}; then ${again}`
      : `${wait} are over, and nobody has approved it; nothing was paid; once it is approved, ${again}`;
  }
  if (code === 'unreachable') return undefined;
  if (code === 'not_bursar' || (code === 'unexpected_answer' && nextAction === 'fix_request')) {
    return 'check BURSAR_URL, or the --url of login';
  }
  if (code === 'forbidden') return forbiddenAdvice(pathOf(command));
  if (code === 'paid_not_delivered') {
    return `use the answer of before, if you kept it; to buy again, take another --intent; see: npx bursar payments ${payment?.id ?? ''}`.trimEnd();
  }
  if (code === 'idempotency_mismatch') {
    return 'an --intent or --key is one request; take another one for this request, or see: npx bursar payments';
  }
  if (code === 'not_found' && !detail.startsWith('there is no GET'))
    return 'what the token may not see is not found either; see: npx bursar whoami';
  if (nextAction === 'wait') {
    return retryAfter === undefined ? again : `wait ${retryAfter} s, then ${again}`;
  }
  if (nextAction === 'renew_token' && isOfEnvironment(command)) {
    return 'the token in BURSAR_TOKEN no longer works; ask whoever gave it for a new one';
  }
  return ADVICE[nextAction];
}

/** Whether the command used the token of BURSAR_TOKEN: `login` may read another one. */
function isOfEnvironment(command: Command): boolean {
  return callerEnvironment().token !== undefined && command.getOptionValue('tokenStdin') !== true;
}

/** Tells that a payment waits, and who ends that. */
export function approvalOf(
  payment: Partial<Pick<Payment, 'id' | 'amount' | 'currency'>> = {},
): string {
  const { id, amount, currency } = payment;
  return `${amount} ${currency} waits for an approval; an admin or a holder above runs: npx bursar approvals approve ${id}`;
}

function forbiddenAdvice(path: string): string {
  return /^(?:fetch|quote|raises ask)$/.test(path) && isAdmin()
    ? ADMIN_PAYS_NOTHING
    : 'the token has no right to that; see: npx bursar whoami';
}
