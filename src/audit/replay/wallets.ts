import type { History } from './history.js';
import { type AuditRecord, Contradiction, text } from './record.js';

/**
 * How long after a wallet was set draining a payment from it may be decided, in milliseconds: a payment in the
 * making read its status before. None is in the making when the wallet is retired.
 */
const IN_THE_MAKING_MS = 60_000;

/** A wallet joins the treasury. */
export function added(history: History, { data }: AuditRecord): undefined {
  const address = text(data.address, 'address');
  if (history.wallets.has(address)) {
    throw new Contradiction(`wallet ${address} is added a second time`);
  }
  history.wallets.set(address, {
    address,
    status: 'active',
    drainingSince: undefined,
    unexplained: new Set(),
  });
}

/** A wallet is set draining, active or retired. */
export function setStatus(
  history: History,
  { data }: AuditRecord,
  status: 'active' | 'draining' | 'retired',
  at: number,
): undefined {
  const address = text(data.address, 'address');
  const wallet = history.wallets.get(address);
  if (!wallet) throw new Contradiction(`wallet ${address} is ${status}, and was never added`);
  if (wallet.status === 'retired') {
    throw new Contradiction(`wallet ${address} is ${status} after it was retired for good`);
  }
  if (status === 'retired') {
    if (wallet.status !== 'draining') {
      throw new Contradiction(`wallet ${address} is retired, and was not draining`);
    }
    for (const { paymentId, from } of history.open.values()) {
      if (from !== address) continue;
      throw new Contradiction(`wallet ${address} is retired while payment ${paymentId} is open`);
    }
  }
  wallet.status = status;
  wallet.drainingSince = status === 'draining' ? at : undefined;
}

/** @throws Contradiction when a wallet could not have paid at a time. */
export function requirePays(
  history: History,
  address: string,
  paymentId: string,
  at: number,
): void {
  const wallet = history.wallets.get(address);
  if (!wallet) {
    throw new Contradiction(`payment ${paymentId} is from ${address}, which is no wallet here`);
  }
  if (wallet.unexplained.size > 0) {
    throw new Contradiction(`payment ${paymentId} is from ${address}, which was held then`);
  }
  const { status, drainingSince } = wallet;
  const isInTheMaking = drainingSince !== undefined && at <= drainingSince + IN_THE_MAKING_MS;
  if (status === 'active' || (status === 'draining' && isInTheMaking)) return;
  throw new Contradiction(`payment ${paymentId} is from wallet ${address}, which is ${status}`);
}
