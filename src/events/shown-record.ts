import { forHolder } from '../audit/old-records.js';
import { canonicalJson } from '../domain/canonical.js';

/**
 * A record as a holder may read it: the bytes that were sealed, but for records of early versions, which hold figures of
 * grants above.
 *
 * @param reader - the grant of the holder, one of the record's path.
 */
export function recordFor(
  { record, path }: { readonly record: string; readonly path: readonly string[] },
  reader: string,
): string {
  const event = JSON.parse(record);
  const data = forHolder(event.data, path, reader);
  return data === event.data ? record : canonicalJson({ ...event, data });
}
