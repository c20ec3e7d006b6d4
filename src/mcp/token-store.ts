import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../make-directory.js';

/** Claims that say which grant a token is of, and which of two is newer. Nothing here trusts them. */
interface TokenClaims {
  readonly sub?: unknown;
  readonly iat?: unknown;
}

/**
 * Keeps tokens in files that only their owner may read. A renewed token replaces the one that the host's configuration
 * has, which stops working: the next start reads the newer one from here.
 */
export class TokenStore {
  /** @param directory - made when the first token is written. */
  constructor(private readonly directory: string) {}

  /** The newest token of the grant that `configured` is of. */
  async newest(configured: string): Promise<string> {
    const { sub, iat } = claimsOf(configured);
    if (typeof sub !== 'string') return configured;
    const kept = await readFile(this.pathOf(sub, 'token'), 'utf8').catch(() => '');
    const known = claimsOf(kept.trim());
    // Whole seconds: of two of one second, the kept one is the renewal.
    const isNewer = known.sub === sub && Number(known.iat) >= Number(iat);
    return isNewer ? kept.trim() : configured;
  }

  /** Keeps a renewed token. */
  async keep(token: string): Promise<void> {
    const { sub } = claimsOf(token);
    if (typeof sub === 'string') await this.write(this.pathOf(sub, 'token'), `${token}\n`);
  }

  /**
   * Hands a child's token to whoever starts its holder: an env file.
   *
   * @returns its path.
   */
  async handOver(grantId: string, url: string, token: string): Promise<string> {
    const path = this.pathOf(grantId, 'env');
    await this.write(path, `BURSAR_URL=${url}\nBURSAR_TOKEN=${token}\n`);
    return path;
  }

  private pathOf(grantId: string, kind: 'token' | 'env'): string {
    // The id comes from a token or an answer: it must not lead anywhere else.
    return join(this.directory, `${grantId.replace(/[^a-z0-9_]/g, '')}.${kind}`);
  }

  private async write(path: string, text: string): Promise<void> {
    await makeDirectory(this.directory);
    // Renamed into place: a file that was there, or a link, keeps no mode and is not followed.
    const temporary = `${path}.${process.pid}`;
    await writeFile(temporary, text, { mode: 0o600, flag: 'wx' });
    await rename(temporary, path);
  }
}

function claimsOf(token: string): TokenClaims {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
  } catch {
    return {};
  }
}
