import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { readBounded } from '../http/read-bounded.js';

/** How long the provider may take for one answer, in milliseconds. */
const TIMEOUT_MS = 5_000;

/** How soon after one look-up, also one that failed, the next may be made, in milliseconds. */
export const LOOK_AGAIN_MS = 5_000;

/** How long keys are used without asking for them again, in milliseconds: a key taken away there ends here. */
const MAX_AGE_MS = 600_000;

/** The longest discovery document or key set that is read, in bytes. */
const MAX_BYTES = 262_144;

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url().max(2_048) });

const keySetSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(256) });

/** The provider's keys cannot be had now. */
export class ProviderUnavailable extends Error {
  override readonly name = 'ProviderUnavailable';
}

/**
 * The keys of one OpenID provider, by its own documents (OpenID Connect Discovery 1.0, RFC 7517).
 *
 * Tokens that nobody has verified yet ask for them, so nothing in a token may make the service call out: there is
 * one look-up at a time and one in {@link LOOK_AGAIN_MS}, whether a key is unknown or the provider fails.
 */
export class ProviderKeys {
  #keys: { readonly find: JWTVerifyGetKey; readonly readAt: number } | undefined;
  #looking: Promise<void> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly issuer: string,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * The key a token names.
   *
   * @throws JOSEError when the provider has no such key, {@link ProviderUnavailable} when its keys cannot be had.
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    if (!this.#keys || this.now() > this.#keys.readAt + MAX_AGE_MS) {
      this.#keys = undefined;
      await this.look();
    }
    try {
      return await this.known(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.mayLook()) throw error;
      await this.look();
      return this.known(header, token);
    }
  };

  private async known(...token: Parameters<JWTVerifyGetKey>) {
    if (!this.#keys) throw new ProviderUnavailable('its keys were not read');
    return this.#keys.find(...token);
  }

  private mayLook(): boolean {
    return this.#looking !== undefined || this.now() >= this.#lookedAt + LOOK_AGAIN_MS;
  }

  private look(): Promise<void> {
    if (!this.mayLook()) return Promise.reject(new ProviderUnavailable('it failed a moment ago'));
    this.#looking ??= this.read()
      .catch((error: Error) => {
        throw new ProviderUnavailable(error.message);
      })
      .finally(() => {
        this.#lookedAt = this.now();
        this.#looking = undefined;
      });
    return this.#looking;
  }

  private async read(): Promise<void> {
    const document = discoverySchema.parse(
      await getJson(`${this.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`),
    );
    // Section 4.3: a document that speaks for another issuer would hand us another's keys.
    if (document.issuer !== this.issuer) throw new ProviderUnavailable('it names another issuer');
    const { protocol, origin } = new URL(document.jwks_uri);
    if (protocol !== 'https:' && origin !== new URL(this.issuer).origin) {
      throw new ProviderUnavailable('its jwks_uri is not an https URL');
    }
    const keys = keySetSchema.parse(await getJson(document.jwks_uri));
    this.#keys = { find: createLocalJWKSet(keys), readAt: this.now() };
  }
}

async function getJson(url: string): Promise<unknown> {
  // A redirect could lead to another's document, or into the network behind this service.
  const response = await fetch(url, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    redirect: 'error',
    headers: { accept: 'application/json' },
  });
  if (response.status !== 200) throw new ProviderUnavailable(`it answered ${response.status}`);
  return JSON.parse(await readBounded(response, MAX_BYTES));
}
