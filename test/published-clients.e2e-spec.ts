import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { getAddress, isAddress } from 'viem';
import type { QuoteView } from '../src/payments/payments.dto.js';
import type { Api } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import {
  type Outcome,
  type PublishedClients,
  startPublishedClients,
  type Terms,
} from './support/published-clients.js';
import { atomic, RESOURCE_URL } from './support/terms.js';

// Bursar and the published clients receive the same 402s. They must pay the same entry of each, or both
// refuse it. DIFFERENCES lists the intended exceptions: the outcomes for a 402 differ if and only if one of
// these exceptions holds for it. BURSAR_CLIENTS_SEED selects other 402s, BURSAR_CLIENTS_RUNS more of them.

const SEED = Number(process.env.BURSAR_CLIENTS_SEED ?? 402);
const RUNS = Number(process.env.BURSAR_CLIENTS_RUNS ?? 300);

/** The chain's USDC, where the clients and Bursar expect it. */
const USDC = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const EURC = getAddress('0xe0c0000000000000000000000000000000000006');
const BASE_USDC = '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913';
const NETWORK = { 1: 'base-sepolia', 2: 'eip155:84532' } as const;
const AMOUNT = { 1: 'maxAmountRequired', 2: 'amount' } as const;
const IDENTIFIER = 'payment-identifier';

type Version = 1 | 2;
type Entry = Record<string, unknown>;

/** A payee of digits only, so that it has one spelling. Each position has its own. */
const payee = (index: number) => `0x${String(index + 1).repeat(40)}`;

/** An entry that both sides can pay. */
function entry(version: Version, index: number, changes: Entry = {}): Entry {
  const { amount = '10000', ...more } = changes;
  return {
    scheme: 'exact',
    network: NETWORK[version],
    [AMOUNT[version]]: amount,
    asset: USDC,
    payTo: payee(index),
    maxTimeoutSeconds: 60,
    extra: { name: 'USDC', version: '2' },
    ...(version === 1
      ? { resource: RESOURCE_URL, description: 'a page', mimeType: 'application/json' }
      : {}),
    ...more,
  };
}

/** A 402 of entries that differ from {@link entry} as given; null stands for an entry that is null. */
function terms(version: Version, entries: readonly (Entry | null)[], more: Entry = {}): Terms {
  return {
    x402Version: version,
    ...(version === 2 ? { resource: { url: RESOURCE_URL } } : { error: 'payment required' }),
    accepts: entries.map((changes, index) => changes && entry(version, index, changes)),
    ...more,
  };
}

// The client's reading of a 402.

function entriesOf({ accepts }: Terms): Entry[] {
  return accepts.filter((each): each is Entry => typeof each === 'object' && each !== null);
}

function extraOf({ extra }: Entry): Entry {
  return (extra ?? {}) as Entry;
}

/** The entry that the client selects by scheme, network, payment flow and (in v1) token. */
function selectedByClient(of: Terms): Entry | undefined {
  const { x402Version } = of;
  const ours = entriesOf(of).filter(
    ({ scheme, network }) => scheme === 'exact' && network === NETWORK[x402Version],
  );
  if (x402Version === 1) {
    return ours.find(({ asset }) => asset === USDC) ?? ours[0] ?? entriesOf(of)[0];
  }
  const flow = (each: Entry) => extraOf(each).paymentFlow ?? 'authorization';
  return (
    ours.find((each) => flow(each) === 'authorization') ??
    ours.find((each) => ['upfront', 'escrow'].includes(flow(each) as string))
  );
}

/** True if the client can select at all: v2 needs objects, v1 validates every entry with its schema. */
function isReadByClient({ x402Version, accepts }: Terms): boolean {
  return accepts.every((each) => {
    if (each === null) return false;
    if (x402Version === 2) return true;
    const { scheme, network, maxTimeoutSeconds, description, extra, ...more } = each as Entry;
    const amount = more.maxAmountRequired;
    return (
      scheme === 'exact' &&
      ['base-sepolia', 'base', 'polygon'].includes(network as string) &&
      typeof amount === 'string' &&
      Number.isInteger(Number(amount)) &&
      Number(amount) >= 0 &&
      Number.isInteger(maxTimeoutSeconds) &&
      typeof description === 'string' &&
      typeof more.asset === 'string' &&
      isHexAddress(more.payTo) &&
      extra !== null
    );
  });
}

function isHexAddress(text: unknown): boolean {
  return typeof text === 'string' && /^0x[0-9a-fA-F]{40}$/.test(text);
}

function isWhole(amount: unknown): boolean {
  try {
    return BigInt(amount as string) >= 0n;
  } catch {
    return false;
  }
}

const lacksDomain = (each: Entry) => !extraOf(each).name || !extraOf(each).version;

/** The entry that the client signs for, or undefined when it fails. */
function signedByClient(of: Terms): Entry | undefined {
  const selected = selectedByClient(of);
  if (!selected || !isReadByClient(of)) return undefined;
  const isPermit2 = of.x402Version === 2 && extraOf(selected).assetTransferMethod === 'permit2';
  const isSignable =
    isWhole(selected[AMOUNT[of.x402Version]]) &&
    isHexAddress(selected.payTo) &&
    isHexAddress(selected.asset) &&
    Number.isInteger(selected.maxTimeoutSeconds) &&
    (of.x402Version === 1 || isPermit2 || !lacksDomain(selected));
  return isSignable ? selected : undefined;
}

// Bursar's reasons to leave an entry aside.

const isElsewhere = (each: Entry, { x402Version }: Terms) =>
  each.network !== NETWORK[x402Version] || String(each.asset).toLowerCase() !== USDC.toLowerCase();

const isContradictory = (each: Entry) => {
  const { name, version, verifyingContract, chainId } = extraOf(each);
  return (
    (name ?? 'USDC') !== 'USDC' ||
    (version ?? '2') !== '2' ||
    String(verifyingContract ?? USDC).toLowerCase() !== USDC.toLowerCase() ||
    (chainId ?? 84532) !== 84532
  );
};

const isTooShort = ({ maxTimeoutSeconds }: Entry) =>
  typeof maxTimeoutSeconds === 'number' && maxTimeoutSeconds < 7;

const isOtherFlow = (each: Entry) => {
  const { assetTransferMethod, paymentFlow } = extraOf(each);
  return (
    (assetTransferMethod ?? 'eip3009') !== 'eip3009' ||
    (paymentFlow ?? 'authorization') !== 'authorization'
  );
};

const isOtherNotation = (each: Entry, { x402Version }: Terms) => {
  const amount = each[AMOUNT[x402Version]];
  return (
    (isWhole(amount) && !(typeof amount === 'string' && /^(0|[1-9][0-9]*)$/.test(amount))) ||
    (isHexAddress(each.payTo) && !isAddress(each.payTo as string))
  );
};

const isUnusable = ({ scheme, payTo, maxTimeoutSeconds, ...each }: Entry, of: Terms) =>
  scheme !== 'exact' ||
  !isWhole(each[AMOUNT[of.x402Version]]) ||
  !isHexAddress(payTo) ||
  !isHexAddress(each.asset) ||
  !Number.isInteger(maxTimeoutSeconds ?? 60);

const hasUnusableIdentifier = ({ extensions }: Terms) => {
  const declared = (extensions as Record<string, { info?: Entry }> | undefined)?.[IDENTIFIER];
  return declared?.info?.required === true && declared.info.id !== undefined;
};

/** The entries that Bursar can pay, in its order of preference. */
function payableByBursar(of: Terms): Entry[] {
  if (hasUnusableIdentifier(of)) return [];
  const flaws = [
    isElsewhere,
    isContradictory,
    isTooShort,
    isOtherFlow,
    isOtherNotation,
    isUnusable,
  ];
  return entriesOf(of)
    .filter((each) => !flaws.some((isFlawed) => isFlawed(each, of)))
    .sort((a, b) => Number(amountOf(a, of) - amountOf(b, of)));
}

const amountOf = (each: Entry, { x402Version }: Terms) =>
  BigInt(each[AMOUNT[x402Version]] as string);

/** One way in which Bursar is meant to differ from the published clients. */
interface Difference {
  readonly name: string;
  readonly reason: string;
  holds(of: Terms): boolean;
  /** A 402 that shows the difference, with the outcome of each side. */
  readonly example: Terms;
  readonly client: unknown;
  readonly bursar: unknown;
}

const pays = (index: number, amount = 10_000n) => ({
  pays: { index, amount, payTo: payee(index) },
});
const refuses = (reason: string) => ({ refuses: expect.stringContaining(reason) });

/** Holds if the client signs for an entry that Bursar leaves aside for this flaw. */
const signsWith = (isFlawed: (each: Entry, of: Terms) => boolean) => (of: Terms) => {
  const signed = signedByClient(of);
  return signed !== undefined && isFlawed(signed, of);
};

const DIFFERENCES: readonly Difference[] = [
  {
    name: 'a cheaper entry behind the one the client selects',
    reason: 'Bursar pays the cheapest entry, the clients the first.',
    holds(of) {
      const [best] = payableByBursar(of);
      const signed = signedByClient(of);
      return (
        best !== undefined &&
        signed !== undefined &&
        payableByBursar(of).includes(signed) &&
        amountOf(best, of) < amountOf(signed, of)
      );
    },
    example: terms(2, [{ amount: '20000' }, { amount: '10000' }]),
    client: pays(0, 20_000n),
    bursar: pays(1),
  },
  {
    name: 'USDC without its checksum before USDC with it, in v1',
    reason:
      'An address has one meaning in any case, so Bursar takes the first of two equal entries.',
    holds(of) {
      const [best] = payableByBursar(of);
      const signed = signedByClient(of);
      return (
        of.x402Version === 1 &&
        best !== undefined &&
        best.asset !== USDC &&
        signed?.asset === USDC &&
        best !== signed &&
        payableByBursar(of).includes(signed) &&
        amountOf(best, of) === amountOf(signed, of)
      );
    },
    example: terms(1, [{ asset: USDC.toLowerCase() }, {}]),
    client: pays(1),
    bursar: pays(0),
  },
  {
    name: 'a token or network that is not registered here',
    reason: 'Bursar signs only for tokens that an operator registered, the clients for any.',
    holds: signsWith(isElsewhere),
    example: terms(1, [{ network: 'base', asset: BASE_USDC }]),
    client: pays(0),
    bursar: refuses('network eip155:8453 is not configured here'),
  },
  {
    name: 'an extra that contradicts the token',
    reason:
      'The token would reject the signature, and with another contract it would stay spendable.',
    holds: signsWith(isContradictory),
    example: terms(2, [{ extra: { name: 'GatewayWalletBatched', version: '1' } }, {}]),
    client: pays(0),
    bursar: pays(1),
  },
  {
    name: 'a domain or a timeout that the seller leaves out, in v2',
    reason: 'Bursar knows the domain of a registered token and bounds the validity itself.',
    holds(of) {
      const selected = selectedByClient(of);
      return (
        of.x402Version === 2 &&
        selected !== undefined &&
        payableByBursar(of).includes(selected) &&
        (lacksDomain(selected) || selected.maxTimeoutSeconds === undefined)
      );
    },
    example: terms(2, [{ extra: {} }]),
    client: refuses('EIP-712 domain parameters (name, version) are required'),
    bursar: pays(0),
  },
  {
    name: 'a usable entry beside one at which the client fails',
    reason: 'Bursar judges every entry alone, so a malformed one does not spoil its neighbours.',
    holds(of) {
      const [best] = payableByBursar(of);
      const selected = selectedByClient(of);
      const isSpoiled = !isReadByClient(of) || (selected !== undefined && isUnusable(selected, of));
      return best !== undefined && isSpoiled;
    },
    example: terms(2, [null, {}]),
    client: refuses('TypeError'),
    bursar: pays(1),
  },
  {
    name: 'a timeout below 7 s',
    reason: 'A facilitator takes no signature that lives less than 6 s, so it could not settle.',
    holds: signsWith(isTooShort),
    example: terms(2, [{ maxTimeoutSeconds: 6 }]),
    client: pays(0),
    bursar: refuses('no signature could settle in that time'),
  },
  {
    name: 'another transfer method or payment flow',
    reason: 'Bursar signs EIP-3009 only, and pays before the answer only where it is configured.',
    holds: signsWith(isOtherFlow),
    example: terms(2, [{ extra: { name: 'USDC', version: '2', assetTransferMethod: 'permit2' } }]),
    client: pays(0),
    bursar: refuses('assetTransferMethod is not supported'),
  },
  {
    name: 'an amount or a payee in another notation',
    reason: 'Bursar signs for the canonical form only: a payee with a wrong checksum is mistyped.',
    holds: signsWith(isOtherNotation),
    example: terms(2, [{ amount: '0x2710' }]),
    client: pays(0),
    bursar: refuses('must be a text of decimal digits'),
  },
  {
    name: 'a required payment-identifier that no payment can carry',
    reason: 'The seller would refuse the payment that the client makes without an id of its own.',
    holds: (of) => hasUnusableIdentifier(of) && signedByClient(of) !== undefined,
    example: terms(2, [{}], {
      extensions: { [IDENTIFIER]: { info: { required: true, id: 'of-the-seller' } } },
    }),
    client: pays(0),
    bursar: refuses('so no payment can carry the id'),
  },
];

// The generator.

const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values);

/** A change of one entry. Many of them change nothing for either side. */
type Change = (each: Entry, version: Version) => Entry | null;

const set =
  (changes: Entry): Change =>
  (each) => ({ ...each, ...changes });
const setExtra =
  (changes: Entry): Change =>
  (each) => ({
    ...each,
    extra: { ...extraOf(each), ...changes },
  });
const setAmount =
  (amount: unknown): Change =>
  (each, version) => ({
    ...each,
    [AMOUNT[version]]: amount,
  });
const drop =
  (name: string): Change =>
  (each) => ({ ...each, [name]: undefined });

const HARMLESS: readonly Change[] = [
  setExtra({ assetTransferMethod: 'eip3009', paymentFlow: 'authorization' }),
  setExtra({ chainId: 84532, verifyingContract: USDC.toLowerCase() }),
  setExtra({ chainId: null, verifyingContract: null, note: 'of the seller' }),
  set({ maxTimeoutSeconds: 7 }),
  set({ maxTimeoutSeconds: 86_400 }),
  set({ unknown: [{ deep: true }] }),
  set({ outputSchema: { type: 'object' } }),
];

/** Changes after which Bursar, the client or both cannot pay the entry. */
const FLAWS: readonly Change[] = [
  set({ asset: EURC }),
  set({ asset: '0x1234' }),
  setExtra({ name: 'USD Coin' }),
  setExtra({ version: '1' }),
  setExtra({ verifyingContract: EURC }),
  setExtra({ chainId: 8453 }),
  drop('extra'),
  setExtra({ name: undefined }),
  drop('maxTimeoutSeconds'),
  drop('asset'),
  drop('description'),
  () => null,
  set({ scheme: 'upto' }),
  set({ network: 'eip155:84533' }),
  set({ network: 'base-mainnet' }),
  set({ maxTimeoutSeconds: 1 }),
  set({ maxTimeoutSeconds: 6 }),
  set({ maxTimeoutSeconds: 30.5 }),
  setExtra({ assetTransferMethod: 'permit2' }),
  setExtra({ paymentFlow: 'upfront' }),
  setExtra({ paymentFlow: 'escrow' }),
  setExtra({ paymentFlow: 'deferred' }),
  setAmount('1'),
  setAmount('0x2710'),
  setAmount('010000'),
  setAmount(' 10000'),
  setAmount('1e4'),
  setAmount('ten'),
  setAmount(10_000),
  setAmount('-10000'),
  set({ payTo: '0x1234' }),
  (each) => ({ ...each, payTo: `0xaB${String(each.payTo).slice(4)}` }),
];

/** An entry of another network or, in v2, of another scheme: both sides pass it over. */
function neighbour(version: Version): fc.Arbitrary<Change> {
  const elsewhere =
    version === 1
      ? [{ network: 'base', asset: BASE_USDC }, { network: 'polygon' }]
      : [
          { network: 'eip155:8453', asset: BASE_USDC },
          { network: 'eip155:84532', scheme: 'upto' },
          { network: 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1', asset: 'So1', payTo: 'So2' },
          { scheme: 'batch-settlement', network: 'eip155:84532' },
          { network: 'base-sepolia' },
        ];
  return fc.tuple(pick<Entry>(...elsewhere), pick('1', '10000', '5000000')).map(
    ([changes, amount]) =>
      (each) =>
        setAmount(amount)({ ...each, ...changes }, version) as Entry,
  );
}

const unchanged: Change = (each) => each;

function generatedTerms(version: Version): fc.Arbitrary<Terms> {
  const planned = fc.record({
    change: fc.oneof(
      { weight: 5, arbitrary: fc.constant(unchanged) },
      { weight: 3, arbitrary: pick(...HARMLESS) },
      { weight: 2, arbitrary: fc.constant(set({ asset: USDC.toLowerCase() })) },
      { weight: 4, arbitrary: neighbour(version) },
    ),
    flaw: fc.oneof(
      { weight: 3, arbitrary: fc.constant(unchanged) },
      { weight: 1, arbitrary: pick(...FLAWS) },
    ),
    dearerBy: pick(0, 0, 0, 1, 1, 5_000, 5_000, 1_000_000, -1),
  });
  const more =
    version === 1
      ? fc.constant({})
      : fc.record(
          {
            resource: pick<unknown>(
              { url: RESOURCE_URL, description: 'a page' },
              { url: 'http://10.0.0.7/data/7' },
              { url: 'data/7' },
              null,
              'opaque',
            ),
            extensions: fc.oneof(
              {
                weight: 9,
                arbitrary: pick<unknown>(
                  {},
                  { bazaar: { info: { input: { type: 'http' } } } },
                  { [IDENTIFIER]: { info: { required: true } } },
                  { [IDENTIFIER]: { info: { required: false, id: 'of-the-seller' } } },
                ),
              },
              {
                weight: 1,
                arbitrary: fc.constant({
                  [IDENTIFIER]: { info: { required: true, id: 'of-the-seller' } },
                }),
              },
            ),
            error: pick<unknown>('payment required', { code: 402 }),
          },
          { requiredKeys: [] },
        );
  return fc
    .tuple(fc.array(planned, { maxLength: 5, size: 'max' }), pick(0, 1, 10_000, 999_999), more)
    .map(([plans, start, members]) => {
      let amount = start;
      const accepts = plans.map(({ change, flaw, dearerBy }, index) => {
        amount = Math.max(0, amount + dearerBy);
        const plain = entry(version, index, { amount: String(amount) });
        return flaw(change(plain, version) as Entry, version);
      });
      return { ...terms(version, []), ...members, accepts };
    });
}

const generated = fc
  .oneof({ weight: 1, arbitrary: generatedTerms(2) }, { weight: 1, arbitrary: generatedTerms(1) })
  // Serialize, so that undefined members disappear.
  .map((of): Terms => JSON.parse(JSON.stringify(of)));

let stack: TestStack;
let clients: PublishedClients;
let agent: Api;

beforeAll(async () => {
  stack = await startTestStack();
  clients = await startPublishedClients(stack.chain);
  const { token } = await stack.admin.mint({ budget: '1000.00' });
  agent = stack.admin.as(token);
}, 60_000);

afterAll(async () => {
  await clients?.stop();
  await stack?.stop();
});

/** Asks Bursar for a quote: v2 as the header's value, v1 as the body. */
async function bursarOutcome(of: Terms): Promise<Outcome> {
  const header = Buffer.from(JSON.stringify(of)).toString('base64');
  const answer = await agent.post<QuoteView & { detail: string }>('/v1/payments/quote', {
    paymentRequired: of.x402Version === 2 ? header : of,
    request: { method: 'GET', url: RESOURCE_URL },
  });
  const { status, body } = answer;
  if (status === 422) return { refuses: body.detail };
  if (status !== 200) throw new Error(`the quote answered ${status}: ${answer.text}`);
  if (body.selected === null) {
    return { refuses: body.options.flatMap(({ reasons }) => reasons.map((r) => r.detail)).join() };
  }
  expect(body.decision).toBe('allow');
  const option = body.options[body.selected];
  return {
    pays: {
      index: body.selected,
      amount: atomic(option?.amount ?? ''),
      payTo: option?.payTo ?? '',
    },
  };
}

async function outcomes(of: Terms): Promise<{ client: Outcome; bursar: Outcome }> {
  const [client, bursar] = await Promise.all([clients.pay(of), bursarOutcome(of)]);
  return { client, bursar };
}

const differencesOf = (of: Terms) => DIFFERENCES.filter(({ holds }) => holds(of));

/** The comparable part of an outcome: refusals are equal whatever their wording. */
const paidBy = (outcome: Outcome) => ('pays' in outcome ? outcome.pays : undefined);

describe('an intended difference from the published clients', () => {
  it('is one of at most ten', () => {
    expect(DIFFERENCES.length).toBeLessThanOrEqual(10);
  });

  it.each(DIFFERENCES)('is $name: $reason', async ({ name, example, client, bursar }) => {
    expect(differencesOf(example).map((each) => each.name)).toEqual([name]);
    expect(await outcomes(example)).toEqual({ client, bursar });
  });
});

describe(`${RUNS} generated 402s of seed ${SEED}`, () => {
  const tally = { agreed: 0, paid: 0, behind: 0, v1: 0, v2: 0 };
  const hits = new Map<string, number>(DIFFERENCES.map(({ name }) => [name, 0]));

  it('are paid as the published clients pay them, but for the intended differences', async () => {
    await fc.assert(
      fc.asyncProperty(generated, async (of) => {
        const named = differencesOf(of).map(({ name }) => name);
        const { client, bursar } = await outcomes(of);
        const [byClient, byBursar] = [paidBy(client), paidBy(bursar)];
        if (named.length > 0) {
          for (const name of named) hits.set(name, (hits.get(name) ?? 0) + 1);
          // A difference that held for equal outcomes would be too wide.
          expect({ named, byBursar }).not.toEqual({ named, byBursar: byClient });
          return;
        }
        expect({ byBursar, bursar }).toEqual({ byBursar: byClient, bursar });
        tally.agreed += 1;
        if (byClient === undefined) return;
        tally.paid += 1;
        tally[`v${of.x402Version}`] += 1;
        if (byClient.index > 0) tally.behind += 1;
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });

  it('are mostly of no difference, and hit every difference', () => {
    expect(tally.agreed).toBeGreaterThanOrEqual(0.6 * RUNS);
    // An agreement to pay nothing says little.
    expect(tally.paid).toBeGreaterThanOrEqual(0.5 * tally.agreed);
    expect(Math.min(tally.v1, tally.v2, tally.behind)).toBeGreaterThanOrEqual(20);
    expect([...hits].filter(([, count]) => count === 0)).toEqual([]);
  });
});
