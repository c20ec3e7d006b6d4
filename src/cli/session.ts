import { UsageError } from '../options.js';
import { callerEnvironment } from './environment.js';
import { readProfile, writeProfile } from './profile.js';
import { Api, Bursar } from './sdk.js';

/** How the service is reached, and as whom. */
interface Access {
  readonly url: string;
  readonly token: string;
  /** Hears of each renewed token. Where nobody can keep one, none is renewed. */
  readonly onToken?: ((token: string) => void) | undefined;
  readonly renewToken: boolean;
}

/**
 * The access of the environment, else of the profile. Variables win, and one alone takes the other from the profile
 * only if that is of the same service: a token goes nowhere else.
 *
 * @throws UsageError naming what is missing.
 */
export function accessOf(environment = callerEnvironment()): Access {
  const { url: givenUrl, token: givenToken } = environment;
  if (givenUrl && givenToken) return { url: urlOf(givenUrl), token: givenToken, renewToken: false };
  const profile = readProfile();
  if (!profile) {
    const missing = [givenUrl ? '' : 'BURSAR_URL', givenToken ? '' : 'BURSAR_TOKEN'];
    throw new UsageError(
      `${missing.filter(Boolean).join(' and ')} missing; set the environment, or run: npx bursar login`,
    );
  }
  if (givenToken) return { url: profile.url, token: givenToken, renewToken: false };
  if (givenUrl && urlOf(givenUrl) !== profile.url) {
    throw new UsageError(
      `BURSAR_URL is ${givenUrl}, and the profile's token is for ${profile.url}; set BURSAR_TOKEN, or run: npx bursar login`,
    );
  }
  const onToken = (token: string) => void writeProfile({ ...profile, token });
  return { ...profile, onToken, renewToken: true };
}

/** The service's address as it is compared and stored: without a slash at its end. */
export function urlOf(text: string): string {
  if (!URL.canParse(text) || !/^https?:/.test(text)) {
    throw new UsageError(`BURSAR_URL is "${text}"; give the address of the service, http(s)`);
  }
  return text.replace(/\/+$/, '');
}

/** A `Bursar` with the caller's access. */
export function openBursar(): Bursar {
  return new Bursar(accessOf());
}

/** The REST contract with the caller's access, for what the SDK has no method for. */
export function openApi(): Api {
  return new Api(accessOf());
}

/** The grant that a token is for; undefined for an admin's. */
export function grantOf(token: string): string | undefined {
  try {
    const { sub } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    return typeof sub === 'string' && sub.startsWith('grt_') ? sub : undefined;
  } catch {
    return undefined;
  }
}

/** The grant that a command is about: the one that is named, else the caller's own. */
export function ownGrant(id: string | undefined): string {
  const own = id ?? grantOf(accessOf().token);
  if (own !== undefined) return own;
  throw new UsageError('name a grant: an admin has none of its own; see: npx bursar grants list');
}
