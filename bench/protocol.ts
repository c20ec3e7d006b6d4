// What the benchmark and the processes it starts tell one another.

/** One run of the client. */
export interface LoadOrder {
  /** Where the service listens; connections are dealt out evenly. */
  readonly urls: readonly string[];
  /** What is asked for in turn: the same payment for this grant, each time with a new key. */
  readonly requests: readonly { readonly token: string; readonly body: string }[];
  /** Connections, each with one payment under way. */
  readonly clients: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** How many answers to hand back whole. */
  readonly keep: number;
}

/** What a run of the client found. Rates and times without its warm-up. */
export interface LoadResult {
  /** Answers 201, warm-up included: as many payments must be in the database. */
  readonly paid: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly errors: readonly { readonly what: string; readonly count: number }[];
  /** Bodies of the first answers. */
  readonly kept: readonly string[];
  /** The client's own, warm-up included. */
  readonly cpuSeconds: number;
}
