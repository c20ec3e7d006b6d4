/** A value of an option that takes one of a list. @throws Error that names them. */
export function oneOf<T extends string>(option: string, known: readonly T[], given: string): T {
  const found = known.find((each) => each === given);
  if (found === undefined) throw new Error(`--${option} is one of: ${known.join(', ')}`);
  return found;
}

/** A number above 0. @throws Error that names the option. */
export function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${option} takes a number above 0, not "${text}"`);
  return value;
}
