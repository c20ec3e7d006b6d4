import { Inject, Injectable, Logger } from '@nestjs/common';
import { decodeJwt } from 'jose';
import type * as Client from 'openid-client';
import { z } from 'zod';
import { CONFIG, type Config } from '../config/config.js';
import { Problem } from '../domain/problem.js';
import { readBounded } from '../http/read-bounded.js';
import { MasterSecret } from './master-secret.js';
import { LOOK_AGAIN_MS } from './provider-keys.js';
import { openBytes, sealBytes } from './sealing.js';

/** How long somebody may take at the provider, in seconds. */
export const LOGIN_SECONDS = 600;

/** How old a sign-in at the provider may be that somebody was asked to repeat, in seconds. */
const REPEATED_SECONDS = 120;

/** How long the provider may take for one answer, in seconds. */
const TIMEOUT_SECONDS = 5;

/** How many codes are redeemed at once: strangers must not have the service call out without a bound. */
const MAX_REDEEMING = 8;

/** The longest answer of the provider that is read, in bytes. */
const MAX_BYTES = 262_144;

/** Errors of the library that tell of a refusal, and not of a provider that is away. */
const REFUSALS: ReadonlySet<string> = new Set([
  'AuthorizationResponseError',
  'ClientError',
  'ResponseBodyError',
]);

const SEAL = 'console-login';

const pendingSchema = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  redirectUri: z.string(),
  /** The page of the console that the person comes back to. */
  place: z.string(),
  isAgain: z.boolean(),
  /** Unix milliseconds. */
  expiresAt: z.number(),
});
type Pending = z.infer<typeof pendingSchema>;

/** A sign-in that came back from the provider. */
export interface ProviderLogin {
  /** The tokens that may stand for the person, the better one first. None is verified for its audience or role yet. */
  readonly tokens: readonly string[];
  /** When the person proved who they are, by the provider; Unix seconds. */
  readonly authenticatedAt: number | undefined;
  /** The page of the console that the login was begun on. */
  readonly place: string;
}

/**
 * Signs people in at the OpenID provider: authorization code flow with PKCE (OpenID Connect Core 1.0, section 3.1; RFC 7636).
 * State, nonce and verifier of a login travel sealed in a cookie of the browser that began it.
 */
@Injectable()
export class ProviderLogins {
  readonly #log = new Logger('access');
  readonly #key: Buffer;
  #client: Promise<Client.Configuration> | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;
  #redeeming = 0;

  constructor(
    masterSecret: MasterSecret,
    @Inject(CONFIG) private readonly config: Pick<Config, 'oidc'>,
  ) {
    this.#key = masterSecret.derive('console-logins');
  }

  /** Whether people can sign in at a provider. */
  get isOn(): boolean {
    return this.config.oidc?.clientId !== undefined;
  }

  /**
   * Begins a login.
   *
   * @param redirectUri - where the provider sends the browser back to.
   * @param place - the page of the console that the person comes back to.
   * @param isAgain - whether the provider must ask the person, signed in or not.
   * @returns where to send the browser, and what it must bring back in a cookie.
   * @throws Problem `not_found` where no provider is set, `unavailable` when it does not answer.
   */
  async begin(
    redirectUri: string,
    { place, isAgain }: { readonly place: string; readonly isAgain: boolean },
  ): Promise<{ url: string; sealed: string }> {
    const oidc = this.config.oidc;
    if (oidc?.clientId === undefined) {
      throw new Problem('not_found', 'no provider is set to sign in with (BURSAR_OIDC_CLIENT_ID)');
    }
    const client = await import('openid-client');
    const configuration = await this.provider(client);
    const pending: Pending = {
      state: client.randomState(),
      nonce: client.randomNonce(),
      verifier: client.randomPKCECodeVerifier(),
      redirectUri,
      place,
      isAgain,
      expiresAt: Date.now() + LOGIN_SECONDS * 1_000,
    };
    const url = client.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: oidc.scope,
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(pending.verifier),
      code_challenge_method: 'S256',
      ...(isAgain ? { prompt: 'login', max_age: '0' } : {}),
    });
    const sealed = sealBytes(Buffer.from(JSON.stringify(pending)), this.#key, SEAL);
    return { url: url.href, sealed: sealed.toString('base64url') };
  }

  /**
   * Ends a login: redeems the code.
   *
   * @param query - what the provider sent back, from its `?` on.
   * @param sealed - the cookie.
   * @throws Problem `forbidden` for a login that this browser did not begin, that took too long, or that the provider or the
   *   person refused; `unavailable` when the provider does not answer.
   */
  async finish(query: string, sealed: string): Promise<ProviderLogin> {
    const pending = this.opened(sealed);
    if (!pending || pending.expiresAt < Date.now()) {
      throw new Problem('forbidden', 'this login was not begun here, or it took too long');
    }
    if (this.#redeeming >= MAX_REDEEMING) {
      throw new Problem('unavailable', 'too many logins at once; try again', {
        retryAfterSeconds: 1,
      });
    }
    this.#redeeming += 1;
    try {
      const client = await import('openid-client');
      const configuration = await this.provider(client);
      const answer = await client.authorizationCodeGrant(
        configuration,
        new URL(query, pending.redirectUri),
        {
          pkceCodeVerifier: pending.verifier,
          expectedState: pending.state,
          expectedNonce: pending.nonce,
          idTokenExpected: true,
          ...(pending.isAgain ? { maxAge: REPEATED_SECONDS } : {}),
        },
      );
      const { access_token: accessToken, id_token: idToken } = answer;
      return {
        tokens: [accessToken, idToken].filter((token) => token !== undefined),
        authenticatedAt: idToken === undefined ? undefined : authenticatedAt(idToken),
        place: pending.place,
      };
    } catch (error) {
      throw this.told(error);
    } finally {
      this.#redeeming -= 1;
    }
  }

  /** The provider by its discovery document, which is read once. */
  private async provider(client: typeof Client): Promise<Client.Configuration> {
    const { oidc } = this.config;
    if (oidc?.clientId === undefined) throw new Error('no provider is set');
    // Strangers begin logins too: while the provider fails, they must not have it asked again and again.
    if (performance.now() < this.#failedAt + LOOK_AGAIN_MS) throw unavailable();
    const issuer = new URL(oidc.issuer);
    const insecure = issuer.protocol === 'http:' ? [client.allowInsecureRequests] : [];
    this.#client ??= client.discovery(issuer, oidc.clientId, undefined, client.None(), {
      timeout: TIMEOUT_SECONDS,
      execute: insecure,
      [client.customFetch]: fetchBounded,
    });
    try {
      return await this.#client;
    } catch (error) {
      this.#client = undefined;
      this.#failedAt = performance.now();
      this.log(error);
      throw unavailable();
    }
  }

  private opened(sealed: string): Pending | undefined {
    try {
      const text = openBytes(Buffer.from(sealed, 'base64url'), this.#key, SEAL).toString('utf8');
      return pendingSchema.parse(JSON.parse(text));
    } catch {
      return undefined;
    }
  }

  /** The log has every reason; the browser is told which kind it is. */
  private told(error: unknown): Problem {
    if (error instanceof Problem) return error;
    this.log(error);
    const isRefusal = REFUSALS.has((error as Error).name);
    return isRefusal
      ? new Problem('forbidden', 'the identity provider refused the login')
      : unavailable();
  }

  private log(error: unknown): void {
    const { name, message, cause } = error as Error & { cause?: unknown };
    const why = cause instanceof Error ? ` (${cause.message})` : '';
    this.#log.warn(`a login at the provider failed: ${name}: ${message}${why}`);
  }
}

/** `fetch` that follows no redirect, which could lead into the network behind this service, and reads no endless answer. */
async function fetchBounded(url: string, options: Client.CustomFetchOptions): Promise<Response> {
  const answer = await fetch(url, { ...(options as RequestInit), redirect: 'error' });
  const text = await readBounded(answer, MAX_BYTES);
  return new Response(text, { status: answer.status, headers: answer.headers });
}

function unavailable(): Problem {
  return new Problem('unavailable', 'the identity provider does not answer; try again', {
    retryAfterSeconds: 5,
  });
}

function authenticatedAt(idToken: string): number | undefined {
  const { auth_time: at } = decodeJwt(idToken);
  return typeof at === 'number' && Number.isSafeInteger(at) && at >= 0 ? at : undefined;
}
