import { canonicalJson, sha256Hex } from './canonical.js';
import type { Denial } from './denials.js';
import { Problem, type ProblemCode } from './problem.js';

/**
 * The figures that a sealed record only commits to, because holders read the record: counters and limits of grants above
 * theirs. The salt (128 random bits, hex) keeps a holder from guessing the rest.
 */
export type Opening = Readonly<Record<string, unknown>> & { readonly salt: string };

/** A commitment and what opens it. */
export interface ConcealedOpening {
  /** SHA-256 (hex) of the opening's canonical JSON. */
  readonly commitment: string;
  /** The opening with its commitment, as an `audit.opened` record lists it. */
  readonly entry: Opening & { readonly commitment: string };
  /** Characters of the opening's canonical JSON. */
  readonly size: number;
}

/** Commits to content with a salt. */
export function conceal(
  content: Readonly<Record<string, unknown>>,
  salt: string,
): ConcealedOpening {
  const text = canonicalJson({ ...content, salt });
  const commitment = sha256Hex(text);
  // The salt comes last: most entries are in canonical order then, and are written without a copy.
  return { commitment, entry: { ...content, commitment, salt }, size: text.length };
}

/** The answer to a grant's holder when a grant above its own refuses: the reason without its figures. */
const WITHOUT_FIGURES: Readonly<Partial<Record<ProblemCode, string>>> = {
  budget_exceeded: 'it is more than what remains of',
  per_payment_exceeded: 'it is more than one payment may be under',
  payments_exceeded: 'no payment is left of',
  window_exceeded: 'it is more than what remains of a window of',
  grant_expired: 'there is no time left of',
  grant_not_started: 'it is too early for',
};

type Figures = Pick<Denial, 'limit' | 'remaining' | 'detail'>;
type RefusalDenial = Denial<ProblemCode>;

/**
 * A denial as a holder may read it: `limit`, `remaining` and the figures of `detail` only of its own grant and
 * of those below. The treasury is above every grant.
 *
 * @param own - the grants that the reader holds, or that stand below its own.
 */
export function tellDenial<D extends RefusalDenial>(denial: D, own: readonly string[]): D {
  const { grantId, code, limit, remaining: _remaining, reopensAt: _reopens, ...rest } = denial;
  // The limit that a treasury names is the amount asked for. No holder is told what its wallets have left.
  if (code === 'treasury_insufficient') return { code, limit, ...rest } as D;
  if (grantId === undefined || own.includes(grantId)) return denial;
  const told = { code, grantId, ...rest };
  const what = WITHOUT_FIGURES[code];
  return (
    what === undefined ? told : { ...told, detail: `${what} grant ${grantId}, which is above` }
  ) as D;
}

/** The figures of a denial that {@link tellDenial} shortens; undefined where it tells everything. */
export function untold(denial: Denial, own: readonly string[]): Figures | undefined {
  if (tellDenial(denial, own) === denial) return undefined;
  const { limit, remaining, detail } = denial;
  return {
    detail,
    ...(limit === undefined ? {} : { limit }),
    ...(remaining === undefined ? {} : { remaining }),
  };
}

/**
 * Runs an act for the holder of a grant; what a grant above it refuses is told without its figures.
 *
 * @param own - the grants that the holder holds, or that stand below its own.
 */
export async function tellingOnlyOwn<T>(own: readonly string[], act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { code, detail, fields } = error;
    const denial = { code, detail, ...fields };
    const told = tellDenial(denial, own);
    if (told === denial) throw error;
    const { code: _code, detail: less, ...rest } = told;
    throw new Problem(code, less, rest);
  }
}
