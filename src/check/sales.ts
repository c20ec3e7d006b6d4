import type { Address, Hex } from 'viem';
import type { BlockHead, Chain, TokenLog } from './chain.js';
import { differing, parsed, says } from './records.js';
import type { Tally } from './report.js';
import type { Question, Snapshot } from './snapshot.js';

const DATA = `${parsed('e.record')} -> 'data'`;

/** The columns of a sale that is charged, each beside what its event says. */
const MEMBERS: readonly (readonly [string, string])[] = [
  ['event', 'e.id IS NOT NULL'],
  ['operation', says(DATA, 'operation', 's.operation')],
  ['network', says(DATA, 'network', 's.network')],
  ['asset', says(DATA, 'asset', 's.asset')],
  ['payer', says(DATA, 'payer', 's.payer')],
  ['pay_to', says(DATA, 'payTo', 's.pay_to')],
  ['currency', says(DATA, 'currency', 's.currency')],
  ['amount', says(DATA, 'value', 's.amount::text')],
  ['nonce', says(DATA, 'nonce', 's.nonce')],
  ['request_hash', says(DATA, 'requestHash', 's.request_hash')],
  ['config_hash', says(DATA, 'configHash', 's.config_hash')],
  ['settle', says(DATA, 'settle', 's.settle')],
  ['transaction', says(DATA, 'transaction', 's.transaction')],
];

const event = (
  kind: string,
  sale: string,
) => `LEFT JOIN events e ON e.treasury_id = ${sale}.treasury_id
  AND e.kind = '${kind}' AND ${DATA} ->> 'saleId' = ${sale}.${sale === 's' ? 'id' : 'sale_id'}`;

/** I8, the sales of gateways: what was charged is what its event says, and what was charged for nothing is owed. */
export const SALES: readonly Question[] = [
  {
    what: 'a charge of a sale is what its event says',
    sql: `SELECT id, array_to_string(wrong, ', ') AS detail FROM (
        SELECT s.id, ${differing(MEMBERS)} AS wrong FROM gateway_sales s ${event('sale.settled', 's')}
        WHERE s.charge = 'settled') w WHERE wrong <> '{}'`,
  },
  {
    what: 'a charge that the log tells of is there',
    sql: `SELECT e.id, e.kind AS detail FROM events e
      LEFT JOIN gateway_sales s ON s.treasury_id = e.treasury_id AND s.id = ${DATA} ->> 'saleId' AND s.charge = 'settled'
      WHERE e.kind LIKE 'sale.%' AND s.id IS NULL`,
  },
  {
    what: 'what was charged and failed is owed, and the log says so',
    sql: `SELECT s.id, 'call ' || s.call AS detail FROM gateway_sales s
      LEFT JOIN gateway_credit_notes n ON n.treasury_id = s.treasury_id AND n.sale_id = s.id
      ${event('sale.refund_owed', 's')}
      WHERE s.charge = 'settled' AND s.call IN ('failed', 'lost') AND (n.sale_id IS NULL OR e.id IS NULL)`,
  },
  {
    what: 'a refund is in the log',
    sql: `SELECT n.sale_id AS id, n.status AS detail FROM gateway_credit_notes n ${event('sale.refunded', 'n')}
      WHERE (n.status = 'refunded') <> (e.id IS NOT NULL)`,
  },
];

/** How many sales were looked at. */
export const SALES_COUNTS = { sales: 'SELECT count(*) FROM gateway_sales' };

/** A sale as the chain is asked about it. */
interface HeldSale {
  readonly id: string;
  readonly charge: string;
  readonly asset: Address;
  readonly payer: Address;
  readonly pay_to: string;
  readonly nonce: Hex;
  readonly amount: string;
  readonly transaction: Hex | null;
  /** Unix seconds. */
  readonly created: string;
  readonly ended: string;
}

/** How many sales are asked about at once. */
const AT_ONCE = 100;

/** The sales of a network that have ended, kept past the end of the snapshot. */
export function holdSales(snapshot: Snapshot, network: string): Promise<string> {
  return snapshot.hold(
    `SELECT id, charge, asset, payer, pay_to, nonce, amount, transaction,
       floor(extract(epoch FROM created_at)) AS created, ceil(extract(epoch FROM coalesce(ended_at, now()))) AS ended
     FROM gateway_sales WHERE network = '${network}' AND (charge = 'settled' OR ended_at IS NOT NULL) ORDER BY id`,
  );
}

/** Ended sales beside the chain: what is charged was paid, and what failed was not. */
export async function checkSales(
  snapshot: Snapshot,
  tally: Tally,
  chain: Chain,
  held: string,
  final: BlockHead,
): Promise<void> {
  for await (const page of snapshot.fetch<HeldSale>(held)) {
    for (let start = 0; start < page.length; start += AT_ONCE) {
      const some = page.slice(start, start + AT_ONCE);
      const spent = await chain.spent(some, final.number);
      for (const [place, sale] of some.entries()) {
        // A sale that has just ended may not be final yet.
        if (BigInt(sale.ended) > final.time) continue;
        const isPaid = spent[place] === true && (await payingLogs(chain, sale, final)).length > 0;
        if (sale.charge === 'settled' && !isPaid) {
          tally.broken({
            id: sale.id,
            what: 'what a gateway charged for is paid on chain',
            detail: '',
          });
        } else if (sale.charge !== 'settled' && isPaid) {
          tally.broken({
            id: sale.id,
            what: 'nothing is charged and failed',
            detail: 'it is paid on chain',
          });
        }
      }
      tally.count('sales', some.length);
    }
  }
}

/** The transfers of the transaction that used a sale's authorization, as far as they pay for it. */
async function payingLogs(chain: Chain, sale: HeldSale, final: BlockHead): Promise<TokenLog[]> {
  const isUse = (log: TokenLog) =>
    log.eventName === 'AuthorizationUsed' && log.args.nonce.toLowerCase() === sale.nonce;
  let hash = sale.transaction;
  if (!hash) {
    const from = await chain.firstBlockSince(BigInt(sale.created) - 60n, final.number);
    const logs = await chain.logs([sale.asset], [sale.payer], from, final.number);
    hash = logs.find(isUse)?.transactionHash ?? null;
  }
  const logs = hash ? await chain.logsOf(hash) : [];
  if (!logs.some(isUse)) return [];
  return logs.filter(
    (log) =>
      log.eventName === 'Transfer' &&
      log.address.toLowerCase() === sale.asset.toLowerCase() &&
      log.args.from.toLowerCase() === sale.payer.toLowerCase() &&
      log.args.to.toLowerCase() === sale.pay_to.toLowerCase() &&
      log.args.value === BigInt(sale.amount),
  );
}
