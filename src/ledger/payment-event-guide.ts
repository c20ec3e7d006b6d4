import {
  BLOCK,
  CURRENCY,
  type EventGuide,
  NETWORK,
  ROW_HASH,
  TRANSACTION,
  VALUE,
} from './event-members.js';

const ANCESTORS =
  'salted hash of the figures of grants above, which an `audit.opened` record opens; null where there are none';
const REQUEST = '`method` and `url` of the request that met the 402';
const OPTION = '`network`, `asset`, `payTo` and `value` (atomic units)';
const SIGHTING = { network: NETWORK, transaction: TRANSACTION, blockNumber: BLOCK };
const ENDED = {
  currency: CURRENCY,
  value: VALUE,
  network: NETWORK,
  transaction: 'hash of the transaction, or null for none',
  blockNumber: 'number of the final block that shows it, or null',
};

/** The guide to the events of payments. */
export const PAYMENT_EVENTS = {
  'payment.authorized': {
    means: 'A payment was decided, reserved and signed.',
    data: {
      ancestors: ANCESTORS,
      chain: 'in records of earlier versions: counters of every grant of the chain, the root first',
      approval: '`by` and `twoPerson`; only of a payment that waited for an approval',
      currency: CURRENCY,
      decision: 'the decision record, whose SHA-256 is the nonce (docs/payment-nonce.md)',
      grant: 'counters of the paying grant just before',
      nonce: 'EIP-3009 nonce',
      rowHash: ROW_HASH,
    },
  },
  'payment.pending': {
    means: 'A payment waits for an approval.',
    data: {
      ancestors: ANCESTORS,
      askedBy: 'the grant whose terms ask for the approval',
      approvalAbove:
        'atomic units; null where it is the limit of a grant above, or the amount is not the reason',
      newPayee: 'whether that grant asks because it does not know the payee',
      request: REQUEST,
      option: OPTION,
      lapsesAt: 'when the wait ends without an approval',
      rowHash: ROW_HASH,
    },
  },
  'approval.needed': {
    means:
      'Somebody must decide about a payment that waits. It stands behind the `payment.pending` of it.',
    data: {
      askedBy: 'the grant whose terms ask for the approval',
      value: VALUE,
      currency: CURRENCY,
      network: NETWORK,
      payTo: 'address of the payee',
      url: 'URL of the request that met the 402; empty where there was none',
      lapsesAt: 'when the wait ends without an approval',
    },
  },
  'payment.approved': {
    means: 'A waiting payment was approved. Nothing is signed before the agent asks again.',
    data: {
      value: VALUE,
      currency: CURRENCY,
      collectBefore: 'until when the agent must ask again',
      twoPerson: 'whether the approver had to be somebody else than asked',
    },
  },
  'payment.rejected': {
    means: 'A waiting or approved payment was rejected, or its approval lapsed.',
    data: { value: VALUE, currency: CURRENCY },
  },
  'payment.refused': {
    means: 'A payment was refused by a grant of the chain or by the treasury.',
    data: {
      ancestors: ANCESTORS,
      code: 'code of the problem',
      detail: 'detail of the problem',
      refusedBy: 'the grant that refused, or null',
      limit: 'the limit that was hit; null where it is one of a grant above',
      remaining: 'what was left of it; null where it is of a grant above',
      request: REQUEST,
      options: `the options that were considered, each with ${OPTION}`,
    },
  },
  'payment.refused_more': {
    means: 'More refusals of one grant with one code, counted instead of recorded one by one.',
    data: {
      code: 'code of the problems',
      refusals: 'number of them, as text',
      from: 'time of the first',
      to: 'time of the last',
    },
  },
  'payment.seen': {
    means: 'The transfer stands in a block that is not final yet.',
    data: SIGHTING,
  },
  'payment.sighting_withdrawn': {
    means: 'A reorganisation took back a transfer that was seen.',
    data: SIGHTING,
  },
  'payment.receipt': {
    means:
      "A seller's receipt was handed in as evidence. The chain is asked before it is believed.",
    data: {
      valueHash: 'SHA-256 of the receipt as it was handed in',
      transaction: 'hash that the seller named, or null',
      signature: '`outcome` of the verification, and `signer`',
    },
  },
  'payment.cancel_requested': {
    means: 'The cancellation of a signed payment was asked for.',
    data: { network: NETWORK },
  },
  'payment.settled': {
    means: 'A final block shows the transfer: the money is spent.',
    data: { ...ENDED, paid: 'amount that the transaction moved, in atomic units; at most `value`' },
  },
  'payment.released': {
    means: 'The signature ran out unused: the money is free again.',
    data: ENDED,
  },
  'payment.cancelled': {
    means: 'A final block shows the cancellation: the money is free again.',
    data: { ...ENDED, counted: 'true: it still counts in the number of payments' },
  },
  'payment.adopted': {
    means: 'An operator booked a spend that was found on chain as a payment of a grant.',
    data: {
      currency: CURRENCY,
      decision: 'the decision record of the adoption',
      nonce: 'EIP-3009 nonce',
    },
  },
} as const satisfies Readonly<Record<string, EventGuide>>;
