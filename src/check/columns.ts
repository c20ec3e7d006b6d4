import type { Tally } from './report.js';
import { SALE_COLUMNS } from './sale-columns.js';
import type { Snapshot } from './snapshot.js';

/** A table's columns: those that are checked, and the others, each with the reason why nothing depends on it. */
interface Table {
  readonly checked: readonly string[];
  readonly free: Readonly<Record<string, string>>;
}

const SEALED =
  'authenticated by its own encryption: a changed one does not open, and the boot stops';
const FRESHNESS = 'says when a row was written last; nothing is decided by it';
const GAS = 'the chain has the transaction; no balance and no budget counts it';
const REFUSALS =
  'a count of the last minute, told in an event and then gone; it bounds noise, and no money';
const PROVISIONAL = 'of a block that is not final, written anew with every block; ends nothing';
const PROOFS = 'a proof of the last minutes, and the only trace of it';
const SETTING =
  'a setting, changed by an admin or by what the chain shows; each change is an event';
const SPENDS =
  'a spend that is unexplained is told, and one that is adopted is held against the chain; no budget counts it';
const CONDITION = 'how the last look at a chain went, written anew by the next one; ends nothing';
const METERS = 'what was made in the last hour; it bounds noise, and no money';
const DIRECTORY =
  'a list for people; a token is believed for its signature and refused for `revoked_tokens`';
const BREAKERS =
  'the refusals of the last time; when they trip a breaker, that is an event, which is checked';
const LINKS =
  'acts as its approver under the rules of approvals, which are checked; a spoilt one opens nothing';
const WAITING = 'a queue; an event that is missing in it is found as one without a place';
const MARKS = 'tells a start what held before; no payment and no authority depends on it';
const SESSIONS =
  'a session of the console; its token is asked for everything again, and a sealed one that was changed does not open';
const SIGN_INS = 'a sign-in that was told of; if it is lost, the next one is told of again';

const DELIVERY =
  'how events are sent on; each change of a webhook is an event, and no payment and no authority depends on it';

const LOWS =
  'whether a low treasury was told; wallets are asked for what they have, and no payment for this';
const CROSSINGS = 'whether a threshold was told; each that is told is an event, which is checked';
const LISTINGS =
  'what strangers list for sale; each change of a catalog is an event, and no payment is decided by it';

/**
 * Every column of every table. What is checked is derived from other rows, or is held against a member of a record or a
 * decision: test/check-columns.e2e-spec.ts spoils each of them and expects the checker to say so. A column that is not in here
 * fails that test, and is told as not checked.
 */
export const COLUMNS: Readonly<Record<string, Table>> = {
  treasuries: {
    checked: ['id', 'name', 'created_at'],
    free: {
      position:
        'wallets are derived by it: with another one the boot finds other addresses, and stops',
      zero_payments: SETTING,
      fenced_until: SETTING,
      fence_announced_until: SETTING,
    },
  },
  signing_keys: {
    checked: ['kid', 'algorithm', 'public_jwk', 'created_at', 'retired_at'],
    free: {
      sealed_private: SEALED,
      signs_from: 'when a key begins to sign; it verifies before and after',
    },
  },
  wallets: {
    checked: ['treasury_id', 'id', 'address', 'position', 'status', 'created_at'],
    free: {},
  },
  wallet_balances: {
    checked: [
      'treasury_id',
      'wallet_id',
      'network',
      'asset',
      'balance',
      'reserved',
      'block_number',
      'code',
      'code_block',
      'code_seen_at',
    ],
    free: {
      updated_at: FRESHNESS,
      held_since: 'that a wallet is held is checked; since when says its event alone',
    },
  },
  grant_actors: {
    checked: ['treasury_id', 'grant_id', 'actor', 'since'],
    free: {},
  },
  outside_spends: {
    checked: [],
    free: Object.fromEntries(
      [
        ...['treasury_id', 'network', 'transaction', 'asset', 'place', 'wallet_id', 'nonce'],
        ...['pay_to', 'amount', 'block_number', 'status', 'seen_at', 'ended_at', 'ended_by'],
        ...['reason', 'payment_id'],
      ].map((column) => [column, SPENDS]),
    ),
  },
  chain_states: {
    checked: [],
    free: Object.fromEntries(
      ['network', 'contradiction', 'quorum', 'code', 'updated_at'].map((column) => [
        column,
        CONDITION,
      ]),
    ),
  },
  treasury_usage: {
    checked: ['treasury_id', 'alive', 'waiting', 'open_payments'],
    free: {},
  },
  treasury_suspensions: {
    checked: ['treasury_id', 'suspended_at', 'suspended_by', 'reason'],
    free: {},
  },
  creation_meters: {
    checked: [],
    free: Object.fromEntries(
      ['treasury_id', 'subject', 'since', 'events', 'bytes'].map((column) => [column, METERS]),
    ),
  },
  grants: {
    checked: [
      ...['treasury_id', 'id', 'parent_id', 'root_id', 'path', 'lineage', 'depth', 'holder'],
      ...['currency', 'budget', 'max_per_payment', 'max_payments', 'windows', 'window_usage'],
      ...['approval_above', 'scope', 'starts_at', 'expires_at', 'delegation_depth', 'funding'],
      ...['purpose', 'labels', 'status', 'status_reason', 'suspended_by', 'revoked_at'],
      ...['token_generation', 'holder_key', 'holder_key_thumbprint', 'minted_by', 'mint_key'],
      ...['mint_hash', 'created_at', 'reserved', 'spent', 'allocated', 'payments'],
      ...['open_payments', 'last_valid_before', 'returns_below', 'alive', 'returned_at'],
      ...['waiting', 'approve_new_payees', 'breaker_refusals', 'breaker_seconds'],
    ],
    free: {
      counted_out_at: 'when the sweep counted an expired grant out; what is alive is checked',
    },
  },
  ...SALE_COLUMNS,
  webhooks: {
    checked: [],
    free: Object.fromEntries(
      [
        ...['treasury_id', 'id', 'owner_id', 'root_id', 'grant_id', 'url', 'kinds', 'description'],
        ...['status', 'status_reason', 'secret', 'old_secret', 'old_secret_until', 'place'],
        ...['failing_since', 'lease', 'lease_until', 'created_at', 'created_by', 'approver'],
      ].map((column) => [column, DELIVERY]),
    ),
  },
  webhook_deliveries: {
    checked: [],
    free: Object.fromEntries(
      [
        ...['treasury_id', 'id', 'webhook_id', 'event_id', 'leaf_index', 'kind', 'origin'],
        ...['status', 'tries', 'attempts', 'created_at', 'first_at', 'next_at'],
      ].map((column) => [column, DELIVERY]),
    ),
  },
  catalogs: {
    checked: [],
    free: Object.fromEntries(
      [
        ...['treasury_id', 'id', 'url', 'description', 'sources', 'read_at', 'next_at', 'lease'],
        ...['lease_until', 'created_at', 'created_by'],
      ].map((column) => [column, LISTINGS]),
    ),
  },
  services: {
    checked: [],
    free: Object.fromEntries(
      [
        ...['treasury_id', 'id', 'catalog_id', 'source', 'method', 'url', 'origin', 'origin_above'],
        ...['host', 'path', 'is_unambiguous', 'first_hand', 'network', 'asset', 'pay_to'],
        ...['currency', 'amount', 'name', 'description', 'words', 'settled', 'released', 'rank'],
        ...['seen_at'],
      ].map((column) => [column, LISTINGS]),
    ),
  },
  grant_requests: {
    checked: [
      ...['treasury_id', 'id', 'grant_id', 'root_id', 'status', 'budget', 'expires_at', 'reason'],
      ...['created_at', 'lapses_at', 'decided_at', 'decided_by', 'decided_reason'],
    ],
    free: {},
  },
  payments: {
    checked: [
      ...['treasury_id', 'id', 'grant_id', 'idempotency_key', 'status', 'currency', 'amount'],
      ...[
        'paid',
        'network',
        'scheme',
        'x402_version',
        'asset',
        'pay_to',
        'wallet_id',
        'payer',
        'nonce',
      ],
      ...['valid_after', 'valid_before', 'requirement', 'resource_echo', 'extensions_echo'],
      ...['declared_resource', 'resource_mismatch', 'request_method', 'request_url', 'memo'],
      ...[
        'host',
        'decision',
        'authorized_at',
        'approval_from_above',
        'approved_at',
        'approval_lapses_at',
      ],
      ...['decided_by', 'decided_reason', 'transaction', 'block_number', 'created_at', 'ended_at'],
    ],
    free: { traceparent: 'where a trace goes on; nothing is decided by it' },
  },
  events: {
    checked: [
      ...['treasury_id', 'id', 'seq', 'kind', 'actor', 'grant_id', 'payment_id', 'record'],
      'created_at',
    ],
    free: {},
  },
  leaves: { checked: ['treasury_id', 'leaf_index', 'seq'], free: {} },
  unsealed_events: { checked: [], free: { treasury_id: WAITING, seq: WAITING } },
  approval_links: {
    checked: [],
    free: Object.fromEntries(
      [
        ...['treasury_id', 'link_hash', 'payment_id', 'grant_request_id', 'approver'],
        ...['created_at', 'used_at'],
      ].map((column) => [column, LINKS]),
    ),
  },
  known_payees: {
    checked: ['treasury_id', 'grant_id', 'network', 'pay_to', 'payment_id', 'since'],
    free: {},
  },
  breaker_counts: {
    checked: [],
    free: Object.fromEntries(
      ['treasury_id', 'grant_id', 'times', 'recorded'].map((column) => [column, BREAKERS]),
    ),
  },
  grant_thresholds: {
    checked: [],
    free: Object.fromEntries(
      ['treasury_id', 'grant_id', 'bound', 'period', 'percent'].map((column) => [
        column,
        CROSSINGS,
      ]),
    ),
  },
  treasury_lows: {
    checked: [],
    free: Object.fromEntries(
      ['treasury_id', 'network', 'currency', 'since'].map((column) => [column, LOWS]),
    ),
  },
  spend_series: {
    checked: ['treasury_id', 'id', 'grant_id', 'network', 'pay_to', 'host'],
    free: {},
  },
  spend_hours: {
    checked: ['treasury_id', 'series_id', 'hour', 'status', 'payments', 'amount'],
    free: {},
  },
  spend_cursors: { checked: ['treasury_id', 'leaf_index'], free: {} },
  log_keys: {
    checked: ['treasury_id', 'public_key', 'created_at'],
    free: { sealed_private: SEALED },
  },
  log_tiles: { checked: ['treasury_id', 'level', 'index', 'hashes'], free: {} },
  log_checkpoints: {
    checked: ['treasury_id', 'size', 'note', 'previous'],
    free: { created_at: FRESHNESS },
  },
  log_witnesses: {
    checked: ['treasury_id', 'size'],
    free: {
      witness: 'a witness by another name is sent the newest checkpoint again',
      updated_at: FRESHNESS,
    },
  },
  refusal_tallies: {
    checked: [],
    free: {
      treasury_id: REFUSALS,
      grant_id: REFUSALS,
      code: REFUSALS,
      since: REFUSALS,
      written: REFUSALS,
      counted: REFUSALS,
      last_at: REFUSALS,
    },
  },
  chain_cursors: {
    checked: ['network', 'block_number', 'block_hash', 'block_time'],
    free: {
      updated_at: FRESHNESS,
      head_number: PROVISIONAL,
      head_hash: PROVISIONAL,
      head_time: PROVISIONAL,
    },
  },
  chain_blocks: { checked: ['network', 'number', 'hash', 'time'], free: {} },
  sightings: {
    checked: ['treasury_id', 'payment_id', 'network', 'transaction', 'block_number'],
    free: {},
  },
  receipts: {
    checked: [
      ...['treasury_id', 'payment_id', 'place', 'value', 'value_hash', 'transaction'],
      ...['signature_outcome', 'signer', 'received_by', 'received_at'],
    ],
    free: {
      success: 'read from `value`, which is checked; only shown',
      network: 'read from `value`, which is checked; only shown',
      signature_reason: 'words beside `signature_outcome`, which is checked; only shown',
    },
  },
  cancellations: {
    checked: ['treasury_id', 'payment_id', 'network', 'requested_by', 'requested_at', 'is_over'],
    free: {},
  },
  gas_transactions: {
    checked: ['treasury_id', 'payment_id', 'network'],
    free: {
      sender: GAS,
      nonce: GAS,
      status: GAS,
      is_void: GAS,
      gas_limit: GAS,
      max_fee: GAS,
      max_priority_fee: GAS,
      attempts: GAS,
      hash: GAS,
      created_at: GAS,
      attempted_at: GAS,
    },
  },
  dpop_proofs: {
    checked: [],
    free: { treasury_id: PROOFS, proof_hash: PROOFS, expires_at: PROOFS },
  },
  revoked_tokens: {
    checked: ['token_id', 'revoked_by', 'revoked_at', 'expires_at'],
    free: {},
  },
  currencies: {
    checked: ['code', 'decimals'],
    free: { created_at: FRESHNESS },
  },
  admin_tokens: {
    checked: [],
    free: Object.fromEntries(
      ['token_id', 'name', 'role', 'treasuries', 'minted_at', 'expires_at', 'last_used_at'].map(
        (column) => [column, DIRECTORY],
      ),
    ),
  },
  database_marks: { checked: [], free: { mark: MARKS, since: MARKS } },
  console_sessions: {
    checked: [],
    free: Object.fromEntries(
      ['session_hash', 'sealed_token', 'opened_at', 'seen_at', 'confirmed_at', 'expires_at'].map(
        (column) => [column, SESSIONS],
      ),
    ),
  },
  admin_sign_ins: { checked: [], free: { token_id: SIGN_INS, expires_at: SIGN_INS } },
};

/** I8: tells of columns that this version knows nothing of, so that a newer database is not called whole. */
export async function checkColumns(snapshot: Snapshot, tally: Tally): Promise<void> {
  const rows = await snapshot.rows<{ table_name: string; column_name: string }>(
    `SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables
       USING (table_schema, table_name)
     WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> '_prisma_migrations' ORDER BY 1, 2`,
  );
  for (const { table_name, column_name } of rows) {
    const table = COLUMNS[table_name];
    if (table?.checked.includes(column_name) || table?.free[column_name] !== undefined) continue;
    tally.skip(`${table_name}.${column_name}: this version does not know it`);
  }
}
