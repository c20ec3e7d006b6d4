/** A place among the orders of a treasury, from its request until its answer. */
export interface Place {
  /** Whether it is for a payment that exists already: those go first. */
  readonly isKnown: boolean;
  /** Whether it was not left yet. */
  readonly isIn: boolean;
  /** Whether an order has it, which leaves it when it is answered. */
  isTaken: boolean;
  /** Gives the place to somebody else. Idempotent. */
  leave(): void;
}

/** The places that one part of a tree of grants holds. */
interface Share {
  held: number;
  readonly children: Map<string, Share>;
}

class HeldPlace implements Place {
  isTaken = false;
  isIn = true;

  /** @param giveBack - called once. */
  constructor(
    readonly isKnown: boolean,
    private readonly giveBack: () => void,
  ) {}

  leave(): void {
    if (!this.isIn) return;
    this.isIn = false;
    this.giveBack();
  }
}

/**
 * Lets in as many orders as can be answered in time, and beyond them only callers with less than their share. At each
 * level of the tree of grants, those who ask have equal shares of what their parent has. Payments that exist have room of their own. Whoever floods fills only what the others leave, and
 * divides its own share by delegating.
 */
export class Admission {
  readonly #all: Share = { held: 0, children: new Map() };
  #known = 0;

  /** @param room - how many orders can be answered in time, as measured now. */
  constructor(private readonly room: () => number) {}

  /** Orders that are in. */
  get held(): number {
    return this.#all.held;
  }

  /**
   * Asks for a place.
   *
   * @param path - from the root of a tree of grants down to whoever asks.
   * @param isKnown - for an order whose payment exists already: these have a room of their own, half as large.
   * @returns undefined where there is no room.
   */
  enter(path: readonly string[], isKnown = false): Place | undefined {
    const room = this.room();
    const held = isKnown ? 2 * this.#known : this.#all.held - this.#known;
    // A caller with less than its share comes in beside those who were let in while there was room.
    if (held >= room && held >= this.roomOf(path, room)) return undefined;
    const shares = this.take(path);
    if (isKnown) this.#known += 1;
    return new HeldPlace(isKnown, () => {
      if (isKnown) this.#known -= 1;
      this.giveBack(path, shares);
    });
  }

  private take(path: readonly string[]): Share[] {
    const shares = [this.#all];
    let share = this.#all;
    share.held += 1;
    for (const id of path) {
      let child = share.children.get(id);
      if (!child) {
        child = { held: 0, children: new Map() };
        share.children.set(id, child);
      }
      child.held += 1;
      shares.push(child);
      share = child;
    }
    return shares;
  }

  private giveBack(path: readonly string[], shares: readonly Share[]): void {
    shares.forEach((share, depth) => {
      share.held -= 1;
      const id = path[depth - 1];
      if (share.held === 0 && id !== undefined) shares[depth - 1]?.children.delete(id);
    });
  }

  /**
   * How many orders may be in while a caller with less than its share, at every level, comes in; 0 for others. It is twice the
   * room where the roots have rivals, and less the deeper the first level with rivals lies. So rivals below one branch leave
   * places for the rivals of that branch.
   */
  private roomOf(path: readonly string[], room: number): number {
    let share: Share | undefined = this.#all;
    let fair = room;
    let most = 0;
    for (const [depth, id] of path.entries()) {
      if (!share) break;
      const child: Share | undefined = share.children.get(id);
      const rivals = share.children.size + (child ? 0 : 1);
      fair /= rivals;
      if (rivals > 1 && (child?.held ?? 0) >= fair) return 0;
      if (rivals > 1 && most === 0) most = room * (1 + 0.5 ** depth);
      share = child;
    }
    return most;
  }
}
