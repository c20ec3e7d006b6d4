import { describe, expect, it } from '@jest/globals';
import { Command } from 'commander';
import { givenAs, inWordsOf } from './api-words.js';

const delegate = new Command('delegate')
  .option('--holder <name>')
  .option('--ttl <time>')
  .option('--until <time>')
  .option('--pay-to <address>')
  .option('--max-amount <amount>')
  .option('--intent <text>')
  .option('--wait <time>');
const show = new Command('show').argument('<grant>');
const fetching = new Command('fetch')
  .argument('<url>')
  .option('-X, --request <method>')
  .option('--key <key>');

describe('a field of the API', () => {
  it.each([
    [delegate, 'ttlSeconds', '--ttl'],
    [delegate, 'holder', '--holder'],
    [delegate, 'scope.payTo.0', '--pay-to'],
    [delegate, 'maxAmount', '--max-amount'],
    [delegate, 'cursor', undefined],
    [show, 'id', 'GRANT'],
    [fetching, 'request', 'URL'],
    [fetching, 'request.url', 'URL'],
    [fetching, 'request.method', '--request'],
    [fetching, 'Idempotency-Key', '--key'],
  ])('is given to %# as it says', (command, field, expected) => {
    expect(givenAs(command, field)).toBe(expected);
  });
});

describe('a sentence of the service or of the SDK', () => {
  it.each([
    ['expiresAt: Invalid ISO datetime', 'expiresAt', '--until: Invalid ISO datetime'],
    ['give ttlSeconds or expiresAt, not both', 'ttlSeconds', 'give --ttl or --until, not both'],
    ['resource "x" is none', 'scope.payTo', '--pay-to: resource "x" is none'],
    ['more than the maxAmount of 1', undefined, 'more than the --max-amount of 1'],
    ['repeat the call, or set waitForApproval', undefined, 'repeat the command, or set --wait'],
    ['to buy again, name another intent', undefined, 'to buy again, name another --intent'],
    ['delegationDepth stays', undefined, 'delegationDepth stays'],
  ])('"%s" is put in the words of the command', (text, field, expected) => {
    expect(inWordsOf(delegate, text, field)).toBe(expected);
  });
});
