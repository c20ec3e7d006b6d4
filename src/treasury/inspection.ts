import {
  ContractFunctionExecutionError,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
  domainSeparator,
  type PublicClient,
  parseAbi,
} from 'viem';
import type { Asset, Network } from '../domain/network.js';
import { connect, shortMessage } from './rpc-client.js';

const TOKEN_ABI = parseAbi([
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'function decimals() view returns (uint8)',
]);

/** Whether payments may be made on a network, and if not, why. */
export type NetworkHealth =
  | { readonly ready: true }
  | { readonly ready: false; readonly reason: string };

/** Findings about one RPC URL. */
export type Inspection =
  | { ok: true; silent: readonly Asset[] }
  | { ok: false; isWrong: boolean; reason: string };

/** Judges a network by what was found at its RPCs. */
export function healthOf(inspections: readonly Inspection[]): NetworkHealth {
  const failed = inspections.filter((inspection) => !inspection.ok);
  // An RPC of another chain is never used, but it is a mistake in the configuration: which of the two
  // was meant is not for us to guess.
  const wrong = failed.find(({ isWrong }) => isWrong);
  const [first] = failed;
  if (wrong) return { ready: false, reason: wrong.reason };
  if (first && failed.length === inspections.length) return { ready: false, reason: first.reason };
  return { ready: true };
}

/** Looks whether an RPC serves the network that is configured: its chain, and each token's domain and decimals. */
export async function inspect(network: Network, rpcUrl: string): Promise<Inspection> {
  const wrong = (reason: string): Inspection => ({ ok: false, isWrong: true, reason });
  const client = connect([rpcUrl]);
  try {
    const chainId = await client.getChainId();
    if (chainId !== network.chainId) {
      return wrong(
        `an RPC of it serves chain ${chainId}, not ${network.chainId}; correct its rpcUrls in BURSAR_NETWORKS`,
      );
    }
    const silent: Asset[] = [];
    for (const asset of network.assets) {
      const domain = await domainOf(client, asset);
      if (domain === undefined) {
        silent.push(asset);
        continue;
      }
      const expected = domainSeparator({
        domain: {
          name: asset.name,
          version: asset.version,
          chainId,
          verifyingContract: asset.address,
        },
      });
      if (domain.separator !== expected) {
        return wrong(
          `token ${asset.address} has another EIP-712 domain than "${asset.name}" version "${asset.version}"`,
        );
      }
      if (domain.decimals !== asset.decimals) {
        return wrong(
          `token ${asset.address} has ${domain.decimals} decimals, not ${asset.decimals}`,
        );
      }
    }
    const [first] = silent;
    // A node that still synchronises has no tokens at all, and another RPC may be used.
    const mayBeLeft = network.hasDefaultAssets && silent.length < network.assets.length;
    if (!first || mayBeLeft) return { ok: true, silent };
    return {
      ok: false,
      isWrong: false,
      reason:
        `token ${first.address} (${first.currency}) does not answer DOMAIN_SEPARATOR() and ` +
        'decimals(); correct its address, or name only the other tokens under assets in BURSAR_NETWORKS',
    };
  } catch (error) {
    return {
      ok: false,
      isWrong: false,
      reason: `its chain cannot be read: ${shortMessage(error)}; check its rpcUrls in BURSAR_NETWORKS`,
    };
  }
}

/** How a token describes itself; undefined when its contract has no such functions, or there is none. */
async function domainOf(
  client: PublicClient,
  { address }: Asset,
): Promise<{ separator: string; decimals: number } | undefined> {
  const token = { address, abi: TOKEN_ABI } as const;
  try {
    const [separator, decimals] = await Promise.all([
      client.readContract({ ...token, functionName: 'DOMAIN_SEPARATOR' }),
      client.readContract({ ...token, functionName: 'decimals' }),
    ]);
    return { separator, decimals };
  } catch (error) {
    if (isTokensOwn(error)) return undefined;
    throw error;
  }
}

/** Whether an error says that a token has no such function, or no code. */
function isTokensOwn(error: unknown): boolean {
  if (!(error instanceof ContractFunctionExecutionError)) return false;
  return Boolean(
    error.walk(
      (cause) =>
        cause instanceof ContractFunctionRevertedError ||
        cause instanceof ContractFunctionZeroDataError,
    ),
  );
}
