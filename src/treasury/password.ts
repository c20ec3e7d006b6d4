/** How many characters a password has at least, and how many of them nobody guesses. */
const MIN_LENGTH = 12;
const MIN_UNGUESSED = 8;

/** The words that people put into passwords; as it is found after {@link plain}. */
const GUESSED =
  /password|passphrase|passw|bursar|keystore|wallet|secret|change ?me|letmein|welcome|admin|qwert[yz]?|asdf|iloveyou|monkey|dragon|test/g;

/**
 * Why a password is too weak for a file that can be tried offline; undefined when it is not. Whatever repeats,
 * counts up or down, or is a usual word counts as one character.
 */
export function weaknessOf(password: string): string | undefined {
  const length = [...password].length;
  if (length < MIN_LENGTH) return `must have at least ${MIN_LENGTH} characters`;
  const characters = [...plain(password).replace(GUESSED, '\u0000')];
  const unguessed = characters.filter((character, n) => {
    const step = (character.codePointAt(0) ?? 0) - (characters[n - 1]?.codePointAt(0) ?? 0);
    return n === 0 || Math.abs(step) > 1;
  });
  const isGuessed = unguessed.length < MIN_UNGUESSED || new Set(unguessed).size < MIN_UNGUESSED / 2;
  return isGuessed ? 'is made of what is guessed first' : undefined;
}

/** In small letters, without the usual digits for letters. */
function plain(password: string): string {
  return password
    .toLowerCase()
    .replaceAll('0', 'o')
    .replaceAll('@', 'a')
    .replaceAll('$', 's')
    .replaceAll(/(?<=[a-z])1(?=[a-z])/g, 'i')
    .replaceAll(/(?<=[a-z])3(?=[a-z])/g, 'e');
}
