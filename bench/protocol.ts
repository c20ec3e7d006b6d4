// Messages between the benchmark and the processes that it starts.

/** One run of the client. */
export interface LoadOrder {
  /** Where the service listens; connections are dealt out evenly. */
  readonly urls: readonly string[];
  /** Requests that are made in turn: the same payment for this grant, each time with a new key. */
  readonly requests: readonly { readonly token: string; readonly body: string }[];
  /** Connections, each with one payment under way. */
  readonly clients: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** How many answers to hand back whole. */
  readonly keep: number;
  /**
   * Asks so often, however slow the answers are, as long as a connection is free; latency then counts from
   * when it was due. When left out, each connection asks again once it was answered.
   */
  readonly perSecond?: number;
}

/** Results of a run of the client. Rates and times without its warm-up. */
export interface LoadResult {
  /** Answers 201, warm-up included: as many payments must be in the database. */
  readonly paid: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly errors: readonly { readonly what: string; readonly count: number }[];
  /** How long refusals took. */
  readonly refusedP99Ms: number;
  /** Bodies of the first answers. */
  readonly kept: readonly string[];
  /** The client's own, warm-up included. */
  readonly cpuSeconds: number;
}

/** One run of a signer in memory. */
export interface SignerOrder {
  /** The seller's 402 body. */
  readonly paymentRequired: unknown;
  readonly seconds: number;
  /** With spend controls: the module they are in, and how many payments their ledger holds. */
  readonly controlled?: { readonly guardrails: string; readonly payments: number };
}

/** One run of what writes payments, without HTTP. */
export interface LedgerOrder {
  readonly design: 'group commit' | 'plain';
  readonly grantIds: readonly string[];
  readonly requirement: {
    readonly scheme: string;
    readonly network: string;
    readonly amount: string;
    readonly asset: string;
    readonly payTo: string;
    readonly maxTimeoutSeconds: number;
  };
  /** The resource that is paid for. */
  readonly url: string;
  /** Payments under way at once. */
  readonly clients: number;
  readonly seconds: number;
}

/** One run of an agent that buys by bursar.fetch and by hand. */
export interface SdkOrder {
  /** The path of the built package. */
  readonly sdk: string;
  /** The service's. */
  readonly url: string;
  readonly token: string;
  readonly sellerUrl: string;
  readonly seconds: number;
}

/** Results of such a run. */
export interface SdkResult {
  /** Payments in all, warm-up included: as many must be in the database. */
  readonly bought: number;
  /** Measured calls of either way. */
  readonly calls: number;
  readonly byHand: { readonly p50Ms: number; readonly p99Ms: number };
  readonly byFetch: { readonly p50Ms: number; readonly p99Ms: number };
}

/** One order to the listeners: what they have heard is told in any case. */
export interface ListenOrder {
  /** Streams to open first. */
  readonly streams?: readonly {
    readonly url: string;
    readonly token: string;
    readonly kinds: readonly string[];
  }[];
}

/** Counts of what the listeners have heard until now. */
export interface Listened {
  /** Where a webhook reaches them. */
  readonly webhookUrl: string;
  readonly deliveries: number;
  /** In the order in which they were opened. */
  readonly streams: readonly { readonly events: number; readonly isOpen: boolean }[];
}

/** A server that selling is measured with. */
export type SellerOrder =
  | { readonly kind: 'upstream' }
  | { readonly kind: 'facilitator'; readonly network: string }
  | {
      readonly kind: 'express';
      readonly network: string;
      readonly payTo: string;
      readonly facilitatorUrl: string;
      readonly upstreamUrl: string;
    }
  | {
      readonly kind: 'gateway';
      /** The path of the gateway's file. */
      readonly file: string;
      readonly environment: Readonly<Record<string, string>>;
    };

/** One run of a buyer. */
export interface GatewayOrder {
  readonly url: string;
  readonly isPaid: boolean;
  /** Requests under way at once. */
  readonly clients: number;
  readonly seconds: number;
}
