import type { Exchange } from './exchange.js';
import { type Finding, finding, ok } from './finding.js';

/** An entry of `accepts`, with the members of both dialects under the names of v2. */
export interface Entry {
  readonly dialect: 1 | 2;
  readonly index: number;
  readonly raw: Readonly<Record<string, unknown>>;
  readonly scheme: unknown;
  readonly network: unknown;
  readonly amount: unknown;
  readonly asset: unknown;
  readonly payTo: unknown;
  readonly timeout: unknown;
}

/** The x402 terms of a 402. */
export interface Terms {
  readonly entries: readonly Entry[];
  /** Terms that Bursar is handed: the header's value, else the body. */
  readonly paymentRequired: string | Record<string, unknown> | undefined;
  /** The declared resource of v2. */
  readonly resource: unknown;
  readonly findings: readonly Finding[];
}

const MAX_HEADER_CHARACTERS = 8_192;

/** Reads both dialects of a 402: v2 stands in the header PAYMENT-REQUIRED, v1 in the JSON body. */
export function readTerms({ headers, body }: Exchange): Terms {
  const header = headers.get('payment-required');
  const v2 = header === null ? undefined : objectOf(Buffer.from(header, 'base64').toString('utf8'));
  const v1 = objectOf(body);
  const entries2 = v2 ? entriesOf(v2, 2) : [];
  const isV1 = v1 !== undefined && v1.x402Version === 1;
  const entries1 = isV1 ? entriesOf(v1, 1) : [];
  const entries = [...entries2, ...entries1];
  const findings = [
    v2Finding(header, entries2.length),
    v1Finding(isV1, entries1.length),
    ...(entries.length > 0 ? entries.map(entryFinding) : []),
    ...agreement(entries2, entries1),
  ];
  const paymentRequired = entries2.length > 0 ? (header ?? undefined) : isV1 ? v1 : undefined;
  return { entries, paymentRequired, resource: v2?.resource, findings };
}

function v2Finding(header: string | null, entries: number): Finding {
  const check = 'x402 v2';
  const shape = 'a PAYMENT-REQUIRED header: the base64 of { x402Version: 2, resource, accepts }';
  if (header === null) {
    return finding(
      'warn',
      check,
      'no PAYMENT-REQUIRED header',
      `send ${shape}; newer clients read only that`,
    );
  }
  if (entries === 0) {
    return finding('fail', check, 'a PAYMENT-REQUIRED header that cannot be read', `send ${shape}`);
  }
  if (header.length > MAX_HEADER_CHARACTERS) {
    return finding(
      'warn',
      check,
      `a header of ${header.length} characters`,
      'keep it under 8 KiB: many servers and proxies take no more',
    );
  }
  return ok(check, `${entries} offered in the PAYMENT-REQUIRED header`);
}

function v1Finding(isV1: boolean, entries: number): Finding {
  const check = 'x402 v1';
  const change =
    'send { x402Version: 1, error, accepts } as the JSON body; older clients read only that';
  if (!isV1) return finding('note', check, 'no v1 terms in the body', change);
  if (entries === 0) return finding('fail', check, 'v1 terms without an entry in accepts', change);
  return ok(check, `${entries} offered in the body`);
}

function entriesOf(terms: Record<string, unknown>, dialect: 1 | 2): Entry[] {
  const { accepts, x402Version } = terms;
  if (x402Version !== dialect || !Array.isArray(accepts)) return [];
  return accepts.map((each: unknown, index) => {
    const raw = (typeof each === 'object' && each !== null ? each : {}) as Record<string, unknown>;
    return {
      dialect,
      index,
      raw,
      scheme: raw.scheme,
      network: raw.network,
      amount: dialect === 2 ? raw.amount : raw.maxAmountRequired,
      asset: raw.asset,
      payTo: raw.payTo,
      timeout: raw.maxTimeoutSeconds,
    };
  });
}

/** Faults of an entry's form. Whether its token is payable, Bursar says. */
function entryFinding(entry: Entry): Finding {
  const check = nameOf(entry);
  const faults = [
    entry.scheme === 'exact' ? '' : 'scheme: agents pay "exact"',
    isNetwork(entry)
      ? ''
      : `network: ${entry.dialect === 2 ? 'a CAIP-2 id such as eip155:8453' : 'a name such as base'}`,
    /^[1-9][0-9]{0,77}$/.test(String(entry.amount)) && typeof entry.amount === 'string'
      ? ''
      : `${entry.dialect === 2 ? 'amount' : 'maxAmountRequired'}: atomic units as a string of digits`,
    isAddress(entry.asset) ? '' : 'asset: the address of the token',
    isAddress(entry.payTo) ? '' : 'payTo: an address',
    typeof entry.timeout === 'number' && entry.timeout >= 10
      ? ''
      : 'maxTimeoutSeconds: a number of at least 10, or signatures end before they settle',
    isDomain(entry.raw.extra)
      ? ''
      : "extra.name and extra.version: those of the token's EIP-712 domain",
  ].filter(Boolean);
  return faults.length === 0
    ? ok(check, 'well formed')
    : finding('fail', check, `${faults.length} of its members cannot be used`, faults.join('; '));
}

/** An entry as findings name it. */
function nameOf({ dialect, index }: Entry): string {
  return `v${dialect} accepts[${index}]`;
}

function agreement(v2: readonly Entry[], v1: readonly Entry[]): Finding[] {
  if (v2.length === 0 || v1.length === 0) return [];
  const key = ({ amount, asset, payTo }: Entry) =>
    [amount, String(asset).toLowerCase(), String(payTo).toLowerCase()].join(' ');
  const known = new Set(v2.map(key));
  if (v1.every((entry) => known.has(key(entry))))
    return [ok('dialects agree', 'v1 offers what v2 offers')];
  const change =
    'offer the same amount, asset and payTo in both, or a client pays another price than its neighbour';
  return [finding('warn', 'dialects agree', 'v1 offers what v2 does not', change)];
}

/** The terms that a payment is bound to; those of two 402s must be equal. */
export function materialTerms(entries: readonly Entry[]): string {
  return JSON.stringify(
    entries.map(({ scheme, network, asset, payTo, amount }) => [
      scheme,
      network,
      asset,
      payTo,
      amount,
    ]),
  );
}

function isNetwork({ dialect, network }: Entry): boolean {
  const form = dialect === 2 ? /^[a-z0-9-]{3,8}:[A-Za-z0-9_-]{1,32}$/ : /^[a-z][a-z0-9-]+$/;
  return typeof network === 'string' && form.test(network);
}

function isAddress(value: unknown): boolean {
  return typeof value === 'string' && /^0x[0-9a-fA-F]{40}$/.test(value);
}

function isDomain(extra: unknown): boolean {
  const { name, version } = (extra ?? {}) as Record<string, unknown>;
  return typeof name === 'string' && typeof version === 'string';
}

function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
