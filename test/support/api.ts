import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import type { GrantView } from '../../src/grants/grants.dto.js';
import type { PaymentView, Selection } from '../../src/payments/payments.dto.js';
import { expectDocumented } from './documented.js';

/** An answer of the service, read to its end. */
export interface Answer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Body;
}

/** The body of an error (RFC 9457), as the contract has it. */
export interface ProblemAnswer {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly grantId?: string;
  readonly limit?: string;
  readonly remaining?: string;
  readonly reopensAt?: string;
  readonly field?: string;
  readonly nextAction?: string;
  readonly retryAfter?: number;
  readonly payment?: {
    readonly id: string;
    readonly status?: string;
    readonly validBefore?: unknown;
  };
  readonly sellerText?: string;
}

export interface Minted {
  readonly grant: GrantView;
  readonly token: string;
  /** RFC 3339. */
  readonly tokenExpiresAt: string;
}

export interface Paid {
  readonly payment: PaymentView & { wallet: string; nonce: string; validBefore: string };
  readonly header: { readonly name: string; readonly value: string };
  readonly selection: Selection;
  readonly grant: { readonly remaining: string };
}

export interface Listed<T> {
  readonly items: T[];
  readonly nextCursor: string | null;
}

export interface WalletAnswer {
  readonly address: string;
  readonly balance: string;
  readonly reserved: string;
  readonly free: string;
}

export interface EventAnswer {
  readonly id: string;
  readonly kind: string;
  readonly actor: string;
  readonly grantId: string | null;
  readonly paymentId: string | null;
  readonly requestId: string | null;
  readonly reason: string | null;
  readonly data: Record<string, unknown>;
  readonly leafIndex: string | null;
}

/** One end for all, so that a child's is not later than its parent's. */
const expiresAt = new Date(Date.now() + 3_600_000).toISOString();

/** How far each grant that was minted here may delegate. */
const depths = new Map<string, number>();

/** The grant that a token names; undefined for an admin's. */
function grantOf(token: string | undefined): string | undefined {
  const [, claims] = token?.split('.') ?? [];
  try {
    return JSON.parse(Buffer.from(claims ?? '', 'base64url').toString('utf8')).sub;
  } catch {
    return undefined;
  }
}

/** The service over HTTP, as one caller. */
export class Api {
  constructor(
    readonly url: string,
    readonly token?: string,
  ) {}

  /** The same service for another caller. */
  as(token: string | undefined): Api {
    return new Api(this.url, token);
  }

  get<T = ProblemAnswer>(path: string): Promise<Answer<T>> {
    return this.call<T>('GET', path);
  }

  post<T = ProblemAnswer>(
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    return this.call<T>('POST', path, body, headers);
  }

  async call<T = ProblemAnswer>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const { status } = response;
    const contentType = response.headers.get('content-type') ?? '';
    // A stream has no end: test/support/event-stream.ts reads them.
    const isStream = contentType.startsWith('text/event-stream');
    if (isStream) await response.body?.cancel();
    const text = isStream ? '' : await response.text();
    const answered = /json$|json;/.test(contentType) ? JSON.parse(text) : undefined;
    await expectDocumented(this.url, { method, path, status, contentType, body: answered });
    return { status, headers: response.headers, text, body: answered as T };
  }

  /**
   * Mints (or delegates, for a holder) and expects it to work. Lasts as long as any other does, and may delegate as far
   * as its parent allows unless `terms` says otherwise.
   */
  async mint(terms: Record<string, unknown>): Promise<Minted> {
    const parentId = (terms.parentId as string | undefined) ?? grantOf(this.token);
    const depth = (depths.get(parentId ?? '') ?? 0) - 1;
    const body = {
      holder: 'agent',
      ...('ttlSeconds' in terms ? {} : { expiresAt }),
      ...(depth > 0 ? { delegationDepth: depth } : {}),
      ...terms,
    };
    const answer = await this.post<Minted>('/v1/grants', body);
    if (answer.status !== 201) throw new Error(`not minted: ${answer.status} ${answer.text}`);
    const { grant } = answer.body;
    depths.set(grant.id, grant.delegationDepth);
    return answer.body;
  }

  /** Asks for a payment, whatever the answer. */
  pay<T = ProblemAnswer>(body: unknown, key: string = randomUUID()): Promise<Answer<T>> {
    return this.post<T>('/v1/payments', body, { 'idempotency-key': key });
  }

  /** Pays and expects it to work. */
  async paid(body: unknown, key?: string): Promise<Paid> {
    const answer = await this.pay<Paid>(body, key);
    if (answer.status !== 201) throw new Error(`not paid: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  /** Reads and expects it to work. */
  async read<T>(path: string): Promise<T> {
    const answer = await this.get<T>(path);
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  grant(id: string): Promise<GrantView> {
    return this.read(`/v1/grants/${id}`);
  }

  payment(id: string): Promise<PaymentView> {
    return this.read(`/v1/payments/${id}`);
  }

  /** Every item of a list, page by page. */
  async all<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const parameters: string = cursor === null ? '' : `&cursor=${cursor}`;
      const separator = path.includes('?') ? '&' : '?';
      const page: Listed<T> = await this.read(`${path}${separator}limit=200${parameters}`);
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== null);
    return items;
  }
}

/** Expects a problem: status, media type, and a body that agrees with itself and with `members`. */
export function expectProblem(
  answer: Answer<unknown>,
  status: number,
  code: string,
  /** A member that is undefined must be absent. */
  members: { readonly [Name in keyof ProblemAnswer]?: ProblemAnswer[Name] | undefined } = {},
): void {
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status });
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({
    type: `urn:bursar:problem:${code}`,
    title: expect.stringMatching(/./),
    status,
    detail: expect.stringMatching(/./),
    code,
    ...Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)),
  });
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) expect(answer.body).not.toHaveProperty(name);
  }
}
