import type { ProblemCode } from '../domain/problem.js';

/** An explanation of a code for whoever meets it: `docs/errors.md` and the OpenAPI document have it. */
export interface ProblemGuide {
  /** One sentence: what the code says. */
  readonly means: string;
  /** One or two sentences: what to do next, and what is safe. */
  readonly remedy: string;
}

/** The guide to every code of the contract. */
export const PROBLEM_GUIDE: Readonly<Record<ProblemCode, ProblemGuide>> = {
  invalid_request: {
    means: 'A header, a parameter or a member of the body is missing, malformed or unknown.',
    remedy: 'Correct the member that `field` names. Unknown members are errors too.',
  },
  invalid_token: {
    means: 'The token is missing, malformed, expired, replaced, revoked or of another service.',
    remedy:
      'Do what `detail` says where it names the cause. Else get a fresh token from whoever minted the grant. Then repeat the call with the same key.',
  },
  invalid_dpop_proof: {
    means:
      'The grant is bound to a key, and the DPoP proof is missing, stale, reused or of another key.',
    remedy: 'Make a new proof for each request (RFC 9449), then repeat the call with the same key.',
  },
  budget_exceeded: {
    means: 'The payment is larger than what is left of the budget of the grant in `grantId`.',
    remedy: 'Ask whoever holds the grant above, or a person, for a larger budget.',
  },
  per_payment_exceeded: {
    means: 'The payment is larger than the grant in `grantId` allows one payment to be.',
    remedy: 'Ask for a higher `maxPerPayment`, or buy something smaller.',
  },
  window_exceeded: {
    means: 'The grant in `grantId` has spent its limit for the current period.',
    remedy:
      'Repeat the call with the same key after `retryAfter` seconds, at `reopensAt`. With `ask`, no period has room for it.',
  },
  payments_exceeded: {
    means: 'The grant in `grantId` has made as many payments as it may.',
    remedy: 'Ask for a higher `maxPayments`, or for a new grant.',
  },
  payee_not_allowed: {
    means: "The seller's address is outside the scope of the grant in `grantId`.",
    remedy: 'Ask for a grant whose `scope.payTo` has the address.',
  },
  network_not_allowed: {
    means: 'The payment is on a network outside the scope of the grant in `grantId`.',
    remedy: 'Ask for a grant whose `scope.networks` has the network.',
  },
  resource_not_allowed: {
    means:
      'The URL that was asked, or another public host that the seller declares, is outside the scope.',
    remedy: 'Ask for a grant with the pattern that `detail` names, after reading that pattern.',
  },
  grant_revoked: {
    means: 'The grant in `grantId` was revoked. That is final, also for everything below it.',
    remedy: 'Stop. A signed payment may still be spent until its `validBefore`.',
  },
  grant_suspended: {
    means: 'The grant in `grantId` is paused, and with it everything below it.',
    remedy: 'Ask whoever suspended it, or a holder above, to resume it.',
  },
  treasury_suspended: {
    means: 'An admin has stopped the whole treasury: no grant of it pays or delegates.',
    remedy:
      'Ask the operator. After the treasury is resumed, repeat the call with the same key; the limits are as before.',
  },
  grant_expired: {
    means: 'The grant in `grantId` has reached its end.',
    remedy: 'Stop, or ask for a new grant.',
  },
  grant_not_started: {
    means: 'The grant in `grantId` has not begun yet.',
    remedy: 'Repeat the call with the same key after `retryAfter` seconds.',
  },
  delegation_not_allowed: {
    means: 'The grant may not delegate: its `delegationDepth` is 0.',
    remedy: 'Stop, or ask for a grant that may delegate.',
  },
  attenuation_violation: {
    means: 'The child would be wider than its parent in the member that `field` names.',
    remedy: "Ask for no more than the parent's own terms. Members left out are inherited.",
  },
  max_amount_exceeded: {
    means: 'Every payable offer costs more than the `maxAmount` of the call.',
    remedy: 'Choose a cheaper offer, or raise `maxAmount`. Nothing was reserved.',
  },
  gas_exceeded: {
    means: 'The cancellations of this tree or treasury have used the gas of a day.',
    remedy: 'Repeat the call after `retryAfter` seconds, or wait until the signature runs out.',
  },
  forbidden: {
    means: "The caller's role does not allow this.",
    remedy: 'Stop, or use a token with the role.',
  },
  not_found: {
    means: 'There is nothing of that id, or nothing that the caller may see.',
    remedy: 'Stop, or check the id. The answer is the same in both cases on purpose.',
  },
  idempotency_mismatch: {
    means: 'The key already belongs to another purchase: another request, or other material terms.',
    remedy:
      'For another request (`field` is `request`), take another key. For the same one, use the payment in `payment`, and take a new ' +
      'key only where `nextAction` is `new_key`.',
  },
  payment_ended: {
    means: 'The payment of this key was released, cancelled or rejected.',
    remedy: 'With `new_key`, a new key cannot pay twice. After a rejection, stop.',
  },
  payment_expiring: {
    means: 'The signature of this key ends too soon to settle.',
    remedy:
      'Repeat the call with the same key after `retryAfter` seconds: the chain decides until then.',
  },
  invalid_transition: {
    means: 'What was asked does not fit the present state of the grant, payment or wallet.',
    remedy: 'Read its status, then correct the request.',
  },
  conflict: {
    means:
      'A term cannot be lowered below what is used of it (`limit` names it), or a raise raises nothing.',
    remedy: 'Ask for a value on the right side of `limit`.',
  },
  payload_too_large: {
    means: 'The body is larger than `BURSAR_BODY_LIMIT_BYTES`.',
    remedy: 'Send less. Of a 402, the header or the body is enough.',
  },
  unsupported_media_type: {
    means: 'The body has another media type than the route reads.',
    remedy: 'Send `application/json`; the OAuth routes read forms.',
  },
  rate_limited: {
    means: 'One address or one caller asks too often.',
    remedy: 'Repeat the call after `retryAfter` seconds.',
  },
  requirements_invalid: {
    means: "The 402 is no x402 answer, or nothing in it can be read as the seller's terms.",
    remedy: 'Check that the whole 402 was handed over. If it was, the seller is at fault.',
  },
  scheme_not_supported: {
    means: 'No entry of the 402 has a scheme and a flow that are paid here.',
    remedy: 'Choose another seller. The only scheme is `exact` by EIP-3009.',
  },
  asset_not_supported: {
    means: 'No entry of the 402 asks for a token that is configured here.',
    remedy: 'Choose another seller, or have an operator configure the token.',
  },
  network_not_supported: {
    means: 'No entry of the 402 is on a network that is configured here.',
    remedy: 'Choose another seller, or have an operator configure the network.',
  },
  treasury_insufficient: {
    means: 'No wallet of the treasury has enough free money for the payment.',
    remedy:
      'Repeat the call with the same key after `retryAfter` seconds. An operator may have to fund it.',
  },
  unavailable: {
    means: 'The service, or something it needs, cannot do this now.',
    remedy: 'Repeat the call with the same key after `retryAfter` seconds. Nothing was lost.',
  },
  internal_error: {
    means:
      'The service has a fault. The log has the request id, which the header `X-Request-Id` names.',
    remedy: 'Repeat the call with the same key after `retryAfter` seconds, and tell the operator.',
  },
};
