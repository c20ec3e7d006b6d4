/** The kinds by which somebody is handed a token of a grant, or raises something for it; amendments aside. */
const ACTS: ReadonlySet<string> = new Set([
  'grant.minted',
  'grant.delegated',
  'grant.token_reissued',
  'grant.token_replayed',
  'grant.resumed',
]);

/** The members of an audit record that the rule needs. */
interface ActRecord {
  readonly kind: string;
  readonly actor: string;
  readonly grantId: string | null;
  readonly paymentId: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The actors of each grant and the approver of each waiting payment, as a log tells them. */
export class TwoPerson {
  readonly #actors = new Map<string, Set<string>>();
  readonly #approvers = new Map<string, string>();

  /** Takes the next record. */
  note({ kind, grantId, paymentId, actor }: ActRecord): void {
    if (grantId !== null && ACTS.has(kind)) this.act(grantId, actor);
    if (paymentId !== null && kind === 'payment.approved') this.#approvers.set(paymentId, actor);
  }

  /**
   * Tests a raise, and takes whoever made it among those who acted on the grant.
   *
   * @param path - the ids of the grant's chain.
   * @returns why it could not be, or undefined.
   */
  raise({ grantId, actor, data }: ActRecord, path: readonly string[]): string | undefined {
    const acted = path.find((id) => this.#actors.get(id)?.has(actor));
    this.act(grantId ?? '', actor);
    if (data.twoPerson !== true) return undefined;
    if (actor.startsWith('grant:')) {
      return `grant ${grantId} is raised by the holder ${actor}, in two-person mode`;
    }
    if (acted === undefined) return undefined;
    return `grant ${grantId} is raised by ${actor}, who acted on grant ${acted}, in two-person mode`;
  }

  private act(grantId: string, actor: string): void {
    const actors = this.#actors.get(grantId) ?? new Set();
    this.#actors.set(grantId, actors.add(actor));
  }

  /**
   * Tests an approval, or the hand-over of what was approved. Records say whether two-person mode held; those of
   * before it was written down say nothing, and are not tested.
   *
   * @param path - the ids of the paying chain.
   * @returns why it could not be, or undefined.
   */
  problem(record: ActRecord, path: readonly string[]): string | undefined {
    const { kind, paymentId, actor, data } = record;
    const isApproval = kind === 'payment.approved';
    const told = (isApproval ? data : data.approval) as
      | { readonly twoPerson?: unknown; readonly by?: unknown }
      | undefined;
    if (!told) return undefined;
    const approver = isApproval ? actor : this.#approvers.get(paymentId ?? '');
    if (!isApproval) {
      this.#approvers.delete(paymentId ?? '');
      if (told.by !== approver) {
        return `payment ${paymentId} is handed over as approved by ${String(told.by)}, and ${approver ?? 'nobody'} approved it`;
      }
    }
    if (told.twoPerson !== true || approver === undefined) return undefined;
    if (approver.startsWith('grant:')) {
      return `payment ${paymentId} is approved by the holder ${approver}, in two-person mode`;
    }
    const acted = path.find((id) => this.#actors.get(id)?.has(approver));
    if (acted === undefined) return undefined;
    return `payment ${paymentId} is approved by ${approver}, who acted on grant ${acted}, in two-person mode`;
  }
}
