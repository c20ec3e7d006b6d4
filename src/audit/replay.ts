import type { EventKind } from '../ledger/events.js';
import { isKnownKind, requireActor } from './replay/actors.js';
import { amended } from './replay/amendments.js';
import { approved, needed, pending, rejected } from './replay/approvals.js';
import { countRefusal, tripped } from './replay/breakers.js';
import { minted, replacedToken, returned } from './replay/grants.js';
import { type Grant, History, type ReplayedPayment } from './replay/history.js';
import { opened } from './replay/opened.js';
import { restarted, resumed, revoked, stopped, suspended } from './replay/pauses.js';
import { authorized, cancelRequested, ended, type PaymentEnd } from './replay/payments.js';
import { type AuditRecord, Contradiction } from './replay/record.js';
import { asked, granted, refused } from './replay/requests.js';
import { adopted, spent } from './replay/spends.js';
import { reached } from './replay/thresholds.js';
import { Clock } from './replay/times.js';
import { added, setStatus } from './replay/wallets.js';

export type { ReplayedPayment } from './replay/history.js';
export { type AuditRecord, Contradiction } from './replay/record.js';

/** Outcome of a payment. */
export interface PaymentEnding {
  readonly payment: ReplayedPayment;
  readonly kind: PaymentEnd;
  /** Amount paid, in atomic units; 0 unless it is settled. */
  readonly paid: bigint;
  readonly transaction: string | null;
}

/** The effect of a record on the history. `at` is its time in Unix milliseconds. */
type Effect = (history: History, record: AuditRecord, at: number) => PaymentEnding | undefined;

/** For kinds that move no money and no authority: only who wrote them, and when, is looked at. */
const WITHOUT_EFFECT: Effect = () => undefined;

const ending =
  (kind: PaymentEnd): Effect =>
  (history, record, at) => {
    const { payment, paid } = ended(history, record, kind, at);
    const { transaction } = record.data;
    return {
      payment,
      kind,
      paid,
      transaction: typeof transaction === 'string' ? transaction : null,
    };
  };

/** The effect of each kind. A kind that is not in here does not compile. */
const EFFECTS: Readonly<Record<EventKind, Effect>> = {
  'audit.opened': opened,
  'treasury.created': WITHOUT_EFFECT,
  'treasury.changed': WITHOUT_EFFECT,
  'treasury.fenced': WITHOUT_EFFECT,
  'treasury.unfenced': WITHOUT_EFFECT,
  'treasury.suspended': stopped,
  'treasury.resumed': restarted,
  'treasury.low': WITHOUT_EFFECT,
  'wallet.added': added,
  'wallet.draining': (history, record, at) => setStatus(history, record, 'draining', at),
  'wallet.active': (history, record, at) => setStatus(history, record, 'active', at),
  'wallet.retired': (history, record, at) => setStatus(history, record, 'retired', at),
  'wallet.code_seen': WITHOUT_EFFECT,
  'wallet.code_gone': WITHOUT_EFFECT,
  'wallet.spend_seen': spent,
  'wallet.spend_withdrawn': spent,
  'wallet.spend_adopted': spent,
  'grant.minted': minted,
  'grant.delegated': minted,
  'grant.suspended': suspended,
  'grant.resumed': resumed,
  'grant.revoked': revoked,
  'grant.tripped': tripped,
  'grant.threshold': reached,
  'grant.returned': returned,
  'grant.amended': amended,
  'grant_request.created': asked,
  'grant_request.approved': granted,
  'grant_request.rejected': refused,
  'grant.token_reissued': replacedToken,
  'grant.token_replayed': WITHOUT_EFFECT,
  'grant.token_revoked': replacedToken,
  'payment.pending': pending,
  'approval.needed': needed,
  'payment.approved': approved,
  'payment.rejected': rejected,
  'payment.authorized': authorized,
  'payment.adopted': adopted,
  'payment.refused': countRefusal,
  'payment.refused_more': WITHOUT_EFFECT,
  'payment.seen': WITHOUT_EFFECT,
  'payment.sighting_withdrawn': WITHOUT_EFFECT,
  'payment.cancel_requested': cancelRequested,
  'payment.receipt': WITHOUT_EFFECT,
  'payment.settled': ending('payment.settled'),
  'payment.released': ending('payment.released'),
  'payment.cancelled': ending('payment.cancelled'),
  'webhook.created': WITHOUT_EFFECT,
  'webhook.changed': WITHOUT_EFFECT,
  'webhook.deleted': WITHOUT_EFFECT,
  'webhook.secret_rotated': WITHOUT_EFFECT,
  'webhook.paused': WITHOUT_EFFECT,
  'webhook.resumed': WITHOUT_EFFECT,
  'webhook.ended': WITHOUT_EFFECT,
  'catalog.subscribed': WITHOUT_EFFECT,
  'catalog.removed': WITHOUT_EFFECT,
  'sale.settled': WITHOUT_EFFECT,
  'sale.refund_owed': WITHOUT_EFFECT,
  'sale.refunded': WITHOUT_EFFECT,
  'key.created': WITHOUT_EFFECT,
  'key.retired': WITHOUT_EFFECT,
  'admin.token_minted': WITHOUT_EFFECT,
  'admin.token_revoked': WITHOUT_EFFECT,
  'admin.signed_in': WITHOUT_EFFECT,
};

/**
 * Does everything again that a log tells of, and finds what could not have happened: money beyond a
 * budget, a count or a window; authority that nobody had, such as an approval by whoever asked for it or a child
 * that may do more than its parent; a payment by a grant or a wallet that was not to pay; a nonce that is not its
 * decision's hash; an end without a beginning, or before its time. It shares no code with the ledger.
 *
 * Records are taken in the order of the log. Events of one grant or payment stand in it as they
 * happened, because each was written under the lock of what it changed; nothing is concluded from the
 * order of others, but that no record is a minute older than one before it.
 */
export class Replay {
  readonly #history = new History();
  readonly #clock = new Clock();
  readonly #ids = new Set<string>();
  readonly #counts = new Map<string, number>();
  readonly #unknown = new Set<string>();

  /** How many records of each kind there were. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** The kinds that were not replayed, because this version does not know them. */
  get unknownKinds(): readonly string[] {
    return [...this.#unknown].sort();
  }

  /** The payments that are signed and have no end yet. */
  get open(): ReadonlyMap<string, ReplayedPayment> {
    return this.#history.open;
  }

  /** The nonces of spends that no decision allowed and an admin has explained. */
  get explained(): ReadonlySet<string> {
    return this.#history.explained;
  }

  /** The wallets the treasury had. */
  get wallets(): ReadonlySet<string> {
    return new Set(this.#history.wallets.keys());
  }

  /** Totals of a grant that the log comes to, for tests and curious readers. Atomic units. */
  grant(id: string): Pick<Grant, 'reserved' | 'spent' | 'allocated' | 'payments'> | undefined {
    return this.#history.grants.get(id);
  }

  /**
   * Takes the next record.
   *
   * @returns the end of a payment, when the record is one.
   * @throws Contradiction
   */
  apply(record: AuditRecord): PaymentEnding | undefined {
    const { id, kind } = record;
    if (this.#ids.has(id)) throw new Contradiction(`event ${id} is there twice`);
    this.#ids.add(id);
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    const at = this.#clock.read(record);
    // Kinds that are not known may commit to something as well.
    this.#history.opening = this.#history.openings.take(record.data);
    if (!isKnownKind(kind)) {
      this.#unknown.add(kind);
      return undefined;
    }
    requireActor(this.#history, record, kind);
    this.#history.twoPerson.note(record);
    return EFFECTS[kind](this.#history, record, at);
  }
}
