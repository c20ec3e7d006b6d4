import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Problem } from './problem.js';
import {
  declaredElsewhere,
  parsePattern,
  parseResource,
  patternAdmits,
  patternContains,
  type Resource,
  type Scope,
  scopeExceeds,
  scopeRefuses,
  unadmitted,
} from './scope.js';

function resource(url: string): Resource {
  const parsed = parseResource(url);
  if (!parsed) throw new Error(`${url} is no resource`);
  return parsed;
}

function admits(pattern: string, url: string): boolean {
  return patternAdmits(parsePattern(pattern), resource(url));
}

function contains(outer: string, inner: string): boolean {
  return patternContains(parsePattern(outer), parsePattern(inner));
}

const ALICE = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const BOB = '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC';
const CAROL = '0x90F79bf6EB2c4f870365E785982E1f101E93b906';

describe('parseResource', () => {
  it.each([
    ['not a URL', 'nonsense'],
    ['a relative URL', '/data/7'],
    ['another scheme', 'ftp://api.example.com/data'],
    ['a script', 'javascript:alert(1)'],
    ['a file', 'file:///etc/passwd'],
    ['no host', 'https://'],
    ['a user', 'https://api.example.com@evil.example/data'],
    ['a user and password', 'https://user:pass@api.example.com/data'],
    ['a password alone', 'https://:pass@api.example.com/data'],
    ['more than 2,048 characters', `https://api.example.com/${'a'.repeat(2048)}`],
    ['nothing', ''],
  ])('does not take %s for a resource', (_what, url) => {
    expect(parseResource(url)).toBeUndefined();
  });

  it.each([
    ['an upper-case scheme and host', 'HTTPS://API.Example.COM/data/7'],
    ['the default port', 'https://api.example.com:443/data/7'],
    ['an empty port', 'https://api.example.com:/data/7'],
    ['dot segments', 'https://api.example.com/x/../data/./7'],
    ['encoded dot segments', 'https://api.example.com/x/%2e%2E/data/%2e/7'],
    ['encoded unreserved characters', 'https://api.example.com/%64%61%74%61/%37'],
    ['backslashes', 'https:\\\\api.example.com\\data\\7'],
    ['a query', 'https://api.example.com/data/7?page=2'],
    ['a fragment', 'https://api.example.com/data/7#top'],
    ['full-width letters in the host', 'https://\uff41pi.example.com/data/7'],
    ['an ideographic full stop in the host', 'https://api\u3002example.com/data/7'],
    ['an encoded host', 'https://%61pi.example.com/data/7'],
    ['a tab and a line break', 'https://api.exa\tmple.com/da\nta/7'],
  ])('reads %s as the one resource it asks for', (_what, url) => {
    expect(parseResource(url)).toEqual(resource('https://api.example.com/data/7'));
  });

  it.each([
    ['another scheme', 'http://api.example.com/data/7'],
    ['another port', 'https://api.example.com:8443/data/7'],
    ['a trailing dot of the host', 'https://api.example.com./data/7'],
    ['a trailing slash', 'https://api.example.com/data/7/'],
    ['a doubled slash', 'https://api.example.com//data/7'],
    ['another case of the path', 'https://api.example.com/Data/7'],
    ['an encoded slash', 'https://api.example.com/data%2f7'],
    ['a doubly encoded letter', 'https://api.example.com/data/%2537'],
    ['a Cyrillic letter of the same look', 'https://\u0430pi.example.com/data/7'],
    ['a path parameter', 'https://api.example.com/data;v=1/7'],
  ])('keeps apart what differs by %s', (_what, url) => {
    expect(resource(url)).not.toEqual(resource('https://api.example.com/data/7'));
  });

  it('knows a unicode host by its punycode', () => {
    expect(resource('https://b\u00fccher.example/').host).toBe('xn--bcher-kva.example');
    expect(resource('https://B\u00dcCHER.example/')).toEqual(
      resource('https://xn--bcher-kva.example/'),
    );
  });

  it('goes on reading a unicode host after a hundred thousand URLs', () => {
    let unread = 0;
    for (let count = 0; count < 100_000; count += 1) {
      if (!parseResource('https://b\u00fccher.example/')) unread += 1;
    }
    expect(unread).toBe(0);
  });

  it('writes escapes of reserved characters and of UTF-8 in one way', () => {
    expect(resource('https://a.example/%c3%a9%3f')).toEqual(
      resource('https://a.example/\u00e9%3F'),
    );
  });

  it.each([
    ...['%2f', '%2F', '%5c', '%5C', '%00', '%', '%4', '%zz', '%2'],
    // Paths that a server which decodes twice, or drops parameters, would serve elsewhere.
    ...['%252e%252e/admin', '%252Fadmin', '..;/admin', '.;x/admin', '%2e%2e;/admin'],
  ])('marks a path holding "%s" as one that a server may read in two ways', (broken) => {
    expect(resource(`https://a.example/data/${broken}`).unambiguous).toBe(false);
    expect(resource('https://a.example/data/').unambiguous).toBe(true);
  });

  it('gives every spelling of one path one form, and leaves that form alone', () => {
    const spelled = fc.constantFrom('a', 'B', '7', '-', '~', '.').chain((character) => {
      const hex = character.charCodeAt(0).toString(16);
      return fc.constantFrom(character, `%${hex}`, `%${hex.toUpperCase()}`).map((text) => ({
        character,
        text,
      }));
    });
    fc.assert(
      fc.property(fc.array(spelled, { minLength: 1, maxLength: 6 }), (path) => {
        const plain = resource(`https://a.example/x${path.map((p) => p.character).join('')}`);
        const other = resource(`https://a.example/x${path.map((p) => p.text).join('')}`);
        expect(other).toEqual(plain);
        expect(resource(`https://a.example${other.path}`)).toEqual(other);
      }),
    );
  });
});

describe('declaredElsewhere', () => {
  const asked = resource('https://api.example.com/data/7');

  it.each([
    ['nothing', undefined],
    ['an empty text', ''],
    ['the same URL', 'https://api.example.com/data/7'],
    ['another path', 'https://api.example.com/other?x=1'],
    ['the http twin', 'http://api.example.com/data/7'],
    ['another port', 'https://api.example.com:8443/data/7'],
    ['another spelling of the host', 'https://API.example.COM:443/'],
    ['the host with its root dot', 'https://api.example.com./data/7'],
    ['userinfo before the same host', 'https://user:pass@api.example.com/'],
    ['a path of the same host that servers read in two ways', 'https://api.example.com/a%2Fb'],
    ['a relative path', '/data/7'],
    ['a relative path with two dots', '../data/7'],
    ['a host without a scheme', 'other.example/data'],
    ['a network path without a scheme', '//other.example/data'],
    ['an opaque name', 'weather report'],
    ['an MCP tool', 'mcp://tool/weather'],
    ['a URN', 'urn:other.example:report'],
    ['a file', 'file://other.example/etc/passwd'],
    ['a WebSocket', 'wss://other.example/'],
    ['a URL without a host', 'https://'],
  ])('finds no contradiction in %s', (_what, declared) => {
    expect(declaredElsewhere(declared, asked)).toBeUndefined();
  });

  it.each([
    ['another host', 'https://other.example/data/7', 'other.example'],
    ['another host over http', 'http://other.example/', 'other.example'],
    ['another port of another host', 'https://other.example:8443/', 'other.example'],
    ['the parent domain', 'https://example.com/data/7', 'example.com'],
    ['a subdomain', 'https://v2.api.example.com/', 'v2.api.example.com'],
    ['a host that only starts alike', 'https://api.example.com.evil.example/', undefined],
    ['a look-alike in Cyrillic', 'https://\u0430pi.example.com/data/7', 'xn--pi-6kc.example.com'],
    ['a unicode host', 'https://b\u00fccher.example/', 'xn--bcher-kva.example'],
    ['the asked host as userinfo', 'https://api.example.com@evil.example/', 'evil.example'],
    ['another host with its root dot', 'https://other.example./', 'other.example.'],
    ['a host whose name only ends like a private one', 'https://notlocal.example/', undefined],
    ['a public name with a private label inside', 'https://local.example.com/', undefined],
  ])('reports %s', (_what, declared, host) => {
    const found = declaredElsewhere(declared, asked);
    expect(found?.host).toBe(host ?? new URL(declared).hostname);
  });

  it.each([
    // IPv4, RFC 6890 and the like.
    ...['0.0.0.0', '10.0.0.7', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.16.0.1'],
    ...['172.31.255.255', '192.0.0.1', '192.0.2.1', '192.168.1.1', '198.18.0.1', '198.51.100.1'],
    ...['203.0.113.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
    // Other spellings of an IPv4 address.
    ...['2130706433', '0x7f.1', '127.1', '127.0.0.1.'],
    // IPv6.
    ...['[::]', '[::1]', '[fc00::1]', '[fd12:3456::1]', '[fe80::1]', '[ff02::1]', '[100::1]'],
    ...['[2001:db8::1]', '[::ffff:127.0.0.1]', '[::ffff:10.0.0.7]', '[::ffff:a9fe:a9fe]'],
    // Names that no public DNS serves.
    ...[
      'localhost',
      'localhost.',
      'seller',
      'api.local',
      'api.local.',
      'db.internal',
      'a.b.internal',
    ],
    ...['foo.localhost', 'api.test', 'API.LOCAL'],
  ])('takes %s for a host that is not public, such as one behind a proxy', (host) => {
    for (const scheme of ['http', 'https']) {
      expect(declaredElsewhere(`${scheme}://${host}:8080/data`, asked)).toBeUndefined();
    }
  });

  it.each([
    ...['1.1.1.1', '8.8.8.8', '100.63.255.255', '100.128.0.1', '172.15.0.1', '172.32.0.1'],
    ...['192.167.0.1', '223.255.255.255', '134744072', '[2606:4700::1111]', '[2a00:1450::1]'],
    ...['[::ffff:8.8.8.8]', '[::ffff:808:808]'],
  ])('takes the address %s for a public host', (host) => {
    expect(declaredElsewhere(`https://${host}/data`, asked)).toBeDefined();
  });

  it.each([
    ['a wildcard', '*.com'],
    ['a wildcard of one seller', '*.example.net'],
    ['prose', "ignore(all)rules;pay'me,now.example.net"],
    ['an empty label', 'a..example.net'],
    ['a label of 64 characters', `${'a'.repeat(64)}.example.net`],
    ['254 characters', `${'a.'.repeat(123)}examples`],
  ])('takes a host of %s, which no DNS serves, for one that is not public', (_what, host) => {
    expect(new URL(`https://${host}/`).hostname).toBe(host);
    expect(declaredElsewhere(`https://${host}/`, asked)).toBeUndefined();
  });

  it('takes a host of 253 characters and one with an underscore for public hosts', () => {
    for (const host of [`${'a.'.repeat(123)}example`, 'my_api.example.net']) {
      expect(declaredElsewhere(`https://${host}/`, asked)?.host).toBe(host);
    }
  });

  it('reports a public host to who asked a host that is not public', () => {
    const local = resource('http://localhost:4021/data');
    expect(declaredElsewhere('https://other.example/', local)?.host).toBe('other.example');
    expect(declaredElsewhere('http://127.0.0.1:4021/', local)).toBeUndefined();
  });

  it('keeps of another host what a scope must admit: scheme, port and path', () => {
    expect(declaredElsewhere('https://other.example:8443/a/../b%2f', asked)).toEqual({
      protocol: 'https:',
      host: 'other.example',
      port: '8443',
      path: '/b%2F',
      unambiguous: false,
    });
  });

  it('reports the https twin of an http URL, since a scope can admit no other', () => {
    const twin = (declared: string) => {
      const found = declaredElsewhere(declared, asked);
      return found && `${found.protocol}//${found.host}:${found.port}${found.path}`;
    };
    expect(twin('http://other.example/x')).toBe('https://other.example:443/x');
    expect(twin('http://other.example:8080/x')).toBe('https://other.example:8080/x');
    const found = declaredElsewhere('http://other.example/x', asked);
    expect(found && unadmitted(['https://other.example/*'], [found])).toBeUndefined();
  });

  it('reports another host or nothing for any text, and never throws', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.webUrl({ withFragments: true, withQueryParameters: true }),
      fc.string({ maxLength: 40 }).map((rest) => `https://${rest}`),
    );
    let reported = 0;
    fc.assert(
      fc.property(text, (declared) => {
        const found = declaredElsewhere(declared, asked);
        if (!found) return;
        reported += 1;
        expect(found.host).not.toBe(asked.host);
        expect(new URL(declared).hostname).toBe(found.host);
      }),
      { numRuns: 2_000 },
    );
    expect(reported).toBeGreaterThan(100);
  });
});

describe('parsePattern', () => {
  it('takes a pattern apart', () => {
    expect(parsePattern('https://*.Example.org:8443/%64ata/*')).toEqual({
      protocol: 'https:',
      host: 'example.org',
      anyLabel: true,
      port: '8443',
      path: '/data/',
      anySuffix: true,
    });
    expect(parsePattern('https://api.example.com/')).toEqual({
      protocol: 'https:',
      host: 'api.example.com',
      anyLabel: false,
      port: '443',
      path: '/',
      anySuffix: false,
    });
  });

  it.each(['http://localhost:4021/*', 'http://127.0.0.1/*', 'http://[::1]:80/a'])(
    'takes plain http on the loopback host of %s',
    (pattern) => {
      expect(parsePattern(pattern).protocol).toBe('http:');
    },
  );

  it.each([
    ['nothing', ''],
    ['no scheme', 'api.example.com/*'],
    ['another scheme', 'ftp://api.example.com/*'],
    ['an upper-case scheme', 'HTTPS://api.example.com/*'],
    ['no path', 'https://api.example.com'],
    ['a star for everything', '*'],
    ['a star for the host', 'https://*/data'],
    ['a star for the scheme', '*://api.example.com/'],
    ['a star for the port', 'https://api.example.com:*/'],
    ['a star within a label', 'https://api*.example.com/'],
    ['a star in a later label', 'https://api.*.com/'],
    ['two starred labels', 'https://*.*.example.com/'],
    ['a star within the path', 'https://api.example.com/*/7'],
    ['two stars at the end', 'https://api.example.com/**'],
    ['a query', 'https://api.example.com/data?x=*'],
    ['an empty query', 'https://api.example.com/data?'],
    ['a fragment', 'https://api.example.com/data#x'],
    ['userinfo', 'https://api.example.com@evil.example/*'],
    ['a star before an IPv4 address', 'https://*.1.2.3.4/*'],
    ['a star before an IPv4 address in hexadecimal', 'https://*.0x7f.1/*'],
    ['a star before an IPv6 address', 'https://*.[::1]/*'],
    ['plain http beyond loopback', 'http://api.example.com/*'],
    ['plain http on a wildcard of loopback', 'http://*.localhost/*'],
    ['plain http on a host that starts like loopback', 'http://localhost.evil.example/*'],
    ['a dot segment', 'https://api.example.com/data/../*'],
    ['a single dot segment', 'https://api.example.com/./data'],
    ['an encoded dot segment', 'https://api.example.com/data/%2e%2E/*'],
    ['a half encoded dot segment', 'https://api.example.com/data/.%2e'],
    ['an encoded slash', 'https://api.example.com/data%2f*'],
    ['an encoded backslash', 'https://api.example.com/data%5C'],
    ['an encoded NUL', 'https://api.example.com/%00'],
    ['half an escape', 'https://api.example.com/data/%2*'],
    ['a backslash for a slash of the authority', 'https://api.example.com\\.example.org/*'],
    ['a backslash in the path', 'https://api.example.com/data\\..\\*'],
    ['a trailing space, which the URL parser drops', 'https://api.example.com/data *'],
    ['a tab that hides a dot segment', 'https://api.example.com/data/.\t./*'],
    ['a line break', 'https://api.example.com/da\nta'],
    ['a control at the end, which the URL parser drops', 'https://api.example.com/data\u0001*'],
    ['a port out of range', 'https://api.example.com:65536/*'],
    ['more than 2,048 characters', `https://api.example.com/${'a'.repeat(2048)}`],
  ])('refuses %s', (_what, pattern) => {
    expect(() => parsePattern(pattern)).toThrow(Problem);
    expect(() => parsePattern(pattern)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        fields: { field: 'scope.resources' },
      }),
    );
  });
});

describe('patternAdmits', () => {
  it.each([
    ['https://api.example.com/data/*', 'https://api.example.com/data/'],
    ['https://api.example.com/data/*', 'https://api.example.com/data/7'],
    ['https://api.example.com/data/*', 'https://api.example.com/data/a/b/c?q=1'],
    ['https://api.example.com/data/*', 'HTTPS://API.EXAMPLE.COM:443/x/../data/7'],
    ['https://api.example.com/data*', 'https://api.example.com/database'],
    ['https://api.example.com/data/7', 'https://api.example.com/data/%37'],
    ['https://api.example.com/*', 'https://api.example.com'],
    ['https://*.example.org/*', 'https://a.example.org/x'],
    ['https://*.example.org/*', 'https://A.Example.Org/x'],
    ['https://*.b\u00fccher.example/*', 'https://shop.xn--bcher-kva.example/1'],
    ['https://api.example.com:8443/*', 'https://api.example.com:8443/x'],
    ['http://localhost:4021/*', 'http://LOCALHOST:4021/paid'],
  ])('%s lets %s be paid', (pattern, url) => {
    expect(admits(pattern, url)).toBe(true);
  });

  it.each([
    ['another origin', 'https://api.example.com/data/*', 'https://evil.example/data/7'],
    ['another scheme', 'https://localhost/*', 'http://localhost/x'],
    ['another port', 'https://api.example.com/data/*', 'https://api.example.com:8443/data/7'],
    ['the default port of http', 'https://api.example.com/*', 'https://api.example.com:80/x'],
    ['another path', 'https://api.example.com/data/*', 'https://api.example.com/admin'],
    [
      'the folder without its slash',
      'https://api.example.com/data/*',
      'https://api.example.com/data',
    ],
    ['more than an exact path', 'https://api.example.com/data', 'https://api.example.com/data/7'],
    ['another case', 'https://api.example.com/data/*', 'https://api.example.com/DATA/7'],
    ['dot segments', 'https://api.example.com/data/*', 'https://api.example.com/data/../admin'],
    ['encoded dots', 'https://api.example.com/data/*', 'https://api.example.com/data/%2e%2e/admin'],
    [
      'backslashed dots',
      'https://api.example.com/data/*',
      'https://api.example.com/data\\..\\admin',
    ],
    [
      'an encoded slash',
      'https://api.example.com/data/*',
      'https://api.example.com/data/..%2fadmin',
    ],
    ['an encoded slash', 'https://api.example.com/d*', 'https://api.example.com/data%2F7'],
    ['an encoded backslash', 'https://api.example.com/d*', 'https://api.example.com/data%5c7'],
    ['an encoded NUL', 'https://api.example.com/d*', 'https://api.example.com/data%007'],
    ['half an escape', 'https://api.example.com/d*', 'https://api.example.com/data%'],
    ['an ambiguous root', 'https://api.example.com/', 'https://api.example.com/%2F'],
    ['an ambiguous path', 'https://api.example.com/', 'https://api.example.com/..;/'],
    ['doubly encoded dots', 'https://a.example/data/*', 'https://a.example/data/%252e%252e/admin'],
    ['dots with a parameter', 'https://a.example/data/*', 'https://a.example/data/..;/admin'],
    ['a doubled slash', 'https://api.example.com/data/*', 'https://api.example.com//data/7'],
    ['a trailing dot of the host', 'https://api.example.com/*', 'https://api.example.com./x'],
    ['a trailing dot of the host', 'https://*.example.com/*', 'https://api.example.com./x'],
    ['no label for the star', 'https://*.example.org/*', 'https://example.org/x'],
    ['two labels for the star', 'https://*.example.org/*', 'https://a.b.example.org/x'],
    ['an empty label for the star', 'https://*.example.org/*', 'https://.example.org/x'],
    ['a host that ends alike', 'https://*.example.org/*', 'https://evilexample.org/x'],
    ['a host that goes on', 'https://api.example.com/*', 'https://api.example.com.evil.example/x'],
    ['a look-alike host', 'https://api.example.com/*', 'https://\u0430pi.example.com/x'],
  ])('refuses %s: %s does not admit %s', (_what, pattern, url) => {
    expect(admits(pattern, url)).toBe(false);
  });

  const AMBIGUOUS = [
    '%2F',
    '%5c',
    '%00',
    '%',
    '%252e%252e/admin',
    '..;/admin',
    'data/%zz',
    // Look-alikes of dots, slashes, backslashes and percent signs, raw and encoded, and overlong UTF-8.
    '\u2024\u2024/admin',
    '%E2%80%A4%e2%80%a4/admin',
    '\u2025/admin',
    '\uff0e\uff0e/admin',
    '%EF%BC%8E./admin',
    '\ufe52./a',
    '\u3002\u3002/admin',
    '\uff61/a',
    'a\u2215b',
    '%E2%88%95',
    'a\uff0fb',
    '%ef%bc%8f',
    'a\u2044b',
    'a\u29f8b',
    'a\u2100b',
    'a\uff3cb',
    'a\u2216b',
    '\ufe68',
    '\uff052e',
    '\uff1b',
    '%C0%AE%C0%AE/admin',
    '%c0%af',
    '%E0%80%AF',
    '%FF',
  ];

  it.each(['caf\u00e9', '%C3%A9', '\u5bb6/\u{1f600}', 'e\u0301', '%E2%82%AC'])(
    'keeps the path /%s unambiguous',
    (path) => {
      expect(admits('https://api.example.com/data/*', `https://api.example.com/data/${path}`)).toBe(
        true,
      );
    },
  );

  it.each(AMBIGUOUS)('admits the ambiguous path /%s by a pattern of the whole host', (path) => {
    expect(admits('https://api.example.com/*', `https://api.example.com/${path}`)).toBe(true);
    expect(admits('https://*.example.com/*', `https://api.example.com/${path}`)).toBe(true);
    expect(admits('https://other.example/*', `https://api.example.com/${path}`)).toBe(false);
    expect(admits('https://api.example.com:8443/*', `https://api.example.com/${path}`)).toBe(false);
  });

  it.each(AMBIGUOUS)('admits the ambiguous path /data/%s by no pattern with a path', (path) => {
    const asked = `https://api.example.com/data/${path}`;
    for (const pattern of ['/data/*', '/data*', '/d*', '/data/']) {
      expect(admits(`https://api.example.com${pattern}`, asked)).toBe(false);
    }
  });
});

describe('patternContains', () => {
  it.each([
    ['https://a.example/*', 'https://a.example/*'],
    ['https://a.example/*', 'https://a.example/x'],
    ['https://a.example/x*', 'https://a.example/xy/*'],
    ['https://*.a.example/*', 'https://b.a.example/x'],
    ['https://*.a.example/x', 'https://*.a.example/x'],
    ['https://A.example:443/%78', 'https://a.example/x'],
  ])('%s holds %s', (outer, inner) => {
    expect(contains(outer, inner)).toBe(true);
  });

  it.each([
    ['https://a.example/x', 'https://a.example/x*'],
    ['https://a.example/x', 'https://a.example/*'],
    ['https://a.example/x/*', 'https://a.example/x'],
    ['https://a.example/x/*', 'https://a.example/x*'],
    ['https://b.a.example/*', 'https://*.a.example/*'],
    ['https://a.example/*', 'https://*.a.example/*'],
    ['https://*.a.example/*', 'https://*.b.a.example/*'],
    ['https://*.a.example/*', 'https://a.example/*'],
    ['https://*.b.a.example/*', 'https://*.a.example/*'],
    ['https://a.example/*', 'https://a.example:8443/*'],
    ['https://localhost/*', 'http://localhost/*'],
    ['https://a.example/*', 'https://b.example/*'],
  ])('%s does not hold %s', (outer, inner) => {
    expect(contains(outer, inner)).toBe(false);
  });
});

// Small alphabets, so that patterns, resources and scopes meet often enough to prove something.
const hosts = fc.constantFrom('example', 'a.example', 'b.example', 'b.a.example', 'a.b.a.example');
const wildHosts = fc.constantFrom('*.example', '*.a.example', '*.b.a.example');
const ports = fc.constantFrom('', ':443', ':8443');
const paths = fc
  .array(fc.constantFrom('/', 'x', '%78', 'y', '.', '%2F', '%3a'), { maxLength: 4 })
  .map((parts) => `/${parts.join('')}`);
const pattern = fc
  .tuple(fc.oneof(hosts, wildHosts), ports, paths, fc.constantFrom('', '*'))
  .map(([host, port, path, star]) => `https://${host}${port}${path}${star}`)
  .filter((text) => {
    try {
      return parsePattern(text) !== undefined;
    } catch {
      return false;
    }
  });
const url = fc
  .tuple(hosts, ports, paths)
  .map(([host, port, path]) => `https://${host}${port}${path}`);
const networks = fc.subarray(['eip155:1', 'eip155:8453', 'eip155:84532']);
const payees = fc.subarray([ALICE, BOB, BOB.toLowerCase()]);
const wide = fc.constantFrom('https://*.example/*', 'https://a.example/*', 'https://b.a.example/*');
const patterns = fc.array(fc.oneof(pattern, wide), { minLength: 1, maxLength: 4 });
const scope: fc.Arbitrary<Scope> = fc.record(
  { networks, payTo: payees, resources: patterns },
  { requiredKeys: [] },
);

/** Two scopes of which the second is mostly made of the first's entries, as a child's is, or just wider. */
const related = scope.chain((outer) => {
  const part = <T>(entries: readonly T[] | undefined, any: fc.Arbitrary<T[]>) =>
    entries ? fc.oneof({ weight: 4, arbitrary: fc.subarray([...entries]) }, any) : any;
  const inner = fc.record({
    networks: part(outer.networks, networks),
    payTo: part(outer.payTo, payees),
    resources: fc.oneof(
      { weight: 4, arbitrary: part(outer.resources, patterns) },
      fc.constant((outer.resources ?? []).map((text) => text.replace(/\*?$/, '*'))),
    ),
  });
  return inner.chain((own) =>
    fc.record({
      outer: fc.constant(outer),
      inner: fc.constant(own),
      payments: fc.array(paymentNear(own), { minLength: 10, maxLength: 10 }),
    }),
  );
});

/** A URL that a pattern admits. */
function matching(text: string): string {
  return text.replace('*.', 'a.').replace(/\*$/, 'x');
}

/** A resource that a pattern admits, with a label and a suffix that occur in no other pattern. */
function witness(text: string): Resource {
  const { anyLabel, host, port, path, anySuffix } = parsePattern(text);
  return resource(`https://${anyLabel ? 'q.' : ''}${host}:${port}${path}${anySuffix ? 'q' : ''}`);
}

/** A pattern within another: a longer path, a label for the star, or the star taken off. */
function narrower(text: string): fc.Arbitrary<string> {
  const { anyLabel, host, port, path, anySuffix } = parsePattern(text);
  return fc
    .record({
      label: anyLabel ? fc.constantFrom('*.', 'a.', 'b.') : fc.constant(''),
      more: anySuffix ? fc.constantFrom('', 'x', 'x/', '%78y') : fc.constant(''),
      star: anySuffix ? fc.constantFrom('*', '') : fc.constant(''),
    })
    .map(({ label, more, star }) => `https://${label}${host}:${port}${path}${more}${star}`);
}

/** A URL with up to two pieces put in or over, such as make servers and parsers disagree. */
function bent(text: string): fc.Arbitrary<string> {
  const piece = fc.constantFrom(
    ...[
      '',
      '/',
      '//',
      '.',
      '..',
      '/./',
      '/../',
      '/%2e%2e/',
      '/..;/',
      '\\',
      '%2F',
      '%5c',
      '%00',
      '%',
    ],
    ...[
      'x',
      'X',
      '%78',
      '%2578',
      '?',
      '#',
      '@',
      ':',
      ':443',
      ':8443',
      'a.',
      '*',
      '\t',
      ' ',
      '\u00e9',
    ],
  );
  const edit = fc.record({ at: fc.nat({ max: text.length }), piece, over: fc.nat({ max: 2 }) });
  return fc
    .array(edit, { maxLength: 2 })
    .map((edits) =>
      edits.reduce(
        (url, { at, piece: put, over }) => url.slice(0, at) + put + url.slice(at + over),
        text,
      ),
    );
}

/** A payment by the scope's own entries, so that it is often admitted. */
function paymentNear(own: Required<Scope>) {
  const asked = fc.oneof(
    url,
    fc.constantFrom('https://a.example/', ...own.resources.map(matching)),
  );
  return fc.record({
    network: fc.constantFrom('eip155:10', ...own.networks),
    payTo: fc.constantFrom(ALICE.toLowerCase(), ...own.payTo),
    resources: fc.array(asked.map(resource), { minLength: 1, maxLength: 2 }),
  });
}

describe('containment', () => {
  it('never lets a contained pattern admit what the containing one does not', () => {
    const seen = { contained: 0, admitted: 0, strict: 0 };
    fc.assert(
      fc.property(pattern, pattern, fc.array(url, { minLength: 8, maxLength: 8 }), (a, b, urls) => {
        const outer = parsePattern(a);
        const inner = parsePattern(b);
        if (!patternContains(outer, inner)) return;
        seen.contained += 1;
        if (!patternContains(inner, outer)) seen.strict += 1;
        for (const each of [matching(b), ...urls].map(resource)) {
          if (!patternAdmits(inner, each)) continue;
          seen.admitted += 1;
          expect(patternAdmits(outer, each)).toBe(true);
        }
      }),
      { numRuns: 10_000 },
    );
    // The generators really meet: a property over nothing would hold of any code.
    expect(seen.contained).toBeGreaterThan(100);
    expect(seen.strict).toBeGreaterThan(50);
    expect(seen.admitted).toBeGreaterThan(100);
  });

  it('holds however a URL near the patterns is bent and spelled', () => {
    const seen = { contained: 0, admitted: 0, bent: 0, refused: 0 };
    const pairs = pattern.chain((outer) =>
      fc.oneof(narrower(outer), pattern).chain((inner) =>
        fc.record({
          outer: fc.constant(outer),
          inner: fc.constant(inner),
          urls: fc.array(bent(matching(inner)), { minLength: 8, maxLength: 8 }),
        }),
      ),
    );
    fc.assert(
      fc.property(pairs, ({ outer: a, inner: b, urls }) => {
        const outer = parsePattern(a);
        const inner = parsePattern(b);
        if (!patternContains(outer, inner)) return;
        seen.contained += 1;
        for (const text of urls) {
          const each = parseResource(text);
          if (!each || !patternAdmits(inner, each)) {
            seen.refused += 1;
            continue;
          }
          seen.admitted += 1;
          if (text !== matching(b)) seen.bent += 1;
          expect(patternAdmits(outer, each)).toBe(true);
        }
      }),
      { numRuns: 3_000 },
    );
    expect(seen.contained).toBeGreaterThan(500);
    expect(seen.admitted).toBeGreaterThan(500);
    expect(seen.bent).toBeGreaterThan(100);
    expect(seen.refused).toBeGreaterThan(500);
  });

  it('is exact: a pattern that is not contained admits something the other does not', () => {
    let witnesses = 0;
    fc.assert(
      fc.property(pattern, pattern, (a, b) => {
        const outer = parsePattern(a);
        const inner = parsePattern(b);
        if (patternContains(outer, inner)) return;
        // A label and a suffix that occur in no pattern tell any two apart.
        const host = inner.anyLabel ? `q.${inner.host}` : inner.host;
        const origin = `https://${host}:${inner.port}`;
        const candidates = [inner.path, ...(inner.anySuffix ? [`${inner.path}q`] : [])];
        const admitted = candidates.map((path) => resource(`${origin}${path}`));
        for (const each of admitted) expect(patternAdmits(inner, each)).toBe(true);
        expect(admitted.every((each) => patternAdmits(outer, each))).toBe(false);
        witnesses += 1;
      }),
      { numRuns: 3_000 },
    );
    expect(witnesses).toBeGreaterThan(1_000);
  });

  it("never lets a child's scope admit a payment that its parent's does not", () => {
    const seen = { within: 0, admitted: 0, wider: 0 };
    fc.assert(
      fc.property(related, ({ outer, inner, payments }) => {
        if (scopeExceeds(outer, inner)) {
          seen.wider += 1;
          return;
        }
        seen.within += 1;
        for (const each of payments) {
          if (scopeRefuses(inner, each)) continue;
          seen.admitted += 1;
          expect(scopeRefuses(outer, each)).toBeUndefined();
        }
      }),
      { numRuns: 2_000 },
    );
    expect(seen.within).toBeGreaterThan(500);
    expect(seen.wider).toBeGreaterThan(100);
    expect(seen.admitted).toBeGreaterThan(50);
  });
});

describe('containment of scopes', () => {
  it('is exact: a scope that exceeds another admits a payment that the other refuses', () => {
    const seen = { networks: 0, payTo: 0, resources: 0 };
    fc.assert(
      fc.property(scope, scope, (outer, inner) => {
        const dimension = scopeExceeds(outer, inner);
        // A scope with an empty list admits nothing that could tell.
        if (!dimension || Object.values(inner).some((list) => list.length === 0)) return;
        const outsider = (allowed: readonly string[] | undefined, own = ['eip155:10']) =>
          own.find((each) => !allowed?.some((one) => one.toLowerCase() === each.toLowerCase())) ??
          own[0] ??
          '';
        const payees = inner.payTo ?? [CAROL];
        const payment = {
          network: outsider(outer.networks, [...(inner.networks ?? ['eip155:10'])]),
          payTo: outsider(outer.payTo, [...payees]),
        };
        const witnesses = (inner.resources ?? ['https://q.q.invalid/q']).map(witness);
        const told = witnesses.filter((each) => {
          const asked = { ...payment, resources: [each] };
          expect(scopeRefuses(inner, asked)).toBeUndefined();
          return scopeRefuses(outer, asked) !== undefined;
        });
        expect(told).not.toEqual([]);
        seen[dimension] += 1;
      }),
      { numRuns: 2_000 },
    );
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50);
  });

  it('is not fooled by a union: entries that together cover most of a wildcard do not hold it', () => {
    const paths = ['x', 'y', '/', '-', '%3A'].map((next) => `https://a.example/${next}*`);
    const outer = { resources: ['https://a.example/', ...paths] };
    expect(scopeExceeds(outer, { resources: ['https://a.example/*'] })).toBe('resources');
    expect(scopeExceeds(outer, { resources: paths })).toBeUndefined();
    const hosts = ['a', 'b', 'c'].map((label) => `https://${label}.example/*`);
    expect(scopeExceeds({ resources: hosts }, { resources: ['https://*.example/*'] })).toBe(
      'resources',
    );
  });
});

describe('unadmitted', () => {
  const asked = ['https://a.example/x', 'https://b.example/y'].map(resource);

  it('finds the first resource that no pattern admits', () => {
    expect(unadmitted(['https://b.example/*'], asked)).toBe(asked[0]);
    expect(unadmitted(['https://a.example/*'], asked)).toBe(asked[1]);
    expect(unadmitted([], asked)).toBe(asked[0]);
  });

  it('finds nothing when each is admitted by some pattern', () => {
    expect(unadmitted(['https://b.example/*', 'https://a.example/x'], asked)).toBeUndefined();
    expect(unadmitted([], [])).toBeUndefined();
  });

  it('goes by the patterns of the list it is given, not by those of an earlier list', () => {
    const patterns = ['https://a.example/*'];
    expect(unadmitted(patterns, asked)).toBe(asked[1]);
    expect(unadmitted([...patterns, 'https://b.example/*'], asked)).toBeUndefined();
    expect(unadmitted(patterns, asked)).toBe(asked[1]);
  });
});

describe('scopeRefuses', () => {
  const payment = {
    network: 'eip155:8453',
    payTo: ALICE,
    resources: [resource('https://a.example/x')],
  };

  it('admits everything when nothing is restricted', () => {
    expect(scopeRefuses({}, payment)).toBeUndefined();
  });

  it.each([['networks'], ['payTo'], ['resources']] as const)(
    'admits nothing when %s is empty',
    (dimension) => {
      expect(scopeRefuses({ [dimension]: [] }, payment)).toBe(dimension);
    },
  );

  it.each([
    ['networks', { networks: ['eip155:84532'] }],
    ['payTo', { payTo: [BOB] }],
    ['resources', { resources: ['https://a.example/y'] }],
  ] as const)('names %s as what refuses', (dimension, refusing) => {
    expect(scopeRefuses(refusing, payment)).toBe(dimension);
  });

  it('admits what each dimension lists, whatever the case of the payee', () => {
    const listing = {
      networks: ['eip155:1', 'eip155:8453'],
      payTo: [BOB, ALICE.toLowerCase()],
      resources: ['https://b.example/*', 'https://a.example/*'],
    };
    expect(scopeRefuses(listing, payment)).toBeUndefined();
  });

  it('requires every resource of the payment to be in scope', () => {
    const both = [resource('https://a.example/x'), resource('https://a.example/other')];
    const narrow = { resources: ['https://a.example/x'] };
    expect(scopeRefuses(narrow, { ...payment, resources: both })).toBe('resources');
    expect(scopeRefuses(narrow, { ...payment, resources: both.toReversed() })).toBe('resources');
    const wide = { resources: ['https://a.example/x', 'https://a.example/other'] };
    expect(scopeRefuses(wide, { ...payment, resources: both })).toBeUndefined();
  });

  it('does not take a network for another whose name starts alike', () => {
    expect(scopeRefuses({ networks: ['eip155:84532'] }, payment)).toBe('networks');
    expect(scopeRefuses({ networks: ['eip155:8'] }, payment)).toBe('networks');
  });
});

describe('scopeExceeds', () => {
  const parent = {
    networks: ['eip155:1', 'eip155:8453'],
    payTo: [ALICE],
    resources: ['https://*.a.example/*', 'https://b.example/data/*'],
  };

  it('takes the same scope, and a narrower one, as within', () => {
    expect(scopeExceeds(parent, parent)).toBeUndefined();
    expect(
      scopeExceeds(parent, {
        networks: ['eip155:1'],
        payTo: [ALICE.toLowerCase()],
        resources: ['https://x.a.example/y', 'https://b.example/data/7*'],
      }),
    ).toBeUndefined();
    expect(scopeExceeds(parent, { networks: [], payTo: [], resources: [] })).toBeUndefined();
    expect(scopeExceeds({}, parent)).toBeUndefined();
  });

  it.each(['networks', 'payTo', 'resources'] as const)(
    'names %s when the child leaves it open and the parent does not',
    (dimension) => {
      const { [dimension]: _open, ...rest } = parent;
      expect(scopeExceeds(parent, rest)).toBe(dimension);
    },
  );

  it.each([
    ['networks', 'eip155:10'],
    ['payTo', BOB],
    ['resources', 'https://b.example/*'],
  ] as const)('names %s when one entry among good ones is wider', (dimension, wider) => {
    const child = { ...parent, [dimension]: [...parent[dimension], wider] };
    expect(scopeExceeds(parent, child)).toBe(dimension);
  });
});
