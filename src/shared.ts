/**
 * A value that is computed once for all who ask for it: whoever asks while it is computed waits for that computation,
 * and whoever asks soon after gets its result. So it costs the same however many ask.
 */
export class Shared<T> {
  #under: Promise<T> | undefined;
  #freshUntil = 0;

  /**
   * @param compute - runs once at a time.
   * @param freshMs - how long a result is handed out; at least ten times what its computation took, so that a slow
   *   one takes a tenth of the time at most. A failure is handed out to those who waited for it only.
   */
  constructor(
    private readonly compute: () => Promise<T>,
    private readonly freshMs: number,
  ) {}

  get(): Promise<T> {
    if (this.#under && performance.now() < this.#freshUntil) return this.#under;
    const began = performance.now();
    this.#freshUntil = Number.POSITIVE_INFINITY;
    this.#under = this.compute().then(
      (value) => {
        const now = performance.now();
        this.#freshUntil = now + Math.max(this.freshMs, 10 * (now - began));
        return value;
      },
      (error) => {
        this.#freshUntil = 0;
        throw error;
      },
    );
    return this.#under;
  }
}
