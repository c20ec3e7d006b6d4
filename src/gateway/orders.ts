import type { Answer } from './answers.js';
import type { Credential } from './credential.js';
import type { Offer, SoldResource } from './offers.js';
import type { PayerBounds } from './payer-limits.js';
import type { Sale } from './sale-rows.js';
import type { UpstreamAnswer, UpstreamRequest } from './upstream.js';

/** A paid request, ready to be sold. */
export interface Order {
  readonly credential: Credential;
  /** The offer that the credential pays; undefined when it pays none that stands. */
  readonly offer: Offer | undefined;
  /** Whether the payer says that it pays for another request. */
  readonly namesAnother: boolean;
  readonly sold: SoldResource;
  /** Method, path, query and body in one hash. */
  readonly requestHash: string;
  readonly request: UpstreamRequest;
  readonly operation: {
    readonly id: string;
    readonly settle: 'after' | 'before' | 'first_byte';
    /** Whether its answers are handed on while they arrive. */
    readonly isStreamed: boolean;
    readonly timeoutMs: number;
    readonly maxAnswerBytes: number;
    readonly settleSeconds: number;
  };
  readonly bounds: PayerBounds & {
    /** Sales of a payer a day that are not charged. */
    readonly freePerPayer: number;
  };
  readonly configHash: string;
}

/** The end of a paid request. */
export type Ending =
  /** Charged, with the answer. */
  | { readonly kind: 'sold'; readonly sale: Sale; readonly answer: Answer }
  /** Charged, or free, with an answer that is still arriving: for one reader alone. */
  | {
      readonly kind: 'streaming';
      readonly sale: Sale;
      readonly answer: UpstreamAnswer;
      readonly over: Promise<void>;
    }
  /** Nothing was or will be charged: the upstream failed, or the request was one of the payer's free ones. */
  | { readonly kind: 'uncharged'; readonly sale: Sale; readonly answer: Answer }
  /** The process that called died, and nothing was or will be charged. */
  | { readonly kind: 'lost'; readonly sale: Sale }
  /** Charged, and the upstream failed: a credit note is written. */
  | { readonly kind: 'owed'; readonly sale: Sale }
  /** Charged, or failed; the answer is kept no longer. */
  | { readonly kind: 'gone'; readonly sale: Sale }
  /** The payment is not good. Nothing was reserved. */
  | { readonly kind: 'unpayable'; readonly reason: string }
  /** The settlement was refused for good. */
  | { readonly kind: 'refused'; readonly sale: Sale }
  /** Nobody knows yet whether it was charged, or it takes longer than one waits. */
  | { readonly kind: 'unknown'; readonly sale: Sale }
  /** Nothing was reserved, since something that is needed does not answer. */
  | { readonly kind: 'unavailable'; readonly reason: string }
  /** The credential is another request's. */
  | { readonly kind: 'conflict' }
  /** Its payer has as many sales as one may have, under way or in this minute. Nothing was reserved. */
  | { readonly kind: 'busy'; readonly retryAfterSeconds: number };
