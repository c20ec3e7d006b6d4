/** Decimals that sums are kept with; no currency has more. */
const SCALE = 18;
const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;

/**
 * A decimal text as an exact number of 10^-18. Amounts never become floats.
 *
 * @throws TypeError for anything that is no decimal.
 */
export function exact(text: string): bigint {
  const [, sign, whole = '', fraction = ''] = DECIMAL.exec(text) ?? [];
  if (sign === undefined) throw new TypeError(`"${text}" is no decimal`);
  const value = BigInt(whole + fraction.padEnd(SCALE, '0').slice(0, SCALE));
  return sign === '-' ? -value : value;
}

/** Whether somebody typed an amount that can be sent. */
export function isAmount(text: string): boolean {
  return DECIMAL.test(text) && !text.startsWith('-');
}

/** The decimal text of an exact number, with two decimals at least. */
export function decimal(value: bigint): string {
  const digits = (value < 0n ? -value : value).toString().padStart(SCALE + 1, '0');
  const fraction = digits.slice(-SCALE).replace(/0+$/, '').padEnd(2, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -SCALE)}.${fraction}`;
}

/** Adds amounts exactly. */
export function sum(amounts: Iterable<string>): string {
  let total = 0n;
  for (const amount of amounts) total += exact(amount);
  return decimal(total);
}

/** An amount for the eye: groups of thousands, every decimal. */
export function money(text: string): string {
  const [whole = '', fraction = '00'] = text.split('.');
  return `${whole.replace(/\B(?=(\d{3})+$)/g, ',')}.${fraction.padEnd(2, '0')}`;
}

/** A part of a whole in percent, for drawing only. */
export function percent(part: bigint, whole: bigint): number {
  if (whole <= 0n) return 0;
  const basisPoints = Number((part * 10_000n) / whole);
  return Math.min(100, Math.max(0, basisPoints / 100));
}

/** A duration in the words of a clock: `45 s`, `3 min`, `2 h`, `5 d`. */
function duration(milliseconds: number): string {
  const seconds = Math.round(Math.abs(milliseconds) / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `3 min ago` or `in 2 h`. */
export function relative(at: string, now: number): string {
  const difference = Date.parse(at) - now;
  if (Math.abs(difference) < 1_500) return 'now';
  return difference < 0 ? `${duration(difference)} ago` : `in ${duration(difference)}`;
}

const WHOLE = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });
const CLOCK = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  timeZoneName: 'short',
});

/** A time with its date and zone. */
export function whole(at: string): string {
  return WHOLE.format(new Date(at));
}

/** The time of the day with its zone. */
export function clock(at: string): string {
  return CLOCK.format(new Date(at));
}

/** A time as a `datetime-local` field has it, in the zone of the browser; empty for what is no time. */
export function localTime(at: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '';
  const pad = (number: number, size = 2) => String(number).padStart(size, '0');
  const day = `${pad(date.getFullYear(), 4)}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const minute = `${day}T${pad(date.getHours())}:${pad(date.getMinutes())}`;
  const rest = date.getSeconds() * 1_000 + date.getMilliseconds();
  return rest === 0
    ? minute
    : `${minute}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

/** A time of the URL as the service takes it; undefined for what is no time. */
export function instant(text: string): string | undefined {
  const date = new Date(text);
  return text === '' || Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** The beginning and the end of an address, a hash or an id. */
export function short(text: string, ends = 6): string {
  return text.length <= ends * 2 + 3 ? text : `${text.slice(0, ends)}…${text.slice(-ends)}`;
}

/** `1 grant`, `2 grants`. */
export function count(number: number, noun: string): string {
  return `${number.toLocaleString('en-GB')} ${noun}${number === 1 ? '' : 's'}`;
}

/** A window or a life in words: `hour`, `day`, `90 s`. */
export function period(seconds: number): string {
  const units: readonly (readonly [number, string])[] = [
    [86_400, 'day'],
    [3_600, 'hour'],
    [60, 'minute'],
  ];
  for (const [size, name] of units) {
    if (seconds % size === 0) return seconds === size ? name : `${seconds / size} ${name}s`;
  }
  return seconds === 1 ? 'second' : `${seconds} seconds`;
}
