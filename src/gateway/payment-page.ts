import { currencyOf, formatAmount } from '../domain/money.js';
import { escapeHtml } from '../http/escape-html.js';
import type { Offer } from './offers.js';
import type { SoldOperation } from './shop.js';

/** A priced request as it is shown to its payer. */
export interface Front {
  readonly operation: SoldOperation;
  /** The document's. */
  readonly title: string;
  /** The URL that was asked. */
  readonly url: string;
  readonly origin: string;
  readonly offers: readonly Offer[];
  /** Whether a person asks, in a browser. */
  readonly wantsPage: boolean;
}

/** The 402 for a person who opens a priced URL in a browser: what it costs, and what pays it. */
export function paymentPage({ operation, title, url, offers }: Front): string {
  const prices = offers.map(
    ({ amount, asset, network }) =>
      `<li>${escapeHtml(formatAmount(amount, currencyOf(asset.currency)))} ${escapeHtml(asset.currency)} on ${escapeHtml(network.network)}</li>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}: payment required</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}code{overflow-wrap:anywhere}</style>
<h1>${escapeHtml(title)}</h1><p>${escapeHtml(operation.description)}</p>
<p>A request to <code>${escapeHtml(url)}</code> costs:</p><ul>${prices.join('')}</ul>
<p>Programs pay by <a href="https://www.x402.org">x402</a>: this answer has the terms in its PAYMENT-REQUIRED header. <a href="/openapi.json">What else is here</a></p></html>
`;
}
