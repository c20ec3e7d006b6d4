/** Amounts in currency units are compared as integers of this many decimals. */
const DECIMALS = 36;

/** An amount in currency units, as an integer that compares and adds exactly. */
export function units(text: string): bigint {
  const [whole = '0', fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(DECIMALS, '0').slice(0, DECIMALS));
}

/** Such an integer as an amount, with two decimals at least. */
export function unitsText(value: bigint): string {
  return atomicText(value < 0n ? 0n : value, DECIMALS);
}

/** Atomic units as an amount, with two decimals at least. */
export function atomicText(value: bigint, decimals: number): string {
  const digits = value.toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '');
  return `${whole}.${fraction.padEnd(2, '0')}`;
}
