import { Controller, Delete, Get, Inject, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Allow, Public } from '../access/allow.js';
import { type Caller, CurrentCaller } from '../access/caller.js';
import { ServicesService } from '../catalog/services.service.js';
import { CONFIG, type Config } from '../config/config.js';
import { Problem } from '../domain/problem.js';
import { GrantsService } from '../grants/grants.service.js';
import { LifeService } from '../grants/life.service.js';
import { MintingService } from '../grants/minting.service.js';
import { RequestsService } from '../grants/requests.service.js';
import { PaymentList } from '../payments/payment-list.service.js';
import { PaymentsService } from '../payments/payments.service.js';
import { QuoteService } from '../payments/quote.service.js';
import { VERSION } from '../version.js';
import { ServiceDesk, type ToolServices } from './service-desk.js';
import { bursarTools } from './tools.js';

const TOOLS = bursarTools('key');

/**
 * `/mcp`: the Streamable HTTP transport of the Model Context Protocol, stateless. Each POST is one message, answered
 * with JSON; there is no session and no stream. Its contract is the protocol's, so that it stands in no OpenAPI document.
 */
@ApiExcludeController()
@Controller('mcp')
export class McpController {
  readonly #services: ToolServices;

  constructor(
    grants: GrantsService,
    minting: MintingService,
    life: LifeService,
    requests: RequestsService,
    payments: PaymentsService,
    paymentList: PaymentList,
    quotes: QuoteService,
    catalog: ServicesService,
    @Inject(CONFIG) private readonly config: Pick<Config, 'corsOrigins'>,
  ) {
    this.#services = { grants, minting, life, requests, payments, paymentList, quotes, catalog };
  }

  @Post()
  @Allow('holder')
  async handle(
    @CurrentCaller() caller: Caller,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    if (caller.kind !== 'holder')
      throw new Problem('forbidden', 'only a grant holder has a budget');
    this.refuseForeignPage(request);
    if (Array.isArray(request.body)) {
      // Each call counts against the rate limits: a batch would be many for one.
      throw new Problem('invalid_request', 'body: send one JSON-RPC message, not a batch', {
        field: 'body',
      });
    }
    const token = request.headers.authorization?.split(' ')[1] ?? '';
    const desk = new ServiceDesk(this.#services, caller, token, request);
    // Loaded with the first message: the start does not wait for the protocol's library.
    const [{ mcpServer }, { WebStandardStreamableHTTPServerTransport }] = await Promise.all([
      import('./server.js'),
      import('@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'),
    ]);
    const server = mcpServer(desk, TOOLS, VERSION);
    const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
    await server.connect(transport);
    try {
      const headers = Object.entries(request.headers).flatMap(([name, value]) =>
        typeof value === 'string' ? [[name, value] as [string, string]] : [],
      );
      const asked = new Request('http://localhost/mcp', { method: 'POST', headers });
      const answer = await transport.handleRequest(asked, { parsedBody: request.body });
      void reply.status(answer.status).headers(Object.fromEntries(answer.headers));
      void reply.send(await answer.text());
    } finally {
      await server.close();
    }
  }

  /** A stateless server has no stream to open and no session to end; the protocol asks for 405. */
  @Get()
  @Public()
  noStream(@Res() reply: FastifyReply): void {
    void reply.status(405).header('allow', 'POST').send();
  }

  @Delete()
  @Public()
  noSession(@Res() reply: FastifyReply): void {
    void reply.status(405).header('allow', 'POST').send();
  }

  /** The protocol demands it, against DNS rebinding: a page may call only where the operator allows its origin. */
  private refuseForeignPage({ headers: { origin } }: FastifyRequest): void {
    if (origin === undefined || this.config.corsOrigins.includes(origin)) return;
    throw new Problem(
      'forbidden',
      'pages of this origin may not call /mcp; see BURSAR_CORS_ORIGINS',
    );
  }
}
