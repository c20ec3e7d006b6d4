import { ApprovalRequired, type Bursar, BursarError } from '../../clients/typescript/src/index.js';
import type { GrantView } from '../grants/grants.dto.js';
import type { PaymentView, QuoteView } from '../payments/payments.dto.js';
import type { Desk, Order, PaidOrder, PaymentFilter, ServiceFilter, ToolProblem } from './desk.js';
import type { TokenStore } from './token-store.js';

/** The members of an error that a model can act on. */
const TOLD = ['retryAfter', 'grantId', 'limit', 'remaining', 'field', 'key'] as const;

/** A remote service, by the client library: what `bursar mcp` on an agent's machine asks. */
export class ClientDesk implements Desk {
  constructor(
    private readonly bursar: Bursar,
    private readonly url: string,
    private readonly store: TokenStore,
  ) {}

  get token(): string {
    return this.bursar.token;
  }

  budget(): Promise<GrantView> {
    return this.bursar.grants.self();
  }

  quote(order: Order): Promise<QuoteView> {
    return this.bursar.payments.quote(orderOf(order));
  }

  async pay(order: Order, idempotencyKey: string): Promise<PaidOrder> {
    try {
      return await this.bursar.pay(orderOf(order), { idempotencyKey });
    } catch (error) {
      if (!(error instanceof ApprovalRequired)) throw error;
      const { payment, retryAfter } = error;
      return { payment: payment as PaymentView, replayed: false, retryAfter };
    }
  }

  async delegate(terms: Readonly<Record<string, unknown>>, idempotencyKey: string | undefined) {
    const { grant, token } = await this.bursar.grants.mint(terms as never, idempotencyKey);
    return { grant, tokenFile: await this.store.handOver(grant.id, this.url, token) };
  }

  revoke(grantId: string, options: object) {
    return this.bursar.grants.revoke(encodeURIComponent(grantId), options);
  }

  requestRaise(raise: { budget: string; expiresAt?: string | undefined; reason: string }) {
    return this.bursar.requestRaise(JSON.parse(JSON.stringify(raise)));
  }

  payments(filter: PaymentFilter) {
    return this.bursar.payments.page(filter as never);
  }

  services(filter: ServiceFilter) {
    return this.bursar.servicesPage(JSON.parse(JSON.stringify(filter)));
  }

  problemOf(error: unknown): ToolProblem {
    if (!(error instanceof BursarError)) {
      const detail = `the request failed: ${reasonOf(error)}`;
      return { code: 'request_failed', detail, nextAction: 'fix_request' };
    }
    const told = TOLD.flatMap((name) => (error[name] === undefined ? [] : [[name, error[name]]]));
    const { code, detail, nextAction, payment } = error;
    const { id, status, validBefore } = payment ?? {};
    return {
      code,
      detail,
      nextAction,
      ...Object.fromEntries(told),
      ...(payment ? { payment: { id, status, validBefore } } : {}),
    };
  }
}

function orderOf({ request, ...order }: Order) {
  // Leave out what is undefined: the service knows no null and no undefined.
  return JSON.parse(JSON.stringify({ ...order, request }));
}

/** Node's fetch says "fetch failed", and why in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return error.cause instanceof Error ? error.cause.message : error.message;
}
