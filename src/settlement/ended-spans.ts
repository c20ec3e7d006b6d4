import { SpanKind } from '@opentelemetry/api';
import type { Database } from '../database/database.js';
import { paymentAttributes } from '../tracing/payment-attributes.js';
import { parseTraceparent } from '../tracing/trace-scope.js';
import type { Tracing } from '../tracing/tracing.js';

/**
 * Makes a span for each payment that ended, in the trace of the request that asked for it. Only after the commit, and
 * only while tracing is on: nothing waits for it.
 *
 * @param began - when the reading that ended them began.
 */
export async function traceEnds(
  database: Database,
  tracing: Tracing,
  ids: readonly string[],
  began: Date,
): Promise<void> {
  if (!tracing.isOn || ids.length === 0) return;
  const { rows } = await database.pool.query<{
    id: string;
    grant_id: string;
    status: string;
    network: string;
    pay_to: string;
    amount: string;
    currency: string;
    transaction: string | null;
    traceparent: string;
  }>(
    `SELECT id, grant_id, status, network, pay_to, amount, currency, transaction, traceparent
     FROM payments WHERE id = ANY ($1::text[]) AND traceparent IS NOT NULL`,
    [ids],
  );
  for (const row of rows) {
    const attributes = {
      'bursar.payment.id': row.id,
      'bursar.grant.id': row.grant_id,
      ...paymentAttributes({ ...row, amount: BigInt(row.amount), payTo: row.pay_to }),
      'bursar.outcome': row.status,
      ...(row.transaction === null ? {} : { 'bursar.transaction': row.transaction }),
    };
    const options = { kind: SpanKind.CONSUMER, attributes, startTime: began };
    tracing.start('payment end', options, parseTraceparent(row.traceparent)).end();
  }
}
