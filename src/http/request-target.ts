/** Error for other request targets. */
export const NOT_PLAIN = 'the request target must be a plain path, such as /v1/grants';

/** The paths of nearly every request: words between single slashes. Nobody reads them in two ways. */
const ORDINARY = /^(?:\/[\w-]+)+$/;

/** A path of printable ASCII without backslashes and empty segments; a query may follow. */
const PLAIN = /^(?:\/[\x21-\x2e\x30-\x3e\x40-\x5b\x5d-\x7e]+)*\/?$/;

/** A dot segment, or an encoded slash, backslash or NUL. */
const AMBIGUOUS = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)|%(?:2f|5c|00)/i;

/**
 * Whether a request's target is a plain path (origin-form, RFC 9112, section 3.2.1) that every proxy, router and
 * check reads alike. Absolute URLs, `//host`, `*` and paths with dot segments are not.
 */
export function isPlainTarget(target: string): boolean {
  if (ORDINARY.test(target)) return true;
  const [path = ''] = target.split('?', 1);
  return path.startsWith('/') && PLAIN.test(path) && !AMBIGUOUS.test(path);
}
