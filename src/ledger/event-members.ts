/** An explanation of a kind of event: `docs/events.md` and the OpenAPI document have it. */
export interface EventGuide {
  /** One sentence: what happened. */
  readonly means: string;
  /** Each member of `data` with its meaning. */
  readonly data: Readonly<Record<string, string>>;
}

export const ROW_HASH = 'SHA-256 of the members of the row that no record shows';
export const CURRENCY = 'currency of `value`';
export const VALUE = 'atomic units';
export const NETWORK = 'CAIP-2 id of the chain';
export const BLOCK = 'number of the block';
export const TRANSACTION = 'hash of the transaction';
