import type { Paid } from './api.js';
import type { TestStack } from './bursar.js';
import { decodeHeader } from './terms.js';
import { until } from './until.js';

/** Has the facilitator submit a payment, as its seller would, and waits until the service saw it settle. */
export async function settle(stack: TestStack, paid: Paid): Promise<void> {
  await present(stack, paid);
  await stack.finalize();
  await ended(stack, paid.payment.id, 'settled');
}

/** Has the facilitator submit a payment, as its seller would. */
export async function present(stack: TestStack, { header }: Paid): Promise<void> {
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
}

/** Lets the time of a {@link SHORT} payment that nobody submits pass, and waits until it is released. */
export async function release(stack: TestStack, { payment }: Paid): Promise<void> {
  await stack.passTime(SHORT.maxTimeoutSeconds + 3);
  await stack.finalize();
  await ended(stack, payment.id, 'released');
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

/** Terms that make an order's signature as short as can be: nobody submits it, and soon it is released. */
export const SHORT = { maxTimeoutSeconds: 7 };
