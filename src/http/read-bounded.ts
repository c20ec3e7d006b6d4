/**
 * Reads a stream to its end.
 *
 * @returns undefined when it has more than so many bytes; the rest is not read, and the stream is destroyed.
 */
export async function readUpTo(
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop destroys the stream.
  for await (const chunk of stream) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Reads the body of another server's answer, as text.
 *
 * @throws Error when it has more than so many bytes (decompressed); the rest is not read.
 */
export async function readBounded(response: Response, maxBytes: number): Promise<string> {
  if (!response.body) return '';
  const body = await readUpTo(response.body, maxBytes);
  if (!body) throw new Error(`it answered with more than ${maxBytes} bytes`);
  return body.toString('utf8');
}
