/** A seller's text as an error shows it: short, and only ever text. */
export function shown(value: unknown): string {
  return typeof value === 'string'
    ? `"${value.slice(0, 64).toWellFormed()}"`
    : `of type ${typeof value}`;
}
