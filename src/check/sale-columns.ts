const STARTED =
  'when a process of a gateway was seen last; it decides who ends a sale, and no sale is charged twice';
const SALES =
  'a charge is held against its event and the chain (sales.ts); no payment of a grant is decided by it';
const FREE_USES =
  'how many requests of a payer were free today; no charge and no grant depends on it';
const ASKS = 'a count of unpaid requests, for a report; nothing is decided by it';
const PRICES =
  'prices of a gateway, kept so that quotes outlive a restart; no charge is above what its payer signed';
const KEPT_ANSWER = 'an answer that is sent again for minutes; a changed one does not open';

/** Columns of a gateway's tables, as those of `columns.ts`. */
export const SALE_COLUMNS = {
  gateway_processes: {
    checked: [],
    free: { treasury_id: STARTED, id: STARTED, seen_at: STARTED },
  },
  gateway_sales: {
    checked: [],
    free: Object.fromEntries(
      [
        ...[
          'treasury_id',
          'id',
          'network',
          'asset',
          'payer',
          'nonce',
          'credential_hash',
          'request_hash',
        ],
        ...[
          'operation',
          'resource',
          'pay_to',
          'currency',
          'amount',
          'valid_before',
          'settle',
          'config_hash',
        ],
        ...['call', 'charge', 'status_code', 'transaction', 'reason', 'sealed_payment', 'process'],
        ...['next_try_at', 'created_at', 'ended_at'],
      ].map((column) => [column, SALES]),
    ),
  },
  gateway_free_uses: {
    checked: [],
    free: { treasury_id: FREE_USES, payer: FREE_USES, day: FREE_USES, used: FREE_USES },
  },
  gateway_asks: {
    checked: [],
    free: { treasury_id: ASKS, operation: ASKS, day: ASKS, asked: ASKS },
  },
  gateway_prices: {
    checked: [],
    free: {
      treasury_id: PRICES,
      upstream: PRICES,
      hash: PRICES,
      prices: PRICES,
      served_from: PRICES,
    },
  },
  gateway_answers: {
    checked: [],
    free: {
      treasury_id: KEPT_ANSWER,
      sale_id: KEPT_ANSWER,
      sealed: KEPT_ANSWER,
      expires_at: KEPT_ANSWER,
    },
  },
  gateway_credit_notes: {
    checked: [],
    free: Object.fromEntries(
      [
        ...['treasury_id', 'sale_id', 'status', 'attempt', 'payment_id', 'transaction'],
        ...['next_try_at', 'created_at', 'ended_at'],
      ].map((column) => [column, SALES]),
    ),
  },
} as const;
