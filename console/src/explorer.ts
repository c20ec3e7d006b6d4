/** Block explorers of public networks, by CAIP-2. Other networks have no link. */
const EXPLORERS: Readonly<Record<string, string>> = {
  'eip155:1': 'https://etherscan.io',
  'eip155:10': 'https://optimistic.etherscan.io',
  'eip155:137': 'https://polygonscan.com',
  'eip155:8453': 'https://basescan.org',
  'eip155:42161': 'https://arbiscan.io',
  'eip155:43113': 'https://testnet.snowtrace.io',
  'eip155:43114': 'https://snowtrace.io',
  'eip155:80002': 'https://amoy.polygonscan.com',
  'eip155:84532': 'https://sepolia.basescan.org',
  'eip155:11155111': 'https://sepolia.etherscan.io',
};

/** Page of a transaction or an address at the network's block explorer; undefined where none is known. */
export function explorerLink(network: string, page: 'tx' | 'address', id: string) {
  const origin = EXPLORERS[network];
  return origin && `${origin}/${page}/${id}`;
}
