/**
 * Whether a text is a JWS in its compact form (RFC 7515, section 7.1) in the one spelling its bytes have: three
 * parts of base64url without padding, foreign characters or set bits that no byte uses. Decoders ignore all of
 * those, so that one token would have many texts.
 */
export function isCompactJws(text: string): boolean {
  const parts = text.split('.', 4);
  return (
    parts.length === 3 &&
    parts.every((part) => Buffer.from(part, 'base64url').toString('base64url') === part)
  );
}

/**
 * The part of a token that its signer decided: header and payload. The signature is left out, because the holder of a
 * token can write another valid one (ECDSA: n - s in the place of s).
 */
export function signingInputOf(token: string): string {
  return token.slice(0, token.lastIndexOf('.'));
}
