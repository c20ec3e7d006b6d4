// An orchestrator with three sub-agents that race on one budget of three cents. Each tries to buy two pages.
//   BURSAR_URL=... BURSAR_TOKEN=... SELLER=... node examples/orchestrator.mjs
import { Bursar, explain } from '@bursar/sdk';

const orchestrator = Bursar.fromEnv();
const team = await orchestrator.delegate({
  holder: 'team',
  budget: '0.03',
  ttlSeconds: 600,
  delegationDepth: 1,
});

const results = await Promise.all(
  ['anna', 'ben', 'cleo'].map(async (holder) => {
    // Each may spend all of it; together they cannot spend more. The key makes a stolen token worthless.
    const agent = await team.delegate({ holder, budget: '0.03', ttlSeconds: 600, key: true });
    let pages = 0;
    for (const page of [1, 2]) {
      try {
        const response = await agent.fetch(`${process.env.SELLER}/data/${page}`);
        console.log(holder, await response.json());
        pages += 1;
      } catch (error) {
        console.log(holder, explain(error));
      }
    }
    await agent.idle();
    return pages;
  }),
);

const bought = results.reduce((sum, pages) => sum + pages, 0);
await orchestrator.grants.revoke(team.grant.id, { reason: 'done' });
console.log(`${bought} pages for 0.03 USDC; the team's grant is revoked`);
