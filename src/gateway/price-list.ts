import { type Currency, parseAmount } from '../domain/money.js';
import { type Json, object } from './openapi-import.js';

/** A price that holds where all its conditions do. */
export interface PriceRule {
  readonly query: Readonly<Record<string, string>>;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Members of a JSON body, dots lead into objects. */
  readonly body: Readonly<Record<string, string>>;
  /** In currency units. */
  readonly price: string;
}

/** The prices of one operation: the first rule that holds, else the price for the rest. */
export interface PriceList {
  readonly rules: readonly PriceRule[];
  /** In currency units. */
  readonly price: string;
}

/** The members of a request that prices depend on. */
export interface PricedRequest {
  readonly query: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer | undefined;
}

/** Whether a price depends on the body, so that it must be read before the 402. */
export function needsBody({ rules }: PriceList): boolean {
  return rules.some(({ body }) => Object.keys(body).length > 0);
}

/** The price of a request, in currency units. The same request has the same price: a paid one is priced anew. */
export function priceOf(list: PriceList, request: PricedRequest): string {
  if (list.rules.length === 0) return list.price;
  const query = new URLSearchParams(request.query);
  const body = jsonOf(request.body);
  const rule = list.rules.find(
    (each) =>
      Object.entries(each.query).every(([name, value]) => {
        const given = query.getAll(name);
        return given.length === 1 && given[0] === value;
      }) &&
      Object.entries(each.headers).every(([name, value]) => request.headers[name] === value) &&
      Object.entries(each.body).every(([path, value]) => memberOf(body, path) === value),
  );
  return rule?.price ?? list.price;
}

/** The range of a list's prices, in atomic units. */
export function pricesOf(list: PriceList, currency: Currency): { min: bigint; max: bigint } {
  const amounts = [list.price, ...list.rules.map(({ price }) => price)]
    .map((text) => parseAmount(text, currency, 'price'))
    .sort((a, b) => (a < b ? -1 : 1));
  return { min: amounts[0] ?? 0n, max: amounts.at(-1) ?? 0n };
}

function jsonOf(body: Buffer | undefined): unknown {
  if (body === undefined) return undefined;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function memberOf(body: unknown, path: string): string | undefined {
  const found = path
    .split('.')
    .reduce<unknown>(
      (at, part) => (Object.hasOwn(object(at), part) ? object(at)[part] : undefined),
      body,
    );
  return ['string', 'number', 'boolean'].includes(typeof found) ? String(found) : undefined;
}

/**
 * The price that a document's own `x-payment-info` names, in currency units. Two dialects are in use: `price` (an amount,
 * or an object with `amount`), and `offers` with an `amount` in atomic units.
 *
 * @returns undefined where it names no fixed price that can be read.
 */
export function declaredPrice(info: unknown, decimals: number): string | undefined {
  const { price, amount, offers } = object(info);
  for (const each of [price, object(price).amount, amount]) {
    const text = typeof each === 'number' ? String(each) : each;
    if (typeof text === 'string' && /^\$?[0-9]{1,20}(\.[0-9]{1,30})?$/.test(text)) {
      return /[1-9]/.test(text) ? text.replace('$', '') : undefined;
    }
  }
  const [offer] = Array.isArray(offers) ? (offers as Json[]) : [];
  const atomic = object(offer).amount;
  if (typeof atomic !== 'string' || !/^[1-9][0-9]{0,40}$/.test(atomic)) return undefined;
  const digits = atomic.padStart(decimals + 1, '0');
  const units = digits.slice(0, digits.length - decimals);
  const rest = digits.slice(digits.length - decimals).replace(/0+$/, '');
  return rest === '' ? units : `${units}.${rest}`;
}
