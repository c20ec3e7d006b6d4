import { currencyOf, formatAmount } from '../domain/money.js';
import { pricesOf } from './price-list.js';
import type { Shop } from './shop.js';

/** Describes a configuration, a line an operation: its price, when it settles, method and path. */
export function describeShop({ operations, markets, upstream, file }: Shop): string {
  const [market] = markets;
  const lines = operations.map(({ method, path, prices, settle }) => {
    if (!prices || !market) return `free  ${method} ${path}`;
    const currency = currencyOf(market.asset.currency);
    const { min, max } = pricesOf(prices, currency);
    const range =
      min === max
        ? formatAmount(min, currency)
        : `${formatAmount(min, currency)}..${formatAmount(max, currency)}`;
    return `${range} ${currency.code}  settled ${settle}  ${method} ${path}`;
  });
  const networks = [...new Set(markets.map(({ network }) => network.network))].join(', ');
  return `${lines.join('\n')}\n\nupstream ${upstream}; paid to ${file.payTo} on ${networks}\n`;
}
