export type { ApiOptions } from './api.js';
export { Bursar, type BursarOptions, type Delegation, type PaidOrder } from './bursar.js';
export {
  ApprovalRequired,
  BursarError,
  type ErrorDetails,
  explain,
  type NextAction,
  NotConfirmed,
  PaidNotDelivered,
  PaymentOutcomeUnknown,
} from './errors.js';
export type { AuditEventType, BursarEvent, EventOptions } from './events.js';
export type { BursarInit, PaymentOptions, Receipt, ResponsePayment } from './fetch.js';
export { generateHolderKey, publicJwk } from './keys.js';
export type { Grants, GrantWithToken, Payments, Raises, Reports } from './lists.js';
export type { ReplayableBody } from './request.js';
export type {
  AmendedGrant,
  Amendment,
  AuditEvent,
  AuthorizedPayment,
  Grant,
  GrantQuery,
  GrantRequest,
  GrantRequestQuery,
  GrantTerms,
  GrantTree,
  HolderJwk,
  HolderKey,
  Page,
  Payment,
  PaymentQuery,
  PayOrder,
  Quote,
  Raise,
  Revocation,
  Service,
  ServiceQuery,
  SignedHeader,
  SpendItem,
  SpendQuery,
} from './types.js';
