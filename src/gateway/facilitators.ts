import { HTTPFacilitatorClient } from '@x402/core/server';
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types';
import { within } from '../within.js';
import type { Credential } from './credential.js';
import {
  nameInV1,
  type Offer,
  requirementsV1,
  requirementsV2,
  type SoldResource,
} from './offers.js';

/** How long a facilitator may take to verify, in milliseconds. */
const VERIFY_TIMEOUT_MS = 15_000;

/** A payment as facilitators take it, with what it is held against. */
export interface FacilitatorRequest {
  readonly paymentPayload: PaymentPayload;
  readonly paymentRequirements: PaymentRequirements;
}

/** The published interface of facilitators, by HTTP or in this process. */
export interface FacilitatorLike {
  verify(
    payload: PaymentPayload,
    requirements: PaymentRequirements,
  ): Promise<{
    isValid: boolean;
    invalidReason?: string | undefined;
  }>;
  settle(
    payload: PaymentPayload,
    requirements: PaymentRequirements,
  ): Promise<{
    success: boolean;
    errorReason?: string | undefined;
    transaction: string;
  }>;
}

/** The outcome of a verification. `unavailable`: no facilitator answered. */
export type Verification =
  | { readonly kind: 'valid' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly reason: string };

/** The outcome of a settlement. `unknown`: it may have happened, and the chain decides. */
export type Settlement =
  | { readonly kind: 'settled'; readonly transaction: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string };

/**
 * The refusals that are given before anything is sent, and that stay true: everything else, a transaction that failed and
 * a nonce that is used included, is left to the chain.
 */
const DEFINITE: ReadonlySet<string> = new Set([
  'insufficient_funds',
  'invalid_exact_evm_insufficient_balance',
  'invalid_exact_evm_signature',
  'invalid_exact_evm_payload_signature',
  'invalid_exact_evm_recipient_mismatch',
  'invalid_exact_evm_payload_recipient_mismatch',
  'invalid_exact_evm_payload_authorization_value_mismatch',
  'invalid_exact_evm_network_mismatch',
  'invalid_exact_evm_scheme',
]);

/** One facilitator or several: the next is asked where one cannot be reached. */
export class Facilitators {
  constructor(private readonly each: readonly FacilitatorLike[]) {}

  /** Whether a payment is good. An answer counts, whichever facilitator gives it. */
  async verify({ paymentPayload, paymentRequirements }: FacilitatorRequest): Promise<Verification> {
    let failure = 'there is none';
    for (const facilitator of this.each) {
      try {
        const verifying = facilitator.verify(paymentPayload, paymentRequirements);
        if (!(await within(verifying, VERIFY_TIMEOUT_MS))) {
          throw new Error('the facilitator took too long');
        }
        const { isValid, invalidReason } = await verifying;
        if (isValid) return { kind: 'valid' };
        return { kind: 'invalid', reason: code(invalidReason) };
      } catch (error) {
        // A published facilitator refuses with 4xx too, and then with a reason.
        const reason = reasonOf(error, 'invalidReason');
        if (reason !== undefined) return { kind: 'invalid', reason };
        failure = messageOf(error);
      }
    }
    return { kind: 'unavailable', reason: failure };
  }

  /**
   * Asks for a settlement, once. A second facilitator is asked only where the first one was not reached at all: one that
   * took the payment may be settling it, whatever it answers.
   */
  async settle(request: FacilitatorRequest): Promise<Settlement> {
    for (const [place, facilitator] of this.each.entries()) {
      try {
        const { success, errorReason, transaction } = await facilitator.settle(
          request.paymentPayload,
          request.paymentRequirements,
        );
        if (success && /^0x[0-9a-fA-F]{64}$/.test(transaction))
          return { kind: 'settled', transaction };
        const reason = success ? 'success without a transaction' : code(errorReason);
        return {
          kind: !success && DEFINITE.has(reason) && transaction === '' ? 'refused' : 'unknown',
          reason,
        };
      } catch (error) {
        const isLast = place === this.each.length - 1;
        if (isLast || !wasNotReached(error)) return { kind: 'unknown', reason: messageOf(error) };
      }
    }
    return { kind: 'unknown', reason: 'there is no facilitator' };
  }
}

/** The facilitators of the configured URLs. */
export function remoteFacilitators(
  urls: readonly string[],
  settleTimeoutMs: number,
): FacilitatorLike[] {
  return urls.map((url) => new HTTPFacilitatorClient({ url, timeoutMs: settleTimeoutMs }));
}

/** A credential and the offer it pays, as facilitators take them. Nothing else of what the payer sent is passed on. */
export function facilitatorRequest(
  { version, signed }: Pick<Credential, 'version' | 'signed'>,
  offer: Offer,
  resource: SoldResource,
): FacilitatorRequest {
  const [paymentPayload, paymentRequirements] =
    version === 2
      ? [
          { x402Version: 2, accepted: requirementsV2(offer), payload: signed },
          requirementsV2(offer),
        ]
      : [
          { x402Version: 1, scheme: 'exact', network: nameInV1(offer.network), payload: signed },
          requirementsV1(offer, resource),
        ];
  return { paymentPayload, paymentRequirements } as unknown as FacilitatorRequest;
}

/** Whether a request cannot have arrived: no connection was made. */
function wasNotReached(error: unknown): boolean {
  for (
    let at = error;
    typeof at === 'object' && at !== null;
    at = (at as { cause?: unknown }).cause
  ) {
    const { code: name } = at as { code?: unknown };
    if (
      [
        'ECONNREFUSED',
        'ENOTFOUND',
        'EAI_AGAIN',
        'EHOSTUNREACH',
        'UND_ERR_CONNECT_TIMEOUT',
      ].includes(String(name))
    ) {
      return true;
    }
  }
  return false;
}

/** A reason as a facilitator names it: a word that may stand in an answer. */
function code(reason: unknown): string {
  return typeof reason === 'string' && /^[A-Za-z0-9_.:-]{1,100}$/.test(reason)
    ? reason
    : 'unexpected_error';
}

function reasonOf(error: unknown, member: string): string | undefined {
  const reason = (error as Record<string, unknown> | null)?.[member];
  return reason === undefined ? undefined : code(reason);
}

function messageOf(error: unknown): string {
  return (
    (error instanceof Error ? error.message : String(error)).split('\n')[0]?.slice(0, 200) ?? ''
  );
}
