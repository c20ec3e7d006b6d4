import { sha256Hex, utf8 } from './bytes.js';

/** Identity of a form: the digest of its entries. */
export async function digestOfForm(form: FormData): Promise<string> {
  const entries: unknown[] = [];
  for (const [name, value] of form as unknown as Iterable<[string, string | File]>) {
    entries.push(
      typeof value === 'string'
        ? [name, value]
        : [name, value.name, value.type, await sha256Hex(await value.arrayBuffer())],
    );
  }
  return sha256Hex(utf8(JSON.stringify(entries)));
}
