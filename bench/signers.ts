// Signers that keep no budget: the reference client, and the spend controls that can be
// put around it. In memory and in a process of its own.
import { pathToFileURL } from 'node:url';
import { x402Client } from '@x402/core/client';
import { x402HTTPClient } from '@x402/core/http';
import type { PaymentRequired } from '@x402/core/types';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { answerOrders } from './helper.js';
import type { SignerOrder } from './protocol.js';
import { type Sample, sample } from './sample.js';

/** How many payments are added to a ledger before it is made anew at its size. */
const GROWTH = 500;

/** The members of `@coinbase/cdp-sdk` that are used. */
interface Guardrails {
  applySpendControls(
    client: x402Client,
    controls: Record<string, unknown>,
  ): {
    tracker: {
      record(spend: {
        atomicAmount: bigint;
        asset: string;
        network: string;
        payTo: string;
      }): Promise<unknown>;
    };
  };
}

const account = privateKeyToAccount(generatePrivateKey());

answerOrders<SignerOrder, Sample>(async ({ paymentRequired, seconds, controlled }) => {
  const required = paymentRequired as PaymentRequired;
  if (controlled === undefined) {
    const client = bareClient();
    await sample(0.5, 1, () => pay(client, required));
    return sample(seconds, 1, () => pay(client, required));
  }
  const guardrails = (await import(pathToFileURL(controlled.guardrails).href)) as Guardrails;
  let client = await controlledClient(guardrails, required, controlled.payments);
  let left = GROWTH;
  const samples: Sample[] = [];
  // The ledger is filled anew between samples, so that filling it is not measured.
  for (let spent = 0; spent < seconds; ) {
    const began = performance.now();
    const one = await sample(0.1, 1, async () => {
      left -= 1;
      await pay(client, required);
    });
    samples.push(one);
    spent += (performance.now() - began) / 1_000;
    if (left <= 0) {
      client = await controlledClient(guardrails, required, controlled.payments);
      left = GROWTH;
    }
  }
  return joined(samples);
});

function bareClient(): x402Client {
  return new x402Client().register('eip155:*', new ExactEvmScheme(account));
}

/** From the seller's 402 body to the header to retry with: what the service's answer holds, too. */
async function pay(client: x402Client, required: PaymentRequired): Promise<void> {
  const payload = await client.createPaymentPayload(required);
  new x402HTTPClient(client).encodePaymentSignatureHeader(payload);
}

/** A client that may spend without end, whose ledger of the last day holds so many payments. */
async function controlledClient(
  { applySpendControls }: Guardrails,
  required: PaymentRequired,
  payments: number,
): Promise<x402Client> {
  const [accepted] = required.accepts;
  if (!accepted) throw new Error('nothing is accepted');
  const { asset, network, payTo, amount } = accepted;
  const client = bareClient();
  const { tracker } = applySpendControls(client, {
    maxAmountPerPayment: { atomic: 10n ** 18n, asset },
    maxCumulativeSpend: { atomic: 10n ** 18n, asset },
    maxCumulativeSpendWindow: '24h',
    allowedNetworks: [network],
    allowedAssets: [asset],
    maxLedgerEntries: 1_000_000,
  });
  const spend = { atomicAmount: BigInt(amount), asset: asset.toLowerCase(), network, payTo };
  for (let n = 0; n < payments; n += 1) await tracker.record(spend);
  return client;
}

function joined(samples: readonly Sample[]): Sample {
  const count = samples.reduce((sum, each) => sum + each.count, 0);
  const mean = (value: (each: Sample) => number) =>
    samples.reduce((sum, each) => sum + value(each) * each.count, 0) / count;
  const seconds = samples.reduce((sum, each) => sum + each.count / each.perSecond, 0);
  return {
    count,
    perSecond: count / seconds,
    p50Ms: mean((each) => each.p50Ms),
    p99Ms: Math.max(...samples.map((each) => each.p99Ms)),
    cpuMs: mean((each) => each.cpuMs),
  };
}
