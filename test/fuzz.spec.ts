import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { getAddress } from 'viem';
import {
  currencyOf,
  formatAmount,
  MAX_ATOMIC,
  parseAmount,
  parseAtomic,
} from '../src/domain/money.js';
import { Problem } from '../src/domain/problem.js';
import {
  parsePattern,
  parseResource,
  patternAdmits,
  patternContains,
} from '../src/domain/scope.js';
import { readInput } from '../src/http/contract.js';
import { parseIdempotencyKey } from '../src/http/idempotency-key.js';
import { paySchema } from '../src/payments/payments.dto.js';
import { MAX_HEADER_BYTES } from '../src/x402/echo.js';
import { exact } from '../src/x402/exact.js';
import { paymentHeader } from '../src/x402/header.js';
import { LIMITS, type Offer, type PaymentTerms, parsePaymentRequired } from '../src/x402/parse.js';
import { readReceipt } from '../src/x402/receipt.js';

// Every parser that meets a stranger's input reads generated and mutated input. It throws nothing but a
// Problem, keeps its promises about what it accepts, and takes at most 10 ms for any input.
//   npm run fuzz             a million inputs
//   BURSAR_FUZZ_SEED=1 ...   repeats a run

/** Inputs of all parsers together. */
const INPUTS = Number(process.env.BURSAR_FUZZ_INPUTS ?? 5_000);
const SEED = Number(process.env.BURSAR_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
const BUDGET_MS = 10;
const HOURS = 4 * 3_600_000;

/** A piece of seller text that must never reach the detail of a problem. */
const MARKER = 'zq-seller-text-zq';

/** 402s and receipts of sellers that run the published packages. */
const captured: { paymentRequired: string; paymentResponse: string }[] = JSON.parse(
  readFileSync(new URL('./vectors/captured-402.json', import.meta.url), 'utf8'),
);
const decoded = (base64: string) => Buffer.from(base64, 'base64').toString('utf8');
const encoded = (text: string) => Buffer.from(text, 'utf8').toString('base64');

/** Pieces that parsers trip over. */
const TOKENS = [
  ...[
    '',
    ' ',
    '\n',
    '\t',
    '\u0000',
    '\ud800',
    '\udc00',
    '\u2028',
    '\ufeff',
    '\u00e9',
    '\ud83d\ude00',
  ],
  ...['"', '\\', '\\u', '\\ud800', '{', '}', '[', ']', ':', ',', '{}', '[]', 'null', 'true', '""'],
  ...['0', '-0', '1e3', '1e400', '0x10', '1.0', '-1', '01', '1_0', 'NaN', '9007199254740993'],
  ...[(MAX_ATOMIC + 1n).toString(), '9'.repeat(78), '9'.repeat(79), '0.0000001', '+1', '1.', '.1'],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'extensions', 'info'],
  ...['payment-identifier', 'outputSchema', 'x402Version', 'accepts', 'exact', 'upto', 'permit2'],
  ...[
    'http://',
    'https://',
    '*',
    '*.',
    '..',
    '/../',
    '/./',
    '%2e',
    '%2f',
    '%5c',
    '%00',
    '%25',
    '%',
  ],
  ...[
    '@',
    '#',
    '?',
    ';',
    '\\',
    '//',
    ':443',
    ':0',
    ':99999',
    '[::1]',
    '127.0.0.1',
    'xn--',
    '\u3002',
  ],
  ...['a'.repeat(64), '[{'.repeat(40), '{"a":'.repeat(20), '%25'.repeat(30), '..;/'.repeat(20)],
  ...[MARKER, `${MARKER}"\u202e`, 'paymentRequired', 'structuredContent', 'result', 'upfront'],
  ...['=', '==', '-_', '/', '+', 'A', '\u212a', '\u0130', '\u00df', 'eip155:1', 'base'],
];

/** mulberry32: small, seeded, and the same everywhere. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Mutator {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = random(seed);
  }

  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** One to four small changes; one in two hundred makes it long. */
  text(original: string): string {
    let text = original;
    for (let changes = 1 + this.below(4); changes > 0; changes--) {
      const at = this.below(text.length + 1);
      const to = Math.min(text.length, at + this.below(12));
      const kind = this.below(8);
      if (kind === 0) text = text.slice(0, at) + text.slice(to);
      else if (kind === 1) text = text.slice(0, to) + text.slice(at);
      else if (kind === 2) text = text.slice(0, at);
      else if (kind === 3) text = text.slice(0, at) + this.character() + text.slice(at + 1);
      else if (kind === 4) text = text.slice(0, at) + this.pick(TOKENS) + text.slice(to);
      else text = text.slice(0, at) + this.pick(TOKENS) + text.slice(at);
    }
    if (this.below(200) > 0) return text;
    const at = this.below(text.length + 1);
    const piece = (this.pick(TOKENS) || 'x').repeat(1 + this.below(4_000));
    return (text.slice(0, at) + piece + text.slice(at)).slice(0, 200_000);
  }

  /** Text out of nothing. */
  noise(): string {
    let text = '';
    for (let pieces = this.below(12); pieces > 0; pieces--) {
      text += this.below(2) ? this.pick(TOKENS) : this.character();
    }
    return text;
  }

  /** A JSON value with one to three of its members replaced, dropped, added, renamed or repeated. */
  json(original: unknown): unknown {
    const document = structuredClone(original) as Record<string, unknown>;
    for (let changes = 1 + this.below(3); changes > 0; changes--) this.change(document);
    return document;
  }

  /** JSON text that says the same in another spelling; one in a hundred members is named twice. */
  spelled(value: unknown): string {
    const space = () => (this.below(8) ? '' : this.pick([' ', '\n', '\t', '\r\n  ']));
    if (typeof value === 'string') {
      if (value === '' || this.below(6)) return JSON.stringify(value);
      const at = this.below(value.length);
      // The escape may stand for half a surrogate pair.
      const [before, after] = [value.slice(0, at), value.slice(at + 1)].map((part) =>
        JSON.stringify(part).slice(1, -1),
      );
      return `"${before}\\u${value.charCodeAt(at).toString(16).padStart(4, '0')}${after}"`;
    }
    if (typeof value === 'number' && Number.isInteger(value)) {
      return `${JSON.stringify(value)}${this.pick(['', '', '', '.0', '.000', 'e0', 'E+0'])}`;
    }
    if (Array.isArray(value)) {
      return `[${space()}${value.map((item) => this.spelled(item) + space()).join(`,${space()}`)}]`;
    }
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    const members = Object.entries(value).flatMap(([name, inside]) => {
      const member = () => `${this.spelled(name)}${space()}:${space()}${this.spelled(inside)}`;
      return this.below(100)
        ? [member()]
        : [member(), `${this.spelled(name)}:${this.spelled(MARKER)}`];
    });
    return `{${space()}${members.join(`${space()},${space()}`)}${space()}}`;
  }

  private change(document: Record<string, unknown>): void {
    let holder = document;
    for (;;) {
      const keys = Object.keys(holder);
      if (keys.length === 0) return;
      const key = this.pick(keys);
      const inside = holder[key];
      const isHolder = typeof inside === 'object' && inside !== null;
      if (isHolder && this.below(4) > 0 && Object.keys(inside).length > 0) {
        holder = inside as Record<string, unknown>;
        continue;
      }
      const kind = this.below(6);
      if (kind === 0) delete holder[key];
      else if (kind === 1 && Array.isArray(holder)) holder.push(structuredClone(inside));
      else if (kind === 2) define(holder, this.pick(TOKENS), this.value());
      else if (kind === 3) define(holder, this.pick(TOKENS), structuredClone(inside));
      else if (kind === 4 && typeof inside === 'string') holder[key] = this.text(inside);
      else holder[key] = this.value();
      return;
    }
  }

  private value(): unknown {
    const token = this.pick(TOKENS);
    const kind = this.below(12);
    if (kind >= 10) return MARKER;
    if (kind < 4) return token;
    if (kind === 4) return this.pick([0, -0, -1, 1.5, 1e18, 1e308, 2 ** 53, 60, 86_400, 5e-324]);
    if (kind === 5) return this.pick([null, true, false, [], {}]);
    if (kind === 6) return { [token === '__proto__' ? 'x' : token]: [token] };
    if (kind === 7) return Array.from({ length: this.below(40) }, () => token);
    if (kind === 8) return { toString: 1, valueOf: null, length: -1, catch: {} };
    let deep: unknown = token;
    for (let levels = this.below(30); levels > 0; levels--)
      deep = levels % 2 ? [deep] : { a: deep };
    return deep;
  }

  private character(): string {
    return String.fromCharCode(this.below(4) ? this.below(0x80) : this.below(0x1_0000));
  }
}

/** Defines a member as `JSON.parse` does: `__proto__` is one like any other. */
function define(holder: object, key: string, value: unknown): void {
  const property = { value, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(holder, Array.isArray(holder) ? String(holder.length) : key, property);
}

interface Target<Input, Output> {
  readonly name: string;
  /** How many of a hundred inputs are its own. */
  readonly share: number;
  readonly generate: (mutator: Mutator, original: number) => Input;
  readonly parse: (input: Input) => Output;
  /** Throws when an accepted input breaks a promise. */
  readonly check: (output: Output, input: Input) => void;
  /** Throws when a refusal breaks a promise. */
  readonly checkRefusal?: (refusal: Problem) => void;
  /** Tells an output that exercised the whole parser; left out, every output did. */
  readonly isDeep?: (output: Output) => boolean;
  /** The least number of a hundred inputs that must be deep; fewer would test next to nothing. */
  readonly accepts: number;
}

/** Parses many inputs; fails at the first that breaks a promise, or takes too long. */
function fuzz<Input, Output>(target: Target<Input, Output>): void {
  const mutator = new Mutator(SEED);
  const runs = Math.ceil((INPUTS * target.share) / 100);
  const seen = { accepted: 0, deep: 0, refused: 0 };
  let worst: { ms: number; input: Input | undefined } = { ms: 0, input: undefined };
  let suspects = 0;
  const began = performance.now();
  for (let run = 0; run < runs; run++) {
    const input = target.generate(mutator, run);
    const fail = (why: unknown): never => {
      const shown = JSON.stringify(input)?.slice(0, 2_000);
      throw new Error(`seed ${SEED}, run ${run}: ${why}\n${shown}`, { cause: why });
    };
    const { ms, outcome } = timed(target, input, fail);
    if (ms > BUDGET_MS) suspects++;
    // The machine's other work is not the parser's: the time of an input is its best of many.
    const own = ms > worst.ms ? best(target, input, ms, worst.ms, fail) : ms;
    if (own > worst.ms) worst = { ms: own, input };
    if (own > BUDGET_MS) fail(`took ${own} ms`);
    try {
      if (outcome instanceof Problem) {
        seen.refused++;
        target.checkRefusal?.(outcome);
      } else {
        seen.accepted++;
        if (target.isDeep?.(outcome.value) ?? true) seen.deep++;
        target.check(outcome.value, input);
      }
    } catch (error) {
      fail(error);
    }
  }
  if (process.env.BURSAR_FUZZ_INPUTS !== undefined) {
    const seconds = ((performance.now() - began) / 1_000).toFixed(1);
    const shown = JSON.stringify(worst.input);
    process.stdout.write(
      `${target.name}: seed ${SEED}, ${runs} inputs in ${seconds} s, ${seen.accepted} accepted (${seen.deep} deep), ${seen.refused} refused; ` +
        `worst ${worst.ms.toFixed(3)} ms (${shown?.length ?? 0} characters: ${shown?.slice(0, 120)}); ${suspects} were above ${BUDGET_MS} ms at first\n`,
    );
  }
  expect(seen.deep).toBeGreaterThanOrEqual((runs * target.accepts) / 100);
  expect(seen.refused).toBeGreaterThan(0);
}

function timed<Input, Output>(
  { parse }: Target<Input, Output>,
  input: Input,
  fail: (why: unknown) => never,
): { ms: number; outcome: { value: Output } | Problem } {
  const start = performance.now();
  try {
    const value = parse(input);
    return { ms: performance.now() - start, outcome: { value } };
  } catch (error) {
    const ms = performance.now() - start;
    return error instanceof Problem ? { ms, outcome: error } : fail(error);
  }
}

/**
 * The time an input takes on a machine that does nothing else: its best, until 50 runs do not better it.
 *
 * @param worstMs - of the inputs before; a time below is of no interest and may be too long.
 */
function best<Input, Output>(
  target: Target<Input, Output>,
  input: Input,
  first: number,
  worstMs: number,
  fail: (why: unknown) => never,
): number {
  const began = performance.now();
  const hasTime = () => performance.now() - began < 20_000;
  let ms = first;
  // A busy machine also delays the compiler: above the budget it takes many runs to tell.
  for (let worse = 0; worse < 50 || (ms > BUDGET_MS && hasTime()); worse++) {
    if (ms <= worstMs) break;
    const again = timed(target, input, fail).ms;
    if (again >= ms) continue;
    ms = again;
    worse = 0;
  }
  return ms;
}

/** A 402 as a caller hands it over. */
interface Given {
  readonly input: unknown;
  /** The seller's text in it; undefined where that was mutated once more after it was wrapped. */
  readonly text: string | undefined;
}

const parseGiven = ({ input }: Given) => parsePaymentRequired(input);

function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

function checkTerms(terms: PaymentTerms, { input, text }: Given): void {
  const { offers, unusable, entries, unread } = terms;
  const read = Math.min(entries, LIMITS.accepts);
  const indices = [...offers, ...unusable].map(({ index }) => index).sort((a, b) => a - b);
  holds(isDeepStrictEqual(indices, [...Array(read).keys()]), 'entries are lost or there twice');
  holds(unread === entries - read, 'unread is wrong');
  if (entries % 4 === 1) {
    holds(isDeepStrictEqual(parsePaymentRequired(input), terms), 'another answer the second time');
  }
  for (const part of [terms, offers, unusable, ...offers, ...unusable]) {
    holds(Object.isFrozen(part), 'not frozen');
  }
  for (const { detail, sellerText } of unusable) checkTexts(detail, sellerText);
  for (const offer of offers) {
    checkOffer(offer);
    // Headers are made for a few entries only: they would take most of the run's time.
    if (offer.index < 2 || offer === offers.at(-1)) checkHeader(offer, terms.x402Version);
    const isVerbatim = text?.toWellFormed().includes(offer.json) ?? true;
    const isWritten = JSON.stringify(JSON.parse(offer.json)) === offer.json;
    holds(isVerbatim || (typeof input === 'object' && isWritten), "not the seller's bytes");
  }
}

function checkTexts(detail: string, sellerText: string | undefined): void {
  holds(!detail.includes(MARKER), "a seller's text is in the detail");
  holds(detail.length < 400, 'a long detail');
  if (sellerText === undefined) return;
  holds(/^untrusted, from the seller: "(?:[^"\\]|\\.)*"$/u.test(sellerText), 'text that escapes');
  holds(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(sellerText), 'an invisible character');
}

function checkOffer(offer: Offer): void {
  const { amount, maxTimeoutSeconds, network, payTo, asset, extra, echo, hash } = offer;
  holds(amount >= 0n && amount <= MAX_ATOMIC, 'amount');
  holds(Number.isSafeInteger(maxTimeoutSeconds) && maxTimeoutSeconds > 0, 'maxTimeoutSeconds');
  holds(/^eip155:[1-9][0-9]{0,15}$/.test(network), 'network');
  holds(
    [payTo, asset].every((address) => getAddress(address) === address),
    'address',
  );
  holds(!/^0x0+$/.test(payTo), 'the zero address');
  holds(Object.isFrozen(extra) && (echo === undefined || Object.isFrozen(echo)), 'not frozen');
  holds(/^[0-9a-f]{64}$/.test(hash), 'hash');
  const { declaredResource = '' } = offer;
  holds(declaredResource.length <= LIMITS.resourceCharacters, 'a long resource');
  holds(declaredResource.isWellFormed() && !declaredResource.includes('\0'), 'an unsafe resource');
}

/** Checks that an offer's header is one that servers take, with the echo and the id in their places. */
function checkHeader(
  { json, asset, payTo, amount, echo, headerBytes }: Offer,
  version: 1 | 2,
): void {
  if (!echo) {
    holds(headerBytes > MAX_HEADER_BYTES, 'an echo that fits is missing');
    return;
  }
  const fixed = {
    id: 'pay_01jd5v9n6qe8rb3k2m7xw4hzcy',
    x402Version: version,
    chainId: 1,
    from: asset,
    to: payTo,
    value: amount,
    validAfter: 0n,
    validBefore: 1_795_255_260n,
    nonce: `0x${'5a'.repeat(32)}`,
    requirementJson: json,
    ...echo,
  };
  const { name, value } = paymentHeader(fixed, exact.payload(fixed, `0x${'5a'.repeat(65)}`));
  holds(`${name}: ${value}\r\n`.length <= MAX_HEADER_BYTES, 'a long header');
  const header = JSON.parse(decoded(value));
  if (version === 1) return;
  const sent = JSON.parse(json);
  holds(isDeepStrictEqual(header.accepted, sent), 'another entry is echoed');
  const { resourceJson, extensionsJson } = echo;
  holds(resourceJson === undefined || typeof header.resource.url === 'string', 'resource');
  const extensions = extensionsJson === undefined ? {} : JSON.parse(extensionsJson);
  const identifier = extensions['payment-identifier'];
  if (identifier) identifier.info.id = fixed.id;
  holds(isDeepStrictEqual(header.extensions ?? {}, extensions), 'other extensions are echoed');
}

interface Body extends Record<string, unknown> {
  readonly accepts: Record<string, unknown>[];
}

const sold = captured.map(({ paymentRequired }) => JSON.parse(decoded(paymentRequired)) as Body);
const [plain, extended, v1] = sold as [Body, Body, Body];
const [entry] = plain.accepts;
/** Entries of real sellers that cannot be paid. */
const UNUSABLE = [
  null,
  { ...entry, network: 'base' },
  { ...entry, network: MARKER },
  { ...entry, amount: 1_000 },
  { ...entry, amount: '0.5' },
  { ...entry, payTo: MARKER },
  { ...entry, maxTimeoutSeconds: 1 },
  { ...entry, extra: { assetTransferMethod: 'permit2' } },
  { scheme: MARKER, network: 'lightning', asset: 'BTC', amount: '76900', payTo: 'lno1Merchant' },
  { scheme: 'stripe-checkout', network: 'stripe:live', amount: '500', payTo: 'acct_x' },
];
/** The 402s that are mutated: of published packages, and with what real sellers send. */
const corpus: readonly Body[] = [
  ...sold,
  { ...plain, error: MARKER, accepts: [...UNUSABLE.slice(0, 5), { ...entry }] as Body['accepts'] },
  {
    ...v1,
    error: { issues: [MARKER] },
    accepts: [...v1.accepts, ...UNUSABLE.slice(5)] as Body['accepts'],
  },
  { ...extended, resource: { ...(plain.resource as object), tags: [MARKER], serviceName: MARKER } },
  { ...extended, extensions: { [MARKER]: MARKER, 'payment-identifier': { supported: true } } },
  { ...extended, resource: { url: 'mcp://tool/x' }, extensions: [] },
  { ...plain, resource: { url: 'a', description: MARKER.repeat(400) }, extensions: { a: MARKER } },
  {
    ...plain,
    accepts: [
      { ...entry, extra: { name: 'GatewayWalletBatched', verifyingContract: entry?.payTo } },
      { ...entry, maxTimeoutSeconds: '86400', extra: { paymentFlow: 'upfront', note: MARKER } },
      { ...entry, extra: null, maxTimeoutSeconds: null },
    ],
  },
];
/** More entries than are read. */
const many: Body = {
  ...plain,
  accepts: Array.from({ length: 70 }, (_, at) => ({ ...entry, amount: String(at) })),
};
/** A 402 near every bound: 64 entries and some 30 KB of schemas. */
const large: Body = {
  ...extended,
  accepts: Array.from({ length: 64 }, (_, at) => ({ ...extended.accepts[at % 2] })),
  extensions: Object.fromEntries(
    Array.from({ length: 20 }, (_, at) => [`x${at}`, extended.extensions]),
  ),
};
const bodyOf = (run: number) => {
  if (run % 1_000 === 999) return large;
  return run % 100 === 99 ? many : corpus[run % corpus.length];
};

/** Texts around the text of a 402, by transport. */
const WRAPPERS: readonly ((terms: string) => string)[] = [
  (terms) => `{"status":402, "paymentRequired":${terms}}`,
  (terms) => `{"isError":true,"structuredContent":${terms},"content":[{"text":"${MARKER}"}]}`,
  (terms) => `{"jsonrpc":"2.0","id":1,"result": ${terms}}`,
  (terms) => `{"jsonrpc":"2.0","error":{"code":402,"message":"${MARKER}","data":${terms} },"id":1}`,
  (terms) => JSON.stringify({ isError: true, content: [{ text: 'Pay' }, { text: terms }] }),
  (terms) => JSON.stringify({ paymentRequired: encoded(terms) }),
  (terms) => JSON.stringify(terms),
];
const FORMS: readonly ((text: string) => string)[] = [
  (text) => text,
  encoded,
  (text) => Buffer.from(text, 'utf8').toString('base64url'),
  (text) => `PAYMENT-REQUIRED: ${encoded(text)}\r\n`,
];

/** A mutated 402 as text: its tree is changed, it is spelled in another way, and some bytes are. */
function mutatedText(mutator: Mutator, run: number): string {
  const body = mutator.below(8) ? mutator.json(bodyOf(run)) : bodyOf(run);
  const text = mutator.below(2) ? JSON.stringify(body) : mutator.spelled(body);
  return mutator.below(6) ? text : mutator.text(text);
}

/** @param wrappings - how many transports it is wrapped in at most. */
function givenText(mutator: Mutator, run: number, wrappings: number): Given {
  const text = mutatedText(mutator, run);
  let wrapped = text;
  for (let times = mutator.below(wrappings + 1); times > 0; times--) {
    wrapped = mutator.pick(WRAPPERS)(wrapped);
  }
  const input = mutator.pick(FORMS)(wrapped);
  return mutator.below(16) ? { input, text } : { input: mutator.text(input), text: undefined };
}

function checkRefusal({ code, detail, fields }: Problem): void {
  holds(code === 'requirements_invalid', `the code ${code}`);
  checkTexts(detail, fields.sellerText);
}

const hasOffers = ({ offers }: PaymentTerms) => offers.length > 0;

const receipts = captured.map(({ paymentResponse }) => decoded(paymentResponse));

const RESOURCES = [
  'https://api.example.com/data/7',
  'http://127.0.0.1:4021/a/b/../c?x=1#y',
  'https://b\u00fccher.example:8443/%7Euser/%c3%bc;v=1/',
  'https://[2001:db8::1]:443/',
];
const PATTERNS = [
  'https://api.example.com/data/*',
  'https://*.example.org/*',
  'https://api.example.com:8443/exact',
  'http://localhost:3000/*',
];
const AMOUNTS = ['0.05', '25.00', '0', '1.000001', '340282366920938463463374607431768211455'];
const USDC = currencyOf('USDC');

function textTarget<Output>(
  name: string,
  share: number,
  originals: readonly string[],
  parse: (input: string) => Output,
  check: (output: Output, input: string) => void,
  accepts: number,
): Target<string, Output> {
  return {
    name,
    share,
    generate: (mutator, run) =>
      run % 10 === 0 ? mutator.noise() : mutator.text(originals[run % originals.length] ?? ''),
    parse,
    check,
    accepts,
  };
}

const targets = [
  {
    name: 'paymentRequired, an object',
    share: 20,
    generate: (mutator: Mutator, run: number): Given => {
      const text = JSON.stringify(mutator.json(bodyOf(run)));
      const wrapped = mutator.below(3) ? text : mutator.pick(WRAPPERS)(text);
      return { input: JSON.parse(wrapped), text };
    },
    parse: parseGiven,
    check: checkTerms,
    checkRefusal,
    isDeep: hasOffers,
    accepts: 50,
  },
  {
    name: 'paymentRequired, a text',
    share: 25,
    generate: (mutator: Mutator, run: number): Given => {
      if (run % 20 === 0) return { input: mutator.noise(), text: undefined };
      return givenText(mutator, run, 0);
    },
    parse: parseGiven,
    check: checkTerms,
    checkRefusal,
    isDeep: hasOffers,
    accepts: 40,
  },
  {
    name: 'paymentRequired, a text in wrappers',
    share: 20,
    generate: (mutator: Mutator, run: number) => givenText(mutator, run, 3),
    parse: parseGiven,
    check: checkTerms,
    checkRefusal,
    isDeep: hasOffers,
    accepts: 40,
  },
  {
    name: 'paymentResponse',
    share: 8,
    generate: (mutator: Mutator, run: number) => {
      const receipt = receipts[run % receipts.length] ?? '';
      const kind = run % 7;
      if (kind === 0) return mutator.text(encoded(receipt));
      if (kind < 4) return encoded(mutator.text(receipt));
      return encoded(JSON.stringify(mutator.json(JSON.parse(receipt))));
    },
    parse: readReceipt,
    check: ({ response, transaction }: ReturnType<typeof readReceipt>) => {
      if (response === undefined && transaction === undefined) throw new Error('it says nothing');
      if (response && typeof response.success !== 'boolean') throw new Error('no success');
    },
    accepts: 5,
  },
  {
    name: 'the body of a payment',
    share: 4,
    generate: (mutator: Mutator, run: number) =>
      mutator.json({
        paymentRequired: run % 2 ? 'eyJ4NDAyVmVyc2lvbiI6Mn0=' : { x402Version: 2 },
        request: { method: 'GET', url: RESOURCES[0] },
        memo: 'page 7',
      }),
    parse: (input: unknown) => readInput(paySchema, input, 'body'),
    check: (body: unknown) => {
      const { request } = body as { request: { url: unknown } };
      if (typeof request.url !== 'string') throw new Error('no url');
    },
    accepts: 5,
  },
  textTarget(
    'request.url',
    8,
    RESOURCES,
    (input) => {
      const resource = parseResource(input);
      if (!resource) throw new Problem('invalid_request', 'no URL');
      return resource;
    },
    (resource) => {
      if (!/^https?:$/.test(resource.protocol)) throw new Error('another protocol');
      if (!/^[0-9]+$/.test(resource.port) || !resource.path.startsWith('/')) {
        throw new Error('not normalised');
      }
      const written = `${resource.protocol}//${resource.host}:${resource.port}${resource.path}`;
      // A normalised text stays as it is.
      if (written.length > 2_048) return;
      if (JSON.stringify(parseResource(written)) !== JSON.stringify(resource)) {
        throw new Error('not normalised for good');
      }
    },
    10,
  ),
  textTarget(
    'scope.resources',
    6,
    PATTERNS,
    parsePattern,
    (pattern) => {
      if (!patternContains(pattern, pattern)) throw new Error('does not contain itself');
      const { protocol, host, port, path, anyLabel } = pattern;
      const resource = {
        protocol,
        host: anyLabel ? `a.${host}` : host,
        port,
        path,
        unambiguous: true,
      };
      if (!patternAdmits(pattern, resource)) throw new Error('does not admit its own');
    },
    5,
  ),
  textTarget(
    'amounts in currency units',
    3,
    AMOUNTS,
    (input) => parseAmount(input, USDC, 'budget'),
    (atomic) => {
      if (atomic < 0n || atomic > MAX_ATOMIC) throw new Error('out of bounds');
      if (parseAmount(formatAmount(atomic, USDC), USDC, 'budget') !== atomic) {
        throw new Error('another amount');
      }
    },
    1,
  ),
  textTarget(
    'amounts in atomic units',
    3,
    ['50000', '0', MAX_ATOMIC.toString(), '9007199254740993'],
    (input) => {
      const atomic = parseAtomic(input);
      if (atomic === undefined) throw new Problem('requirements_invalid', 'no amount');
      return atomic;
    },
    (atomic, input) => {
      if (atomic.toString() !== input) throw new Error('another amount');
    },
    1,
  ),
  textTarget(
    'Idempotency-Key',
    3,
    ['8f7d6c5b-1234', 'k'.repeat(255), 'agent 7: page 7'],
    parseIdempotencyKey,
    (key, input) => {
      if (key !== input || !/^[ -~]{1,255}$/.test(key)) throw new Error('another key');
    },
    5,
  ),
] as readonly Target<unknown, unknown>[];

describe(`fuzzing with seed ${SEED}`, () => {
  it.each(targets.map((target) => ({ name: target.name, target })))(
    '$name: nothing but a Problem, and at once',
    ({ target }) => fuzz(target),
    HOURS,
  );
});
