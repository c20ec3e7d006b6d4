/** Places in the logs that a stream follows: by the number of the treasury, the leaves that were read. */
export type Places = ReadonlyMap<number, number>;

/** No id is longer: it comes back as a header. */
const MAX_TEXT = 8_192;

/** Most logs that one stream follows, so that its ids stay short enough for a header. */
export const MAX_LOGS = 400;

const ENTRY = /^(0|[1-9][0-9]{0,6})-(0|[1-9][0-9]{0,14})$/;

/** Writes places as the id of a stream's event. Opaque to clients. */
export function formatPlaces(places: Places): string {
  return [...places].map(([position, place]) => `${position}-${place}`).join('.');
}

/** Reads an id; undefined for a text that is none. */
export function parsePlaces(text: string): Map<number, number> | undefined {
  if (text.length > MAX_TEXT) return undefined;
  const places = new Map<number, number>();
  for (const entry of text.split('.')) {
    const [, position, place] = ENTRY.exec(entry) ?? [];
    if (position === undefined || places.has(Number(position))) return undefined;
    places.set(Number(position), Number(place));
  }
  return places;
}
