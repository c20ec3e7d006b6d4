import type { Breaker } from '../../domain/breaker.js';
import type { OpenedFigures } from '../../domain/opened.js';
import type { Scope } from '../../domain/scope.js';
import { Openings } from '../openings.js';
import { TwoPerson } from '../two-person.js';
import { Contradiction, text } from './record.js';

/** A limit that holds anew in every period, and what the last period that saw a payment has taken. */
export interface Window {
  readonly seconds: number;
  readonly amount: bigint | undefined;
  readonly payments: number | undefined;
  period: number;
  taken: bigint;
  count: number;
}

/** The terms that may be amended after minting. Amounts are atomic units, times Unix milliseconds. */
export interface AmendableTerms {
  budget: bigint;
  maxPerPayment: bigint | undefined;
  maxPayments: number | undefined;
  approvalAbove: bigint | undefined;
  expiresAt: number;
}

/** A grant as its minting record has it, and what became of it so far. Amounts are atomic units. */
export interface Grant extends AmendableTerms {
  readonly id: string;
  /** From the root down, the grant itself last. */
  readonly path: readonly Grant[];
  readonly currency: string;
  readonly windows: readonly Window[];
  readonly scope: Scope;
  /** Unix milliseconds. */
  readonly startsAt: number;
  /** How many levels of grants may be minted below it. */
  readonly delegationDepth: number;
  /** Whether the first payment to a payee that it does not know waits for an approval. */
  readonly approveNewPayees: boolean;
  /** The payees it knows, as `network payTo`. */
  readonly knownPayees: Set<string>;
  readonly breaker: Breaker | undefined;
  /** The times of the refusals that its breaker counts and that have a record; Unix milliseconds. */
  refusals: number[];
  /** Whether these trip its breaker, which is not told yet. */
  isTripDue: boolean;
  /** Whether its budget was set aside on the grants above it. */
  readonly isCarveOut: boolean;
  /** The actor who suspended it; undefined while it is not suspended. */
  suspendedBy: string | undefined;
  isRevoked: boolean;
  /** Thresholds that were told: of its budget since the last amendment, of each period of a window. */
  readonly thresholds: Set<string>;
  /** Whether a carve-out's unused money went back to the grants above. */
  isReturned: boolean;
  /** Tokens of an earlier generation were replaced. */
  tokenGeneration: number;
  reserved: bigint;
  spent: bigint;
  allocated: bigint;
  payments: number;
}

/** A wallet of the treasury. */
export interface Wallet {
  readonly address: string;
  status: 'active' | 'draining' | 'retired';
  /** When it was last set draining; unix milliseconds. */
  drainingSince: number | undefined;
  /** The spends that no payment stands for and nobody has explained. It makes no payment while there is one. */
  readonly unexplained: Set<string>;
}

/** A payment as its decision has it, for comparing it with the chain. */
export interface ReplayedPayment {
  readonly paymentId: string;
  /** The grants that allowed it, from the root down. */
  readonly grants: readonly string[];
  readonly network: string;
  readonly asset: string;
  readonly from: string;
  readonly to: string;
  /** Atomic units. */
  readonly value: bigint;
  readonly nonce: string;
}

/** A payment that is signed and has no end yet. */
export interface OpenPayment extends ReplayedPayment {
  readonly grant: Grant;
  /** Unix milliseconds. */
  readonly decidedAt: number;
  /** Unix seconds. */
  readonly validBefore: bigint;
  isCancelRequested: boolean;
}

/** A payment that waits for an approval, or for being collected. */
export interface WaitingPayment {
  readonly grant: Grant;
  /** The option that was asked for; undefined in records that do not have it. */
  readonly option: Readonly<Record<string, unknown>> | undefined;
  /** The request it is for; undefined in records that do not have it. */
  readonly request: Readonly<Record<string, unknown>> | undefined;
  /** The grant above which an approval must come from; undefined in records that do not have it. */
  readonly askedBy: string | undefined;
  state: 'pending' | 'approved' | 'rejected';
  /** The actor who approved it last. */
  approver: string | undefined;
  /** Until when it may be approved or, once it is, collected; unix milliseconds, where it is known. */
  lapsesAt: number | undefined;
}

/** A raise that a holder asked for. */
export interface OpenRequest {
  readonly grant: Grant;
  readonly budget: bigint;
  readonly expiresAt: number | undefined;
  readonly lapsesAt: number;
  isEnded: boolean;
}

/** Everything that the records so far come to. */
export class History {
  readonly grants = new Map<string, Grant>();
  /** By address. */
  readonly wallets = new Map<string, Wallet>();
  readonly open = new Map<string, OpenPayment>();
  readonly ended = new Set<string>();
  readonly waiting = new Map<string, WaitingPayment>();
  /** By the ids of requests. */
  readonly requests = new Map<string, OpenRequest>();
  /** The nonces of spends that an admin has explained. */
  readonly explained = new Set<string>();
  /** Actor who suspended the whole treasury; undefined while it is not suspended. */
  stoppedBy: string | undefined;
  /** The grants whose breakers counted the newest refusal, the deepest first. */
  lastCounted: readonly Grant[] = [];
  readonly twoPerson = new TwoPerson();
  readonly openings = new Openings();
  /** The opened commitment of the record at hand; undefined where it commits to nothing. */
  opening: OpenedFigures | undefined;

  /** @throws Contradiction for a grant that no record has minted. */
  grant(id: unknown): Grant {
    const grant = this.grants.get(text(id, 'grantId'));
    if (!grant) throw new Contradiction(`grant ${String(id)} was never minted`);
    return grant;
  }

  /** Whether a payment was ever signed. */
  isSigned(paymentId: string): boolean {
    return this.open.has(paymentId) || this.ended.has(paymentId);
  }
}

/** The state of a grant by itself, in one word. */
export function stateOf(grant: Grant): 'active' | 'suspended' | 'revoked' | 'returned' {
  if (grant.isReturned) return 'returned';
  if (grant.isRevoked) return 'revoked';
  return grant.suspendedBy === undefined ? 'active' : 'suspended';
}
