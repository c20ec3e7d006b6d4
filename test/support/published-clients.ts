import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { x402Client, x402HTTPClient } from '@x402/core/client';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import {
  type Account,
  createWalletClient,
  getAddress,
  http,
  publicActions,
  type Transport,
  type Chain as ViemChain,
} from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { baseSepolia } from 'viem/chains';
import { wrapFetchWithPayment } from 'x402-fetch';
import type { Chain } from '../../sandbox/chain.js';

/** A 402 as a seller sends it: any JSON may stand in `accepts`. */
export interface Terms {
  readonly x402Version: 1 | 2;
  readonly accepts: readonly unknown[];
  readonly [member: string]: unknown;
}

/** The entry of `accepts` that a payer takes, with the values it signs or would sign. */
export interface Choice {
  readonly index: number;
  /** Atomic units. */
  readonly amount: bigint;
  /** EIP-55 checksummed. */
  readonly payTo: string;
}

/** A payer's answer to a 402: the entry it pays, or why it pays none. */
export type Outcome = { readonly pays: Choice } | { readonly refuses: string };

/** The two published clients, each with a wallet of its own. */
export interface PublishedClients {
  /** Lets the client of the 402's version buy from a seller that answers with that 402. */
  pay(terms: Terms): Promise<Outcome>;
  stop(): Promise<void>;
}

interface SignedPayload {
  readonly accepted?: unknown;
  readonly payload: {
    readonly authorization?: { readonly to: string; readonly value: string };
    readonly permit2Authorization?: {
      readonly permitted: { readonly amount: string };
      readonly witness: { readonly to: string };
    };
  };
}

/**
 * Starts a seller and the published clients: `x402Client` of `@x402/core` with the exact scheme of `@x402/evm`
 * for v2, `x402-fetch` for v1. Both know one network, the chain's. Their limits on amounts and tokens are off.
 */
export async function startPublishedClients(chain: Chain): Promise<PublishedClients> {
  const seller = await startSellerOfAnything();
  const account = privateKeyToAccount(generatePrivateKey());
  const v2 = new x402HTTPClient(
    new x402Client().register(chain.network, new ExactEvmScheme(account)).setSpendControls(false),
  );
  const wallet = createWalletClient<Transport, ViemChain, Account>({
    account,
    chain: baseSepolia,
    transport: http(chain.rpcUrl),
  }).extend(publicActions);
  const payV1 = wrapFetchWithPayment(fetch, wallet, 2n ** 256n);

  /** The payment the v2 client makes, as `@x402/fetch` would ask it for one. */
  async function sendV2(url: string): Promise<void> {
    const answer = await fetch(url);
    const required = v2.getPaymentRequiredResponse((name) => answer.headers.get(name));
    const payload = await v2.createPaymentPayload(required);
    await fetch(url, { headers: v2.encodePaymentSignatureHeader(payload) });
  }

  return {
    async pay(terms) {
      const { url, payment } = seller.offer(terms);
      try {
        await (terms.x402Version === 2 ? sendV2(url) : payV1(url));
      } catch (error) {
        return { refuses: String(error) };
      }
      return { pays: choiceOf(payment(), terms) };
    },
    stop: () => seller.stop(),
  };
}

/** Reads a payment as its seller does. In v1 only the payee tells which entry was paid. */
function choiceOf(header: string | undefined, { accepts }: Terms): Choice {
  if (header === undefined) throw new Error('the client neither failed nor paid');
  const signed: SignedPayload = JSON.parse(Buffer.from(header, 'base64').toString('utf8'));
  const { authorization, permit2Authorization: permit } = signed.payload;
  const payTo = getAddress(authorization?.to ?? permit?.witness.to ?? '');
  const payee = payTo.toLowerCase();
  const indices = accepts.flatMap((entry, index) =>
    String((entry as { payTo?: unknown } | null)?.payTo).toLowerCase() === payee ? [index] : [],
  );
  const [index] = indices;
  if (index === undefined || indices.length > 1) {
    throw new Error(`${indices.length} entries pay ${payTo}; each needs a payee of its own`);
  }
  return { index, amount: BigInt(authorization?.value ?? permit?.permitted.amount ?? ''), payTo };
}

/** A seller that answers with any 402 and takes any payment. */
async function startSellerOfAnything() {
  let current: Terms | undefined;
  let payment: string | undefined;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const { 'payment-signature': v2, 'x-payment': v1 } = request.headers;
    const sent = v2 ?? v1;
    if (sent !== undefined || current === undefined) {
      payment = String(sent);
      response.end('{}');
      return;
    }
    const json = JSON.stringify(current);
    response.writeHead(402, {
      'content-type': 'application/json',
      ...(current.x402Version === 2
        ? { 'PAYMENT-REQUIRED': Buffer.from(json).toString('base64') }
        : {}),
    });
    response.end(current.x402Version === 1 ? json : '{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    /** Sets the next 402. One purchase at a time. */
    offer(terms: Terms) {
      current = terms;
      payment = undefined;
      return { url: `http://127.0.0.1:${port}/data/7`, payment: () => payment };
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
