import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { calculateJwkThumbprint, exportJWK, type JWK } from 'jose';
import type { ClientBase } from 'pg';
import { ConfigError } from '../config/config-error.js';
import { Database } from '../database/database.js';
import { appendServiceEvent } from '../ledger/service-events.js';
import { MasterSecret } from './master-secret.js';
import { openBytes, sealBytes } from './sealing.js';

/** An ES256 key that tokens are signed with. */
export interface TokenKey {
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly publicJwk: JWK;
  /** PEM (PKCS #8, SPKI). */
  readonly privatePem: string;
  readonly publicPem: string;
  /** Whether it may sign yet, by the database's clock when it was read. */
  readonly signs: boolean;
}

/** State of a key: published only, signing, verifying older tokens, nothing. */
export type KeyState = 'next' | 'signing' | 'verifying' | 'retired';

/** A key as `bursar keys list` shows it. */
export interface KeyListing {
  readonly kid: string;
  readonly state: KeyState;
  readonly createdAt: Date;
  readonly signsFrom: Date;
  readonly retiredAt: Date | undefined;
}

/** How often a process looks for keys that were made or retired elsewhere, in milliseconds. */
const REFRESH_MS = 5_000;

/** How soon after a look the next unknown key id may cause another, in milliseconds. */
const SEEK_AGAIN_MS = 1_000;

/** Any number of its own: making and retiring keys is done one at a time. */
const KEYS_LOCK = 4026532;

/**
 * The keys tokens are signed with. They live in the database, so that every process has the same
 * ones; the private halves are sealed with AES-256-GCM under the master secret.
 *
 * A rotation adds a key, which is published at once and signs a little later; the keys before it go on
 * verifying until they are retired. Every process looks again every few seconds, and at once when a
 * token names a key it does not know: none has to restart, and no request is refused for a rotation.
 */
@Injectable()
export class Keys implements OnModuleInit, OnModuleDestroy {
  readonly #log = new Logger('access');
  #keys: readonly TokenKey[] = [];
  #loading: Promise<void> | undefined;
  #loadedAt = 0;
  #refresh: NodeJS.Timeout | undefined;

  constructor(
    private readonly database: Database,
    private readonly masterSecret: MasterSecret,
  ) {}

  onModuleInit(): void {
    this.#refresh = setInterval(() => void this.reload(), REFRESH_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.#refresh);
  }

  /**
   * Loads the keys, making the first one if there is none.
   *
   * @throws ConfigError when the master secret is not the one they were sealed under.
   */
  async load(): Promise<void> {
    const secret = this.sealingKey();
    if (!(await this.read(secret))) {
      // Two processes that start together on a new database must end up with one and the same key.
      await this.exclusively(async (tx) => {
        const { rows } = await tx.query('SELECT 1 FROM signing_keys WHERE retired_at IS NULL');
        if (rows.length === 0) await insertKey(tx, secret, 0);
      });
      await this.read(secret);
    }
  }

  /** The key new tokens are signed with: the newest that may sign. */
  current(): TokenKey {
    const key = this.#keys.find(({ signs }) => signs);
    if (!key) throw new Error('no signing key is loaded');
    return key;
  }

  /** A key tokens may still be verified with. */
  find(kid: string): TokenKey | undefined {
    return this.#keys.find((key) => key.kid === kid);
  }

  /** The same, looking into the database for one that is not known here yet, but not without end. */
  async seek(kid: string): Promise<TokenKey | undefined> {
    const known = this.find(kid);
    if (known || Date.now() < this.#loadedAt + SEEK_AGAIN_MS) return known;
    await this.reload();
    return this.find(kid);
  }

  /** Every key there ever was, the newest first. */
  async list(): Promise<KeyListing[]> {
    const { rows } = await this.database.pool.query<{
      kid: string;
      created_at: Date;
      signs_from: Date;
      retired_at: Date | null;
      may_sign: boolean;
    }>(
      `SELECT kid, created_at, signs_from, retired_at, signs_from <= clock_timestamp() AS may_sign
       FROM signing_keys ORDER BY signs_from DESC, created_at DESC, kid`,
    );
    const signing = rows.find((row) => row.retired_at === null && row.may_sign);
    return rows.map((row) => ({
      kid: row.kid,
      state: stateOf(row, signing),
      createdAt: row.created_at,
      signsFrom: row.signs_from,
      retiredAt: row.retired_at ?? undefined,
    }));
  }

  /**
   * Makes a new key. It is in the key set at once, and signs after `leadSeconds`.
   *
   * @returns its id.
   */
  async rotate(leadSeconds: number): Promise<string> {
    const kid = await this.exclusively((tx) => insertKey(tx, this.sealingKey(), leadSeconds));
    await this.read(this.sealingKey());
    return kid;
  }

  /**
   * Retires a key for good: tokens it signed are refused, by every process within a few seconds.
   *
   * @throws Error with one line when there is no such key, or when it is the one that signs.
   */
  async retire(kid: string): Promise<void> {
    await this.exclusively(async (tx) => {
      const { rows } = await tx.query<{ kid: string; retired: boolean; may_sign: boolean }>(
        `SELECT kid, retired_at IS NOT NULL AS retired, signs_from <= clock_timestamp() AS may_sign
         FROM signing_keys ORDER BY signs_from DESC, created_at DESC, kid`,
      );
      const key = rows.find((row) => row.kid === kid);
      if (!key) throw new Error(`there is no key ${kid}; see: npx bursar keys list`);
      if (key.retired) return;
      if (rows.find((row) => !row.retired && row.may_sign) === key) {
        throw new Error(
          `${kid} signs the tokens now; make another first (npx bursar keys rotate) and wait until it signs`,
        );
      }
      await tx.query('UPDATE signing_keys SET retired_at = clock_timestamp() WHERE kid = $1', [
        kid,
      ]);
      await appendServiceEvent(tx, {
        kind: 'key.retired',
        actor: 'system:access',
        data: { use: 'tokens', algorithm: 'ES256', kid },
      });
    });
    await this.read(this.sealingKey());
  }

  /** The public keys as a JWK set (RFC 7517). */
  jwks(): { keys: JWK[] } {
    return {
      keys: this.#keys.map(({ publicJwk, kid }) => ({
        ...publicJwk,
        kid,
        alg: 'ES256',
        use: 'sig',
      })),
    };
  }

  /** Looks for keys made or retired elsewhere. Those at hand go on serving when it cannot. */
  private reload(): Promise<void> {
    this.#loading ??= this.read(this.sealingKey())
      .then(
        () => {},
        (error: Error) => this.#log.warn(`the signing keys could not be read: ${error.message}`),
      )
      .finally(() => {
        this.#loading = undefined;
      });
    return this.#loading;
  }

  /** @returns whether there is any key. */
  private async read(secret: Buffer): Promise<boolean> {
    this.#loadedAt = Date.now();
    const { rows } = await this.database.pool.query<{
      kid: string;
      public_jwk: JWK;
      sealed_private: string;
      signs: boolean;
    }>(
      `SELECT kid, public_jwk, sealed_private, signs_from <= clock_timestamp() AS signs
       FROM signing_keys WHERE retired_at IS NULL ORDER BY signs_from DESC, created_at DESC, kid`,
    );
    this.#keys = rows.map(({ kid, public_jwk, sealed_private, signs }) => {
      const known = this.find(kid);
      return known
        ? { ...known, signs }
        : toTokenKey(kid, public_jwk, open(sealed_private, secret, kid), signs);
    });
    return rows.length > 0;
  }

  private exclusively<T>(work: (tx: ClientBase) => Promise<T>): Promise<T> {
    return this.database.transaction(async (tx) => {
      await tx.query('SELECT pg_advisory_xact_lock($1)', [KEYS_LOCK]);
      return work(tx);
    });
  }

  private sealingKey(): Buffer {
    return this.masterSecret.derive('signing-keys');
  }
}

async function insertKey(tx: ClientBase, secret: Buffer, leadSeconds: number): Promise<string> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await tx.query(
    `INSERT INTO signing_keys (kid, algorithm, public_jwk, sealed_private, created_at, signs_from)
     VALUES ($1, 'ES256', $2, $3, clock_timestamp(), clock_timestamp() + $4 * interval '1 second')`,
    [kid, publicJwk, seal(pem, secret, kid), leadSeconds],
  );
  await appendServiceEvent(tx, {
    kind: 'key.created',
    actor: 'system:access',
    data: { use: 'tokens', algorithm: 'ES256', kid },
  });
  return kid;
}

function stateOf(
  key: { kid: string; retired_at: Date | null; may_sign: boolean },
  signing: { kid: string } | undefined,
): KeyState {
  if (key.retired_at !== null) return 'retired';
  if (!key.may_sign) return 'next';
  return key.kid === signing?.kid ? 'signing' : 'verifying';
}

function toTokenKey(kid: string, publicJwk: JWK, privatePem: string, signs: boolean): TokenKey {
  const privateKey: KeyObject = createPrivateKey(privatePem);
  const publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
  return { kid, publicJwk, privatePem, publicPem, signs };
}

/** Seals a text under its key's id, so that sealed keys cannot be swapped. */
export function seal(plain: string, secret: Buffer, kid: string): string {
  return sealBytes(Buffer.from(plain), secret, kid).toString('base64url');
}

/** The plain text of what {@link seal} made. @throws ConfigError when the secret is another one. */
export function open(sealed: string, secret: Buffer, kid: string): string {
  try {
    return openBytes(Buffer.from(sealed, 'base64url'), secret, kid).toString('utf8');
  } catch {
    throw new ConfigError([
      `BURSAR_MASTER_SECRET: does not open the signing key ${kid} of this database; give the secret the ` +
        'key was made under (without the variable it is the file "master-secret" in BURSAR_DATA_DIR)',
    ]);
  }
}
