import { describe, expect, it } from '@jest/globals';
import type { Denial } from './denials.js';
import { conceal, tellDenial, tellingOnlyOwn, untold } from './disclosure.js';
import { openedBy } from './opened.js';
import { Problem } from './problem.js';

const OWN = ['grt_own', 'grt_below'];
const CODES = [
  'budget_exceeded',
  'per_payment_exceeded',
  'payments_exceeded',
  'window_exceeded',
  'grant_expired',
  'grant_not_started',
  'grant_revoked',
  'grant_suspended',
  'payee_not_allowed',
  'network_not_allowed',
  'resource_not_allowed',
] as const;
const denial = (code: Denial['code'], grantId: string): Denial => ({
  code,
  grantId,
  limit: '987.65',
  remaining: '123.45',
  retryAfterSeconds: 7,
  // Only the codes whose sentences have figures; the others name none.
  detail: code.endsWith('_exceeded') ? '123.45 of 987.65' : `grant ${grantId}`,
});

describe('A denial', () => {
  it.each(CODES)('%s of a grant above is told without its figures', (code) => {
    const told = tellDenial(denial(code, 'grt_above'), OWN);
    expect(told).toMatchObject({ code, grantId: 'grt_above', retryAfterSeconds: 7 });
    expect(JSON.stringify(told)).not.toMatch(/987|123/);
    expect(told).not.toHaveProperty('limit');
    expect(told).not.toHaveProperty('remaining');
    expect(told.detail).toContain('grt_above');
  });

  it.each(OWN)('of %s, the own grant or one below, is told whole', (grantId) => {
    const whole = denial('budget_exceeded', grantId);
    expect(tellDenial(whole, OWN)).toBe(whole);
    expect(untold(whole, OWN)).toBeUndefined();
  });

  it('of the treasury keeps what its wallets have', () => {
    const { grantId: _none, ...poor } = denial('treasury_insufficient', '');
    const told = tellDenial({ ...poor, detail: 'too little' }, OWN);
    expect(told).toMatchObject({ limit: '987.65', detail: 'too little' });
    expect(told).not.toHaveProperty('remaining');
    const { grantId: _own, ...dear } = denial('max_amount_exceeded', '');
    expect(tellDenial(dear, OWN)).toBe(dear);
  });

  it('keeps for auditors what it does not tell', () => {
    expect(untold(denial('budget_exceeded', 'grt_above'), OWN)).toEqual({
      limit: '987.65',
      remaining: '123.45',
      detail: '123.45 of 987.65',
    });
  });

  it('that is thrown is told the same way', async () => {
    const thrown = (grantId: string) =>
      tellingOnlyOwn(['grt_own'], async () => {
        throw new Problem('budget_exceeded', '123.45 of 987.65', {
          grantId,
          field: 'budget',
          limit: '987.65',
          remaining: '123.45',
        });
      });
    await expect(thrown('grt_own')).rejects.toMatchObject({ fields: { limit: '987.65' } });
    await expect(thrown('grt_above')).rejects.toMatchObject({
      detail: expect.not.stringMatching(/987|123/),
      fields: { grantId: 'grt_above', field: 'budget' },
    });
    const above = await thrown('grt_above').catch((error: Problem) => error.fields);
    expect(above).not.toHaveProperty('limit');
    expect(above).not.toHaveProperty('remaining');
  });
});

describe('A commitment', () => {
  const salt = '0123456789abcdef0123456789abcdef';
  const { commitment, entry } = conceal({ chain: [{ spent: '5' }] }, salt);
  const short = conceal({ chain: [{ spent: '5' }] }, '0123');

  it('is opened by what it is of', () => {
    const opening = { chain: [{ spent: '5' }], salt };
    expect(openedBy(entry)).toEqual([commitment, opening]);
  });

  it.each<[string, Record<string, unknown>]>([
    ['another figure', { chain: [{ spent: '6' }] }],
    ['another salt', { salt: salt.replace('0', '1') }],
    ['another member', { more: 1 }],
    ['no salt', { salt: undefined }],
    ['a short salt', short.entry],
    ['another commitment', { commitment: commitment.replace(/^./, 'x') }],
  ])('is not opened with %s', (_what, changes) => {
    expect(() => openedBy({ ...entry, ...changes })).toThrow(/opening|salt/);
  });

  it('does not tell equal figures apart from others', () => {
    const other = conceal({ chain: [{ spent: '5' }] }, salt.replace('0', '1'));
    expect(other.commitment).not.toBe(commitment);
  });
});
