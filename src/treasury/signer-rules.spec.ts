import { describe, expect, it } from '@jest/globals';
import { loadConfig } from '../config/config.js';
import { type DecisionRecord, nonceOf } from '../domain/payment.js';
import { SignerRules, type SignRequest } from './signer-rules.js';

const WALLET = '0x2222222222222222222222222222222222222222';
const PAYEE = '0x1111111111111111111111111111111111111111';
const NOW = Date.UTC(2026, 10, 29);
const { networks } = loadConfig({});
const [network] = networks;
const asset = network?.assets[0];
if (!network || !asset) throw new Error('there is no default network');

interface Terms {
  readonly value: bigint;
  readonly now: number;
  readonly memo: string;
}

/** A request that the rules allow, at some time. */
function request({ value = 1_000_000n, now = NOW, memo = '' }: Partial<Terms> = {}) {
  const validBefore = BigInt(now / 1000 + 60);
  const record = {
    version: 'bursar.decision.v1',
    memo,
    network: network?.network,
    asset: asset?.address,
    from: WALLET,
    to: PAYEE,
    value: value.toString(),
    validAfter: '0',
    validBefore: validBefore.toString(),
  };
  return { record, request: asked(record, { value, validBefore }) };
}

function asked(
  record: object,
  { value, validBefore }: { value: bigint; validBefore: bigint },
): SignRequest {
  const { json, nonce } = nonceOf(record as DecisionRecord);
  return {
    address: WALLET,
    chainId: network?.chainId ?? 0,
    token: asset?.address ?? '',
    decision: json,
    data: {
      primaryType: 'TransferWithAuthorization',
      message: { from: WALLET, to: PAYEE, value, validAfter: 0n, validBefore, nonce },
    },
  };
}

describe('the decision of a payment', () => {
  const rules = new SignerRules(networks);

  it.each([
    ['network', 'eip155:1'],
    ['asset', PAYEE],
    ['from', PAYEE],
    ['to', WALLET],
    ['value', '1000001'],
    ['validAfter', '1'],
    ['validBefore', '1'],
  ])('is refused with another %s', (name, value) => {
    const { record } = request();
    const changed = asked(
      { ...record, [name]: value },
      { value: 1_000_000n, validBefore: BigInt(NOW / 1000 + 60) },
    );
    expect(() => rules.check(changed, NOW)).toThrow(`the decision has another ${name}`);
  });

  it('is refused when it is no decision', () => {
    const { record } = request();
    const terms = { value: 1_000_000n, validBefore: BigInt(NOW / 1000 + 60) };
    const unknown = asked({ ...record, version: 'bursar.decision.v2' }, terms);
    expect(() => rules.check(unknown, NOW)).toThrow('no record of the version that is known');
    const { request: honest } = request();
    expect(() => rules.check({ ...honest, decision: undefined }, NOW)).toThrow('is missing');
    expect(() => rules.check({ ...honest, decision: '{}' }, NOW)).toThrow('is not the SHA-256');
    expect(rules.check(honest, NOW)).toMatchObject({ message: { to: PAYEE } });
  });
});

describe('the sum of an hour', () => {
  it('bounds what is signed of a wallet and token, each payment once', () => {
    const rules = new SignerRules(networks, () => 2_500_000n);
    const ask = (terms: Partial<Terms> = {}) =>
      rules.check(request(terms).request, terms.now ?? NOW);
    ask({ memo: 'first' });
    ask({ memo: 'first' });
    ask({ memo: 'second' });
    ask({ memo: 'second' });
    expect(() => ask({ memo: 'third' })).toThrow(
      `with this payment wallet ${WALLET} would sign 3.00 USDC within an hour; --max-per-hour allows 2.50 USDC`,
    );
    ask({ memo: 'fourth', value: 500_000n });
    expect(() => ask({ memo: 'fifth', value: 1n, now: NOW + 3_599_000 })).toThrow('within an hour');
    ask({ memo: 'sixth', value: 2_500_000n, now: NOW + 3_600_000 });
  });
});
