import { canonicalJson, sha256Hex } from './canonical.js';

/** An opening as a record of kind `audit.opened` has it, its commitment aside. */
export type OpenedFigures = Readonly<Record<string, unknown>>;

/**
 * An entry of `audit.opened`: the commitment, and what it is of.
 *
 * @throws Error when the commitment is of something else, or without a salt of 128 bits.
 */
export function openedBy(entry: unknown): [commitment: string, figures: OpenedFigures] {
  if (typeof entry !== 'object' || entry === null) throw new Error('an opening is not an object');
  const { commitment, ...opening } = entry as Readonly<Record<string, unknown>>;
  const { salt } = opening;
  if (typeof salt !== 'string' || !/^[0-9a-f]{32}$/.test(salt)) {
    throw new Error('an opening has no salt of 128 bits');
  }
  if (commitment !== sha256Hex(canonicalJson(opening))) {
    throw new Error(`the commitment ${String(commitment)} is of other figures than its opening`);
  }
  return [commitment as string, opening];
}
