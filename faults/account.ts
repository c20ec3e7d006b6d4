import { appendFileSync, renameSync } from 'node:fs';
import type pg from 'pg';
import type { Body } from './client.js';

/** A header as a client received it. */
export interface Received {
  readonly paymentId: string;
  readonly grantId: string;
  /** Undefined where the client did not keep it. */
  readonly key: string | undefined;
  readonly value: string;
}

/** Columns of a payment with which a header must agree. */
export interface PaymentRow {
  readonly id: string;
  readonly grant_id: string;
  readonly idempotency_key: string;
  readonly payer: string | null;
  readonly pay_to: string;
  readonly amount: string;
  readonly nonce: string | null;
  readonly valid_after: string | null;
  readonly valid_before: string | null;
}

/**
 * The clients' own account of the headers they received. Whatever the service forgets, this does not: it is
 * kept here and, line by line, in a file for the checker.
 */
export class Account {
  readonly #byKey = new Map<string, Received>();
  readonly #wrong: string[] = [];
  #fresh: Received[] = [];

  /**
   * @param file - where every header is written once, one JSON object a line.
   * @param freshFile - where those are written besides that {@link takeFresh} has not taken yet.
   */
  constructor(
    readonly file: string,
    private readonly freshFile: string,
  ) {
    for (const each of [file, freshFile]) appendFileSync(each, '');
  }

  /** Takes the headers since it was last called. @returns the file that holds them until the next call. */
  takeFresh(): string {
    const taken = `${this.freshFile}.taken`;
    renameSync(this.freshFile, taken);
    appendFileSync(this.freshFile, '');
    return taken;
  }

  /** How many payments there is a header of. */
  get size(): number {
    return this.#byKey.size;
  }

  /** Takes the answer to a payment. Of one key there is one header, however often it is given. */
  received(grantId: string, key: string, { header, payment }: Body): void {
    if (!header || !payment) {
      this.#wrong.push(`I4: a 201 for the key ${key} without a header or a payment`);
      return;
    }
    const name = `${grantId} ${key}`;
    const before = this.#byKey.get(name);
    if (before === undefined) {
      const received = { paymentId: payment.id, grantId, key, value: header.value };
      this.#byKey.set(name, received);
      this.#keep(received, header.name);
    } else if (before.value !== header.value || before.paymentId !== payment.id) {
      this.#wrong.push(
        `I4: the key ${key} had another header before: ${before.paymentId}, then ${payment.id}`,
      );
    }
  }

  /** Takes the answer to a payment whose key is never used again. */
  receivedOnce({ header, payment }: Body): void {
    if (!header || !payment) {
      this.#wrong.push('I4: a 201 without a header or a payment');
      return;
    }
    const { id: paymentId, grantId } = payment;
    this.#keep({ paymentId, grantId, key: undefined, value: header.value }, header.name);
  }

  #keep(received: Received, name: string): void {
    this.#fresh.push(received);
    const { paymentId, value } = received;
    const line = { header: { name, value }, payment: { id: paymentId } };
    for (const file of [this.file, this.freshFile]) {
      appendFileSync(file, `${JSON.stringify(line)}\n`);
    }
  }

  /** Something a client saw that must never be. */
  saw(what: string): void {
    this.#wrong.push(what);
  }

  /** Everything that was wrong since this was last asked. */
  takeWrong(): string[] {
    return this.#wrong.splice(0);
  }

  /** Looks up the payments of the headers that came since this was last asked. */
  async check(db: pg.Pool): Promise<string[]> {
    const fresh = [...this.#fresh];
    const { rows } = await db.query<PaymentRow>(
      `SELECT id, grant_id, idempotency_key, payer, pay_to, amount::text, nonce, valid_after::text,
         valid_before::text FROM payments WHERE id = ANY ($1)`,
      [fresh.map(({ paymentId }) => paymentId)],
    );
    this.#fresh = this.#fresh.slice(fresh.length);
    return [...this.takeWrong(), ...compare(fresh, rows)];
  }
}

/** I4: every header has a committed payment, and says what it says. One line for each that does not. */
export function compare(headers: readonly Received[], rows: readonly PaymentRow[]): string[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return headers.flatMap(({ paymentId, grantId, key, value }) => {
    const row = byId.get(paymentId);
    if (!row) return [`I4: a header was given for ${paymentId}, and there is no such payment`];
    const signed = authorizationOf(value);
    const told = {
      grant: grantId,
      key,
      from: signed?.from?.toLowerCase(),
      to: signed?.to?.toLowerCase(),
      value: signed?.value,
      validAfter: signed?.validAfter,
      validBefore: signed?.validBefore,
      nonce: signed?.nonce,
    };
    const kept = {
      grant: row.grant_id,
      key: key === undefined ? undefined : row.idempotency_key,
      from: row.payer?.toLowerCase(),
      to: row.pay_to.toLowerCase(),
      value: row.amount,
      validAfter: row.valid_after ?? undefined,
      validBefore: row.valid_before ?? undefined,
      nonce: row.nonce ?? undefined,
    };
    const wrong = (Object.keys(kept) as (keyof typeof kept)[]).filter(
      (name) => told[name] !== kept[name],
    );
    return wrong.length === 0
      ? []
      : [`I4: the header of ${paymentId} and its row differ in ${wrong.join(', ')}`];
  });
}

function authorizationOf(value: string): Record<string, string> | undefined {
  try {
    return JSON.parse(Buffer.from(value, 'base64').toString('utf8')).payload.authorization;
  } catch {
    return undefined;
  }
}
