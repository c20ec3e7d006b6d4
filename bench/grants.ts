import type { Chain } from '../sandbox/chain.js';
import { VALIDITY_SECONDS } from './lab.js';

/** Price of every payment of a run: 0.01 USDC in atomic units. */
export const PRICE = 10_000n;

/** No run spends it. */
const BUDGET = '1000000000';

/** Where the made-up seller lives, and who is paid. */
const RESOURCE_URL = 'https://api.example.com/data/7';
const PAYEE = '0x1111111111111111111111111111111111111111';

/** How grants stand above one another when the clients pay. */
export type Shape = 'hot-root' | 'roots' | 'depth-8';

/** The shapes, and what each is. */
export const SHAPES: Readonly<Record<Shape, string>> = {
  'hot-root': 'one root, 100 children that pay',
  roots: '100 roots, one child each that pays',
  'depth-8': 'one root, 100 grants at depth 8 that pay, below one chain of grants',
};

const PAYING_GRANTS = 100;
const MINTED_AT_ONCE = 10;

/** The 402 body of the made-up seller: x402 v2, one `exact` requirement of the chain's token. */
export function paymentRequired(chain: Chain, validitySeconds = VALIDITY_SECONDS) {
  return {
    x402Version: 2,
    resource: { url: RESOURCE_URL, description: 'a page', mimeType: 'application/json' },
    accepts: [
      {
        scheme: 'exact',
        network: chain.network,
        amount: PRICE.toString(),
        asset: chain.token.address,
        payTo: PAYEE,
        maxTimeoutSeconds: validitySeconds,
        extra: { name: chain.token.name, version: chain.token.version },
      },
    ],
  };
}

/** The body of `POST /v1/payments` for that seller. */
export function paymentBody(chain: Chain, validitySeconds = VALIDITY_SECONDS): string {
  return JSON.stringify({
    paymentRequired: paymentRequired(chain, validitySeconds),
    request: { method: 'GET', url: RESOURCE_URL },
  });
}

/** A grant that pays, and what its holder asks for. */
export interface PayingGrant {
  readonly id: string;
  readonly token: string;
  readonly body: string;
}

interface Minted {
  readonly grant: { readonly id: string };
  readonly token: string;
}

/** Mints a shape's grants over HTTP. @returns those that pay. */
export async function mintShape(
  shape: Shape,
  url: string,
  adminToken: string,
  chain: Chain,
): Promise<PayingGrant[]> {
  // One end for all, so that a child's is not later than its parent's.
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  const mint = async (parentId?: string, delegationDepth = 0): Promise<Minted> => {
    const response = await fetch(`${url}/v1/grants`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        holder: 'agent',
        budget: BUDGET,
        expiresAt,
        ...(parentId === undefined ? { delegationDepth: 8 } : { parentId, delegationDepth }),
      }),
    });
    if (response.status !== 201) throw new Error(`not minted: ${await response.text()}`);
    return (await response.json()) as Minted;
  };
  const parent = async (): Promise<string> => (await mint()).grant.id;
  let paying: () => Promise<Minted>;
  if (shape === 'roots') {
    paying = async () => mint(await parent());
  } else {
    let above = await parent();
    const levels = shape === 'depth-8' ? 7 : 0;
    for (let level = 0; level < levels; level += 1) above = (await mint(above, 7 - level)).grant.id;
    paying = () => mint(above);
  }
  const body = paymentBody(chain);
  const grants: PayingGrant[] = [];
  while (grants.length < PAYING_GRANTS) {
    const some = await Promise.all(Array.from({ length: MINTED_AT_ONCE }, paying));
    grants.push(...some.map(({ grant, token }) => ({ id: grant.id, token, body })));
  }
  return grants;
}
