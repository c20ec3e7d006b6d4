import type { ServicesPage } from '../catalog/services.dto.js';
import type { GrantView } from '../grants/grants.dto.js';
import type { PaymentView, QuoteView } from '../payments/payments.dto.js';

/** A request that met a 402, and that 402: what is quoted and paid. */
export interface Order {
  readonly paymentRequired: string | Record<string, unknown>;
  readonly request: { readonly method?: string | undefined; readonly url: string };
  readonly maxAmount?: string | undefined;
  readonly option?: number | undefined;
}

/** A payment as it was answered. */
export interface PaidOrder {
  readonly payment: PaymentView;
  /** Undefined while the payment waits for an approval. */
  readonly header?: { readonly name: string; readonly value: string } | undefined;
  readonly replayed: boolean;
  /** Amount that the grant could still spend; undefined where the answer does not say. */
  readonly remaining?: string | undefined;
  /** Seconds after which asking for the same payment again makes sense. */
  readonly retryAfter?: number | undefined;
}

/** A minted child, and how its holder gets its token. */
export interface DelegatedGrant {
  readonly grant: GrantView;
  /** Bound to the holder's key: worth nothing without it. */
  readonly token?: string;
  readonly tokenExpiresAt?: string;
  /** A file on this machine that holds the token. */
  readonly tokenFile?: string;
}

/** Outcome of a revocation. */
export interface RevokedGrants {
  readonly grant: GrantView;
  readonly revokedGrants: number;
  readonly exposure: {
    readonly payments: number;
    readonly amount: string;
    readonly lastValidBefore: string | null;
  };
}

/** A raise that was asked for. */
export interface AskedRaise {
  readonly id: string;
  readonly status: string;
  readonly budget: string;
  readonly currency: string;
  readonly expiresAt: string | null;
  readonly lapsesAt: string;
}

/** Filters of a list of payments, and its page. */
export interface PaymentFilter {
  readonly status?: string | undefined;
  readonly grantId?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** Filters of a search for services, and its page. */
export interface ServiceFilter {
  readonly q?: string | undefined;
  readonly maxPrice?: string | undefined;
  readonly network?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** A refusal or failure as a model reads it: the members of problem+json that it can act on. */
export interface ToolProblem {
  readonly code: string;
  readonly detail: string;
  readonly nextAction: string;
  readonly retryAfter?: number | undefined;
  readonly [member: string]: unknown;
}

/**
 * Requests of the tools to Bursar, as one caller. On the service it is the services of its REST routes; on an agent's
 * machine it is the client library.
 */
export interface Desk {
  /** The caller's token, which no argument may hold. */
  readonly token: string;
  budget(): Promise<GrantView>;
  quote(order: Order): Promise<QuoteView>;
  pay(order: Order, idempotencyKey: string): Promise<PaidOrder>;
  /** @param terms - the body of `POST /v1/grants`, as far as the tool's schema lets it through. */
  delegate(
    terms: Readonly<Record<string, unknown>>,
    idempotencyKey: string | undefined,
  ): Promise<DelegatedGrant>;
  revoke(
    grantId: string,
    options: {
      readonly reason?: string | undefined;
      readonly cancelOutstanding?: boolean | undefined;
    },
  ): Promise<RevokedGrants>;
  /** @param raise - the body of `POST /v1/grant-requests`. */
  requestRaise(raise: {
    readonly budget: string;
    readonly expiresAt?: string | undefined;
    readonly reason: string;
  }): Promise<AskedRaise>;
  payments(
    filter: PaymentFilter,
  ): Promise<{ readonly items: readonly PaymentView[]; readonly nextCursor: string | null }>;
  /** Priced operations that the caller's grant could pay. */
  services(filter: ServiceFilter): Promise<ServicesPage>;
  /** Text for a model about an error that one of these threw. */
  problemOf(error: unknown): ToolProblem;
}
