import { describe, expect, it } from '@jest/globals';
import { declaredPrice, needsBody, priceOf } from './price-list.js';

const list = {
  price: '0.10',
  rules: [
    { query: { size: 'large' }, headers: {}, body: {}, price: '0.50' },
    { query: {}, headers: { 'x-tier': 'gold' }, body: {}, price: '0.01' },
    { query: {}, headers: {}, body: { 'options.deep': 'true' }, price: '2' },
  ],
};
const request = (query = '', headers = {}, body?: string) => ({
  query,
  headers,
  body: body === undefined ? undefined : Buffer.from(body),
});

describe('a price list', () => {
  it('takes the first rule that holds, and its price for the rest otherwise', () => {
    expect(priceOf(list, request('?size=large'))).toBe('0.50');
    expect(priceOf(list, request('?size=large', { 'x-tier': 'gold' }))).toBe('0.50');
    expect(priceOf(list, request('', { 'x-tier': 'gold' }))).toBe('0.01');
    expect(priceOf(list, request('', {}, '{"options":{"deep":true}}'))).toBe('2');
    expect(priceOf(list, request('', {}, 'no JSON'))).toBe('0.10');
    expect(needsBody(list)).toBe(true);
  });

  it('does not hold for a parameter that is given twice: the upstream may take the other one', () => {
    expect(priceOf(list, request('?size=large&size=small'))).toBe('0.10');
  });
});

describe('the price that a document declares', () => {
  it.each([
    [{ price: '0.01' }, '0.01'],
    [{ price: { mode: 'fixed', currency: 'USD', amount: '0.25' } }, '0.25'],
    [{ pricingMode: 'fixed', price: 0.05 }, '0.05'],
    [{ price: '$1.50' }, '1.50'],
    [{ offers: [{ amount: '10000', method: 'x402' }] }, '0.01'],
    [{ offers: [{ amount: '2000000' }] }, '2'],
    [{ price: { mode: 'dynamic', min: '1', max: '2' } }, undefined],
    [{ price: '0' }, undefined],
    [{ price: 'free' }, undefined],
    [undefined, undefined],
  ])('of %j is %s', (info, price) => {
    expect(declaredPrice(info, 6)).toBe(price);
  });
});
