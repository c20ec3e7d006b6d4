import { currencyOf, formatAmount } from '../domain/money.js';
import { type Json, object } from './openapi-import.js';
import { pricesOf } from './price-list.js';
import type { Shop, SoldOperation } from './shop.js';

/** The imported document with what is served alone, each operation with its price. */
export function pricedDocument(shop: Shop, origin: string): Json {
  const { document } = shop.imported;
  const served = new Map(shop.operations.map((each) => [`${each.method} ${each.path}`, each]));
  const paths = Object.fromEntries(
    Object.entries(object(document.paths)).flatMap(([path, item]) => {
      const kept = Object.entries(object(item)).flatMap(([member, value]) => {
        if (
          !['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'].includes(member)
        ) {
          return member === 'servers' || member === 'x-payment-info'
            ? []
            : [[member, value] as const];
        }
        const sold = served.get(`${member.toUpperCase()} ${path}`);
        return sold ? [[member, pricedOperation(shop, sold, object(value))] as const] : [];
      });
      return kept.some(([member]) => served.has(`${member.toUpperCase()} ${path}`))
        ? [[path, Object.fromEntries(kept)]]
        : [];
    }),
  );
  return { ...document, servers: [{ url: origin }], paths };
}

function pricedOperation(shop: Shop, sold: SoldOperation, operation: Json): Json {
  const { 'x-payment-info': _, servers: __, ...rest } = operation;
  if (!sold.prices) return rest;
  return {
    ...rest,
    'x-payment-info': paymentInfo(shop, sold),
    responses: {
      ...object(operation.responses),
      402: {
        description: 'Payment required: x402 v2 in the header PAYMENT-REQUIRED, v1 in the body',
        headers: { 'PAYMENT-REQUIRED': { schema: { type: 'string' } } },
      },
    },
  };
}

/** Both dialects of `x-payment-info`: `price` in currency units, `offers` in atomic ones. */
function paymentInfo(shop: Shop, sold: SoldOperation): Json {
  const [market] = shop.markets;
  if (!market || !sold.prices) return {};
  const currency = currencyOf(market.asset.currency);
  const { min, max } = pricesOf(sold.prices, currency);
  const price =
    min === max
      ? { mode: 'fixed', currency: 'USD', amount: formatAmount(min, currency) }
      : {
          mode: 'dynamic',
          currency: 'USD',
          min: formatAmount(min, currency),
          max: formatAmount(max, currency),
        };
  return {
    price,
    protocols: ['x402'],
    offers: shop.markets.map(({ network, asset }) => ({
      method: 'x402',
      intent: 'charge',
      network: network.network,
      currency: asset.address,
      amount:
        min === max
          ? pricesOf(sold.prices as never, currencyOf(asset.currency)).min.toString()
          : null,
    })),
  };
}
