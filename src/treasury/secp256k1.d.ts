/** libsecp256k1 as machine code: what of the package's bindings is used here. */
declare module 'secp256k1/bindings.js' {
  const bindings: {
    /** Blinds what is signed from then on. */
    contextRandomize(seed: Uint8Array): unknown;
    /** Signs deterministically (RFC 6979), with a low s: 64 bytes, and 0 to 3. */
    ecdsaSign(digest: Uint8Array, key: Uint8Array): { signature: Uint8Array; recid: number };
  };
  export default bindings;
}
