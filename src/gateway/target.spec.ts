import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Routes } from './routes.js';
import { AmbiguousTarget, encodeSegment, parseTarget } from './target.js';

const RUNS = Number(process.env.BURSAR_FUZZ_INPUTS ?? 5_000);

/** Pieces of paths that servers read differently, between pieces that are plain. */
const pieces = fc.constantFrom(
  ...[
    '/',
    '//',
    '/./',
    '/../',
    '/..',
    '/.',
    '%2f',
    '%2F',
    '%5c',
    '\\',
    '%2e',
    '%2e%2e',
    '..;',
    ';',
    ';a=b',
  ],
  ...[
    '%252f',
    '%25',
    '%',
    '%zz',
    '%c0%af',
    '%00',
    '%0d%0a',
    '?',
    '#',
    ' ',
    '\t',
    'things',
    'Things',
    'free',
    '7',
    'é',
    '%C3%A9',
  ],
);
const targets = fc.oneof(
  fc.array(pieces, { maxLength: 12 }).map((parts) => `/${parts.join('')}`),
  fc.string({ maxLength: 40 }).map((text) => `/${text}`),
  fc.string({ maxLength: 20 }),
);

const parsed = (target: string) => {
  try {
    return parseTarget(target);
  } catch (error) {
    if (error instanceof AmbiguousTarget) return undefined;
    throw error;
  }
};

describe('parseTarget', () => {
  it('decodes each segment once and writes the path in one spelling', () => {
    expect(parseTarget('/a%20b/%C3%A9?x=%2F&y')).toEqual({
      segments: ['a b', 'é'],
      path: '/a%20b/%C3%A9',
      query: '?x=%2F&y',
    });
    expect(parseTarget('/%74hings')).toMatchObject({ segments: ['things'], path: '/things' });
    expect(parseTarget('/')).toMatchObject({ segments: [''], path: '/' });
    expect(parseTarget('/a/')).toMatchObject({ segments: ['a', ''], path: '/a/' });
  });

  it.each([
    ...[
      '',
      '*',
      'a',
      'http://a/b',
      '//a',
      '/a//b',
      '/./a',
      '/../a',
      '/a/..',
      '/a/%2e%2E/b',
      '/a/..;x/b',
      '/a/;/b',
    ],
    ...[
      '/a\\b',
      '/a%5cb',
      '/a%2fb',
      '/a%2Fb',
      '/%',
      '/%a',
      '/%zz',
      '/%c0%af',
      '/%00',
      '/a%0d%0ab',
      '/a b',
      '/é',
    ],
    ...['/a%252fb', '/a%25252fb', '/a#b', '/a?%', '/a? ', `/${'a'.repeat(9_000)}`],
  ])('refuses %j', (target) => {
    expect(() => parseTarget(target)).toThrow(AmbiguousTarget);
  });

  it('lets nothing through that a second reading would see as another path', () => {
    fc.assert(
      fc.property(targets, (target) => {
        const found = parsed(target);
        if (!found) return;
        expect(parseTarget(found.path).segments).toEqual(found.segments);
        const url = new URL(`http://host${found.path}${found.query}`);
        expect(url.pathname).toBe(found.path);
        for (const reading of [found.path, decodeURIComponent(found.path)]) {
          expect(reading).not.toMatch(/\/\/|\\|\/\.{1,2}(\/|;|$)/);
        }
        expect(found.path.split('/').length - 1).toBe(found.segments.length);
      }),
      { numRuns: RUNS },
    );
  });

  it('never leads from what is free to what is priced', () => {
    const routes = new Routes([
      { method: 'GET', path: '/free/{name}', isFree: true },
      { method: 'GET', path: '/things/{id}', isFree: false },
      { method: 'GET', path: '/things', isFree: false },
    ]);
    fc.assert(
      fc.property(targets, (target) => {
        const found = parsed(target);
        const match = found && routes.find('GET', found);
        if (!found || !match?.operation.isFree) return;
        // A lenient upstream's reading of it: decoded, dots resolved, slashes joined, parameters cut, letters lowered.
        const lenient = new URL(
          `http://host${decodeURIComponent(found.path).replace(/;[^/]*/g, '')}`,
        ).pathname;
        expect(lenient.replace(/\/+/g, '/').toLowerCase()).not.toMatch(/^\/things/);
      }),
      { numRuns: RUNS },
    );
  });

  it('encodes what it decoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (segment) => {
        if (!segment.isWellFormed()) return;
        expect(decodeURIComponent(encodeSegment(segment))).toBe(segment);
      }),
    );
  });
});

describe('Routes', () => {
  const routes = new Routes([
    { method: 'GET', path: '/a/{id}' },
    { method: 'GET', path: '/a/b' },
    { method: 'POST', path: '/a/{id}' },
    { method: 'GET', path: '/files/{name}.{type}' },
  ]);
  const find = (method: string, target: string) => routes.find(method, parseTarget(target));

  it('takes a literal path before a template', () => {
    expect(find('GET', '/a/b')?.operation.path).toBe('/a/b');
    expect(find('GET', '/a/c')).toMatchObject({
      operation: { path: '/a/{id}' },
      parameters: { id: 'c' },
    });
    // The literal path is another resource, which has no POST.
    expect(find('POST', '/a/b')).toBeUndefined();
  });

  it('matches several parameters in a segment, whole and with its case', () => {
    expect(find('GET', '/files/x.y.json')?.parameters).toEqual({ name: 'x', type: 'y.json' });
    expect(find('GET', '/Files/x.json')).toBeUndefined();
    expect(find('GET', '/a/')).toBeUndefined();
    expect(find('GET', '/a/b/c')).toBeUndefined();
  });
});
