import type { PublicClient } from 'viem';
import type { BalanceReading } from '../ledger/settlement.js';
import type { OpenPayment } from './matching.js';
import { TOKEN_ABI } from './token-logs.js';
import { ChainMismatch, type ChainView } from './views.js';

/** Bytes of calls in one `eth_call` that asks for many at once: about a hundred nonces. */
const CALL_BATCH_BYTES = 6_800;

/** Balance of one wallet in one token, as the database names it. */
export interface WalletRow {
  readonly treasury_id: string;
  readonly wallet_id: string;
  readonly address: `0x${string}`;
  readonly asset: `0x${string}`;
}

/** Whether the nonces of payments are spent at a block; undefined where the token did not answer. */
export async function spentNonces(
  client: PublicClient,
  payments: readonly OpenPayment[],
  blockNumber: bigint,
): Promise<(boolean | undefined)[]> {
  const answers = await client.multicall({
    deployless: true,
    batchSize: CALL_BATCH_BYTES,
    blockNumber,
    contracts: payments.map(({ asset, payer, nonce }) => ({
      address: asset,
      abi: TOKEN_ABI,
      functionName: 'authorizationState' as const,
      args: [payer, nonce] as const,
    })),
  });
  if (answers.every(({ status }) => status === 'failure')) throw answers[0]?.error;
  return answers.map(({ result }) => (typeof result === 'boolean' ? result : undefined));
}

/** @throws ChainMismatch when a balance is not the same for all RPCs. */
export async function agreedBalances(
  views: readonly ChainView[],
  wallets: readonly WalletRow[],
  blockNumber: bigint,
): Promise<BalanceReading[]> {
  const [first = [], ...others] = await Promise.all(
    views.map(({ client }) => readBalances(client, wallets, blockNumber)),
  );
  for (const [place, { balance, asset }] of first.entries()) {
    const other = others.find((reading) => reading[place]?.balance !== balance);
    if (!other) continue;
    throw new ChainMismatch(
      `its RPCs contradict each other: wallet ${wallets[place]?.address} has ${balance} of ${asset} at block ` +
        `${blockNumber} for one and ${other[place]?.balance} for another`,
    );
  }
  return first;
}

async function readBalances(
  client: PublicClient,
  wallets: readonly WalletRow[],
  blockNumber: bigint,
): Promise<BalanceReading[]> {
  if (wallets.length === 0) return [];
  const answers = await client.multicall({
    deployless: true,
    allowFailure: false,
    batchSize: CALL_BATCH_BYTES,
    blockNumber,
    contracts: wallets.map(({ asset, address }) => ({
      address: asset,
      abi: TOKEN_ABI,
      functionName: 'balanceOf' as const,
      args: [address] as const,
    })),
  });
  return wallets.map((wallet, place) => ({
    treasuryId: wallet.treasury_id,
    walletId: wallet.wallet_id,
    asset: wallet.asset,
    balance: answers[place] ?? 0n,
  }));
}
