import { encodeFunctionData, type Hex } from 'viem';
import type { Chain } from '../../sandbox/chain.js';
import { testUsdcAbi } from '../../sandbox/contract/testUsdc.js';
import { rpc } from './rpc.js';
import { decodeHeader } from './terms.js';

/** The account that sends what anybody may send; the sandbox's own parts use the first two. */
const ANYBODY = 4;

/** The call that settles a payment, from the header that pays for it. */
export function settleCall(header: string): Hex {
  const { signature, authorization: a } = decodeHeader(header).payload;
  return encodeFunctionData({
    abi: testUsdcAbi,
    functionName: 'transferWithAuthorization',
    args: [
      a.from,
      a.to,
      BigInt(a.value),
      BigInt(a.validAfter),
      BigInt(a.validBefore),
      a.nonce,
      signature,
    ],
  });
}

/** Sends a call to the token from somebody who has nothing to do with the payment; does not wait. */
export async function submit(chain: Chain, data: Hex): Promise<Hex> {
  const from = chain.accounts[ANYBODY]?.address;
  return rpc<Hex>(chain.rpcUrl, 'eth_sendTransaction', [
    { from, to: chain.token.address, data, gas: '0x30d40' },
  ]);
}

/** Whether a transaction was mined, and how it went. */
export async function receiptOf(chain: Chain, hash: Hex) {
  return rpc<{ status: Hex; blockNumber: Hex } | null>(chain.rpcUrl, 'eth_getTransactionReceipt', [
    hash,
  ]);
}

/** Replaces the newest blocks by as many empty ones of other hashes. */
export async function reorg(
  chain: Chain,
  depth: number,
  transactions: unknown[] = [],
): Promise<void> {
  await rpc(chain.rpcUrl, 'anvil_reorg', [depth, transactions]);
}

/** The newest block's number. */
export async function headOf(chain: Chain): Promise<bigint> {
  return BigInt(await rpc<Hex>(chain.rpcUrl, 'eth_blockNumber'));
}
