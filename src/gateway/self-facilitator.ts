import { x402Facilitator } from '@x402/core/facilitator';
import type { Network as CaipNetwork } from '@x402/core/types';
import { ExactEvmScheme } from '@x402/evm/exact/facilitator';
import { ExactEvmSchemeV1 } from '@x402/evm/exact/v1/facilitator';
import { createWalletClient, defineChain, fallback, type Hex, http, publicActions } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import type { Database } from '../database/database.js';
import type { Network } from '../domain/network.js';
import { facilitatorSigner } from './facilitator-signer.js';
import type { FacilitatorLike } from './facilitators.js';
import { nameInV1 } from './offers.js';

const RPC_TIMEOUT_MS = 4_000;
const RECEIPT_POLL_MS = 200;

/** Advisory lock under which a replica numbers and sends a transaction: "gate", and the chain. */
const SEND_LOCK = 0x67617465;

/**
 * A facilitator in this process, made of the published packages: scheme `exact`, both versions, on each network. It pays the
 * gas of settlements.
 *
 * @param privateKey - of an account with ether on each network, and nothing else.
 * @param stopping - ends what waits for a receipt; the settlement is unknown then.
 */
export function selfFacilitator(
  networks: readonly Network[],
  privateKey: Hex,
  database: Database,
  settleTimeoutMs: number,
  stopping: AbortSignal,
): FacilitatorLike {
  const facilitator = new x402Facilitator();
  for (const network of networks) {
    const signer = signerOn(network, privateKey, database, settleTimeoutMs, stopping);
    facilitator.register(network.network as CaipNetwork, new ExactEvmScheme(signer));
    const name = nameInV1(network);
    if (name) facilitator.registerV1(name as CaipNetwork, new ExactEvmSchemeV1(signer));
  }
  return facilitator as unknown as FacilitatorLike;
}

function signerOn(
  { chainId, network, rpcUrls }: Network,
  privateKey: Hex,
  database: Database,
  settleTimeoutMs: number,
  stopping: AbortSignal,
) {
  const client = createWalletClient({
    account: privateKeyToAccount(privateKey),
    chain: defineChain({
      id: chainId,
      name: network,
      nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
      rpcUrls: { default: { http: [...rpcUrls] } },
      contracts: { multicall3: { address: '0xcA11bde05977b3631167028862bE2a173976CA11' } },
    }),
    transport: fallback(
      rpcUrls.map((url) => http(url, { timeout: RPC_TIMEOUT_MS, retryCount: 1 })),
    ),
    cacheTime: 0,
  }).extend(publicActions);
  let last: Promise<unknown> = Promise.resolve();
  /** One transaction at a time, of this process and of all replicas: they leave from one account, numbered. */
  const inTurn = <T>(send: () => Promise<T>): Promise<T> => {
    const sent = last.then(() =>
      database.transaction(async (tx) => {
        await tx.query('SELECT pg_advisory_xact_lock($1, $2)', [SEND_LOCK, chainId % 2 ** 31]);
        return send();
      }),
    );
    last = sent.catch(() => {});
    return sent;
  };
  return facilitatorSigner(client, {
    inTurn,
    confirmationTimeoutMs: settleTimeoutMs,
    pollMs: RECEIPT_POLL_MS,
    stopping,
  });
}
