/** The longest request target that is read, in bytes. */
const MAX_TARGET_BYTES = 8_192;

/** A request target that has one meaning: what is matched with the operations is what is sent on. */
export interface RequestTarget {
  /** Segments of the path, each decoded once. `/a/b` has two, `/` has one empty segment. */
  readonly segments: readonly string[];
  /** The path in its one spelling. */
  readonly path: string;
  /** The query with its question mark as it was sent, or an empty text. */
  readonly query: string;
}

/** A target that two programs could read differently. The message completes "the path". */
export class AmbiguousTarget extends Error {}

/** RFC 3986: unreserved, sub-delims, ":" and "@", besides percent-encoded bytes. */
const PATH = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/;
/** Brackets and bars stand in the queries of many clients, unencoded. They have no meaning there. */
const QUERY = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?[\]|{}^`"<>\\]|%[0-9A-Fa-f]{2})*$/;
/** The characters of a segment that stay as they are. */
const KEPT = /[^A-Za-z0-9\-._~!$&'()*+,;=:@]/gu;
/** Encoded once more than needed: a server that decodes twice would see a separator or a dot. */
const TWICE = /%(?:2f|5c|2e|25|00)/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Reads the target of a request line (RFC 9112, section 3.2.1) strictly. Path traversal, and every spelling that servers
 * are known to read differently, is refused instead of normalised: a path that means one thing here and another at the
 * upstream would be an operation that is sold for the price of another.
 *
 * @param target - as it was sent: `/path?query`.
 * @throws AmbiguousTarget
 */
export function parseTarget(target: string): RequestTarget {
  if (target.length > MAX_TARGET_BYTES) throw new AmbiguousTarget('is too long');
  if (!target.startsWith('/')) throw new AmbiguousTarget('must begin with a slash');
  const mark = target.indexOf('?');
  const rawPath = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? '' : target.slice(mark);
  if (!PATH.test(rawPath)) {
    throw new AmbiguousTarget(
      'has a backslash, a bad percent-encoding or a character to be encoded',
    );
  }
  if (!QUERY.test(query.slice(1))) {
    throw new AmbiguousTarget(
      'is followed by a query with a bad percent-encoding or a character to be encoded',
    );
  }
  const raw = rawPath.slice(1).split('/');
  const segments = raw.map((segment, place) => decodeSegment(segment, place === raw.length - 1));
  return { segments, path: `/${segments.map(encodeSegment).join('/')}`, query };
}

/** One spelling of a segment: what may stay stays, everything else is encoded in upper case. */
export function encodeSegment(segment: string): string {
  return segment.replace(KEPT, (character) => encodeURIComponent(character));
}

function decodeSegment(raw: string, isLast: boolean): string {
  // A slash at the end is one empty segment; two in a row are not one slash.
  if (raw === '' && !isLast) throw new AmbiguousTarget('has two slashes in a row');
  let segment: string;
  try {
    segment = decodeURIComponent(raw);
  } catch {
    throw new AmbiguousTarget('is not UTF-8');
  }
  if (segment.includes('/') || segment.includes('\\')) {
    throw new AmbiguousTarget('has an encoded slash or backslash');
  }
  if (CONTROLS.test(segment)) throw new AmbiguousTarget('has a control character');
  if (TWICE.test(segment)) throw new AmbiguousTarget('is encoded twice');
  // Some servers cut off what follows a semicolon, and then read the dots.
  const name = segment.split(';', 1)[0]?.trim();
  if (name === '.' || name === '..' || (name === '' && segment !== '')) {
    throw new AmbiguousTarget('has a segment of dots, spaces or parameters alone');
  }
  return segment;
}
