import { expect, it } from '@jest/globals';
import { weaknessOf } from './password.js';

it.each(['', 'short', '12345678901'])('asks for length: %j', (password) => {
  expect(weaknessOf(password)).toMatch(/at least 12/);
});

it.each([
  'aaaaaaaaaaaaaaaaaaaa',
  '1234567890123456',
  'abcdefghijklmnop',
  'password1234',
  'P@ssw0rd-2026',
  'Bursar-Wallet-1',
  'abababababababab',
])('refuses what is guessed first: %j', (password) => {
  expect(weaknessOf(password)).toMatch(/guessed first/);
});

it.each(['Tr9x!kQv2mLz', 'canary-keystore-password', 'correct horse battery staple'])(
  'takes %j',
  (password) => {
    expect(weaknessOf(password)).toBeUndefined();
  },
);
