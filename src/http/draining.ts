import { Injectable } from '@nestjs/common';

/** Whether this process is on its way out: it still answers, and asks everybody to go elsewhere. */
@Injectable()
export class DrainSwitch {
  readonly #listeners = new Set<() => void>();
  #isDraining = false;

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Begins to drain. Calling it again changes nothing. */
  begin(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    for (const listener of this.#listeners) listener();
  }

  /** Calls a listener once, when the draining begins. */
  onBegin(listener: () => void): void {
    this.#listeners.add(listener);
  }
}
