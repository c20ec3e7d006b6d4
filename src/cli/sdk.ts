/** Parts of `@bursar/sdk` that the commands use. Its source is compiled with them, so that they need no build of their own. */
export { Api } from '../../clients/typescript/src/api.js';
export { Bursar } from '../../clients/typescript/src/bursar.js';
export { ApprovalRequired, BursarError } from '../../clients/typescript/src/errors.js';
export type { BursarEvent, EventOptions } from '../../clients/typescript/src/events.js';
export { keyOfIntent } from '../../clients/typescript/src/purchases.js';
export type {
  Amendment,
  Grant,
  GrantRequest,
  GrantTerms,
  Page,
  Payment,
  PaymentQuery,
  Quote,
  Service,
  SpendItem,
} from '../../clients/typescript/src/types.js';
