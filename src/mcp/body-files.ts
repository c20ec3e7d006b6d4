import { type FileHandle, mkdtemp, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The largest body that is kept, in bytes: a stranger's stream must not fill the disk. */
const MAX_BYTES = 268_435_456;

/** How much of a body is held in memory before it goes to a file, in bytes. */
const MAX_MEMORY_BYTES = 131_072;

/** A body as a model gets it. */
export interface KeptBody {
  readonly bytes: number;
  readonly text?: string;
  /** The file with the whole of it. */
  readonly path?: string;
  readonly truncated?: true;
}

/** How a body is shown. */
export interface BodyView {
  readonly isText: boolean;
  /** The longest text that needs no file, in characters. */
  readonly maxInline: number;
  /** How much of a longer one is shown, in characters. */
  readonly preview: number;
}

/** Reads answers: short texts into memory, all else into files that only their owner may read. */
export class BodyFiles {
  #directory: Promise<string> | undefined;
  #count = 0;

  /** Reads a body to its end. */
  async read(response: Response, view: BodyView): Promise<KeptBody> {
    const head: Uint8Array[] = [];
    let bytes = 0;
    let file: { handle: FileHandle; path: string } | undefined;
    let truncated = false;
    try {
      for await (const chunk of response.body ?? []) {
        if (bytes + chunk.length > MAX_BYTES) {
          // Leaving the loop cancels the stream.
          truncated = true;
          break;
        }
        bytes += chunk.length;
        if (file) await file.handle.write(chunk);
        else head.push(chunk);
        if (!file && bytes > MAX_MEMORY_BYTES) file = await this.#moved(response.url, head);
      }
      const text = view.isText ? decode(head) : undefined;
      const isShort = text !== undefined && !file && text.length <= view.maxInline;
      if (isShort) return { bytes, text };
      if (bytes === 0) return { bytes };
      file ??= await this.#moved(response.url, head);
      return {
        bytes,
        path: file.path,
        ...(text === undefined ? {} : { text: text.slice(0, view.preview) }),
        ...(truncated ? { truncated } : {}),
      };
    } finally {
      await file?.handle.close();
    }
  }

  /** A new file that begins with what was read so far. */
  async #moved(url: string, head: readonly Uint8Array[]) {
    this.#directory ??= mkdtemp(join(tmpdir(), 'bursar-'));
    this.#count += 1;
    const path = join(await this.#directory, `${this.#count}-${nameOf(url)}`);
    const handle = await open(path, 'wx', 0o600);
    for (const chunk of head) await handle.write(chunk);
    return { handle, path };
  }
}

function decode(chunks: readonly Uint8Array[]): string {
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** A file name of the URL's last segment: letters, digits, dots and dashes only. */
function nameOf(url: string): string {
  const last = URL.canParse(url) ? new URL(url).pathname.split('/').at(-1) : '';
  return (
    last
      ?.replace(/[^A-Za-z0-9.-]/g, '')
      .replace(/^\.+/, '')
      .slice(-64) || 'body'
  );
}
