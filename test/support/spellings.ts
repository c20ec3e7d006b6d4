/** The order of P-256's group. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The same ES256 token with the other signature that its signature makes: n - s in the place of s. */
export function twinOf(token: string): string {
  const [header, payload, signature = ''] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  const s = ORDER - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const twin = Buffer.concat([
    bytes.subarray(0, 32),
    Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
  ]);
  return `${header}.${payload}.${twin.toString('base64url')}`;
}

/** Other texts of the same bytes of an ES256 token, which lenient decoders read alike. */
export function spellingsOf(token: string): string[] {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const standard = signature.replaceAll('-', '+').replaceAll('_', '/');
  return [
    `${header}.${payload}.${respelled(signature)}`,
    `${header}.${payload}.${signature}==`,
    `${header}=.${payload}.${signature}`,
    `${header}.${payload}~.${signature}`,
    `${header}.${payload}.${signature.slice(0, 40)}~${signature.slice(40)}`,
    ...(standard === signature ? [] : [`${header}.${payload}.${standard}`]),
  ];
}

/** The same bytes in base64url with a bit set that no byte uses; of 32 or 64 bytes, which leave some. */
export function respelled(base64url: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(base64url.at(-1) ?? '');
  return `${base64url.slice(0, -1)}${alphabet[last + 1]}`;
}
