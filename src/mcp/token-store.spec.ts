import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TokenStore } from './token-store.js';

let root: string;
let store: TokenStore;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'bursar-store-'));
  store = new TokenStore(join(root, 'state', 'bursar'));
});

afterEach(() => rm(root, { recursive: true, force: true }));

function tokenOf(sub: unknown, iat: number): string {
  return `e30.${Buffer.from(JSON.stringify({ sub, iat })).toString('base64url')}.c2ln`;
}

describe('a renewed token', () => {
  it('is found at the next start, in place of the older one of the configuration', async () => {
    const configured = tokenOf('grt_a', 1);
    expect(await store.newest(configured)).toBe(configured);
    await store.keep(tokenOf('grt_a', 2));
    expect(await store.newest(configured)).toBe(tokenOf('grt_a', 2));
    // A newer one was configured on purpose, and another grant's token is another grant's.
    expect(await store.newest(tokenOf('grt_a', 3))).toBe(tokenOf('grt_a', 3));
    expect(await store.newest(tokenOf('grt_b', 1))).toBe(tokenOf('grt_b', 1));
  });

  it('is readable by its owner alone', async () => {
    await store.keep(tokenOf('grt_a', 2));
    const path = join(root, 'state', 'bursar', 'grt_a.token');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(root, 'state', 'bursar'))).mode & 0o777).toBe(0o700);
  });

  it.each(['../../escaped', 'a/b', '/etc/x', 'grt_a\u0000'])(
    'of %j stays in its folder',
    async (sub) => {
      await store.keep(tokenOf(sub, 2));
      await expect(stat(join(root, 'escaped.token'))).rejects.toThrow();
      expect(await readdir(join(root, 'state', 'bursar'))).toHaveLength(1);
    },
  );

  it.each(['garbage', 'a.b.c', ''])('%j, which is none, is handed on as it is', async (token) => {
    expect(await store.newest(token)).toBe(token);
    await store.keep(token);
  });
});

describe("a child's token", () => {
  it('stands in an env file of its own, which replaces a link and follows none', async () => {
    await store.keep(tokenOf('grt_a', 1));
    const victim = join(root, 'victim');
    await writeFile(victim, 'mine', { mode: 0o644 });
    await symlink(victim, join(root, 'state', 'bursar', 'grt_c.env'));
    const path = await store.handOver('grt_c', 'http://127.0.0.1:4020', 'the-token');
    expect(await readFile(path, 'utf8')).toBe(
      'BURSAR_URL=http://127.0.0.1:4020\nBURSAR_TOKEN=the-token\n',
    );
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(victim, 'utf8')).toBe('mine');
  });
});
