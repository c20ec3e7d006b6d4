import {
  BLOCK,
  CURRENCY,
  type EventGuide,
  NETWORK,
  ROW_HASH,
  TRANSACTION,
  VALUE,
} from './event-members.js';
import type { EventKind } from './events.js';
import { PAYMENT_EVENTS } from './payment-event-guide.js';

const MINTED = {
  parentId: 'the grant above; null for a root',
  holder: 'name that the minter gave the holder',
  currency: 'currency of the amounts',
  budget: VALUE,
  maxPerPayment: 'atomic units; null for no limit',
  maxPayments: 'number of payments; null for no limit',
  windows: 'limits by period, amounts in atomic units',
  approvalAbove: 'atomic units; null for no approvals',
  scope: '`networks`, `payTo` and `resources`; absent for any',
  startsAt: 'time',
  expiresAt: 'time',
  delegationDepth: 'levels of grants that may be minted below',
  approveNewPayees: 'whether the first payment to each payee waits for an approval',
  breaker: '`refusals` and `seconds`; null for none',
  funding: '`shared` or `reserved`',
  purpose: 'text of the minter, or null',
  labels: 'names and values of the minter',
  holderKeyThumbprint: 'RFC 7638 thumbprint of the key it is bound to, or null',
  rowHash: ROW_HASH,
};
const SPEND = {
  walletId: 'the wallet',
  address: 'address of the wallet',
  network: NETWORK,
  asset: 'address of the token',
  transaction: TRANSACTION,
  place: 'position in the transaction',
  nonce: 'EIP-3009 nonce, or null for another kind of transfer',
  to: 'payee, or null where unknown',
  value: VALUE,
  blockNumber: BLOCK,
};
const WALLET_STATUS = {
  walletId: 'the wallet',
  address: 'address of the wallet',
  from: 'status before',
  to: 'status now',
};
const WEBHOOK = { webhookId: 'the webhook' };
const WEBHOOK_TERMS = {
  ...WEBHOOK,
  origin: 'scheme, host and port of its address; the rest of the address may hold a secret',
  urlHash: 'SHA-256 of the address',
  kinds: 'kinds of events that it gets',
};
const CATALOG = {
  catalogId: 'the catalog',
  origin: 'scheme, host and port of its address; the rest of the address may hold a secret',
  urlHash: 'SHA-256 of the address',
};
const GRANT_STATUS = { from: 'status before', to: 'status now' };
const GENERATION = { generation: 'number of the token: each new one replaces all earlier ones' };
const SALE = {
  saleId: 'the sale',
  operation: 'operation of the API that was sold',
  network: NETWORK,
  asset: 'address of the token',
  payer: 'address that paid',
  currency: CURRENCY,
  value: VALUE,
  transaction: TRANSACTION,
};
const SIGNING_KEY = {
  use: '`tokens` or `log`',
  algorithm: 'signature algorithm',
  kid: 'id of a key for tokens',
  key: 'C2SP verifier key of a log',
};

/** The guide to every kind of event. Members of `data` that a kind does not always have say so by being null or absent. */
export const EVENT_GUIDE: Readonly<Record<EventKind, EventGuide>> = {
  ...PAYMENT_EVENTS,
  'grant.minted': { means: 'An admin minted a root grant.', data: MINTED },
  'grant.delegated': { means: 'A grant was minted below another one.', data: MINTED },
  'grant.suspended': {
    means: 'A grant, and with it everything below, was paused.',
    data: GRANT_STATUS,
  },
  'grant.resumed': { means: 'A suspended grant was resumed.', data: GRANT_STATUS },
  'grant.revoked': {
    means: 'A grant, and with it everything below, was ended for good.',
    data: {
      ...GRANT_STATUS,
      revokedGrants: 'number of grants that ended by it, itself included',
    },
  },
  'grant.tripped': {
    means: "A grant's breaker suspended it, and with it everything below.",
    data: {
      ...GRANT_STATUS,
      refusals: 'how many refusals trip it',
      seconds: 'in how many seconds',
      since: 'when the first of them was',
      unrecorded: 'how many of them have no `payment.refused` of their own',
      isLastRecorded: 'whether the last of them has one, which then stands before this event',
    },
  },
  'grant.threshold': {
    means:
      'Usage came to 50, 80 or 100 % from below: of the budget once since the last amendment, of a window once in a period.',
    data: {
      paymentId: 'the payment that came to it, or `null` for a grant that was minted or raised',
      percent: '50, 80 or 100',
      unit: '`amount` or `payments`: of a window, whichever has the greater share',
      used: 'what is spent, reserved and set aside of the budget, or taken in the period',
      limit: 'the budget, or the bound of the window',
      window: '`null` for the budget, else its `index`, `seconds`, `period` and when that `endsAt`',
    },
  },
  'grant.returned': {
    means: 'What a `reserved` grant had left went back to the grants above.',
    data: { amount: VALUE, to: 'the grants that it went back to' },
  },
  'grant.amended': {
    means: 'Terms of a grant were raised or lowered. Later payments are decided by the new ones.',
    data: {
      from: 'the changed terms as they were, named as in `grant.minted`',
      to: 'the same as they are now',
      raised: 'the names of those that allow more than before',
      twoPerson: 'whether whoever raises had to have no part in the grant',
    },
  },
  'grant_request.created': {
    means: 'A holder asks for a raise of its own grant.',
    data: {
      grantRequestId: 'the request',
      budget: 'the budget asked for, in atomic units',
      expiresAt: 'the end asked for; null for the present one',
      lapsesAt: 'when it is rejected unless somebody decided',
    },
  },
  'grant_request.approved': {
    means: 'A raise request was approved. The `grant.amended` before it has the terms.',
    data: { grantRequestId: 'the request' },
  },
  'grant_request.rejected': {
    means: 'A raise request was rejected, or nobody decided about it in time.',
    data: { grantRequestId: 'the request' },
  },
  'grant.token_reissued': {
    means: 'A grant got a new token; earlier ones stopped working.',
    data: GENERATION,
  },
  'grant.token_replayed': {
    means: 'A repeated minting handed out a token of the grant again.',
    data: GENERATION,
  },
  'grant.token_revoked': {
    means: 'The token of a grant was revoked; the grant has none until one is issued.',
    data: GENERATION,
  },
  'treasury.created': { means: 'A treasury was created.', data: { name: 'its name' } },
  'treasury.changed': {
    means: 'The settings of a treasury were changed.',
    data: { zeroPayments: '`from` and `to`: whether payments of 0 may be made' },
  },
  'treasury.suspended': {
    means: 'An admin stopped a treasury: nothing is paid, handed out, minted or delegated in it.',
    data: { from: 'active', to: 'suspended' },
  },
  'treasury.low': {
    means:
      'Free funds in a currency on a network fell below what was spent in a day, or below `BURSAR_TREASURY_LOW`. Told again only after they were above it.',
    data: {
      network: NETWORK,
      currency: 'the currency',
      free: 'final balances less what is reserved, of the wallets that pay; atomic units',
      below: 'the bound; atomic units',
    },
  },
  'treasury.resumed': {
    means: 'An admin let a stopped treasury go on.',
    data: { from: 'suspended', to: 'active' },
  },
  'treasury.fenced': {
    means:
      'New payments are held back after a restore or an unknown spend, until lost ones can have ended.',
    data: { until: 'time' },
  },
  'treasury.unfenced': {
    means:
      'New payments are taken again: what was lost has ended, or no final block shows the spend.',
    data: {},
  },
  'wallet.added': {
    means: 'A wallet joined the treasury.',
    data: {
      walletId: 'the wallet',
      address: 'address of the wallet',
      position: 'position in the derivation',
    },
  },
  'wallet.active': { means: 'A wallet pays again.', data: WALLET_STATUS },
  'wallet.draining': {
    means: 'A wallet pays no more; its open payments settle.',
    data: WALLET_STATUS,
  },
  'wallet.retired': {
    means: 'A wallet is done for good; its key may be destroyed.',
    data: WALLET_STATUS,
  },
  'wallet.code_seen': {
    means: 'A wallet has code (EIP-7702), so tokens refuse its signatures.',
    data: {
      walletId: 'the wallet',
      address: 'address of the wallet',
      network: NETWORK,
      code: 'bytes of the code',
      blockNumber: BLOCK,
    },
  },
  'wallet.code_gone': {
    means: 'The code of a wallet is gone in a final block.',
    data: {
      walletId: 'the wallet',
      address: 'address of the wallet',
      network: NETWORK,
      blockNumber: BLOCK,
    },
  },
  'wallet.spend_seen': {
    means: 'The chain shows a spend of a wallet that no payment stands for.',
    data: SPEND,
  },
  'wallet.spend_withdrawn': {
    means: 'A reorganisation took back such a spend.',
    data: SPEND,
  },
  'wallet.spend_adopted': {
    means: 'An operator explained such a spend.',
    data: SPEND,
  },
  'admin.token_minted': {
    means: 'An admin token was minted.',
    data: {
      name: 'name of the admin',
      role: '`admin`, `approver` or `auditor`',
      ttlSeconds: 'life of the token',
      treasuries: 'treasuries that it may see; null for all',
    },
  },
  'admin.token_revoked': {
    means: 'A token of an admin was revoked.',
    data: {
      name: 'name of the admin',
      role: 'role of the token',
      tokenId: 'id of the token, where it was known',
      expiresAt: 'end of the token in Unix seconds, where it was known',
    },
  },
  'admin.signed_in': {
    means: 'Somebody signed in at the identity provider, for the first time with this token.',
    data: { role: 'role', treasuries: 'treasuries they may see; null for all' },
  },
  'key.created': { means: 'A key of the service was made.', data: SIGNING_KEY },
  'key.retired': { means: 'A key for tokens was retired.', data: SIGNING_KEY },
  'webhook.created': { means: 'A webhook was registered.', data: WEBHOOK_TERMS },
  'webhook.changed': {
    means: 'The address or the kinds of a webhook were changed.',
    data: WEBHOOK_TERMS,
  },
  'webhook.deleted': { means: 'A webhook was deleted with its deliveries.', data: WEBHOOK },
  'webhook.secret_rotated': {
    means: 'A webhook got a new secret.',
    data: { ...WEBHOOK, oldValidUntil: 'until when the secret before signs too' },
  },
  'webhook.paused': {
    means: 'A webhook was paused, by somebody or because it failed for three days.',
    data: { ...WEBHOOK, failingSince: 'time of the first failure since the last success, or null' },
  },
  'webhook.resumed': {
    means: 'A paused webhook goes on with the event at which it stopped.',
    data: WEBHOOK,
  },
  'webhook.ended': {
    means: "A holder's webhook ended with its grant, after the last event.",
    data: WEBHOOK,
  },
  'catalog.subscribed': {
    means: 'A catalog of priced services was subscribed to.',
    data: CATALOG,
  },
  'catalog.removed': { means: 'A catalog was removed with what it lists.', data: CATALOG },
  'sale.settled': {
    means: 'A gateway was paid for a request. The log is that of the treasury that sells.',
    data: {
      ...SALE,
      payTo: 'address that was paid',
      nonce: 'EIP-3009 nonce',
      requestHash: 'SHA-256 of method, path, query and body',
      configHash: "SHA-256 of the gateway's file",
      settle: '`after` the answer or `before` the call',
    },
  },
  'sale.refund_owed': {
    means: 'A payer was charged first, and the API failed then: the price is owed back.',
    data: {
      ...SALE,
      statusCode: 'status that the API answered with, or null',
      reason: 'why there is no answer, or null',
    },
  },
  'sale.refunded': {
    means: 'What was owed for a sale was paid back, by a payment under the refund grant.',
    data: {
      saleId: 'the sale',
      paymentId: 'the payment, in the log of the treasury of the refund grant',
      transaction: 'hash of the transaction of the refund',
    },
  },
  'audit.opened': {
    means: 'What other records commit to by hash. Admins and auditors read it, holders do not.',
    data: { openings: 'each with its `commitment`, salt and what it opens' },
  },
};
