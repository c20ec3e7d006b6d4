import { PassThrough } from 'node:stream';
import type { Answer } from './answers.js';
import type { UpstreamAnswer } from './upstream.js';

/** Whether an answer has come completely. */
export function isWhole(answer: Answer | UpstreamAnswer): answer is Answer {
  return Buffer.isBuffer(answer.body);
}

/**
 * Passes an arriving body on, and keeps a copy while that is short enough. A reader who leaves does not end it: the rest of a
 * body that can be kept is read, so that it can be sent again.
 */
export class Relay {
  /** The body for its reader. It ends when {@link finish} says so. */
  readonly body = new PassThrough();
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(
    private readonly answer: UpstreamAnswer,
    private readonly maxKept: number,
  ) {
    // A reader who leaves in the middle is no error of the relay's.
    this.body.on('error', () => {});
  }

  /**
   * Reads the body to its end.
   *
   * @returns the answer for later; undefined when it is too long to be kept.
   * @throws what broke the body off.
   */
  async run(): Promise<Answer | undefined> {
    for await (const part of this.answer.body as AsyncIterable<Buffer>) {
      this.keep(part);
      if (this.body.destroyed) {
        if (this.isTooLong) break;
      } else if (!this.body.write(part)) await drained(this.body);
    }
    if (this.isTooLong) return undefined;
    const { status, headers } = this.answer;
    return { status, headers, body: Buffer.concat(this.#chunks) };
  }

  /** Ends the reader's body; with an error, it breaks off. */
  finish(error?: Error): void {
    if (error) this.body.destroy(error);
    else this.body.end();
  }

  private get isTooLong(): boolean {
    return this.#bytes > this.maxKept;
  }

  private keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.isTooLong) this.#chunks = [];
    else this.#chunks.push(part);
  }
}

/** Waits until a stream takes more, or is gone. */
function drained(stream: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.once('drain', done);
    stream.once('close', done);
  });
}
