import { sha256Hex, utf8 } from './bytes.js';

/** One purchase: what one Idempotency-Key at Bursar stands for. */
export interface Purchase {
  readonly key: string;
  /** Whether the caller named it, so that it is the same one in every process. */
  readonly isNamed: boolean;
  /** Its place in the order of purchases. */
  readonly number: number;
  /** Request of the purchase: only an equal request may continue it. */
  readonly requestId: string;
  /** Whether a running call has it. */
  isHeld: boolean;
}

/**
 * Which purchase a call belongs to. A call that was answered ends its purchase, so that the next equal call
 * buys anew. Any other outcome leaves it open, and the next equal call continues it with the same key.
 */
export class Purchases {
  readonly #run: string;
  readonly #open = new Map<string, Purchase[]>();
  #count = 0;

  /** @param run - tells this process's purchases from those of any other. */
  constructor(run: string = crypto.randomUUID()) {
    this.#run = run;
  }

  /** The purchase that a caller named. Its key depends on the name alone. */
  named(key: string): Purchase {
    return { key, isNamed: true, number: 0, requestId: '', isHeld: true };
  }

  /** The oldest open purchase of that request which no running call holds, else a new one. */
  async take(requestId: string): Promise<Purchase> {
    const open = this.#open.get(requestId)?.find(({ isHeld }) => !isHeld);
    if (open) {
      open.isHeld = true;
      return open;
    }
    const number = this.#count++;
    const key = await sha256Hex(utf8(JSON.stringify([this.#run, requestId, number])));
    const purchase = { key, isNamed: false, number, requestId, isHeld: true };
    this.reopen(purchase);
    return purchase;
  }

  /** The call that holds it is over; the next equal call may continue it, if it is open. */
  release(purchase: Purchase): void {
    purchase.isHeld = false;
  }

  /** It was answered, or can take no money any more: no call continues it. */
  end(purchase: Purchase): void {
    const open = this.#open.get(purchase.requestId)?.filter((each) => each !== purchase) ?? [];
    if (open.length > 0) this.#open.set(purchase.requestId, open);
    else this.#open.delete(purchase.requestId);
  }

  /** It counted as answered, but the answer broke off. */
  reopen(purchase: Purchase): void {
    if (purchase.isNamed) return;
    const open = [...(this.#open.get(purchase.requestId) ?? []), purchase];
    this.#open.set(
      purchase.requestId,
      open.sort((a, b) => a.number - b.number),
    );
  }
}

/** The key of an intent: a hash of the intent alone, so that every process and language makes the same one. */
export function keyOfIntent(intent: string): Promise<string> {
  return sha256Hex(utf8(intent));
}
