import { open } from 'node:fs/promises';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { consistencyRanges } from '../domain/merkle.js';
import { readBounded } from '../http/read-bounded.js';
import { OnJob } from '../outbox/on-job.js';
import { Queues } from '../outbox/queues.js';
import { rangeHashes } from './log-rows.js';

/** How often new checkpoints are pushed, in milliseconds. */
const PUSH_MS = 1_000;

/** How long a witness may take to answer, in milliseconds. */
const ANSWER_TIMEOUT_MS = 5_000;

/** A checkpoint that a witness has not taken yet. */
interface PendingCheckpoint {
  readonly treasuryId: string;
  readonly size: number;
  readonly note: string;
  /** The size of the last one it took; 0 for none. */
  readonly old: number;
}

/** Somebody who keeps checkpoints where the operator of the log cannot rewrite them. */
interface Witness {
  /** How the database names it. */
  readonly name: string;
  take(checkpoint: PendingCheckpoint): Promise<void>;
}

/**
 * Pushes each log's newest checkpoint to the witnesses of the configuration: a file that is only ever
 * appended to, and an HTTP witness as C2SP tlog-witness has it. A witness that is down is tried again
 * every second, and then gets the newest: whoever has one checkpoint can tell of every earlier record.
 */
@Injectable()
export class Witnesses implements OnModuleInit {
  readonly #log = new Logger('audit');
  readonly #witnesses: readonly Witness[];
  /** Those that did not take the last one, so that the log says it once. */
  readonly #failing = new Set<string>();

  constructor(
    @Inject(CONFIG) { witnessFile, witnessUrl }: Pick<Config, 'witnessFile' | 'witnessUrl'>,
    private readonly database: Database,
    private readonly queues: Queues,
  ) {
    this.#witnesses = [
      ...(witnessFile === undefined ? [] : [fileWitness(witnessFile)]),
      ...(witnessUrl === undefined ? [] : [httpWitness(witnessUrl, database)]),
    ];
  }

  onModuleInit(): void {
    if (this.#witnesses.length === 0) return;
    this.queues.schedule('audit-witness', 'audit.witness', {}, PUSH_MS);
  }

  /** Pushes what is new to every witness. Idempotent: at worst a witness gets a checkpoint twice. */
  @OnJob('audit.witness')
  async push(): Promise<void> {
    await Promise.all(this.#witnesses.map((witness) => this.pushTo(witness)));
  }

  private async pushTo(witness: Witness): Promise<void> {
    try {
      for (const checkpoint of await this.unwitnessed(witness)) {
        await witness.take(checkpoint);
        await this.database.pool.query(
          `INSERT INTO log_witnesses AS w (treasury_id, witness, size) VALUES ($1, $2, $3)
           ON CONFLICT (treasury_id, witness)
           DO UPDATE SET size = greatest(w.size, EXCLUDED.size), updated_at = now()`,
          [checkpoint.treasuryId, witness.name, checkpoint.size],
        );
      }
      if (this.#failing.delete(witness.name)) {
        this.#log.log(`witness ${witness.name} takes checkpoints again`);
      }
    } catch (error) {
      if (this.#failing.has(witness.name)) return;
      this.#failing.add(witness.name);
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.warn(`witness ${witness.name} did not take a checkpoint (${reason}); trying on`);
    }
  }

  private async unwitnessed({ name }: Witness): Promise<PendingCheckpoint[]> {
    const { rows } = await this.database.pool.query<{
      treasury_id: string;
      size: string;
      note: string;
      old: string;
    }>(
      `SELECT t.id AS treasury_id, c.size, c.note, coalesce(w.size, 0) AS old
       FROM treasuries t
       CROSS JOIN LATERAL (
         SELECT size, note FROM log_checkpoints
         WHERE treasury_id = t.id ORDER BY size DESC LIMIT 1) c
       LEFT JOIN log_witnesses w ON w.treasury_id = t.id AND w.witness = $1
       WHERE c.size > coalesce(w.size, 0)`,
      [name],
    );
    return rows.map((row) => ({
      treasuryId: row.treasury_id,
      size: Number(row.size),
      note: row.note,
      old: Number(row.old),
    }));
  }
}

/** A file of checkpoints, one after the other, an empty line between them. */
function fileWitness(path: string): Witness {
  return {
    name: `file:${path}`,
    async take({ note }) {
      const file = await open(path, 'a', 0o644);
      try {
        await file.appendFile(`${note}\n`);
        // Taken means on the disk: what the database notes as witnessed must be there after a crash.
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

/** The longest answer of a witness that is read, in bytes: a size, or a line for each of its signatures. */
const MAX_ANSWER_BYTES = 16_384;

/** `POST <prefix>/add-checkpoint` (C2SP tlog-witness): old size, consistency proof, checkpoint. */
function httpWitness(prefix: string, database: Database): Witness {
  const post = async ({ treasuryId, size, note }: PendingCheckpoint, old: number) => {
    const ranges = consistencyRanges(old, size);
    const proof = await rangeHashes(database.pool, treasuryId, ranges);
    const lines = proof.map((hash) => `${hash.toString('base64')}\n`).join('');
    const answer = await fetch(`${prefix.replace(/\/$/, '')}/add-checkpoint`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: `old ${old}\n${lines}\n${note}`,
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    return {
      status: answer.status,
      text: (await readBounded(answer, MAX_ANSWER_BYTES)).slice(0, 200),
    };
  };
  return {
    name: prefix,
    async take(checkpoint) {
      let answer = await post(checkpoint, checkpoint.old);
      // It remembers another size than we do, and says which: it may have been set back, or we.
      const remembered = /^(0|[1-9][0-9]{0,14})\n$/.exec(answer.text)?.[1];
      if (answer.status === 409 && remembered && Number(remembered) <= checkpoint.size) {
        answer = await post(checkpoint, Number(remembered));
      }
      if (answer.status === 200) return;
      throw new Error(`it answered ${answer.status} ${JSON.stringify(answer.text)}`);
    },
  };
}
