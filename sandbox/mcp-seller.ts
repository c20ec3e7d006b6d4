import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { type CallToolResult, McpError } from '@modelcontextprotocol/sdk/types.js';
import type { x402ResourceServer } from '@x402/core/server';
import type { Network, PaymentPayload, PaymentRequired } from '@x402/core/types';
import express, { type RequestHandler, Router } from 'express';
import type { Address } from 'viem';
import { z } from 'zod';

/** How an unpaid call is answered: by a tool result, as x402 has it for MCP, or by a JSON-RPC error with the terms. */
export type McpDialect = 'result' | 'error';

/** Where a payment stands in a call, and its receipt in the result (x402, transports-v2/mcp.md). */
const PAYMENT = 'x402/payment';
const RECEIPT = 'x402/payment-response';

/** The JSON-RPC code that servers use which answer an unpaid call by an error. */
const PAYMENT_REQUIRED = -32_042;

/** Seller and terms. */
export interface McpSellerTerms {
  readonly resourceServer: x402ResourceServer;
  readonly payTo: Address;
  readonly network: Network;
}

interface PaidTool {
  readonly price: string;
  readonly description: string;
  readonly input: z.ZodRawShape;
  readonly output?: z.ZodRawShape;
  run(input: Record<string, unknown>): Record<string, unknown>;
}

const TOOLS: Readonly<Record<string, PaidTool>> = {
  weather: {
    price: '$0.01',
    description: 'The weather of a city',
    input: { city: z.string() },
    output: { city: z.string(), celsius: z.number() },
    run: ({ city }) => ({ city, celsius: 21 }),
  },
  fortune: {
    price: '$0.01',
    description: 'A sentence, without an output schema',
    input: {},
    run: () => ({ text: 'A grant is lighter than a purse.' }),
  },
  report: {
    price: '$2.50',
    description: 'The full report',
    input: {},
    run: () => ({ title: 'The full report' }),
  },
  broken: {
    price: '$0.01',
    description: 'Fails once it is paid for, and then takes nothing',
    input: {},
    run: () => {
      throw new Error('out of order');
    },
  },
};

/**
 * Serves a paid MCP server at `POST /mcp`, and the same with errors instead of results at `POST /mcp/error`. Stateless.
 * It speaks x402 as the published MCP packages do: `structuredContent` and text with the terms, `_meta["x402/payment"]`
 * with the payment as an object, `_meta["x402/payment-response"]` with the receipt; `mcp://tool/<name>` is the resource.
 */
export function paidMcp(terms: McpSellerTerms): Router {
  const router = Router();
  // Not for the router: the seller's other routes read their bodies themselves.
  router.post('/mcp', express.json(), serving(terms, 'result'));
  router.post('/mcp/error', express.json(), serving(terms, 'error'));
  return router;
}

function serving(terms: McpSellerTerms, dialect: McpDialect): RequestHandler {
  return async (request, response) => {
    const server = new McpServer({ name: 'paid-tools', version: '1.0.0' });
    server.registerTool('ping', { description: 'Free', inputSchema: {} }, () => ({
      content: [{ type: 'text', text: 'pong' }],
    }));
    for (const [name, tool] of Object.entries(TOOLS)) {
      const { description, input, output } = tool;
      server.registerTool(
        name,
        { description, inputSchema: input, ...(output ? { outputSchema: output } : {}) },
        (given: Record<string, unknown>, { _meta }: { _meta?: Record<string, unknown> }) =>
          sell(terms, dialect, name, tool, given, _meta?.[PAYMENT] as PaymentPayload | undefined),
      );
    }
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
    response.once('close', () => void server.close());
    await server.connect(transport as Transport);
    await transport.handleRequest(request, response, request.body);
  };
}

/** Verify, run, settle: a tool that fails is not charged, and one that cannot be settled is not answered. */
async function sell(
  { resourceServer, payTo, network }: McpSellerTerms,
  dialect: McpDialect,
  name: string,
  { price, description, run }: PaidTool,
  given: Record<string, unknown>,
  payment: PaymentPayload | undefined,
): Promise<CallToolResult> {
  const requirements = await resourceServer.buildPaymentRequirements({
    scheme: 'exact',
    network,
    payTo,
    price,
  });
  const resource = { url: `mcp://tool/${name}`, description, mimeType: 'application/json' };
  const ask = async (reason: string) =>
    unpaid(
      dialect,
      await resourceServer.createPaymentRequiredResponse(requirements, resource, reason),
    );
  if (payment === undefined) return ask('Payment required');
  const matching = resourceServer.findMatchingRequirements(requirements, payment);
  if (!matching) return ask('No matching payment requirements');
  const verified = await resourceServer.verifyPayment(payment, matching);
  if (!verified.isValid) return ask(verified.invalidReason ?? 'Invalid payment');
  let made: Record<string, unknown>;
  try {
    made = run(given);
  } catch (error) {
    return { isError: true, content: [{ type: 'text', text: (error as Error).message }] };
  }
  const settled = await resourceServer.settlePayment(payment, matching);
  if (!settled.success) return ask(settled.errorReason ?? 'Settlement failed');
  return {
    content: [{ type: 'text', text: JSON.stringify(made) }],
    structuredContent: made,
    _meta: { [RECEIPT]: settled },
  };
}

function unpaid(dialect: McpDialect, terms: PaymentRequired): CallToolResult {
  if (dialect === 'error') throw new McpError(PAYMENT_REQUIRED, 'Payment required', terms);
  return {
    isError: true,
    structuredContent: { ...terms },
    content: [{ type: 'text', text: JSON.stringify(terms) }],
  };
}
