/** U+001E, which RFC 7464 puts between JSON texts. */
const RECORD_SEPARATOR = '\x1e';

/**
 * Texts as one parameter, for {@link plainTexts}; a missing one as nothing. As the elements of an array
 * each of their quotes would be escaped: six times the work of sending them, and three times of reading.
 *
 * @param texts - none of them empty or with a U+001E in it, which JSON allows nowhere: JSON, and what the
 *   service itself names.
 */
export function joined(texts: readonly (string | undefined)[]): string {
  return texts.join(RECORD_SEPARATOR);
}

/** The SQL that makes a `text[]` of what {@link joined} made, a missing text being NULL. */
export function plainTexts(parameter: string): string {
  return `string_to_array(${parameter}::text, E'\\x1e', '')`;
}
