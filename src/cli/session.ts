import { UsageError } from '../options.js';
import { callerEnvironment } from './environment.js';
import { tell } from './output.js';
import { readProfile, writeProfile } from './profile.js';
import { Api, Bursar } from './sdk.js';

/** How the service is reached, and as whom. */
interface Access {
  readonly url: string;
  readonly token: string;
  /** Hears of each renewed token. Where nobody can keep one, none is renewed. */
  readonly onToken?: ((token: string) => void) | undefined;
  readonly renewToken: boolean;
  readonly fetch: typeof fetch;
}

/** Tells an admin who tries to pay what to do. */
export const ADMIN_PAYS_NOTHING =
  'an admin cannot pay; mint a grant and use its token: npx bursar grants mint --holder NAME --budget AMOUNT --ttl TIME --token-only';

/**
 * The access of the environment, else of the profile. Variables win, and one alone takes the other from the profile
 * only if that is of the same service: a token goes nowhere else.
 *
 * @throws UsageError naming what is missing.
 */
export function accessOf(environment = callerEnvironment()): Access {
  const { url: givenUrl, token: givenToken } = environment;
  if (givenUrl && givenToken) return accessTo(urlOf(givenUrl), givenToken);
  const profile = readProfile();
  if (!profile) {
    const missing = [givenUrl ? '' : 'BURSAR_URL', givenToken ? '' : 'BURSAR_TOKEN'];
    throw new UsageError(
      `${missing.filter(Boolean).join(' and ')} missing; set the environment, or run: npx bursar login`,
    );
  }
  if (givenToken) return accessTo(profile.url, givenToken);
  if (givenUrl && urlOf(givenUrl) !== profile.url) {
    throw new UsageError(
      `BURSAR_URL is ${givenUrl}, and the profile's token is for ${profile.url}; set BURSAR_TOKEN, or run: npx bursar login`,
    );
  }
  const onToken = (token: string) => storeRenewed(profile.url, token);
  return { ...accessTo(profile.url, profile.token), onToken, renewToken: true };
}

/** The access of an agent. @throws UsageError for an admin's: a host of an agent must not get that. */
export function agentAccess(environment = callerEnvironment()): Access {
  const access = accessOf(environment);
  if (grantOf(access.token) === undefined) throw new UsageError(ADMIN_PAYS_NOTHING);
  return access;
}

/** Stores a renewed token, unless somebody has logged out or in elsewhere meanwhile. */
function storeRenewed(url: string, token: string): void {
  try {
    const profile = readProfile();
    if (profile?.url !== url || grantOf(profile.token) !== grantOf(token)) return;
    writeProfile({ ...profile, token });
  } catch (error) {
    tell(`the renewed token was not stored: ${(error as Error).message}`);
  }
}

/** Access of a token that nobody keeps a renewal of. */
export function accessTo(url: string, token: string): Access {
  return { url, token, renewToken: false, fetch: fetchOf(url) };
}

/**
 * A `fetch` that tells where another program answers at the service's address: web pages and redirects become an error of
 * the contract's form. Requests to sellers pass unchanged.
 */
function fetchOf(url: string): typeof fetch {
  return async (input, init) => {
    if (!String(input).startsWith(`${url}/v1/`)) return fetch(input, init);
    const response = await fetch(input, { ...init, redirect: 'manual' });
    const { status, headers } = response;
    const type = headers.get('content-type');
    if (status >= 400 || status === 204 || /json|event-stream/.test(type ?? '')) return response;
    await response.body?.cancel();
    const found = headers.get('location') ?? type ?? 'no type of content';
    const detail = `${url} answered ${status} with ${found}; it is no Bursar service`;
    return Response.json({ code: 'not_bursar', detail, nextAction: 'stop' }, { status: 404 });
  };
}

/** The service's address as it is compared and stored: without a slash at its end. */
export function urlOf(text: string, givenAs = 'BURSAR_URL'): string {
  if (!URL.canParse(text) || !/^https?:/.test(text)) {
    throw new UsageError(`${givenAs} is "${text}"; give the address of the service, http(s)`);
  }
  // Some write the version of the API behind the address.
  return text.replace(/(\/v1)?\/*$/, '');
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

/** Whether the caller's token is an admin's. */
export function isAdmin(): boolean {
  return grantOf(accessOf().token) === undefined;
}

/** The grant that a command is about: the one that is named, else the caller's own. */
export function ownGrant(id: string | undefined): string {
  const own = id ?? grantOf(accessOf().token);
  if (own !== undefined) return own;
  throw new UsageError('name a grant: an admin has none of its own; see: npx bursar grants list');
}
