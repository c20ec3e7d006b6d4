import { x402Facilitator } from '@x402/core/facilitator';
import type { Network, PaymentPayload, PaymentRequirements } from '@x402/core/types';
import { ExactEvmScheme } from '@x402/evm/exact/facilitator';
import { ExactEvmSchemeV1 } from '@x402/evm/exact/v1/facilitator';
import express, { type NextFunction, type Request, type Response } from 'express';
import { type Address, createWalletClient, defineChain, type Hex, http, publicActions } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { baseSepolia } from 'viem/chains';
import { facilitatorSigner } from '../src/gateway/facilitator-signer.js';
import { createQueue } from './chain.js';
import { type HttpService, serve } from './ports.js';

const NETWORK: Network = `eip155:${baseSepolia.id}`;
/** v1 of x402 names networks in words; the type of both versions is the CAIP-2 one. */
const NETWORK_V1 = 'base-sepolia' as Network;

const POLL_INTERVAL_MS = 50;
const CONFIRMATION_TIMEOUT_MS = 30_000;

/** Options of {@link startFacilitator}. */
export interface FacilitatorOptions {
  /** A chain with id 84532, such as the one of `startChain`. */
  readonly rpcUrl: string;
  /** The key that sends settlements. It needs ether for gas: a dev account has it. */
  readonly privateKey: Hex;
  /** Where to listen on 127.0.0.1. Default 0: a free port. */
  readonly port?: number;
  /**
   * How long one settlement waits for its receipt; then it is answered `settlement_pending`, and
   * the transaction may still be mined. Default 30 s.
   */
  readonly confirmationTimeoutMs?: number;
}

/** A running x402 facilitator. */
export interface Facilitator extends HttpService {
  /** The account that sends settlements. */
  readonly address: Address;
}

/**
 * Starts an x402 facilitator made of the published packages alone: scheme `exact`, v2 on
 * `eip155:84532` and v1 on `base-sepolia`.
 *
 * `POST /verify` and `POST /settle` take `{ x402Version, paymentPayload, paymentRequirements }`,
 * `GET /supported` takes nothing. Refusals are 200 with `isValid: false` or `success: false` and a
 * reason; 400 is a body without the two objects; 500, `{ error }`, is what no scheme handles.
 * Source: x402 specification, "Facilitator interface".
 *
 * Settlements that wait for their receipt when it is stopped are answered `settlement_pending`, so
 * where payments may hang, stop it before the seller, which waits for the payments it has begun.
 *
 * @throws Error with Node's code when it cannot listen on the port
 */
export async function startFacilitator(options: FacilitatorOptions): Promise<Facilitator> {
  const stopping = new AbortController();
  const { facilitator, address } = createFacilitator(options, stopping.signal);

  const app = express();
  app.use(express.json());
  app.get('/supported', (_request, response) => {
    response.json(facilitator.getSupported());
  });
  app.post('/verify', requirePayment, async (request, response) => {
    const { paymentPayload, paymentRequirements } = request.body as PaymentBody;
    response.json(await facilitator.verify(paymentPayload, paymentRequirements));
  });
  app.post('/settle', requirePayment, async (request, response) => {
    const { paymentPayload, paymentRequirements } = request.body as PaymentBody;
    response.json(await facilitator.settle(paymentPayload, paymentRequirements));
  });
  app.use(answerError);

  const service = await serve(app, options.port);
  return {
    url: service.url,
    address,
    stop: () => {
      stopping.abort(new Error('the facilitator is stopping'));
      return service.stop();
    },
  };
}

interface PaymentBody {
  readonly paymentPayload: PaymentPayload;
  readonly paymentRequirements: PaymentRequirements;
}

function createFacilitator(
  options: FacilitatorOptions,
  stopping: AbortSignal,
): { facilitator: x402Facilitator; address: Address } {
  const client = createWalletClient({
    account: privateKeyToAccount(options.privateKey),
    chain: defineChain({ ...baseSepolia, rpcUrls: { default: { http: [options.rpcUrl] } } }),
    transport: http(options.rpcUrl),
  }).extend(publicActions);
  const { confirmationTimeoutMs = CONFIRMATION_TIMEOUT_MS } = options;

  // Payments arrive concurrently, and they all leave from one key.
  const inTurn = createQueue();
  const signer = facilitatorSigner(client, {
    inTurn,
    confirmationTimeoutMs,
    pollMs: POLL_INTERVAL_MS,
    stopping,
  });
  const facilitator = new x402Facilitator()
    .register(NETWORK, new ExactEvmScheme(signer))
    .registerV1(NETWORK_V1, new ExactEvmSchemeV1(signer));
  return { facilitator, address: client.account.address };
}

function requirePayment(request: Request, response: Response, next: NextFunction): void {
  // Express leaves the body undefined when there is none.
  const body = (request.body ?? {}) as Partial<Record<keyof PaymentBody, unknown>>;
  if (isObject(body.paymentPayload) && isObject(body.paymentRequirements)) {
    next();
  } else {
    response.status(400).json({ error: 'paymentPayload and paymentRequirements are required' });
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

/** Express takes a function for an error handler only by its four parameters. */
function answerError(error: unknown, _request: Request, response: Response, next: NextFunction) {
  if (response.headersSent) {
    next(error);
    return;
  }
  // The JSON parser's errors carry a status; what a scheme throws does not.
  const status = (error as { status?: number }).status ?? 500;
  response.status(status).json({ error: error instanceof Error ? error.message : String(error) });
}
