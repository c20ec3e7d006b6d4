import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { calculateJwkThumbprint, decodeJwt, SignJWT } from 'jose';
import type { Service } from '../src/service.js';
import { Api, expectProblem, type Minted } from './support/api.js';
import { startReplica, startTestStack, type TestStack } from './support/bursar.js';
import { newProver, type ProofChanges, type Prover, ProvingApi } from './support/dpop.js';
import { respelled, spellingsOf, twinOf } from './support/spellings.js';
import { order } from './support/terms.js';

let stack: TestStack;
let replica: Service;
let prover: Prover;
let bound: Minted;
let holder: ProvingApi;

beforeAll(async () => {
  stack = await startTestStack();
  replica = await startReplica(stack);
  prover = await newProver();
  bound = await stack.admin.mint({
    budget: '5.00',
    delegationDepth: 2,
    holderKey: prover.publicJwk,
  });
  holder = new ProvingApi(stack.service.url, bound.token, prover);
}, 60_000);

afterAll(async () => {
  await replica?.stop();
  await stack?.stop();
});

const SELF = '/v1/grants/self';

/** Asks for the holder's own grant with one proof, or none. */
function ask(proof: string | undefined, token = bound.token, url = stack.service.url) {
  return new Api(url).call('GET', SELF, undefined, {
    authorization: `DPoP ${token}`,
    ...(proof === undefined ? {} : { dpop: proof }),
  });
}

function proofFor(changes?: ProofChanges, by: Prover = prover) {
  return by.proof('GET', stack.service.url + SELF, bound.token, changes);
}

describe('a grant bound to its holder’s key', () => {
  it('works with a proof for every request, and shows the key it is bound to', async () => {
    expect((await ask(await proofFor())).status).toBe(200);
    const { holderKey } = await holder.read<{ holderKey: object }>(SELF);
    const { kty, crv, x, y } = prover.publicJwk;
    expect(holderKey).toEqual({ kty, crv, x, y });
    await holder.paid(order(stack.chain));
  });

  it('names the key by its RFC 7638 thumbprint in the token', async () => {
    const jkt = await calculateJwkThumbprint(prover.publicJwk);
    expect(decodeJwt(bound.token).cnf).toEqual({ jkt });
  });

  it('may have an Ed25519 key', async () => {
    const other = await newProver('Ed25519');
    const { token } = await stack.admin.mint({ budget: '1.00', holderKey: other.publicJwk });
    await new ProvingApi(stack.service.url, token, other).paid(order(stack.chain));
  });

  it('spends nothing for a thief with the token alone: as Bearer, or without a proof', async () => {
    const before = await stack.admin.grant(bound.grant.id);
    const thief = new Api(stack.service.url, bound.token);
    const bearer = await thief.pay(order(stack.chain));
    expectProblem(bearer, 401, 'invalid_token');
    expect(bearer.headers.get('www-authenticate')).toMatch(
      /^Bearer realm="bursar", error="invalid_token", DPoP realm="bursar", algs="ES256 /,
    );
    const none = await ask(undefined);
    expectProblem(none, 401, 'invalid_dpop_proof', { field: 'DPoP' });
    expect(none.headers.get('www-authenticate')).toMatch(
      /^DPoP realm="bursar", error="invalid_dpop_proof", algs="ES256 /,
    );
    const stranger = await newProver();
    const url = `${stack.service.url}/v1/payments`;
    const foreign = await new Api(stack.service.url).call(
      'POST',
      '/v1/payments',
      order(stack.chain),
      {
        'idempotency-key': randomUUID(),
        authorization: `DPoP ${bound.token}`,
        dpop: await stranger.proof('POST', url, bound.token),
      },
    );
    expectProblem(foreign, 401, 'invalid_dpop_proof');
    const after = await stack.admin.grant(bound.grant.id);
    expect([after.reserved, after.payments]).toEqual([before.reserved, before.payments]);
  });

  it('takes a proof once, by whichever replica', async () => {
    const here = await proofFor();
    expect((await ask(here)).status).toBe(200);
    expectProblem(await ask(here), 401, 'invalid_dpop_proof');
    // A replay at the second replica, where the thief says the first one's name.
    const url = new URL(stack.service.url);
    const there = await prover.proof('GET', replica.url + SELF, bound.token);
    expect((await ask(there, bound.token, replica.url)).status).toBe(200);
    expectProblem(await ask(there, bound.token, replica.url), 401, 'invalid_dpop_proof');
    expect(url.port).not.toBe(new URL(replica.url).port);
    const jti = randomUUID();
    const first = await proofFor({ claims: { jti } });
    expect((await ask(first)).status).toBe(200);
    const second = await prover.proof('GET', replica.url + SELF, bound.token, { claims: { jti } });
    expectProblem(await ask(second, bound.token, replica.url), 401, 'invalid_dpop_proof');
  });

  it('takes one of a hundred at once with the same proof', async () => {
    const proof = await proofFor();
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask(proof)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(99);
  });

  const now = () => Math.floor(Date.now() / 1000);
  it.each<[string, () => ProofChanges]>([
    ['of another typ', () => ({ header: { typ: 'JWT' } })],
    ['of no typ', () => ({ header: { typ: undefined } })],
    ['without its key', () => ({ header: { jwk: undefined } })],
    ['with the private key enclosed', () => ({ header: { jwk: prover.privateJwk } })],
    ['with a symmetric key enclosed', () => ({ header: { jwk: { kty: 'oct', k: 'c2VjcmV0' } } })],
    ['for another method', () => ({ claims: { htm: 'POST' } })],
    ['for the method in another case', () => ({ claims: { htm: 'get' } })],
    ['for another path', () => ({ claims: { htu: `${stack.service.url}/v1/grants` } })],
    ['for another host', () => ({ claims: { htu: `http://bursar.example.com${SELF}` } })],
    [
      'for another scheme',
      () => ({ claims: { htu: (stack.service.url + SELF).replace('http', 'https') } }),
    ],
    ['for no URL', () => ({ claims: { htu: SELF } })],
    [
      'for a URL with a user',
      () => ({ claims: { htu: (stack.service.url + SELF).replace('//', '//me@') } }),
    ],
    ['of two minutes ago', () => ({ claims: { iat: now() - 120 } })],
    ['of 62 seconds ago', () => ({ claims: { iat: now() - 62 } })],
    ['of two minutes from now', () => ({ claims: { iat: now() + 120 } })],
    ['without a time', () => ({ claims: { iat: undefined } })],
    ['of a time that is none', () => ({ claims: { iat: '1e3' } })],
    ['without a jti', () => ({ claims: { jti: undefined } })],
    ['with an empty jti', () => ({ claims: { jti: '' } })],
    ['of more than 4 KiB', () => ({ claims: { more: 'x'.repeat(4_000) } })],
    ['without ath', () => ({ claims: { ath: undefined } })],
    [
      'for another token',
      () => ({ claims: { ath: createHash('sha256').update('x').digest('base64url') } }),
    ],
    ['that has expired by its own word', () => ({ claims: { exp: now() - 10 } })],
  ])('refuses a proof %s', async (_what, changes) => {
    const answer = await ask(await proofFor(changes()));
    expectProblem(answer, 401, 'invalid_dpop_proof');
  });

  it.each(['HS256', 'RS256', 'none'])('refuses a proof signed by %s', async (alg) => {
    const header = { alg, typ: 'dpop+jwt', jwk: prover.publicJwk };
    const claims = {
      jti: randomUUID(),
      htm: 'GET',
      htu: stack.service.url + SELF,
      iat: now(),
      ath: createHash('sha256').update(bound.token).digest('base64url'),
    };
    let proof: string;
    if (alg === 'none') {
      proof = `${[header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`;
    } else if (alg === 'HS256') {
      const secret = Buffer.from(JSON.stringify(prover.publicJwk));
      proof = await new SignJWT(claims).setProtectedHeader(header).sign(secret);
    } else {
      const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const jwk = rsa.publicKey.export({ format: 'jwk' });
      proof = await new SignJWT(claims).setProtectedHeader({ ...header, jwk }).sign(rsa.privateKey);
    }
    expectProblem(await ask(proof), 401, 'invalid_dpop_proof');
  });

  it('refuses a proof changed after it was signed, two proofs, and garbage', async () => {
    const proof = await proofFor();
    const [header, , signature] = proof.split('.');
    const other = (await proofFor()).split('.')[1];
    for (const wrong of [
      `${header}.${other}.${signature}`,
      `${proof}, ${await proofFor()}`,
      'x',
      'a.b.c',
      '',
      'é',
      'a'.repeat(5_000),
    ]) {
      expectProblem(await ask(wrong), 401, 'invalid_dpop_proof');
    }
  });

  it('refuses a proof in another spelling, and takes the two signatures of one proof once', async () => {
    const proof = await proofFor();
    for (const spelling of spellingsOf(proof)) {
      expectProblem(await ask(spelling), 401, 'invalid_dpop_proof');
    }
    expect((await ask(twinOf(proof))).status).toBe(200);
    expectProblem(await ask(proof), 401, 'invalid_dpop_proof');
  });

  it('takes a proof whose URL is written otherwise but is the same', async () => {
    const { host, port } = new URL(stack.service.url);
    for (const htu of [
      `HTTP://${host.toUpperCase()}${SELF}`,
      `http://127.0.0.1:${port}/v1/./grants/x/../self`,
      `http://${host}/v1/gr%61nts/self`,
      `http://${host}${SELF}?a=b#c`,
    ]) {
      expect((await ask(await proofFor({ claims: { htu } }))).status).toBe(200);
    }
  });

  it('stays bound when its token is issued anew, by whomever; the old token ends', async () => {
    const fresh = await stack.admin.post<Minted>(`/v1/grants/${bound.grant.id}/token`);
    const { token } = fresh.body;
    expect(decodeJwt(token).cnf).toEqual(decodeJwt(bound.token).cnf);
    expectProblem(await new Api(stack.service.url, token).get(SELF), 401, 'invalid_token');
    const old = await ask(await proofFor());
    expectProblem(old, 401, 'invalid_token');
    holder = new ProvingApi(stack.service.url, token, prover);
    bound = { ...bound, token };
    expect((await holder.get(SELF)).status).toBe(200);
    const renewed = await holder.post<Minted>(`/v1/grants/${bound.grant.id}/token`);
    bound = { ...bound, token: renewed.body.token };
    holder = new ProvingApi(stack.service.url, bound.token, prover);
    expect((await holder.get(SELF)).status).toBe(200);
  });

  it('may delegate to a holder with a key of its own, which is the one that counts there', async () => {
    const childKey = await newProver();
    const child = await holder.mint({ budget: '1.00', holderKey: childKey.publicJwk });
    const api = new ProvingApi(stack.service.url, child.token, childKey);
    await api.paid(order(stack.chain));
    const withParentsKey = new ProvingApi(stack.service.url, child.token, prover);
    expectProblem(await withParentsKey.get(SELF), 401, 'invalid_dpop_proof');
    const unbound = await holder.mint({ budget: '1.00' });
    expect(unbound.grant.holderKey).toBeNull();
    await new Api(stack.service.url, unbound.token).paid(order(stack.chain));
  });

  it('asks for a proof of the key that stands in the grant, whatever a token says', async () => {
    // The token looks as if signed before the grant was bound: the row decides.
    const { grant, token } = await stack.admin.mint({ budget: '1.00' });
    const stranger = await newProver();
    const { publicJwk } = stranger;
    await stack.db.query('ALTER TABLE grants DISABLE TRIGGER grants_no_rewrite');
    await stack.db.query(
      'UPDATE grants SET holder_key = $2, holder_key_thumbprint = $3 WHERE id = $1',
      [grant.id, publicJwk, await calculateJwkThumbprint(publicJwk)],
    );
    await stack.db.query('ALTER TABLE grants ENABLE TRIGGER grants_no_rewrite');
    expectProblem(await new Api(stack.service.url, token).get(SELF), 401, 'invalid_token');
  });

  it('a token that is not bound gains nothing by the DPoP scheme', async () => {
    const { token } = await stack.admin.mint({ budget: '1.00' });
    const proof = await prover.proof('GET', stack.service.url + SELF, token);
    expectProblem(await ask(proof, token), 401, 'invalid_token');
  });
});

describe('a holderKey', () => {
  const refuse = async (holderKey: unknown) => {
    const answer = await stack.admin.post('/v1/grants', {
      holder: 'x',
      budget: '1.00',
      ttlSeconds: 60,
      holderKey,
    });
    expectProblem(answer, 400, 'invalid_request');
    expect((answer.body as { field?: string }).field).toMatch(/^holderKey/);
    return answer.text;
  };

  it('with its private part is refused, and not repeated', async () => {
    const text = await refuse(prover.privateJwk);
    expect(text).toContain('holderKey.d');
    expect(text).not.toContain(prover.privateJwk.d);
  });

  it('that is no point of its curve, of another kind, or no key is refused', async () => {
    const { x } = prover.publicJwk;
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    for (const wrong of [
      { ...prover.publicJwk, y: x },
      { ...prover.publicJwk, x: 'short' },
      { ...prover.publicJwk, x: respelled(x ?? '') },
      { ...prover.publicJwk, crv: 'P-384' },
      { ...prover.publicJwk, more: 1 },
      rsa.export({ format: 'jwk' }),
      { kty: 'oct', k: 'c2VjcmV0' },
      {},
      'key',
      null,
      [],
    ]) {
      await refuse(wrong);
    }
  });
});

describe('what is remembered of proofs', () => {
  it('is kept for twice the window, and then forgotten', async () => {
    const jti = randomUUID();
    expect((await ask(await proofFor({ claims: { jti } }))).status).toBe(200);
    const hash = createHash('sha256')
      .update(`${await calculateJwkThumbprint(prover.publicJwk)}.${jti}`)
      .digest('base64url');
    const { rows } = await stack.db.query(
      `SELECT extract(epoch FROM expires_at - now()) AS seconds FROM dpop_proofs WHERE proof_hash = $1`,
      [hash],
    );
    expect(Number(rows[0]?.seconds)).toBeGreaterThan(110);
    expect(Number(rows[0]?.seconds)).toBeLessThanOrEqual(121);
  });
});
