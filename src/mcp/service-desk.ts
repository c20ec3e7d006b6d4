import type { FastifyRequest } from 'fastify';
import type { HolderCaller } from '../access/caller.js';
import { type ServicesQuery, servicesQuerySchema } from '../catalog/services.dto.js';
import type { ServicesService } from '../catalog/services.service.js';
import { takeLane } from '../database/treasury-scope.js';
import { Problem } from '../domain/problem.js';
import { type MintBody, mintSchema, type RevokeBody, revokeSchema } from '../grants/grants.dto.js';
import type { GrantsService } from '../grants/grants.service.js';
import type { LifeService } from '../grants/life.service.js';
import type { MintingService } from '../grants/minting.service.js';
import { type AskBody, askSchema } from '../grants/requests.dto.js';
import type { RequestsService } from '../grants/requests.service.js';
import { idText, readInput } from '../http/contract.js';
import { parseIdempotencyKey } from '../http/idempotency-key.js';
import type { LoggedRequest } from '../http/logged-request.js';
import { problemBody } from '../http/problem.js';
import { unforeseenProblem } from '../http/unforeseen.js';
import type { PaymentList } from '../payments/payment-list.service.js';
import { type ListQuery, listSchema, type PayBody, paySchema } from '../payments/payments.dto.js';
import { APPROVAL_POLL_SECONDS, type PaymentsService } from '../payments/payments.service.js';
import type { QuoteService } from '../payments/quote.service.js';
import type { Desk, Order, PaymentFilter, ServiceFilter } from './desk.js';

/** The services of the REST routes. The tools have no way to money beside them. */
export interface ToolServices {
  readonly grants: GrantsService;
  readonly minting: MintingService;
  readonly life: LifeService;
  readonly requests: RequestsService;
  readonly payments: PaymentsService;
  readonly paymentList: PaymentList;
  readonly quotes: QuoteService;
  readonly catalog: ServicesService;
}

/** The service itself, for one caller and one request: what each REST route does, under the same schemas and locks. */
export class ServiceDesk implements Desk {
  constructor(
    private readonly rooms: ToolServices,
    private readonly caller: HolderCaller,
    readonly token: string,
    private readonly request: LoggedRequest & FastifyRequest,
  ) {}

  budget() {
    takeLane('reads');
    return this.rooms.grants.get(this.caller, this.caller.grantId);
  }

  quote(order: Order) {
    takeLane('reads');
    return this.rooms.quotes.quote(this.caller, readInput(paySchema, order, 'body') as PayBody);
  }

  async pay(order: Order, idempotencyKey: string) {
    takeLane('payments');
    const { status, replayed, answer } = await this.rooms.payments.pay(
      this.caller,
      order,
      parseIdempotencyKey(idempotencyKey),
      this.request.id,
    );
    return {
      payment: answer.payment,
      header: 'header' in answer ? answer.header : undefined,
      replayed,
      remaining: answer.grant.remaining,
      retryAfter: status === 202 ? APPROVAL_POLL_SECONDS : undefined,
    };
  }

  delegate(terms: Readonly<Record<string, unknown>>, idempotencyKey: string | undefined) {
    const body = readInput(mintSchema, terms, 'body') as MintBody;
    const key = idempotencyKey === undefined ? undefined : parseIdempotencyKey(idempotencyKey);
    return this.rooms.minting.mint(this.caller, body, key, this.request.id);
  }

  revoke(grantId: string, options: object) {
    const id = readInput(idText('grt'), grantId, 'id') as string;
    const body = readInput(revokeSchema, options, 'body') as RevokeBody;
    return this.rooms.life.revoke(this.caller, id, body, this.request.id);
  }

  async requestRaise(raise: object) {
    const body = readInput(askSchema, raise, 'body') as AskBody;
    return (await this.rooms.requests.ask(this.caller, body, this.request.id)).request;
  }

  payments({ limit, ...filter }: PaymentFilter) {
    takeLane('reads');
    const query = readInput(listSchema, { ...filter, limit: String(limit) }, 'query') as ListQuery;
    return this.rooms.paymentList.list(this.caller, query);
  }

  services({ limit, ...filter }: ServiceFilter) {
    takeLane('reads');
    const given = { ...filter, limit: String(limit) };
    const query = readInput(servicesQuerySchema, given, 'query') as ServicesQuery;
    return this.rooms.catalog.search(this.caller, query);
  }

  problemOf(error: unknown) {
    const { code, detail, fields, why } = this.toProblem(error);
    this.request.refusal = { code, why: why ?? detail };
    const {
      type: _type,
      title: _title,
      status: _status,
      ...problem
    } = problemBody(code, detail, fields, this.request.trace);
    return problem;
  }

  private toProblem(error: unknown): Problem {
    if (error instanceof Problem) return error;
    const { request } = this;
    request.log.error({ room: 'mcp', req: request, err: error }, 'a tool failed');
    return unforeseenProblem(error);
  }
}
