/** The outcomes of verifying the signature on a receipt. */
export const SIGNATURE_OUTCOMES = ['none', 'valid', 'invalid', 'unverifiable'] as const;

/** The judgement on a receipt's signature. Evidence: whoever holds a key can sign anything. */
export interface ReceiptSignature {
  readonly outcome: (typeof SIGNATURE_OUTCOMES)[number];
  /** An address, a `did:key`, or an RFC 9278 thumbprint URI of a JWK; undefined when nobody is known. */
  readonly signer?: string | undefined;
  /** Why it is invalid or unverifiable. */
  readonly reason?: string | undefined;
}
