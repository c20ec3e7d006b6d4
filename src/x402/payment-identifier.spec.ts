import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Problem } from '../domain/problem.js';
import {
  declaresIdentifier,
  identifierDeclaration,
  withPaymentIdentifier,
} from './payment-identifier.js';

const ID = 'pay_01jd5v9n6qe8rb3k2m7xw4hzcy';

function declaration(declared: unknown, canEcho = true) {
  try {
    return identifierDeclaration({ bazaar: {}, 'payment-identifier': declared }, canEcho);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

describe('identifierDeclaration', () => {
  it('finds none among other extensions, nor among what every object inherits', () => {
    expect(identifierDeclaration({}, true)).toBe('absent');
    expect(identifierDeclaration({ bazaar: { info: { required: true } } }, true)).toBe('absent');
    const inherited = Object.create({ 'payment-identifier': { info: { required: true } } });
    expect(identifierDeclaration(inherited, true)).toBe('absent');
  });

  it.each([true, false])('takes info.required %j as its specification has it', (required) => {
    expect(declaration({ info: { required }, schema: {} })).toBe('proper');
    expect(declaration({ info: { required, note: [1] } })).toBe('proper');
  });

  it.each<[string, unknown]>([
    ['null', null],
    ['text', 'x'],
    ['a list', [{ info: { required: true } }]],
    ['no info', { schema: {} }],
    ['info that is text', { info: 'x' }],
    ['info that is a list', { info: [] }],
    ['no word on whether it is required', { info: {} }],
    ['another kind of required', { info: { required: 'true' } }],
    ['the shape of other sellers', { supported: true, required: false }],
    ['an id of the seller\u2019s', { info: { required: false, id: 'x'.repeat(16) } }],
    ['an id that is null', { info: { required: false, id: null } }],
  ])('calls %s malformed where it is optional', (_what, declared) => {
    expect(declaration(declared)).toBe('malformed');
  });

  it.each<[string, unknown]>([
    ['an id of the seller\u2019s', { info: { required: true, id: 'x'.repeat(16) } }],
    ['an id that is null', { info: { required: true, id: null } }],
    ['required beside info', { required: true, info: {} }],
    ['required without info', { required: true }],
  ])('refuses %s where it is required, since no payment can carry the id', (_what, declared) => {
    expect(declaration(declared)).toMatchObject({
      code: 'requirements_invalid',
      detail: expect.stringContaining('is required and not as its specification has it'),
    });
  });

  it('refuses a required one that cannot be echoed, and drops an optional one', () => {
    expect(declaration({ info: { required: true } }, false)).toMatchObject({
      code: 'requirements_invalid',
      detail: expect.stringContaining('cannot be echoed'),
    });
    expect(declaration({ info: { required: false } }, false)).toBe('malformed');
  });
});

describe('withPaymentIdentifier', () => {
  it('adds the id to info and changes no other byte', () => {
    const text =
      '{ "a":1.0,"payment-identifier" :{"schema":{"info":{"required":1}}, "info":{"required":true, "n":[{}] } ,"z":"}"},"b":{"info":{}} }';
    expect(withPaymentIdentifier(text, ID)).toBe(text.replace('[{}] }', `[{}] ,"id":"${ID}"}`));
  });

  it.each(['{}', '{"a":{"info":{"required":true}}}', '{"payment-identifier":{"schema":{}}}', ''])(
    'leaves %j as it is, which declares none',
    (text) => {
      expect(withPaymentIdentifier(text, ID)).toBe(text);
    },
  );

  it('adds the id and nothing else, whatever stands around it', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }),
        fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }),
        fc.boolean(),
        fc.constantFrom(undefined, 1, '\t'),
        (others, more, required, space) => {
          const info = { ...more, required };
          const extensions = { ...others, 'payment-identifier': { info, z: 1 } };
          const text = JSON.stringify(extensions, undefined, space);
          const expected = JSON.parse(text);
          // Members are told apart by name: an id of the seller's is refused before.
          delete expected['payment-identifier'].info.id;
          const given = JSON.stringify(expected, undefined, space);
          expected['payment-identifier'].info.id = ID;
          const added = withPaymentIdentifier(given, ID);
          expect(JSON.parse(added)).toEqual(expected);
          expect(added.replace(`,"id":"${ID}"`, '')).toBe(given);
          expect(declaresIdentifier(added)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('declaresIdentifier', () => {
  it.each([
    [undefined, false],
    ['{}', false],
    ['{"a":{"payment-identifier":{}}}', false],
    ['{"a":"payment-identifier"}', false],
    ['{"payment-identifier":{"info":{"required":false}}}', true],
    ['{"a":1, "payment\\u002didentifier" :{}}', true],
  ])('of %j is %j', (text, declares) => {
    expect(declaresIdentifier(text)).toBe(declares);
  });
});
