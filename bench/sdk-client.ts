// An agent that buys page after page, in turns by bursar.fetch and by the same requests written by hand.
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { answerOrders } from './helper.js';
import type { SdkOrder, SdkResult } from './protocol.js';
import { quantile } from './sample.js';

/** Part of `@bursar/sdk` that is used, which is built after the benchmark. */
interface Sdk {
  readonly Bursar: new (options: {
    url: string;
    token: string;
  }) => { fetch(url: string): Promise<Response> };
}

const WARM_UP_CALLS = 100;

answerOrders<SdkOrder, SdkResult>(async ({ sdk, url, token, sellerUrl, seconds }) => {
  const { Bursar } = (await import(pathToFileURL(sdk).href)) as Sdk;
  const bursar = new Bursar({ url, token });
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(url + path, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        ...headers,
      },
      body: JSON.stringify(body),
    });
  const byHand = async (): Promise<void> => {
    const asked = await fetch(sellerUrl);
    const paymentRequired = asked.headers.get('payment-required');
    await asked.body?.cancel();
    const order = { paymentRequired, request: { method: 'GET', url: sellerUrl } };
    const answer = await post('/v1/payments', order, { 'idempotency-key': randomUUID() });
    if (answer.status !== 201) throw new Error(await answer.text());
    const { header } = (await answer.json()) as {
      header: { name: string; value: string };
    };
    const page = await fetch(sellerUrl, { headers: { [header.name]: header.value } });
    await read(page);
  };
  const byFetch = async (): Promise<void> => read(await bursar.fetch(sellerUrl));

  const latencies = { byHand: [] as number[], byFetch: [] as number[] };
  const buy = async (how: 'byHand' | 'byFetch', isMeasured: boolean): Promise<void> => {
    const began = performance.now();
    await (how === 'byHand' ? byHand() : byFetch());
    if (isMeasured) latencies[how].push(performance.now() - began);
  };
  let bought = 0;
  const takeTurns = async (isMeasured: boolean): Promise<void> => {
    // Either way is first as often as the other.
    const turns = ['byHand', 'byFetch', 'byFetch', 'byHand'] as const;
    for (const how of turns) await buy(how, isMeasured);
    bought += turns.length;
  };
  while (bought < WARM_UP_CALLS) await takeTurns(false);
  for (const end = performance.now() + seconds * 1_000; performance.now() < end; ) {
    await takeTurns(true);
  }
  const of = (all: number[]) => ({ p50Ms: quantile(all, 0.5), p99Ms: quantile(all, 0.99) });
  const calls = latencies.byHand.length;
  return { bought, calls, byHand: of(latencies.byHand), byFetch: of(latencies.byFetch) };
});

async function read(page: Response): Promise<void> {
  const text = await page.text();
  if (page.status !== 200) throw new Error(`the seller answered ${page.status}: ${text}`);
}
