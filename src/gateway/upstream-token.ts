import type * as OAuth from 'openid-client';
import type { GatewayFile } from './gateway-file.js';
import { UpstreamFailure } from './upstream-failure.js';

/** The client that asks for tokens, as the file has it. */
export type OAuthClient = NonNullable<GatewayFile['upstreamOAuth']>;

/** Seconds before its end at which a token is asked for anew. */
const EARLY_SECONDS = 30;

/** Seconds for which a token is used whose server names no end. */
const UNNAMED_SECONDS = 300;

/** Seconds that a server has to answer. */
const ANSWER_SECONDS = 10;

/**
 * The access token that the upstream asks for: OAuth 2.0 client credentials (RFC 6749, section 4.4). One is kept until
 * shortly before its end; however many calls need one, it is asked for once.
 */
export class UpstreamToken {
  #configuration: OAuth.Configuration | undefined;
  #token: { readonly value: string; readonly until: number } | undefined;
  #asking: Promise<string> | undefined;

  constructor(private readonly client: OAuthClient) {}

  /**
   * The value of the header `authorization`.
   *
   * @throws UpstreamFailure when the server gives no token.
   */
  async authorization(): Promise<string> {
    if (this.#token && this.#token.until > performance.now()) return this.#token.value;
    this.#asking ??= this.ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Forgets a token that the upstream refused: the next call asks for another. */
  forget(refused: string): void {
    if (this.#token?.value === refused) this.#token = undefined;
  }

  private async ask(): Promise<string> {
    const { scope, audience } = this.client;
    const oauth = await import('openid-client');
    let answer: Awaited<ReturnType<typeof oauth.clientCredentialsGrant>>;
    try {
      answer = await oauth.clientCredentialsGrant(this.configuration(oauth), {
        ...(scope === undefined ? {} : { scope }),
        ...(audience === undefined ? {} : { audience }),
      });
    } catch (error) {
      throw new UpstreamFailure(`has no token for this gateway (${whyOf(error)})`);
    }
    const seconds = answer.expiresIn() ?? UNNAMED_SECONDS;
    const value = `Bearer ${answer.access_token}`;
    const until = performance.now() + Math.max(0, seconds - EARLY_SECONDS) * 1_000;
    this.#token = { value, until };
    return value;
  }

  private configuration(oauth: typeof OAuth): OAuth.Configuration {
    if (this.#configuration) return this.#configuration;
    const { tokenUrl, clientId, clientSecret } = this.client;
    const server = { issuer: new URL(tokenUrl).origin, token_endpoint: tokenUrl };
    const configuration = new oauth.Configuration(
      server,
      clientId,
      undefined,
      oauth.ClientSecretBasic(clientSecret),
    );
    configuration.timeout = ANSWER_SECONDS;
    // An API behind a gateway may be reached by plain HTTP within a house; so may its server of tokens.
    if (tokenUrl.startsWith('http:')) oauth.allowInsecureRequests(configuration);
    this.#configuration = configuration;
    return configuration;
  }
}

/** The error code of the server (RFC 6749, section 5.2), in its body or its challenge; else that of the library. */
function whyOf(failure: unknown): string {
  const { error, cause, code } = failure as { error?: unknown; cause?: unknown; code?: unknown };
  const [challenge] = Array.isArray(cause) ? (cause as { parameters?: { error?: unknown } }[]) : [];
  const said = [error, challenge?.parameters?.error, code].find((each) => typeof each === 'string');
  return String(said ?? 'no answer').slice(0, 100);
}
