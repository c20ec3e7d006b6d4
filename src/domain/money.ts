import { Problem } from './problem.js';

/** A currency budgets are kept in. `decimals` is how many the API's strings may carry. */
export interface Currency {
  /** Ticker, as requests name it. */
  readonly code: string;
  /** Decimals of one unit: 6 for USDC, so that 1.00 is 1,000,000 atomic units. */
  readonly decimals: number;
}

/** The currency of a root grant whose mint names none. It is known without configuration. */
export const DEFAULT_CURRENCY: Currency = Object.freeze({ code: 'USDC', decimals: 6 });

/** A currency's code: a short ASCII ticker, such as `EURC` or `USDC.e`. */
export const CURRENCY_CODE = /^[A-Za-z0-9.]{1,16}$/;

/** The most decimals a currency may have: {@link parseAmount} reads no more. */
export const MAX_DECIMALS = 30;

/**
 * The currencies this process can read and write amounts of, by code. A process serves one database, and
 * a code never changes its decimals there, so the registry only grows.
 */
const CURRENCIES = new Map<string, Currency>([[DEFAULT_CURRENCY.code, DEFAULT_CURRENCY]]);

/** The largest amount an EIP-20 token can express: 2^256 - 1 atomic units. */
export const MAX_ATOMIC = 2n ** 256n - 1n;

/** Atomic amounts as x402 writes them: decimal, no sign, no leading zero (at most 78 digits). */
const ATOMIC = /^(?:0|[1-9][0-9]{0,77})$/;

/** Currency amounts as the contract writes them. Bounded, so that no input makes it slow. */
const UNITS = /^(0|[1-9][0-9]{0,71})(?:\.([0-9]{1,30}))?$/;

/**
 * Makes currencies known to {@link currencyOf}. Idempotent.
 *
 * @throws Error when a code is already known with other decimals: every stored amount would change its value.
 */
export function registerCurrencies(currencies: Iterable<Currency>): void {
  for (const { code, decimals } of currencies) {
    const known = CURRENCIES.get(code);
    if (known && known.decimals !== decimals) {
      throw new Error(
        `currency ${code} has ${known.decimals} decimals in this process and cannot have ${decimals}`,
      );
    }
    if (!known) CURRENCIES.set(code, Object.freeze({ code, decimals }));
  }
}

/**
 * Finds a currency by its code, also one that only stored amounts are in.
 *
 * @throws Problem `invalid_request` naming the currencies there are.
 */
export function currencyOf(code: string): Currency {
  const currency = CURRENCIES.get(code);
  if (!currency) throw unknownCurrency(code, CURRENCIES.keys());
  return currency;
}

/** The error for a currency that cannot be used, naming those that can. */
export function unknownCurrency(code: string, codes: Iterable<string>): Problem {
  return new Problem(
    'invalid_request',
    `currency "${code}" is not known here; use one of: ${[...codes].sort().join(', ')}`,
    { field: 'currency' },
  );
}

/**
 * Reads a currency string ("1.25") as atomic units, exactly.
 *
 * @param field - the request field the text came from, for the error.
 * @throws Problem `invalid_request` when the text is not a plain decimal, has more decimals than the
 *   currency, or does not fit a uint256. Nothing is ever rounded.
 */
export function parseAmount(text: string, currency: Currency, field: string): bigint {
  const match = UNITS.exec(text);
  const fraction = match?.[2] ?? '';
  if (!match) {
    throw new Problem(
      'invalid_request',
      `${field} must be a plain decimal string such as "1.25", without sign, exponent or spaces`,
      { field },
    );
  }
  if (fraction.length > currency.decimals) {
    throw new Problem(
      'invalid_request',
      `${field} has ${fraction.length} decimals; ${currency.code} has ${currency.decimals}`,
      { field },
    );
  }
  const atomic = BigInt(`${match[1]}${fraction.padEnd(currency.decimals, '0')}`);
  if (atomic > MAX_ATOMIC) {
    throw new Problem('invalid_request', `${field} is larger than a token can express`, { field });
  }
  return atomic;
}

/**
 * Writes atomic units as a currency string: at least two decimals ("25.00"), more only where they
 * say something ("0.0005").
 */
export function formatAmount(atomic: bigint, currency: Currency): string {
  const sign = atomic < 0n ? '-' : '';
  const digits = (atomic < 0n ? -atomic : atomic).toString().padStart(currency.decimals + 1, '0');
  const units = digits.slice(0, digits.length - currency.decimals);
  const fraction = digits
    .slice(digits.length - currency.decimals)
    .replace(/0+$/, '')
    .padEnd(Math.min(2, currency.decimals), '0');
  return `${sign}${units}${fraction === '' ? '' : `.${fraction}`}`;
}

/**
 * Reads an atomic amount as x402 writes it.
 *
 * @returns the amount, or undefined when the text is not a plain decimal integer below 2^256.
 */
export function parseAtomic(text: unknown): bigint | undefined {
  if (typeof text !== 'string' || !ATOMIC.test(text)) return undefined;
  const atomic = BigInt(text);
  return atomic <= MAX_ATOMIC ? atomic : undefined;
}
