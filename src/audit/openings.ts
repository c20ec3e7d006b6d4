import { type OpenedFigures, openedBy } from '../domain/opened.js';

/** At most so many wait for the record that commits to them: a batch's stand right behind its openings. */
const MAX_WAITING = 10_000;

/**
 * Holds what opens the commitments of a log until the records that commit to it come, and finds commitments
 * that nothing opens. Openings stand in the log before the records of their batch.
 */
export class Openings {
  readonly #waiting = new Map<string, OpenedFigures>();

  /** Takes the openings of one record. @throws Error for one that is not what its commitment is of. */
  add({ openings }: Readonly<Record<string, unknown>>): undefined {
    if (!Array.isArray(openings)) throw new Error('openings is not a list');
    for (const each of openings) {
      const [commitment, figures] = openedBy(each);
      if (this.#waiting.has(commitment)) {
        throw new Error(`the commitment ${commitment} is opened twice`);
      }
      this.#waiting.set(commitment, figures);
    }
    if (this.#waiting.size > MAX_WAITING) throw new Error('openings are of no record that follows');
  }

  /**
   * The opening of a record's commitment; undefined where the record commits to nothing.
   *
   * @throws Error where no opening came before it.
   */
  take({ ancestors }: Readonly<Record<string, unknown>>): OpenedFigures | undefined {
    if (ancestors === undefined || ancestors === null) return undefined;
    const figures = this.#waiting.get(String(ancestors));
    if (!figures) {
      throw new Error(`nothing before it opens its commitment ${String(ancestors)}`);
    }
    this.#waiting.delete(String(ancestors));
    return figures;
  }
}

/** The counters of a chain that a `payment.authorized` tells of, the root first; undefined in old records. */
export function claimsOf(
  data: Readonly<Record<string, unknown>>,
  opening: OpenedFigures | undefined,
): unknown {
  if (data.grant === undefined) return data.chain;
  const ancestors = opening?.chain ?? [];
  return Array.isArray(ancestors) ? [...ancestors, data.grant] : ancestors;
}

/** The limit that a `payment.pending` is above, of the grant that asks; in clear where that grant is the paying one. */
export function askedAbove(
  data: Readonly<Record<string, unknown>>,
  opening: OpenedFigures | undefined,
): unknown {
  return opening ? opening.approvalAbove : data.approvalAbove;
}
