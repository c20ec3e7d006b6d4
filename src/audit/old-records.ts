import { tellDenial } from '../domain/disclosure.js';
import type { ProblemCode } from '../domain/problem.js';

type Data = Readonly<Record<string, unknown>>;

/**
 * The data of a record as a holder may read it. Records of today commit to the figures of grants above (their
 * `ancestors`), and are read as they were sealed. Older ones hold these figures in clear: they are left out.
 *
 * @param path - the grants of the record's chain, the root first.
 * @param reader - the grant of the holder; one of the path.
 * @returns the same object where nothing had to be left out.
 */
export function forHolder(data: Data, path: readonly string[], reader: string): Data {
  if ('ancestors' in data) return data;
  const own = path.slice(path.indexOf(reader));
  const isOwn = (grantId: unknown) => own.includes(String(grantId));
  const { chain, refusedBy, askedBy } = data;
  if (Array.isArray(chain)) {
    const told = chain.filter((each) => isOwn((each as { id?: unknown } | null)?.id));
    return told.length === chain.length ? data : { ...data, chain: told };
  }
  if (typeof askedBy === 'string' && !isOwn(askedBy)) return { ...data, approvalAbove: null };
  if (refusedBy === undefined) return data;
  const denial = {
    code: data.code as ProblemCode,
    detail: String(data.detail),
    ...(refusedBy === null ? {} : { grantId: String(refusedBy) }),
  };
  const told = tellDenial(denial, own);
  if (told === denial) return data;
  return { ...data, detail: told.detail, limit: null, remaining: null };
}
