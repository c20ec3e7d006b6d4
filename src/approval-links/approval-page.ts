import { createHash } from 'node:crypto';
import { parseResource } from '../domain/scope.js';
import { escapeHtml } from '../http/escape-html.js';
import type { Asked } from './approval-links.service.js';

const STYLE = `:root{color-scheme:light dark;--ink:#16202b;--soft:#5b6875;--line:#dfe5ec;--ground:#f6f8fa;--card:#fff;--accent:#0b6e4f;--bad:#a4262c}
@media(prefers-color-scheme:dark){:root{--ink:#e8edf2;--soft:#9aa7b4;--line:#2c3743;--ground:#10161c;--card:#182028;--accent:#2f9e75;--bad:#e5757a}}
*{box-sizing:border-box}
body{margin:0;padding:16px;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:34rem;margin:0 auto;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px}
h1{font-size:1.1rem;margin:0 0 4px;color:var(--soft);font-weight:600}
.amount{font-size:2rem;font-weight:700;margin:0;line-height:1.2}
.to{margin:4px 0 20px;overflow-wrap:anywhere}
dl{margin:0 0 20px}
dt{color:var(--soft);font-size:.85rem;margin-top:12px}
dd{margin:0;overflow-wrap:anywhere}
.warn{border-left:4px solid var(--bad);padding:8px 12px;margin:0 0 16px;overflow-wrap:anywhere}
.acts{display:flex;flex-wrap:wrap;gap:12px}
button{flex:1 1 9rem;min-height:48px;font:inherit;font-weight:600;border-radius:8px;border:1px solid var(--line);background:none;color:var(--ink);cursor:pointer}
button.yes{background:var(--accent);border-color:var(--accent);color:#fff}
button:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
.note{color:var(--soft);font-size:.85rem;margin:16px 0 0}`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** The page runs no script, loads nothing, is framed by nobody and sends its form to the service only. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`;

type Fact = readonly [name: string, value: string | null | undefined];

/** The page that shows a payment that waits, and asks for a click. */
export function paymentPage({
  payment,
  holder,
  purpose,
  approver,
}: Extract<Asked, { kind: 'payment' }>): string {
  const host = parseResource(payment.resource)?.host ?? payment.resource;
  const price = `${payment.amount} ${payment.currency}`;
  return askPage({
    title: 'Approve a payment?',
    amount: price,
    about: `to ${host}`,
    warning: payment.resourceMismatch
      ? `The seller says that the payment is for another host: ${payment.declaredResource ?? 'none'}`
      : undefined,
    facts: [
      ['Page or service', payment.resource],
      ['Paid to', payment.payTo],
      ['Network', payment.network],
      ['Asked by', `${holder} (${payment.grantId})`],
      ['Purpose of the grant', purpose],
      ['Memo of the agent', payment.memo],
      ['You decide as', approver.actor],
      ['Decide before', timeOf(payment.approval?.lapsesAt)],
    ],
    yes: `Approve ${price}`,
    note: 'An approval permits the payment. It is signed when the agent asks again, if all limits allow it then.',
  });
}

/** The page that shows a raise that is asked for, and asks for a click. */
export function raisePage({
  request,
  budget,
  holder,
  purpose,
  approver,
}: Extract<Asked, { kind: 'raise' }>): string {
  const asked = `${request.budget} ${request.currency}`;
  return askPage({
    title: 'Raise a budget?',
    amount: asked,
    about: `instead of ${budget} ${request.currency}, in total`,
    warning: undefined,
    facts: [
      ['Reason of the agent', request.reason],
      ['Asked by', `${holder} (${request.grantId})`],
      ['Purpose of the grant', purpose],
      ['New end of the grant', timeOf(request.expiresAt)],
      ['You decide as', approver.actor],
      ['Decide before', timeOf(request.lapsesAt)],
    ],
    yes: `Raise to ${asked}`,
    note: 'An approval changes the grant at once.',
  });
}

interface AskPage {
  readonly title: string;
  readonly amount: string;
  readonly about: string;
  readonly warning: string | undefined;
  readonly facts: readonly Fact[];
  /** The button that approves. */
  readonly yes: string;
  readonly note: string;
}

function askPage({ title, amount, about, warning, facts, yes, note }: AskPage): string {
  const list = facts
    .filter(([, value]) => value)
    .map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value ?? '')}</dd>`);
  return pageOf(
    `${yes}?`,
    `<h1>${title}</h1><p class="amount">${escapeHtml(amount)}</p><p class="to">${escapeHtml(about)}</p>${
      warning === undefined ? '' : `<p class="warn">${escapeHtml(warning)}</p>`
    }
<dl>${list.join('')}</dl>
<form method="post"><div class="acts"><button class="yes" name="decision" value="approve">${escapeHtml(yes)}</button><button name="decision" value="reject">Reject</button></div></form>
<p class="note">${note} This link works once.</p>`,
  );
}

function timeOf(time: string | null | undefined): string | undefined {
  return time?.replace(/\.\d+Z$/, ' UTC').replace('T', ' ');
}

/** The page that says what became of it. */
export function saidPage(title: string, detail: string): string {
  return pageOf(
    title,
    `<h1>Bursar</h1><p class="amount">${escapeHtml(title)}</p><p class="to">${escapeHtml(detail)}</p>`,
  );
}

function pageOf(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body><main>${body}</main></body></html>`;
}
