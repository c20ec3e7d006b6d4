import { tell } from './output.js';
import { ApprovalRequired, BursarError } from './sdk.js';

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

/** The exit code of an error of the service: 3 refused, 4 waiting for an approval, else 1. */
function exitCodeOf(error: BursarError): number {
  if (error instanceof ApprovalRequired) return 4;
  const { code, nextAction, payment } = error;
  const isRefused =
    REFUSALS.includes(code) ||
    /_not_allowed$|^(?:grant|treasury)_(?:suspended|revoked|expired|not_started)$/.test(code) ||
    (code === 'payment_ended' && nextAction === 'stop' && payment !== undefined);
  return isRefused ? 3 : 1;
}

/** Tells what to do next about an error, in the words of this command line. */
const ADVICE: Readonly<Partial<Record<string, string>>> = {
  ask: 'a person or the grant above can raise the limit or resume the grant; see: npx bursar why',
  choose_cheaper: 'raise --max-amount, or choose something cheaper',
  renew_token: 'the token no longer works; run: npx bursar login, or set BURSAR_TOKEN',
  use_payment: 'the key has a payment already; see: npx bursar payments',
  new_key: 'the payment is over and took no money; repeat with another --intent or --key',
};

/**
 * Runs a command's work. An error of the service is told in one line, and another with what to do; with `--json` it is a
 * JSON object on standard error.
 *
 * @param isNamed - whether the command names its purchase by itself, so that repeating it continues that.
 */
export async function telling(
  json: boolean | undefined,
  work: () => Promise<void>,
  isNamed = false,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof BursarError)) throw error;
    process.exitCode = exitCodeOf(error);
    const { code, detail, nextAction, retryAfter, grantId, limit, remaining, field, payment, key } =
      error;
    if (json === true) {
      const told = { code, detail, nextAction, retryAfter, grantId, limit, remaining, field, key };
      const about = payment && { id: payment.id, status: payment.status };
      process.stderr.write(`${JSON.stringify({ error: { ...told, payment: about } })}\n`);
      return;
    }
    if (!(error instanceof ApprovalRequired)) tell(error.message);
    const advice = adviceOf(error, isNamed);
    if (advice !== undefined) tell(advice);
  }
}

function adviceOf(error: BursarError, isNamed: boolean): string | undefined {
  const { code, nextAction, retryAfter, key, payment } = error;
  const again =
    key === undefined || isNamed ? 'repeat the same command' : `repeat it with: --key ${key}`;
  if (error instanceof ApprovalRequired) {
    return `${payment?.amount} ${payment?.currency} waits for an approval; an admin or a holder above runs: npx bursar approvals approve ${payment?.id}; then ${again}`;
  }
  if (code === 'unreachable') return undefined;
  if (code === 'paid_not_delivered') {
    return `use the answer of before, if you kept it; to buy again, take another --intent; see: npx bursar payments ${payment?.id ?? ''}`.trimEnd();
  }
  if (code === 'idempotency_mismatch') {
    return 'an --intent or --key is one request; take another one for this request, or see: npx bursar payments';
  }
  if (code === 'not_found')
    return 'what the token may not see is not found either; see: npx bursar whoami';
  if (nextAction === 'wait') {
    return retryAfter === undefined ? again : `wait ${retryAfter} s, then ${again}`;
  }
  return ADVICE[nextAction];
}
