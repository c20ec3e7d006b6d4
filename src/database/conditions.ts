/** Collects the conditions of a WHERE clause with their parameters, numbered in order. */
export class Conditions {
  readonly values: unknown[] = [];
  readonly #conditions: string[] = [];

  /**
   * Adds a condition on one value, unless the value is undefined.
   *
   * @param condition - SQL, given the parameter's placeholder (`$1`). Never made from input.
   */
  add(value: unknown, condition: (placeholder: string) => string): this {
    if (value !== undefined) {
      this.values.push(value);
      this.#conditions.push(condition(`$${this.values.length}`));
    }
    return this;
  }

  /** Adds a condition on no value. */
  always(condition: string): this {
    this.#conditions.push(condition);
    return this;
  }

  /** The clause, or an empty text when nothing was added. */
  get where(): string {
    return this.#conditions.length > 0 ? `WHERE ${this.#conditions.join(' AND ')}` : '';
  }
}
