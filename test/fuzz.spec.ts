import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
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
import { exact } from '../src/x402/exact.js';
import { paymentHeader } from '../src/x402/header.js';
import { type PaymentTerms, parsePaymentRequired } from '../src/x402/parse.js';
import { readReceipt } from '../src/x402/receipt.js';

// Every parser that meets a stranger's input takes generated and mutated input without an error that is
// no Problem, and each within 5 ms. By hand with a million a parser:
//   BURSAR_FUZZ_RUNS=1000000 npm test -- test/fuzz
// BURSAR_FUZZ_SEED repeats a run.

const RUNS = Number(process.env.BURSAR_FUZZ_RUNS ?? 3_000);
const SEED = Number(process.env.BURSAR_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
const BUDGET_MS = 5;
const HOURS = 4 * 3_600_000;

/** What real sellers answered, on their published packages. */
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
    const kind = this.below(10);
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

/** As `JSON.parse` makes members: `__proto__` is one like any other. */
function define(holder: object, key: string, value: unknown): void {
  const property = { value, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(holder, Array.isArray(holder) ? String(holder.length) : key, property);
}

interface Target<Input, Output> {
  readonly name: string;
  readonly generate: (mutator: Mutator, original: number) => Input;
  readonly parse: (input: Input) => Output;
  /** What must hold of everything that was accepted. */
  readonly check: (output: Output, input: Input) => void;
  /** How many of a hundred must be accepted at least, or the inputs try nothing. */
  readonly accepts: number;
}

/** Parses many inputs; fails at the first that throws what is no Problem, or takes too long. */
function fuzz<Input, Output>(target: Target<Input, Output>): void {
  const mutator = new Mutator(SEED);
  const seen = { accepted: 0, refused: 0 };
  let worst: { ms: number; input: Input | undefined } = { ms: 0, input: undefined };
  let suspects = 0;
  const began = performance.now();
  for (let run = 0; run < RUNS; run++) {
    const input = target.generate(mutator, run);
    const fail = (why: unknown): never => {
      const shown = JSON.stringify(input)?.slice(0, 2_000);
      throw new Error(`seed ${SEED}, run ${run}: ${why}\n${shown}`, { cause: why });
    };
    const { ms, output } = timed(target, input, fail);
    if (ms > BUDGET_MS) suspects++;
    // The machine's other work is not the parser's: the time of an input is its best of many.
    const own = ms > worst.ms ? best(target, input, ms, fail) : ms;
    if (own > worst.ms) worst = { ms: own, input };
    if (own > BUDGET_MS) fail(`took ${own} ms`);
    if (output === undefined) seen.refused++;
    else {
      seen.accepted++;
      // Checking costs more than parsing: in a long run, of one in eight.
      if (run > 10_000 && run % 8 !== 7) continue;
      try {
        target.check(output.value, input);
      } catch (error) {
        fail(error);
      }
    }
  }
  if (process.env.BURSAR_FUZZ_RUNS !== undefined) {
    const seconds = ((performance.now() - began) / 1_000).toFixed(1);
    const shown = JSON.stringify(worst.input)?.slice(0, 120);
    process.stdout.write(
      `${target.name}: seed ${SEED}, ${RUNS} inputs in ${seconds} s, ${seen.accepted} accepted, ${seen.refused} refused; ` +
        `worst ${worst.ms.toFixed(3)} ms (${JSON.stringify(worst.input)?.length ?? 0} characters: ${shown}); ${suspects} were above ${BUDGET_MS} ms at first\n`,
    );
  }
  expect(seen.accepted).toBeGreaterThanOrEqual((RUNS * target.accepts) / 100);
  expect(seen.refused).toBeGreaterThan(0);
}

function timed<Input, Output>(
  { parse }: Target<Input, Output>,
  input: Input,
  fail: (why: unknown) => never,
): { ms: number; output: { value: Output } | undefined } {
  const start = performance.now();
  try {
    const value = parse(input);
    return { ms: performance.now() - start, output: { value } };
  } catch (error) {
    const ms = performance.now() - start;
    return error instanceof Problem ? { ms, output: undefined } : fail(error);
  }
}

/** The time an input takes by itself: its best of five; above the budget, its best of two hundred. */
function best<Input, Output>(
  target: Target<Input, Output>,
  input: Input,
  first: number,
  fail: (why: unknown) => never,
): number {
  let ms = first;
  for (let time = 1; time < 5 || (time < 200 && ms > BUDGET_MS); time++) {
    ms = Math.min(ms, timed(target, input, fail).ms);
  }
  return ms;
}

function checkTerms(terms: PaymentTerms): void {
  if (terms.offers.length + terms.unusable.length > 16) throw new Error('too many entries');
  for (const offer of terms.offers) {
    const { amount, maxTimeoutSeconds, network, payTo, asset, json } = offer;
    const good =
      amount >= 0n &&
      amount <= MAX_ATOMIC &&
      Number.isInteger(maxTimeoutSeconds) &&
      maxTimeoutSeconds >= 1 &&
      maxTimeoutSeconds <= 300 &&
      /^eip155:[1-9][0-9]*$/.test(network) &&
      [payTo, asset].every((address) => /^0x[0-9a-fA-F]{40}$/.test(address));
    if (!good) throw new Error('an offer out of bounds');
    const fixed = {
      id: 'pay_01jd5v9n6qe8rb3k2m7xw4hzcy',
      x402Version: terms.x402Version,
      chainId: 1,
      from: asset,
      to: payTo,
      value: amount,
      validAfter: 0n,
      validBefore: 1n,
      nonce: '0x00',
      requirementJson: json,
      resourceJson: terms.resourceJson,
      extensionsJson: terms.extensionsJson,
    };
    // Whatever was accepted makes a header that is JSON, with the echo and the id in their places.
    const header = JSON.parse(decoded(paymentHeader(fixed, exact.payload(fixed, '0x')).value));
    if (terms.x402Version === 1) continue;
    if (JSON.stringify(header.accepted) !== JSON.stringify(JSON.parse(json))) {
      throw new Error('another echo');
    }
    const declared = header.extensions?.['payment-identifier'];
    if (declared !== undefined && declared.info.id !== fixed.id) throw new Error('another id');
  }
}

const bodies = captured.map(({ paymentRequired }) => decoded(paymentRequired));
const objects = bodies.map((body) => JSON.parse(body) as unknown);
/** As much as a seller may send: 16 entries and some 40 KB of schemas. */
const large = (() => {
  const [, body] = objects as { accepts: object[]; extensions: object }[];
  const schemas = Array.from({ length: 25 }, (_, n) => [`x${n}`, body?.extensions]);
  return {
    ...body,
    accepts: Array.from({ length: 16 }, (_, n) => body?.accepts[n % 2]),
    extensions: { ...body?.extensions, ...Object.fromEntries(schemas) },
  };
})();
const largeBody = JSON.stringify(large);
const isLargeRun = (run: number) => run % 1_000 === 999;
const object = (run: number) => (isLargeRun(run) ? large : objects[run % objects.length]);
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
  corpus: readonly string[],
  parse: (input: string) => Output,
  check: (output: Output, input: string) => void,
  accepts: number,
): Target<string, Output> {
  return {
    name,
    generate: (mutator, run) =>
      run % 10 === 0 ? mutator.noise() : mutator.text(corpus[run % corpus.length] ?? ''),
    parse,
    check,
    accepts,
  };
}

const targets = [
  {
    name: 'paymentRequired, an object',
    generate: (mutator: Mutator, run: number) => mutator.json(object(run)),
    parse: parsePaymentRequired,
    check: checkTerms,
    accepts: 10,
  },
  {
    name: 'paymentRequired, a header value',
    generate: (mutator: Mutator, run: number) => {
      const body = isLargeRun(run) ? largeBody : (bodies[run % bodies.length] ?? '');
      const kind = run % 7;
      if (kind === 0) return mutator.text(encoded(body));
      if (kind === 1) return mutator.noise();
      if (kind < 4) return encoded(mutator.text(body));
      return encoded(JSON.stringify(mutator.json(object(run))));
    },
    parse: parsePaymentRequired,
    check: checkTerms,
    accepts: 5,
  },
  {
    name: 'paymentResponse',
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
      // What was normalised once stays as it is.
      if (written.length > 2_048) return;
      if (JSON.stringify(parseResource(written)) !== JSON.stringify(resource)) {
        throw new Error('not normalised for good');
      }
    },
    10,
  ),
  textTarget(
    'scope.resources',
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
