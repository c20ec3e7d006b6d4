import { describe, expect, it } from '@jest/globals';
import { parseGatewayFile } from './gateway-file.js';

const PAY_TO = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const GOOD = `openapi: ./openapi.yaml
network: eip155:84532
payTo: "${PAY_TO}"
price: "0.001"
operations:
  getReport: { price: "0.25", settle: before }
  "GET /things/{id}": { free: true }
upstreamHeaders: { Authorization: "Bearer \${TOKEN}" }
`;
const parse = (text: string) => parseGatewayFile(text, 'gateway.yaml', { TOKEN: 'secret' });
const wrong = (text: string): string => {
  try {
    parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('it was taken');
};

describe("a gateway's file", () => {
  it('is read with its defaults, and the variables of its headers', () => {
    const { file } = parse(GOOD);
    expect(file).toMatchObject({
      network: ['eip155:84532'],
      currency: ['USDC'],
      facilitator: 'self',
      settle: 'after',
      port: 4030,
      upstreamHeaders: { authorization: 'Bearer secret' },
    });
    expect(file.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    [
      'a misspelt member',
      GOOD.replace('price: "0.001"', 'prize: "0.001"'),
      'gateway.yaml:4: prize: is not known',
    ],
    [
      'a price that YAML reads as a number',
      GOOD.replace('"0.001"', '0.001'),
      'gateway.yaml:4: price: must be a quoted amount, such as "0.001"',
    ],
    [
      'a price of nothing',
      GOOD.replace('"0.25"', '"0.00"'),
      'gateway.yaml:6: operations.getReport.price: must be above 0',
    ],
    ['a missing member', GOOD.replace(/payTo.*\n/, ''), 'gateway.yaml:1: payTo: is required'],
    [
      'an address with a wrong checksum',
      GOOD.replace('5aAe', '5aae'),
      'gateway.yaml:3: payTo: is not a checksummed address',
    ],
    [
      'a network by its name',
      GOOD.replace('eip155:84532', 'base'),
      'gateway.yaml:2: network: must be CAIP-2',
    ],
    [
      'what is free and has a price',
      GOOD.replace('{ free: true }', '{ free: true, price: "1" }'),
      'gateway.yaml:7: operations.GET /things/{id}: is free and has a price',
    ],
    [
      'a variable that is not set',
      GOOD.replace('TOKEN', 'OTHER'),
      'gateway.yaml:8: upstreamHeaders.Authorization: the variable OTHER is not set',
    ],
    [
      'a tier that is neither a text nor a number',
      GOOD.replace('settle: before', 'rules: [{ query: { n: 5 }, price: "1" }]'),
      'gateway.yaml:6: operations.getReport.rules.0.query.n: must be a quoted text, or { upTo: NUMBER }',
    ],
    [
      'a token of its own beside a header for it',
      `${GOOD}upstreamOAuth: { tokenUrl: "https://a.example/token", clientId: a, clientSecret: b }\n`,
      'gateway.yaml:9: upstreamOAuth: sets the header authorization, which upstreamHeaders sets too',
    ],
    ['a member twice', `${GOOD}price: "2"\n`, 'gateway.yaml:9: Map keys must be unique'],
    ['no YAML', 'openapi: [', 'gateway.yaml:1: '],
    ['nothing', '', 'gateway.yaml:1: '],
  ])('refuses %s, and says where', (_what, text, message) => {
    expect(wrong(text)).toContain(message);
  });

  it('tells all that is wrong at once', () => {
    expect(
      wrong('network: x\nport: 99999\nopenapi: a\n').split('\n').length,
    ).toBeGreaterThanOrEqual(3);
  });
});
