/** How grave a finding is. Only `fail` keeps agents from paying, or gives something away. */
export type Level = 'ok' | 'note' | 'warn' | 'fail';

/** Finding about one aspect of a paid API. */
export interface Finding {
  readonly check: string;
  readonly level: Level;
  /** Observation, without the seller's own texts. */
  readonly found: string;
  /** Change that the seller, or the reader, should make. */
  readonly change?: string;
}

/** A finding with nothing to change. */
export function ok(check: string, found: string): Finding {
  return { check, level: 'ok', found };
}

/** A finding with something to change. */
export function finding(level: Level, check: string, found: string, change?: string): Finding {
  return { check, level, found, ...(change === undefined ? {} : { change }) };
}
