/**
 * Two-person mode: whether somebody may approve a payment, given whose acts made it possible.
 *
 * Whoever minted a grant of the chain raised a limit the payment is made under, be it an admin (a root
 * grant) or a holder above (a delegated one). The payment's own requester never approves it either.
 *
 * @param approver - who would approve, as events name actors (`admin:<name>`, `grant:<id>`).
 * @param minters - `minted_by` of every grant of the paying chain.
 * @param requester - the actor that asked for the payment.
 * @returns whose part the approver already played, or undefined when the approval may stand.
 */
export function sameHands(
  approver: string,
  minters: readonly string[],
  requester: string,
): 'minter' | 'requester' | undefined {
  if (approver === requester) return 'requester';
  return minters.includes(approver) ? 'minter' : undefined;
}
