import { describe, expect, it } from '@jest/globals';
import { ResourceInfoSchema } from '@x402/core/schemas';
import fc from 'fast-check';
import { type Echo, headerLineBytes, shrinking, soundResource, without } from './echo.js';

function sound(json: string): string | undefined {
  return soundResource(JSON.parse(json), json);
}

describe('soundResource', () => {
  it.each([
    '{"url":"https://a/"}',
    '{ "mimeType" : "a\\/b",\n"url":"relative", "description":null,"more":{"n":1.0} }',
    '{"url":"mcp://tool/x","tags":["a","b","c","d","e"],"serviceName":"A","iconUrl":""}',
  ])('keeps %s byte for byte', (json) => {
    expect(sound(json)).toBe(json);
  });

  it.each([
    [
      'a description that is a number',
      '{"url" : "a","description":1,"x":1.0}',
      '{"url" : "a","x":1.0}',
    ],
    ['tags that are text', '{"tags":"x","url":"a"}', '{"url":"a"}'],
    ['a tag that is a number', '{"tags":["x",1],"url":"a"}', '{"url":"a"}'],
    ['six tags', '{"url":"a","tags":["a","b","c","d","e","f"]}', '{"url":"a"}'],
    ['a service name outside ASCII', '{"url":"a","serviceName":"\\u00e9"}', '{"url":"a"}'],
    ['a length that is no number', '{"url":"a","iconUrl":{"length":{"valueOf":1}}}', '{"url":"a"}'],
    ['everything but the URL', '{"description":[],"mimeType":{},"url":"a"}', '{"url":"a"}'],
  ])('leaves out %s', (_what, json, kept) => {
    expect(sound(json)).toBe(kept);
  });

  it.each([
    ...['{}', '{"description":"x"}', '{"url":""}', '{"url":null}', '{"url":1,"tags":1}'],
    ...['[]', 'null', '"https://a/"', '1', '[{"url":"a"}]'],
  ])('keeps nothing of %s, which has no URL', (json) => {
    expect(sound(json)).toBeUndefined();
  });

  it('leaves nothing that the published schema refuses', () => {
    const values = fc.oneof(
      fc.string(),
      fc.constantFrom(null, 1, true, ['tag'], ['a', 1], Array(9).fill(0), {}, { length: -1 }),
    );
    const resources = fc.record(
      {
        url: fc.oneof({ weight: 4, arbitrary: fc.webUrl() }, values),
        ...{ description: values, mimeType: values, serviceName: values, tags: values },
        ...{ iconUrl: values, other: values },
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(resources, (resource) => {
        const kept = soundResource(resource, JSON.stringify(resource));
        const hasUrl = typeof resource.url === 'string' && resource.url !== '';
        expect(kept !== undefined).toBe(hasUrl);
        if (kept === undefined) return;
        const read = JSON.parse(kept);
        expect(ResourceInfoSchema.safeParse(read).success).toBe(true);
        expect(resource).toMatchObject(read);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('without', () => {
  it.each([
    ['{"a":1}', '{}'],
    ['{}', '{}'],
    ['{ "b" : 1.0 ,\n"a":{"b":1}, "c":[ ] }', '{"b" : 1.0,"c":[ ]}'],
    ['{"\\u0061":1,"b":"\\u0061"}', '{"b":"\\u0061"}'],
    ['{"\\u0062" :1,"a":"}"}', '{"\\u0062" :1}'],
  ])('takes a out of %s and keeps every byte of the others', (json, kept) => {
    expect(without(json, (key) => key === 'a')).toBe(kept);
  });
});

describe('shrinking', () => {
  const identifier = '"payment-identifier":{ "info":{"required":true}}';
  const resourceJson = '{"url":"a", "description":"d","mimeType":"m"}';
  const extensionsJson = `{"bazaar":{}, ${identifier}}`;
  const bare = '{"url":"a","mimeType":"m"}';

  it('drops extensions, then the description, then the resource', () => {
    expect([...shrinking({ resourceJson, extensionsJson }, false)]).toEqual([
      { resourceJson, extensionsJson },
      { resourceJson, extensionsJson: undefined },
      { resourceJson: bare, extensionsJson: undefined },
      { resourceJson: undefined, extensionsJson: undefined },
    ]);
  });

  it('never drops a declared payment-identifier', () => {
    const kept = `{${identifier}}`;
    expect([...shrinking({ resourceJson, extensionsJson }, true)]).toEqual([
      { resourceJson, extensionsJson },
      { resourceJson, extensionsJson: kept },
      { resourceJson: bare, extensionsJson: kept },
      { resourceJson: undefined, extensionsJson: kept },
    ]);
  });

  it('never grows, from the full echo to the least', () => {
    const size = ({ resourceJson: resource = '', extensionsJson: extensions = '' }: Echo) =>
      resource.length + extensions.length;
    for (const resource of [undefined, resourceJson, '{"url":"a"}']) {
      for (const extensions of [undefined, '{}', extensionsJson]) {
        for (const hasIdentifier of [false, extensions === extensionsJson]) {
          const full = { resourceJson: resource, extensionsJson: extensions };
          const sizes = [...shrinking(full, hasIdentifier)].map(size);
          expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
          expect(sizes[0]).toBe(size(full));
        }
      }
    }
  });
});

describe('headerLineBytes', () => {
  it('is the length of the line, with name and line end', () => {
    for (let bytes = 0; bytes < 20; bytes += 1) {
      const line = `X-PAYMENT: ${Buffer.alloc(bytes).toString('base64')}\r\n`;
      expect(headerLineBytes('X-PAYMENT', bytes)).toBe(line.length);
    }
  });
});
