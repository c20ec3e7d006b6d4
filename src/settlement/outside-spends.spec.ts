import { describe, expect, it } from '@jest/globals';
import { disputedSpend, type KnownPayment, outsideSpends } from './outside-spends.js';
import type { TokenLog } from './token-logs.js';

const TOKEN = '0x5FbDB2315678afecb367f032d93F642f64180aa3';
const OTHER_TOKEN = '0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512';
const WALLET = '0x58A57ed9d8d624cBD12e2C467D34787555bB1b25';
const OTHER_WALLET = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const PAYEE = '0x1111111111111111111111111111111111111111';
const ELSEWHERE = '0x2222222222222222222222222222222222222222';
const WALLETS = [WALLET, OTHER_WALLET].map((address, place) => ({
  treasury_id: 'trs_1',
  wallet_id: `wal_${place}`,
  address,
}));

let next = 0;
/** Logs as they stand in blocks, one behind the other. */
function log(eventName: string, transactionHash: string, args: object, address = TOKEN): TokenLog {
  const logIndex = next++;
  const where = { address: address.toLowerCase(), transactionHash, blockNumber: 5n, logIndex };
  return { eventName, args, ...where } as unknown as TokenLog;
}
const used = (transaction: string, nonce: string, authorizer = WALLET, token?: string) =>
  log('AuthorizationUsed', transaction, { authorizer, nonce }, token);
const moved = (transaction: string, value: bigint, to = PAYEE, from = WALLET, token?: string) =>
  log('Transfer', transaction, { from, to, value }, token);
const paid = (nonce: string, amount = '7', more: Partial<KnownPayment> = {}): KnownPayment => ({
  asset: TOKEN,
  payer: WALLET,
  pay_to: PAYEE,
  amount,
  nonce,
  ...more,
});

/** The findings, as `transaction place nonce to value`. */
const found = (logs: TokenLog[], known: KnownPayment[] = []) =>
  outsideSpends('eip155:1', logs, known, WALLETS).map(
    ({ transaction, place, nonce = '-', payTo = '-', amount }) =>
      `${transaction} ${place} ${nonce} ${payTo === PAYEE ? 'payee' : payTo} ${amount}`,
  );

describe('outsideSpends', () => {
  it('finds nothing in payments, several of which one transaction settles', () => {
    const logs = [used('t', 'a'), moved('t', 7n), used('t', 'b'), moved('t', 7n)];
    expect(found(logs, [paid('a'), paid('b')])).toEqual([]);
    expect(found([])).toEqual([]);
  });

  it('finds an authorization that no payment has, with the transfer behind it', () => {
    const logs = [used('t', 'a'), moved('t', 7n), used('t', 'b'), moved('t', 9n)];
    expect(found(logs, [paid('a')])).toEqual(['t 0 b payee 9']);
    expect(found(logs)).toEqual(['t 0 a payee 7', 't 1 b payee 9']);
    expect(found([used('t', 'a')])).toEqual(['t 0 a - 0']);
    expect(found([moved('t', 7n), used('t', 'a')])).toEqual(['t 0 - payee 7', 't 1 a - 0']);
  });

  it('knows a payment by its token and its wallet as well', () => {
    const logs = [used('t', 'a'), moved('t', 7n)];
    expect(found(logs, [paid('a', '7', { asset: OTHER_TOKEN })])).toEqual(['t 0 a payee 7']);
    expect(found(logs, [paid('a', '7', { payer: OTHER_WALLET })])).toEqual(['t 0 a payee 7']);
  });

  it('finds what a payment’s transaction moves besides, or otherwise than it was signed', () => {
    const besides = [used('t', 'a'), moved('t', 7n), moved('t', 8n, ELSEWHERE)];
    expect(found(besides, [paid('a')])).toEqual([`t 0 - ${ELSEWHERE} 8`]);
    const otherwise = [used('t', 'a'), moved('t', 7n, ELSEWHERE)];
    expect(found(otherwise, [paid('a')])).toEqual([`t 0 - ${ELSEWHERE} 7`]);
    const more = [used('t', 'a'), moved('t', 8n)];
    expect(found(more, [paid('a')])).toEqual(['t 0 - payee 8']);
  });

  it('does not take the transfer of another transaction, wallet or token for one', () => {
    const logs = [
      used('t', 'a'),
      moved('u', 7n),
      moved('t', 7n, PAYEE, OTHER_WALLET),
      moved('t', 7n, PAYEE, WALLET, OTHER_TOKEN),
    ];
    expect(found(logs)).toEqual(['t 0 a - 0', 'u 0 - payee 7', 't 1 - payee 7', 't 0 - payee 7']);
    expect(found(logs, [paid('a')])).toHaveLength(3);
  });

  it('passes over transfers of 0, and over wallets of others', () => {
    expect(found([moved('t', 0n), moved('t', 7n, PAYEE, ELSEWHERE)])).toEqual([]);
    expect(found([used('t', 'a', ELSEWHERE)])).toEqual([]);
  });
});

describe('disputedSpend', () => {
  it('is what only one of two readings shows, in whatever block', () => {
    const spends = (...logs: TokenLog[]) => outsideSpends('eip155:1', logs, [], WALLETS);
    const one = spends(moved('t', 7n));
    const again = spends(moved('t', 7n)).map((spend) => ({ ...spend, blockNumber: 6n }));
    expect(disputedSpend(one, again)).toBeUndefined();
    expect(disputedSpend(one, [])).toBe(one[0]);
    expect(disputedSpend([], one)).toBe(one[0]);
    expect(disputedSpend(one, spends(moved('t', 8n)))).toBe(one[0]);
  });
});
