import { describe, expect, it } from '@jest/globals';
import type { Network } from '../domain/network.js';
import { parseGatewayFile } from './gateway-file.js';
import type { ImportedDocument, ImportedOperation } from './openapi-import.js';
import { pricedDocument } from './priced-document.js';
import { openShop } from './shop.js';

const NETWORK: Network = {
  network: 'eip155:84532',
  chainId: 84532,
  rpcUrls: ['http://127.0.0.1:1'],
  finality: 'finalized',
  pollMs: 1_000,
  maxClockSkewSeconds: 300,
  assets: [
    {
      currency: 'USDC',
      address: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
      decimals: 6,
      name: 'USDC',
      version: '2',
    },
  ],
};
const operation = (path: string, paymentInfo?: unknown): ImportedOperation => ({
  id: `GET ${path}`,
  method: 'GET',
  path,
  summary: undefined,
  tags: [],
  parameters: [],
  hasBody: false,
  bodySchema: undefined,
  paymentInfo,
});
const DOCUMENT: ImportedDocument = {
  document: {
    openapi: '3.1.0',
    servers: [{ url: 'https://internal.example' }],
    paths: {
      '/a': { get: { 'x-payment-info': { price: '9' } } },
      '/b': { get: {} },
      '/c': { get: {} },
    },
  },
  title: 'API',
  server: 'https://internal.example',
  operations: [operation('/a', { price: '0.05' }), operation('/b'), operation('/c')],
};
const open = (more: object, networks = [NETWORK]) => {
  const text = JSON.stringify(
    {
      openapi: 'api.json',
      network: 'eip155:84532',
      payTo: '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
      ...more,
    },
    null,
    1,
  );
  const { file, placeOf } = parseGatewayFile(text, 'gateway.yaml', {});
  return openShop(file, DOCUMENT, networks, placeOf);
};
const served = (more: object) =>
  open(more).operations.map(({ path, prices }) => `${path} ${prices?.price ?? 'free'}`);

describe('a shop', () => {
  it('serves nothing that has no price, and what is free where that was said', () => {
    expect(served({})).toEqual(['/a 0.05']);
    expect(served({ operations: { 'GET /b': { free: true } } })).toEqual(['/a 0.05', '/b free']);
    expect(served({ price: '0.01' })).toEqual(['/a 0.05', '/b 0.01', '/c 0.01']);
    expect(served({ price: '0.01', operations: { 'GET /a': { price: '0.02' } } })).toEqual([
      '/a 0.02',
      '/b 0.01',
      '/c 0.01',
    ]);
    expect(served({ free: true })).toEqual(['/a 0.05', '/b free', '/c free']);
  });

  it.each([
    [
      'an operation that is not there',
      { operations: { getAll: { price: '1' } } },
      /operations\.getAll: is no operation/,
    ],
    [
      'a network that is not configured',
      { network: 'eip155:1' },
      /network: eip155:1 is not configured/,
    ],
    ['a currency without a token', { currency: 'EURC' }, /currency: no token of eip155:84532/],
    [
      'a stream that is held until it is settled',
      { operations: { 'GET /a': { stream: true } } },
      /operations\.GET \/a: streams, and settles after/,
    ],
    [
      'a settlement at the first byte of what is held',
      { operations: { 'GET /a': { stream: false, settle: 'first_byte' } } },
      /operations\.GET \/a: settles at the first byte/,
    ],
    ['more decimals than the token has', { price: '0.0000001' }, /price: .*decimals/],
  ])('refuses %s, and says where', (_what, more, message) => {
    expect(() => open(more)).toThrow(message);
    expect(() => open(more)).toThrow(/^gateway\.yaml:[0-9]+: /);
  });

  it('publishes exactly what it serves, with its prices and without the upstream', () => {
    const shop = open({ operations: { 'GET /b': { free: true } } });
    const document = pricedDocument(shop, 'https://api.example');
    expect(Object.keys(document.paths as object)).toEqual(['/a', '/b']);
    expect(JSON.stringify(document)).not.toContain('internal.example');
    expect(document).toMatchObject({
      servers: [{ url: 'https://api.example' }],
      paths: {
        '/a': {
          get: {
            'x-payment-info': {
              price: { mode: 'fixed', amount: '0.05' },
              offers: [{ amount: '50000', currency: NETWORK.assets[0]?.address }],
            },
          },
        },
      },
    });
  });
});
