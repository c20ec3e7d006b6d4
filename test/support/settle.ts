import type { Paid } from './api.js';
import type { TestStack } from './bursar.js';
import { decodeHeader } from './terms.js';
import { until } from './until.js';

/** Has the facilitator submit a payment, as its seller would, and waits until the service saw it settle. */
export async function settle(stack: TestStack, { payment, header }: Paid): Promise<void> {
  const paymentPayload = decodeHeader(header.value);
  const response = await fetch(`${stack.facilitator.url}/settle`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      x402Version: 2,
      paymentPayload,
      paymentRequirements: paymentPayload.accepted,
    }),
  });
  const settlement = (await response.json()) as { success: boolean };
  if (!settlement.success) throw new Error(`not settled: ${JSON.stringify(settlement)}`);
  await stack.finalize();
  await ended(stack, payment.id, 'settled');
}

/** Waits until a payment has ended so: a short one that nobody submits is released by time alone. */
export async function ended(
  { admin }: TestStack,
  paymentId: string,
  status: 'settled' | 'released',
): Promise<void> {
  await until(`payment ${paymentId} is ${status}`, async () => {
    return (await admin.payment(paymentId)).status === status;
  });
}

/** What makes an order's signature as short as can be: nobody submits it, and soon it is released. */
export const SHORT = { maxTimeoutSeconds: 7 };
