import { setTimeout } from 'node:timers/promises';
import { toFacilitatorEvmSigner } from '@x402/evm';
import {
  type Account,
  type Chain,
  type Hex,
  type PublicActions,
  type TransactionReceipt,
  TransactionReceiptNotFoundError,
  type Transport,
  type VerifyTypedDataParameters,
  type WalletClient,
} from 'viem';

/** A viem client that pays for settlements, as far as a signer needs it: chains differ in the shape of their blocks. */
export type SettlingClient = Pick<
  WalletClient<Transport, Chain, Account>,
  'account' | 'sendTransaction' | 'writeContract'
> &
  Pick<PublicActions, 'getCode' | 'getTransactionReceipt' | 'readContract' | 'verifyTypedData'>;

/** The way in which a {@link facilitatorSigner} sends and waits. */
export interface SignerOptions {
  /** Sends one transaction at a time: all of them leave from one account, numbered. */
  readonly inTurn: <T>(send: () => Promise<T>) => Promise<T>;
  /** How long a settlement waits for its receipt. */
  readonly confirmationTimeoutMs: number;
  readonly pollMs: number;
  /** Ends what waits for a receipt. */
  readonly stopping: AbortSignal;
}

/** The signer that the published facilitator schemes take, over a client. */
export function facilitatorSigner(
  client: SettlingClient,
  { inTurn, confirmationTimeoutMs, pollMs, stopping }: SignerOptions,
) {
  return toFacilitatorEvmSigner(
    {
      address: client.account.address,
      getCode: (args) => client.getCode(args),
      readContract: ({ args = [], ...call }) => client.readContract({ ...call, args }),
      // The package's type is looser than viem's, which wants the domain's and types' shapes.
      verifyTypedData: (args) => client.verifyTypedData(args as VerifyTypedDataParameters),
      writeContract: (args) => inTurn(() => client.writeContract(args)),
      sendTransaction: (args) => inTurn(() => client.sendTransaction(args)),
      waitForTransactionReceipt: ({ hash, timeout = confirmationTimeoutMs }) =>
        waitForReceipt(client, hash, { timeoutMs: timeout, pollMs, stopping }),
    },
    { confirmationTimeoutMs },
  );
}

/**
 * viem's own wait cannot be ended: it would go on asking, and keep the process up, after a stop.
 * The deadline is a time and not a signal joined to `stopping`: on Node 20 what AbortSignal.any
 * makes of an AbortSignal.timeout never aborts once the garbage collector has run.
 */
async function waitForReceipt(
  client: Pick<PublicActions, 'getTransactionReceipt'>,
  hash: Hex,
  { timeoutMs, pollMs, stopping }: { timeoutMs: number; pollMs: number; stopping: AbortSignal },
): Promise<TransactionReceipt> {
  const deadlineMs = performance.now() + timeoutMs;
  while (performance.now() < deadlineMs) {
    stopping.throwIfAborted();
    try {
      return await client.getTransactionReceipt({ hash });
    } catch (error) {
      if (!(error instanceof TransactionReceiptNotFoundError)) throw error;
    }
    await setTimeout(pollMs, undefined, { signal: stopping });
  }
  throw new Error(`no receipt for ${hash} within ${timeoutMs} ms`);
}
