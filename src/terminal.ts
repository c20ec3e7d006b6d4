import { styleText } from 'node:util';

/** Colours and weights that a terminal shows. */
type Style = Parameters<typeof styleText>[0];

/** Whether a stream is a terminal that shows colours (https://no-color.org). */
function hasColours(stream: NodeJS.WriteStream = process.stdout): boolean {
  const { NO_COLOR, TERM } = process.env;
  return stream.isTTY === true && !NO_COLOR && TERM !== 'dumb';
}

/** A text in a style, where the stream shows styles. */
export function styled(style: Style, text: string, stream = process.stdout): string {
  return hasColours(stream) && text !== '' ? styleText(style, text) : text;
}

/** A heading. */
export const bold = (text: string): string => styled('bold', text);

/**
 * Writes text that holds styles. As bytes, because text on standard output is made printable, which takes the styles
 * away: what comes from elsewhere must be made printable before it is styled.
 */
export function writeStyled(text: string): void {
  process.stdout.write(Buffer.from(text));
}

/** Prints JSON as it is easy to read, and to parse. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
