import { learnPayee } from './approvals.js';
import type { History } from './history.js';
import { hold, newPayment } from './payments.js';
import { type AuditRecord, Contradiction, object, text } from './record.js';

/** A spend of a wallet that no payment stands for is seen, withdrawn by final blocks, or explained by an admin. */
export function spent(history: History, { kind, data }: AuditRecord): undefined {
  const address = text(data.address, 'address');
  const wallet = history.wallets.get(address);
  if (!wallet) throw new Contradiction(`${address} spends, and is no wallet here`);
  const { unexplained } = wallet;
  const spend = spendOf(data, text(data.transaction, 'transaction'), String(data.place));
  if (kind === 'wallet.spend_seen') unexplained.add(spend);
  else if (!unexplained.delete(spend)) {
    throw new Contradiction(`a spend of ${address} is ${kind.slice(13)} that was never seen`);
  }
  if (kind === 'wallet.spend_adopted' && typeof data.nonce === 'string') {
    history.explained.add(data.nonce);
  }
}

/** A spend that was seen becomes the payment of a grant's key. Its decision is lost. */
export function adopted(history: History, record: AuditRecord, at: number): undefined {
  const decision = object(record.data.decision, 'decision');
  const payment = newPayment(history, record, decision, at);
  const wallet = history.wallets.get(payment.from);
  const transaction = text(decision.transaction, 'decision.transaction');
  if (!wallet?.unexplained.has(spendOf(decision, transaction, '0'))) {
    throw new Contradiction(
      `payment ${payment.paymentId} is adopted from a transaction that was never seen`,
    );
  }
  hold(history, payment, undefined);
  learnPayee(payment);
}

function spendOf(data: AuditRecord['data'], transaction: string, place: string): string {
  return `${text(data.network, 'network')} ${transaction} ${text(data.asset, 'asset')} ${place}`;
}
