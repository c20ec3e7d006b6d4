/**
 * Two-person mode: whether an approver had no part in what he approves.
 *
 * @param approver - who would approve, as events name actors (`admin:<name>`, `grant:<id>`).
 * @param actors - everybody who was ever handed a token of a grant of the paying chain, or raised something
 *   for one.
 */
export function hadNoPart(approver: string, actors: readonly string[]): boolean {
  // A holder who may approve stands in the chain. Whoever was handed that grant's token can act as the holder, so
  // nobody knows who it is.
  return !approver.startsWith('grant:') && !actors.includes(approver);
}
