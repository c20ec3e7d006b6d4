import { RateLimits } from '../http/rate-limits.js';

/** The bounds of one payer, as the file has them. */
export interface PayerBounds {
  readonly concurrencyPerPayer: number;
  /** Sales a minute; undefined for as many as come. */
  readonly ratePerPayer?: number | undefined;
}

const MINUTE_MS = 60_000;

/** Counts what each payer has under way and has asked for, in this process. */
export class PayerLimits {
  /** How many sales of each payer are under way. */
  readonly #running = new Map<string, number>();
  #rates: { readonly perMinute: number; readonly limits: RateLimits<'payer'> } | undefined;

  /**
   * Lets a payer's sale in, and counts it.
   *
   * @returns the seconds to wait where the payer has as much as one may have; else what says that the sale is over.
   */
  enter(payer: string, bounds: PayerBounds): { readonly leave: () => void } | number {
    const running = this.#running.get(payer) ?? 0;
    if (running >= bounds.concurrencyPerPayer) return 1;
    const wait = this.ratesOf(bounds.ratePerPayer)?.take('payer', payer, Date.now());
    if (wait !== undefined) return wait;
    this.#running.set(payer, running + 1);
    return { leave: () => this.leave(payer) };
  }

  private leave(payer: string): void {
    const left = (this.#running.get(payer) ?? 1) - 1;
    if (left > 0) this.#running.set(payer, left);
    else this.#running.delete(payer);
  }

  /** A changed bound begins with no counts. */
  private ratesOf(perMinute: number | undefined): RateLimits<'payer'> | undefined {
    if (perMinute === undefined) return undefined;
    if (this.#rates?.perMinute !== perMinute) {
      const limits = new RateLimits({ limits: { payer: perMinute }, windowMs: MINUTE_MS });
      this.#rates = { perMinute, limits };
    }
    return this.#rates.limits;
  }
}
