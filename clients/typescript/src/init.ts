import { misuse } from './errors.js';

/** Further members of the second argument of `fetch`: of the standard, and of Node, Bun, Deno, Next.js and Cloudflare. */
const MEMBERS = [
  ...['method', 'headers', 'body', 'duplex', 'priority', 'window'],
  ...['dispatcher', 'client', 'proxy', 'tls', 'unix', 'next', 'cf'],
];

/**
 * Lets an option pass that some `fetch` takes.
 *
 * @throws BursarError `invalid_request` for any other: a misspelt limit must not be left out.
 */
export function requireInitMember(name: string): void {
  if (!MEMBERS.includes(name)) {
    throw misuse(`there is no option "${name}"; see PaymentOptions, such as maxAmount and intent`);
  }
}
