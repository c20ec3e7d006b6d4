import { randomUUID } from 'node:crypto';
import { type Api, Bursar, BursarError, type Quote } from '../sdk.js';
import { type Exchange, exchange } from './exchange.js';
import { type Finding, finding, ok } from './finding.js';
import type { Terms } from './terms.js';

/** Payer and amount. */
export interface Price {
  readonly amount: string | null;
  readonly currency: string | null;
  readonly decision: Quote['decision'];
  readonly holder: string;
}

/** Asks Bursar what the caller's grant makes of the terms. Changes nothing. */
export async function quoteFindings(api: Api, bursar: Bursar, url: string, terms: Terms) {
  const order = { paymentRequired: terms.paymentRequired, request: { method: 'GET', url } };
  const [{ body: quote }, grant] = await Promise.all([
    api.call<Quote>('POST', '/v1/payments/quote', { body: order }),
    bursar.grants.self(),
  ]);
  const chosen = quote.options.find(({ index }) => index === quote.selected) ?? quote.options[0];
  const price: Price = {
    amount: chosen?.amount ?? null,
    currency: chosen?.currency ?? null,
    decision: quote.decision,
    holder: grant.holder,
  };
  const reasons =
    chosen?.reasons.map(({ code, detail }) => detail ?? code).join('; ') ?? 'nothing is offered';
  const check = 'payable by your grant';
  const findings: Finding[] = [
    quote.decision === 'allow'
      ? ok(check, `yes, by ${grant.holder}`)
      : quote.decision === 'require_approval'
        ? finding('note', check, 'yes, once a person approves it')
        : finding(
            'fail',
            check,
            `no: ${chosen?.reasons[0]?.code ?? 'nothing is offered'}`,
            reasons,
          ),
  ];
  return { price, findings };
}

/** Makes one real payment, looks at the answer, and replays its proof. */
export async function payFindings(
  bursar: Bursar,
  url: string,
  terms: Terms,
  maxAmount: string | undefined,
  stopped: AbortSignal,
): Promise<Finding[]> {
  if (terms.paymentRequired === undefined) return [];
  const order = {
    paymentRequired: terms.paymentRequired,
    request: { method: 'GET', url },
    ...(maxAmount === undefined ? {} : { maxAmount }),
  };
  const paid = await bursar.pay(order, { idempotencyKey: `bursar doctor ${randomUUID()}` });
  const { payment, header } = paid;
  const proof = { headers: { [header.name]: header.value } };
  const answer = await exchange(url, stopped, proof);
  const receipt =
    answer.headers.get('payment-response') ?? answer.headers.get('x-payment-response');
  if (receipt) await handIn(bursar, payment.id, receipt);
  const cost = `${payment.amount} ${payment.currency}, ${payment.id}`;
  const findings = [
    answer.status < 300
      ? ok('paid request', `${answer.status} for ${cost}`)
      : finding(
          'fail',
          'paid request',
          `${answer.status} for ${cost}`,
          'serve what was paid for; see: npx bursar payments',
        ),
    receiptFinding(receipt),
    paidCacheFinding(answer),
  ];
  if (answer.status >= 300) return findings;
  findings.push(await sameAgain(url, proof, answer, stopped));
  findings.push(await elsewhere(url, proof, stopped));
  return findings;
}

async function handIn(bursar: Bursar, id: string, receipt: string): Promise<void> {
  try {
    await bursar.payments.receipt(id, receipt);
  } catch (error) {
    // A receipt is a hint only: the chain is read in any case.
    if (!(error instanceof BursarError)) throw error;
  }
}

function receiptFinding(receipt: string | null): Finding {
  const change = 'send PAYMENT-RESPONSE: the base64 of { success, transaction, network, payer }';
  if (receipt === null) return finding('warn', 'receipt', 'no PAYMENT-RESPONSE header', change);
  try {
    const { success } = JSON.parse(Buffer.from(receipt, 'base64').toString('utf8'));
    if (success === true) return ok('receipt', 'PAYMENT-RESPONSE says success');
    return finding('warn', 'receipt', 'PAYMENT-RESPONSE does not say success', change);
  } catch {
    return finding('warn', 'receipt', 'PAYMENT-RESPONSE cannot be read', change);
  }
}

function paidCacheFinding({ headers }: Exchange): Finding {
  const control = headers.get('cache-control') ?? '';
  const isShared =
    /public|s-maxage|max-age=0*[1-9]/i.test(control) && !/private|no-store/i.test(control);
  return isShared
    ? finding(
        'fail',
        'caching of the paid answer',
        'shared caches may keep it',
        'send Cache-Control: private or no-store: a cache serves it to those who did not pay',
      )
    : ok(
        'caching of the paid answer',
        control === '' ? 'nothing says that it may be kept' : 'not by shared caches',
      );
}

type Proof = { headers: Record<string, string> };

async function sameAgain(
  url: string,
  proof: Proof,
  first: Exchange,
  stopped: AbortSignal,
): Promise<Finding> {
  const { status, body } = await exchange(url, stopped, proof);
  if (status >= 500)
    return finding(
      'warn',
      'replayed proof',
      `${status}`,
      'answer 402, or the same answer once more',
    );
  if (status >= 300) return ok('replayed proof', `${status}: used up`);
  return body === first.body
    ? ok('replayed proof', `${status}: the same answer again, which helps where the first was lost`)
    : finding(
        'warn',
        'replayed proof',
        `${status}: another answer for the same money`,
        'remember used proofs: one payment is one answer',
      );
}

async function elsewhere(url: string, proof: Proof, stopped: AbortSignal): Promise<Finding> {
  const other = new URL(url);
  other.searchParams.set('bursar-doctor', '1');
  const { status } = await exchange(other.href, stopped, proof);
  return status < 300
    ? finding(
        'fail',
        'proof at another URL',
        `${status}: served`,
        'bind a used proof to its request',
      )
    : ok('proof at another URL', `${status}`);
}
