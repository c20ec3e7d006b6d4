import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { Keys } from '../src/access/keys.js';
import { MasterSecret } from '../src/access/master-secret.js';
import { Database } from '../src/database/database.js';
import type { Service } from '../src/service.js';
import { Api, expectProblem, type Minted } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { until } from './support/until.js';

let stack: TestStack;
let replica: Service;
let database: Database;
/** Keys as the CLI works with them: in a process of its own as far as the replicas can tell. */
let keys: Keys;

beforeAll(async () => {
  stack = await startTestStack();
  replica = await startReplica(stack);
  database = new Database(stack.databaseUrl);
  const masterSecret = await readFile(join(stack.dataDir, 'master-secret'), 'utf8');
  keys = new Keys(database, new MasterSecret(masterSecret));
  await keys.load();
}, 60_000);

afterAll(async () => {
  await database?.close();
  await replica?.stop();
  await stack?.stop();
});

const SELF = '/v1/grants/self';
const kidOf = (token: string) => decodeProtectedHeader(token).kid;

describe('a rotation of the signing key', () => {
  it('reaches every replica without a restart and drops no request', async () => {
    const { grant, token } = await stack.admin.mint({ budget: '5.00' });
    const [before] = await keys.list();
    expect(before?.state).toBe('signing');

    // Requests with the old token at both replicas, and fresh tokens taken to the other one, meanwhile.
    let isOver = false;
    const statuses = new Set<number>();
    let requests = 0;
    const load = [stack.service.url, replica.url].map(async (url, index) => {
      const other = [replica.url, stack.service.url][index] ?? '';
      const child = await stack.admin.mint({ budget: '1.00' });
      let current = child.token;
      for (let turn = 0; !isOver; turn += 1) {
        statuses.add((await new Api(url, token).get(SELF)).status);
        // A caller may replace a token twenty times a minute.
        if (turn < 15) {
          const path = `/v1/grants/${child.grant.id}/token`;
          const renewed = await new Api(url, current).post<Minted>(path);
          statuses.add(renewed.status);
          current = renewed.body.token;
        }
        statuses.add((await new Api(other, current).get(SELF)).status);
        requests += 3;
      }
    });
    const kid = await keys.rotate(1);
    const published = await until('both replicas publish the new key', async () => {
      const sets = await Promise.all(
        [stack.service.url, replica.url].map((url) =>
          new Api(url).read<JSONWebKeySet>('/.well-known/jwks.json'),
        ),
      );
      return sets.every((set) => set.keys.some((key) => key.kid === kid)) && sets;
    });
    await until('both replicas sign with it', async () => {
      const minted = await Promise.all(
        [stack.service.url, replica.url].map((url) =>
          new Api(url, stack.admin.token).mint({ budget: '1.00' }),
        ),
      );
      return minted.every((each) => kidOf(each.token) === kid);
    });
    await until('enough was asked meanwhile', () => requests > 20);
    isOver = true;
    await Promise.all(load);
    expect([...statuses]).toEqual([200]);

    // The old key goes on verifying, here and for others that have the set.
    expect(kidOf(token)).toBe(before?.kid);
    expect((await stack.admin.as(token).read<{ id: string }>(SELF)).id).toBe(grant.id);
    for (const set of published) await jwtVerify(token, createLocalJWKSet(set));
    expect((await keys.list()).map(({ state }) => state)).toEqual(['signing', 'verifying']);
  });

  it('is over when the old key is retired: tokens it signed are refused everywhere', async () => {
    if ((await keys.list()).length === 1) await keys.rotate(1);
    const [signing, old] = await keys.list();
    const token = stack.admin.token ?? '';
    expect(kidOf(token)).toBe(old?.kid);
    const fresh = await until('the service signs with the new key', async () => {
      const minted = await stack.service.mintAdminToken({ name: 'fresh', role: 'admin' }, 600);
      return kidOf(minted) === signing?.kid && minted;
    });
    await expect(keys.retire(signing?.kid ?? '')).rejects.toThrow(/signs the tokens now/);
    await expect(keys.retire('nothing')).rejects.toThrow(/there is no key nothing/);
    await keys.retire(old?.kid ?? '');
    for (const url of [stack.service.url, replica.url]) {
      // The token was verified and remembered there before.
      await until(`${url} refuses the old key`, async () => {
        const { status } = await new Api(url, token).get('/v1/grants');
        return status === 401;
      });
      expectProblem(await new Api(url, token).get('/v1/grants'), 401, 'invalid_token');
      expect((await new Api(url, fresh).get('/v1/grants')).status).toBe(200);
      const set = await new Api(url).read<JSONWebKeySet>('/.well-known/jwks.json');
      expect(set.keys.map((key) => key.kid)).toEqual([signing?.kid]);
    }
    await keys.retire(old?.kid ?? '');
    expect((await keys.list()).map(({ state }) => state)).toEqual(['signing', 'retired']);
  });

  it('made by two at once ends with both keys, and one that signs', async () => {
    await Promise.all([keys.rotate(0), keys.rotate(0), keys.rotate(3_600)]);
    const states = (await keys.list()).map(({ state }) => state);
    expect(states.slice(0, 2)).toEqual(['next', 'signing']);
    expect(states.filter((state) => state === 'signing')).toHaveLength(1);
  });

  it('leaves no private key in the database in clear', async () => {
    const { rows } = await stack.db.query('SELECT to_jsonb(k)::text AS row FROM signing_keys k');
    for (const { row } of rows) expect(row).not.toMatch(/PRIVATE KEY|"d":/);
  });
});
