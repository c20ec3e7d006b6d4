import type { Pool } from 'pg';
import { openBytes, sealBytes } from '../access/sealing.js';

/** An answer of the upstream, complete. */
export interface Answer {
  readonly status: number;
  /** Names in lower case, in the order and number that the upstream sent. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

/** An answer as it is kept. */
export interface KeptAnswer {
  readonly sealed: Buffer;
  readonly seconds: number;
}

/** The answers that are kept for a while, so that one that got lost on its way can be sent again byte for byte. */
export class Answers {
  /**
   * @param key - 32 bytes; derived from the master secret.
   * @param keepSeconds - how long an answer is kept.
   */
  constructor(
    private readonly key: Buffer,
    private readonly keepSeconds: number,
  ) {}

  /** An answer as it is kept, with the change of the sale that says that it was given. */
  toKeep(sale: SaleId, answer: Answer): KeptAnswer {
    return { sealed: this.seal(encode(answer), sale.id), seconds: this.keepSeconds };
  }

  /** The answer of a sale; undefined when it is kept no longer. */
  async read(pool: Pool, sale: SaleId): Promise<Answer | undefined> {
    const { rows } = await pool.query<{ sealed: Buffer }>(
      'SELECT sealed FROM gateway_answers WHERE treasury_id = $1 AND sale_id = $2 AND expires_at > now()',
      [sale.treasuryId, sale.id],
    );
    return rows[0] && decode(this.open(rows[0].sealed, sale.id));
  }

  /** Deletes what was kept long enough. */
  async forget(pool: Pool, treasuryId: string): Promise<void> {
    await pool.query('DELETE FROM gateway_answers WHERE treasury_id = $1 AND expires_at <= now()', [
      treasuryId,
    ]);
  }

  /** Seals what belongs to a sale: moved to another sale it does not open. */
  seal(plain: Buffer, saleId: string): Buffer {
    return sealBytes(plain, this.key, saleId);
  }

  /** @throws Error when it was changed, or sealed under another secret. */
  open(sealed: Buffer, saleId: string): Buffer {
    return openBytes(sealed, this.key, saleId);
  }
}

type SaleId = { readonly treasuryId: string; readonly id: string };

/** Length of the head (4 bytes), the head as JSON, the body. */
function encode({ status, headers, body }: Answer): Buffer {
  const head = Buffer.from(JSON.stringify({ status, headers }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, body]);
}

function decode(bytes: Buffer): Answer {
  const end = 4 + bytes.readUInt32BE(0);
  const { status, headers } = JSON.parse(bytes.subarray(4, end).toString('utf8')) as Omit<
    Answer,
    'body'
  >;
  return { status, headers, body: bytes.subarray(end) };
}
