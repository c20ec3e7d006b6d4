/** When a block counts as final on a network: a block tag, or that many blocks under the head. */
export type Finality = 'finalized' | 'safe' | { readonly blocks: number };

/** A token Bursar may sign for on one network. The EIP-712 domain comes from here and nowhere else. */
export interface Asset {
  /** The currency budgets count it in. */
  readonly currency: string;
  /** Token contract, EIP-55 checksummed. */
  readonly address: `0x${string}`;
  readonly decimals: number;
  /** EIP-712 domain `name` and `version`. */
  readonly name: string;
  readonly version: string;
}

/** A network payments may be made on. */
export interface Network {
  /** CAIP-2, such as `eip155:8453`. */
  readonly network: string;
  readonly chainId: number;
  readonly rpcUrls: readonly string[];
  readonly finality: Finality;
  /** How often the chain is read, in milliseconds. */
  readonly pollMs: number;
  /** How far the newest block's time may be from the database's, in seconds, for payments to be made. */
  readonly maxClockSkewSeconds: number;
  readonly assets: readonly Asset[];
  /** Whether the assets are those known for the network, rather than named by the configuration. */
  readonly hasDefaultAssets?: boolean;
}

/** A block a network was read up to. */
export interface BlockMark {
  readonly number: bigint;
  readonly hash: string;
  /** Unix seconds, by the chain. */
  readonly time: bigint;
}
