import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { requestedOrigin } from '../http/public-url.js';
import { open, seal } from './keys.js';
import { MasterSecret } from './master-secret.js';

/** The header that makes a session count. A form or an image of another site cannot send it. */
export const CONSOLE_HEADER = 'x-bursar-console';

/** The longest life of a session, in seconds. */
const MAX_SESSION_SECONDS = 12 * 3_600;

/** How long after its token was shown a session may do what needs a confirmation, in seconds. */
const CONFIRMED_SECONDS = 300;

/** How often a session's last use is written, in seconds. */
const SEEN_SECONDS = 10;

const SECRET = /^[A-Za-z0-9_-]{43}$/;

/** A session of the console, as a request presents it. */
export interface Session {
  /** The token that it was opened with, and stands for. */
  readonly token: string;
  readonly hash: string;
  readonly expiresAt: Date;
  /** Until when it may do what needs a confirmation. */
  readonly confirmedUntil: Date;
  readonly isConfirmed: boolean;
}

interface SessionRow {
  readonly sealedToken: Buffer;
  readonly expiresAt: Date;
  readonly confirmedUntil: Date;
  readonly isConfirmed: boolean;
}

/**
 * Sessions of the console: a cookie stands for the token that somebody signed in with. The guard takes the token as if it had
 * come in the request, so that a session can do no more than its token, and ends with it.
 *
 * A row holds the token sealed under a key of the cookie's secret and the master secret. Neither the database nor the master
 * secret alone opens it.
 */
@Injectable()
export class Sessions {
  constructor(
    private readonly database: Database,
    private readonly masterSecret: MasterSecret,
    @Inject(CONFIG) private readonly config: Pick<Config, 'consoleIdleSeconds' | 'publicUrl'>,
  ) {}

  /**
   * The session that a request presents; undefined for none. A cookie counts only beside {@link CONSOLE_HEADER}.
   *
   * @throws Problem `forbidden` for a request of another site.
   */
  async of(request: FastifyRequest): Promise<Session | undefined> {
    const activity = request.headers[CONSOLE_HEADER];
    const secret = this.cookieOf(request);
    if (activity === undefined || secret === undefined) return undefined;
    this.requireSameOrigin(request);
    const hash = hashOf(secret);
    const { rows } = await this.database.pool.query<SessionRow>(
      `SELECT sealed_token AS "sealedToken", expires_at AS "expiresAt",
         confirmed_at + $3 * interval '1 second' AS "confirmedUntil",
         confirmed_at > now() - $3 * interval '1 second' AS "isConfirmed"
       FROM console_sessions
       WHERE session_hash = $1 AND expires_at > now() AND seen_at > now() - $2 * interval '1 second'`,
      [hash, this.config.consoleIdleSeconds, CONFIRMED_SECONDS],
    );
    const [row] = rows;
    if (!row) return undefined;
    // Polling must not keep the session of somebody who left open.
    if (activity !== 'background') await this.seen(hash);
    const { sealedToken, ...times } = row;
    const token = open(sealedToken.toString('base64url'), this.keyOf(secret), hash);
    return { token, hash, ...times };
  }

  /**
   * Refuses what a page of another site could send.
   *
   * @throws Problem `forbidden`.
   */
  requireSameOrigin(request: FastifyRequest): void {
    const { origin } = request.headers;
    const site = request.headers['sec-fetch-site'];
    const own = new URL(this.config.publicUrl ?? requestedOrigin(request)).origin;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const isOwn =
      request.headers[CONSOLE_HEADER] !== undefined &&
      (site === undefined || site === 'same-origin') &&
      (origin === own || (isRead && origin === undefined));
    if (isOwn) return;
    throw new Problem(
      'forbidden',
      `the console's session is for pages of ${own} only; open the console there, or have its operator set BURSAR_PUBLIC_URL`,
    );
  }

  /**
   * Opens a session for a token that was verified.
   *
   * @param tokenExpiresAt - Unix seconds; the session ends then at the latest.
   * @param shownAt - when the person proved who they are, Unix seconds: now for a token that was shown.
   * @returns the value of `Set-Cookie`.
   */
  async open(token: string, tokenExpiresAt: number, shownAt = Date.now() / 1_000): Promise<string> {
    const secret = randomBytes(32).toString('base64url');
    const hash = hashOf(secret);
    const sealed = Buffer.from(seal(token, this.keyOf(secret), hash), 'base64url');
    const seconds = Math.min(MAX_SESSION_SECONDS, Math.floor(tokenExpiresAt - Date.now() / 1_000));
    await this.database.pool.query(
      `INSERT INTO console_sessions (session_hash, sealed_token, expires_at, confirmed_at)
       VALUES ($1, $2, now() + $3 * interval '1 second', least(now(), to_timestamp($4)))`,
      [hash, sealed, seconds, shownAt],
    );
    return this.setCookie(secret, seconds);
  }

  /** Notes that the token of a session was shown again. */
  async confirm({ hash }: Session): Promise<void> {
    await this.database.pool.query(
      'UPDATE console_sessions SET confirmed_at = now(), seen_at = now() WHERE session_hash = $1',
      [hash],
    );
  }

  /** Ends a session. @returns the value of `Set-Cookie`. */
  async close(session: Session | undefined): Promise<string> {
    if (session) {
      await this.database.pool.query('DELETE FROM console_sessions WHERE session_hash = $1', [
        session.hash,
      ]);
    }
    return this.setCookie('', 0);
  }

  private async seen(hash: string): Promise<void> {
    await this.database.pool.query(
      `UPDATE console_sessions SET seen_at = now()
       WHERE session_hash = $1 AND seen_at < now() - $2 * interval '1 second'`,
      [hash, SEEN_SECONDS],
    );
  }

  /**
   * Cookie of a login that is under way at the provider, for so long. Lax, because the provider's page leads back.
   *
   * @param sealed - empty to drop it.
   */
  loginCookie(sealed: string, maxAgeSeconds: number): string {
    return `${this.cookieName}-login=${sealed}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}${this.secure}`;
  }

  /** The login that a browser brings back from the provider. */
  loginOf(request: FastifyRequest): string | undefined {
    return cookieValue(request, `${this.cookieName}-login`);
  }

  private cookieOf(request: FastifyRequest): string | undefined {
    const value = cookieValue(request, this.cookieName);
    return value !== undefined && SECRET.test(value) ? value : undefined;
  }

  /** The prefix has browsers refuse one that was set without TLS, or by another host of the domain (RFC 6265bis, 4.1.3.2). */
  private get cookieName(): string {
    return this.isTls ? '__Host-bursar' : 'bursar';
  }

  private get isTls(): boolean {
    return this.config.publicUrl?.startsWith('https:') ?? false;
  }

  private get secure(): string {
    return this.isTls ? '; Secure' : '';
  }

  private setCookie(value: string, maxAgeSeconds: number): string {
    return `${this.cookieName}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}${this.secure}`;
  }

  private keyOf(secret: string): Buffer {
    const salt = this.masterSecret.derive('console-sessions');
    return Buffer.from(hkdfSync('sha256', secret, salt, 'bursar/console-session', 32));
  }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

function cookieValue({ headers }: FastifyRequest, name: string): string | undefined {
  for (const pair of headers.cookie?.split(';') ?? []) {
    const [key, value] = pair.trim().split('=', 2);
    if (key === name) return value;
  }
  return undefined;
}
