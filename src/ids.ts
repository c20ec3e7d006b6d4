import { typeidUnboxed } from 'typeid-js';

/** The kinds of ids the service makes: TypeID prefixes (UUIDv7, so ids of one kind sort by time). */
export type IdKind = 'trs' | 'wal' | 'grt' | 'pay' | 'evt' | 'grq' | 'whk' | 'whd' | 'cat' | 'sal';

/** A fresh TypeID, such as `grt_01h2xcejqtf2nbrexx3vqjhp41`. */
export function newId(kind: IdKind): string {
  return typeidUnboxed(kind);
}

/** The shape of an id of one kind, for validating input before it reaches a query. */
export function idPattern(kind: IdKind): RegExp {
  return new RegExp(`^${kind}_[0-7][0-9a-hjkmnp-tv-z]{25}$`);
}
