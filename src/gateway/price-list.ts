import { type Currency, parseAmount } from '../domain/money.js';
import { checkJsonBody } from '../http/json-body.js';
import { type Json, object } from './openapi-import.js';

/** The value that a part of a request must have: a text, or a number of at most `upTo`, for tiers. */
export type Condition = string | { readonly upTo: number };

/** Conditions by the name of a part. */
type Conditions = Readonly<Record<string, Condition>>;

/** A price that holds where all its conditions do. */
export interface PriceRule {
  readonly query: Conditions;
  /** Names in lower case. */
  readonly headers: Conditions;
  /** Members of a JSON body, dots lead into objects. */
  readonly body: Conditions;
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
      holds(each.query, (name) => {
        const given = query.getAll(name);
        return given.length === 1 ? given[0] : undefined;
      }) &&
      holds(each.headers, (name) => request.headers[name]) &&
      holds(each.body, (path) => memberOf(body, path)),
  );
  return rule?.price ?? list.price;
}

/** Whether each part of a request has the value that it must have. */
function holds(conditions: Conditions, read: (name: string) => unknown): boolean {
  return Object.entries(conditions).every(([name, condition]) => {
    const value = read(name);
    if (typeof condition === 'string') return value === condition;
    // Plain decimals alone: what another parser may read as another number is in no tier.
    const isNumber = typeof value === 'string' && /^-?[0-9]{1,15}(\.[0-9]{1,15})?$/.test(value);
    return isNumber && Number(value) <= condition.upTo;
  });
}

/** The range of a list's prices, in atomic units. */
export function pricesOf(list: PriceList, currency: Currency): { min: bigint; max: bigint } {
  const amounts = [list.price, ...list.rules.map(({ price }) => price)]
    .map((text) => parseAmount(text, currency, 'price'))
    .sort((a, b) => (a < b ? -1 : 1));
  return { min: amounts[0] ?? 0n, max: amounts.at(-1) ?? 0n };
}

/** A body as JSON. One that Bursar's own API refuses is none: the upstream may read it in another way. */
function jsonOf(body: Buffer | undefined): unknown {
  if (body === undefined) return undefined;
  try {
    const text = body.toString('utf8');
    const value: unknown = JSON.parse(text);
    checkJsonBody(text, value);
    return value;
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
