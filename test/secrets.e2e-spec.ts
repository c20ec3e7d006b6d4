import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, importPKCS8 } from 'jose';
import { mnemonicToAccount } from 'viem/accounts';
import { Keys } from '../src/access/keys.js';
import { MasterSecret } from '../src/access/master-secret.js';
import { Database } from '../src/database/database.js';
import { createLogger } from '../src/ops/logger.js';
import { Api } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { newProver, ProvingApi } from './support/dpop.js';
import { metricsOf } from './support/metrics.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** A BIP-39 test vector that nothing else uses. */
const MNEMONIC =
  'jelly better achieve collect unaware mountain thought cargo oxygen act hood bridge';
const MASTER_SECRET = 'canary-of-the-master-secret-0123456789abcdef';

let stack: TestStack;
const log: string[] = [];
const errors: string[] = [];
/** Secrets that must be nowhere, by name. */
const canaries = new Map<string, string>();

beforeAll(async () => {
  stack = await startTestStack({
    logger: createLogger('trace', { write: (line: string) => void log.push(line) }),
    environment: { BURSAR_WALLET_MNEMONIC: MNEMONIC, BURSAR_MASTER_SECRET: MASTER_SECRET },
  });
  canaries.set('the mnemonic', MNEMONIC);
  canaries.set('the master secret', MASTER_SECRET);
  for (let n = 0; n < 4; n += 1) {
    const key = mnemonicToAccount(MNEMONIC, { addressIndex: n }).getHdKey().privateKey;
    canaries.set(`private key ${n}`, Buffer.from(key ?? []).toString('hex'));
  }
  await use();
}, 90_000);

afterAll(() => stack?.stop());

/** Uses everything that handles a secret, rightly and wrongly. */
async function use(): Promise<void> {
  const { service, chain } = stack;
  const adminToken = await service.mintAdminToken({ name: 'canary', role: 'admin' }, 600);
  const admin = new Api(service.url, adminToken);
  const root = await admin.mint({ budget: '5.00', delegationDepth: 1 });
  const prover = await newProver();
  const bound = await admin.mint({ budget: '5.00', holderKey: prover.publicJwk });
  const boundHolder = new ProvingApi(service.url, bound.token, prover);
  const { header } = await boundHolder.paid(order(chain));
  const holder = admin.as(root.token);
  await holder.paid(order(chain));
  const payload = JSON.parse(Buffer.from(header.value, 'base64').toString()).payload;
  canaries.set('an admin token', adminToken);
  canaries.set('a grant token', root.token);
  canaries.set('a bound grant token', bound.token);
  canaries.set('the signature of a payment', payload.signature.slice(2));

  const database = new Database(stack.databaseUrl);
  const keys = new Keys(database, new MasterSecret(MASTER_SECRET));
  await keys.load();
  await keys.rotate(0);
  const { privatePem } = keys.current();
  await database.close();
  const { d = '' } = await exportJWK(await importPKCS8(privatePem, 'ES256', { extractable: true }));
  canaries.set('the signing key', d);
  canaries.set('the signing key as PEM', privatePem.split('\n')[1] ?? '');

  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const wrong = [
    admin.post('/v1/grants', { holder: adminToken, budget: adminToken }),
    admin.post('/v1/grants', `{"holder": "${adminToken}"`),
    admin.post('/v1/grants', { [adminToken]: 1 }),
    admin.post('/v1/grants', { holderKey: prover.privateJwk }),
    admin.get(`/v1/nothing?token=${adminToken}`),
    admin.get(`/v1/grants?cursor=${adminToken}`),
    admin.post('/v1/revoke', `token=${root.token}&token=${root.token}`, form),
    holder.pay({ paymentRequired: root.token, request: { method: 'GET', url: root.token } }),
    admin.as(`${root.token}x`).get('/v1/grants'),
    new Api(service.url).get(`/v1/grants?access_token=${adminToken}`),
    new Api(service.url).call('GET', '/v1/grants', undefined, { authorization: MASTER_SECRET }),
    new ProvingApi(service.url, `${bound.token}x`, prover).get('/v1/grants/self'),
    admin.as(bound.token).get('/v1/grants/self'),
  ];
  canaries.set("a holder's private key", prover.privateJwk.d ?? '');
  for (const { status, text } of await Promise.all(wrong)) {
    expect(status).toBeGreaterThanOrEqual(400);
    errors.push(text);
  }
  await until('the events are sealed', async () => {
    const { rows } = await stack.db.query('SELECT 1 FROM unsealed_events');
    return rows.length === 0;
  });
}

/** Every row of every table of every schema, as text: what a dump would hold. */
async function dump(): Promise<string[]> {
  const { rows: tables } = await stack.db.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const { rows } = await stack.db.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
    found.push(...rows.map(({ row }) => row));
  }
  return found;
}

const read = async (path: string) => {
  const response = await fetch(stack.service.url + path);
  return [await response.text()];
};

const PLACES: Record<string, () => Promise<readonly string[]>> = {
  'the log': async () => log,
  'the bodies of errors': async () => errors,
  'a dump of the database, the jobs of its queues included': dump,
  'the OpenAPI document': () => read('/openapi.json'),
  'the page of the API': () => read('/docs'),
  'the metrics': async () => [await metricsOf(stack.service)],
  'the key set': () => read('/.well-known/jwks.json'),
};

/** A secret as it is, and as it looks in the encodings that things get printed in. */
function forms(secret: string): string[] {
  const bytes = /^[0-9a-f]{64,}$/.test(secret) ? Buffer.from(secret, 'hex') : Buffer.from(secret);
  return [
    secret,
    secret.toUpperCase(),
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    encodeURIComponent(secret),
    JSON.stringify([...bytes]).slice(1, -1),
  ];
}

describe('a secret', () => {
  it.each(Object.keys(PLACES))('is nowhere in %s', async (place) => {
    const texts = (await PLACES[place]?.()) ?? [];
    expect(texts.length).toBeGreaterThan(0);
    expect(canaries.size).toBeGreaterThanOrEqual(13);
    for (const [what, secret] of canaries) {
      expect(secret.length).toBeGreaterThan(20);
      for (const form of forms(secret)) {
        const where = texts.find((text) => text.includes(form));
        expect({ what, form: form.slice(0, 12), where }).toMatchObject({ where: undefined });
      }
    }
  });

  it('would be found: what is meant to be there is', async () => {
    const { url } = stack.service;
    expect(log.join()).toContain('"path":"/v1/grants"');
    expect((await dump()).join()).toContain('canary');
    expect((await dump()).some((row) => row.includes('access-forget'))).toBe(true);
    expect(errors.join()).toContain('urn:bursar:problem:');
    expect(await (await fetch(`${url}/docs`)).text()).toContain('swagger');
  });
});
