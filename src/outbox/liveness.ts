import { QUEUES, type QueueName } from './jobs.js';

/**
 * When each worker of this process last showed life. A worker can hang without an error: its connection is
 * dead, and nobody told it. What it shows is that it takes jobs and ends them; so that there is always one
 * to take, canaries are sent (`Queues`).
 */
export class Liveness {
  readonly #seen = new Map<QueueName, number>();
  readonly #replaced = new Map<QueueName, number>();
  #hasEnded = false;

  /**
   * @param limitMs - how long a worker may be silent.
   * @param now - a clock that never goes back, in milliseconds.
   */
  constructor(
    readonly limitMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** A worker took a job, ended one, or was started. */
  saw(queue: QueueName): void {
    if (!this.#hasEnded) this.#seen.set(queue, this.now());
  }

  /** Stops watching: the workers are being closed. */
  end(): void {
    this.#hasEnded = true;
    this.#seen.clear();
  }

  /** How long each worker that is watched has been silent, in milliseconds. */
  silences(): Map<QueueName, number> {
    const silences = new Map<QueueName, number>();
    for (const queue of QUEUES) {
      const seen = this.#seen.get(queue);
      if (seen !== undefined) silences.set(queue, this.now() - seen);
    }
    return silences;
  }

  /** Whether a silent worker is to be replaced now: once, and again when the next one stays silent as long. */
  isDue(queue: QueueName): boolean {
    const last = this.#replaced.get(queue) ?? Number.NEGATIVE_INFINITY;
    if (this.now() - last < this.limitMs) return false;
    this.#replaced.set(queue, this.now());
    return true;
  }

  /** The queues whose worker here has been silent for too long. */
  silent(): QueueName[] {
    return [...this.silences()].flatMap(([queue, ms]) => (ms > this.limitMs ? [queue] : []));
  }
}
