// One agent as its own process: buys one page, repeating the call when it fails. The runner kills it where it says.
// It loads only what its client needs: dozens of these are started.
import { pathToFileURL } from 'node:url';
import { Bursar } from '../typescript/dist/index.js';
import { bursarX402 } from '../typescript/dist/x402.js';

const {
  client,
  url,
  bursar: bursarUrl,
  token,
  privateKey,
  network,
  asset,
  guardrails,
  intent,
  parallel,
  tries,
  killAt,
} = JSON.parse(process.env.AGENT);

// Every client here looks the global fetch up at each call: its calls are the steps of the agent.
const plainFetch = globalThis.fetch;
let step = 0;
function mark() {
  step += 1;
  if (step === killAt) process.kill(process.pid, 'SIGKILL');
}
globalThis.fetch = async (input, init) => {
  mark();
  const response = await plainFetch(input, init);
  mark();
  return response;
};
const currentFetch = (input, init) => globalThis.fetch(input, init);

/** One call of each client, with a name for the purchase where the client takes one. */
async function buyer() {
  if (client.startsWith('stock')) {
    const { ExactEvmScheme } = await import('@x402/evm/exact/client');
    const { wrapFetchWithPayment, x402Client } = await import('@x402/fetch');
    const { privateKeyToAccount } = await import('viem/accounts');
    const account = privateKeyToAccount(privateKey);
    const stock = new x402Client().register(network, new ExactEvmScheme(account));
    if (client === 'stock + cdp-sdk') {
      const { applySpendControls } = await import(pathToFileURL(guardrails).href);
      applySpendControls(stock, {
        maxCumulativeSpend: { atomic: 50_000n, asset },
        maxCumulativeSpendWindow: '24h',
        allowedNetworks: [network],
        allowedAssets: [asset],
      });
    }
    const pay = wrapFetchWithPayment(currentFetch, stock);
    return async () => (await pay(url)).status;
  }
  const bursar = new Bursar({ url: bursarUrl, token });
  if (client === 'bursar.fetch') {
    return async () => (await bursar.fetch(url, { intent, maxWait: 2_000 })).status;
  }
  const dropIn = bursarX402(bursar, { maxWait: 2_000 });
  const headers = intent ? { 'idempotency-key': intent } : {};
  if (client === '@x402/fetch + bursar') {
    const { wrapFetchWithPayment } = await import('@x402/fetch');
    const pay = wrapFetchWithPayment(dropIn.fetch, dropIn.client);
    return async () => (await pay(url, { headers })).status;
  }
  const { wrapAxiosWithPayment } = await import('@x402/axios');
  const { default: axios } = await import('axios');
  const instance = axios.create({ adapter: 'fetch', env: { fetch: dropIn.fetch } });
  const pay = wrapAxiosWithPayment(instance, dropIn.client);
  return async () => (await pay.get(url, { headers })).status;
}

const buy = await buyer();
await Promise.all(
  Array.from({ length: parallel ?? 1 }, async () => {
    for (let attempt = 0; attempt < (tries ?? 1); attempt++) {
      const status = await buy().catch(() => 0);
      if (status === 200) return;
    }
  }),
);
