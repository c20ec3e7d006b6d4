import type pg from 'pg';
import { PRICE } from './grants.js';

/** Rows that fill a database before it is measured. */
export interface Growth {
  readonly grants: number;
  readonly payments: number;
}

/** How many grants one loaded tree has: its root and children. */
const TREE = 100;

/**
 * Reads `GRANTSxPAYMENTS`.
 *
 * @throws RangeError unless every grant of every tree gets the same number of payments.
 */
export function parseGrowth(text: string): Growth {
  const [, grants, payments] = (/^([1-9][0-9]{0,8})x([1-9][0-9]{0,9})$/.exec(text) ?? []).map(
    Number,
  );
  if (!grants || !payments || grants % TREE !== 0 || payments % grants !== 0) {
    throw new RangeError(
      `--growth takes GRANTSxPAYMENTS, such as 1000000x5000000: grants a multiple of ${TREE}, payments a multiple of grants; not "${text}"`,
    );
  }
  return { grants, payments };
}

/**
 * Fills a database whose treasury and wallets are there with trees of {@link TREE} grants and their settled
 * payments, all as the service would have left them but for their events. Superuser only: the foreign keys
 * are true by construction and not looked up row by row.
 */
export async function load(db: pg.Pool, { grants, payments }: Growth): Promise<void> {
  const each = payments / grants;
  await alone(db, async (client) => {
    // Millions of rows are sorted into an index far sooner than each is put in its place.
    const { rows: indexes } = await client.query<{ name: string; definition: string }>(
      `SELECT c.relname AS name, pg_get_indexdef(c.oid) AS definition
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       WHERE i.indrelid IN ('grants'::regclass, 'payments'::regclass) AND NOT i.indisprimary`,
    );
    for (const { name } of indexes) await client.query(`DROP INDEX "${name}"`);
    await client.query(
      `INSERT INTO grants (treasury_id, id, parent_id, root_id, path, lineage, depth, holder, currency, budget, scope,
         starts_at, expires_at, delegation_depth, funding, labels, minted_by, created_at, spent, payments, alive)
       SELECT t.id, g.id, CASE WHEN child THEN root END, root,
         CASE WHEN child THEN ARRAY[root, g.id] ELSE ARRAY[root] END,
         CASE WHEN child THEN root || '/' || g.id ELSE root END, child::int, 'agent-' || n % 1000, 'USDC',
         1000000000000, '{}', now() - interval '1 day', now() + interval '30 days', 8 - child::int, 'shared',
         '{}', 'admin:bench', now() - interval '1 day', $2::numeric * total, total,
         CASE WHEN child THEN 1 ELSE ${TREE} END
       FROM generate_series(0, $1::int - 1) AS n
       CROSS JOIN LATERAL (SELECT n % ${TREE} <> 0 AS child, ${loadedId('grt', 'n')} AS id,
         ${loadedId('grt', `n - n % ${TREE}`)} AS root) AS g
       CROSS JOIN LATERAL (SELECT $3::int * CASE WHEN child THEN 1 ELSE ${TREE} END AS total) AS s
       CROSS JOIN (SELECT id FROM treasuries) AS t (id)`,
      [grants, PRICE.toString(), each],
    );
    await client.query(
      `INSERT INTO payments (treasury_id, id, grant_id, idempotency_key, status, currency, amount, paid,
         network, scheme, x402_version, asset, pay_to, wallet_id, payer, nonce, valid_after, valid_before,
         requirement, resource_echo, declared_resource, request_method, request_url, decision, authorized_at,
         transaction, block_number, created_at, ended_at)
       SELECT w.treasury_id, ${loadedId('pay', 'n')}, ${loadedId('grt', 'n % $2::int')}, 'loaded-' || n, 'settled',
         'USDC', $3::numeric, $3::numeric, w.network, 'exact', 2, w.asset, '0x1111111111111111111111111111111111111111',
         w.id, w.address, '0x' || hash, 0, 1700000000, to_json(repeat('r', 248)), to_json(repeat('e', 88)),
         'https://api.example.com/data/7', 'GET', 'https://api.example.com/data/7', repeat('d', 900),
         made, '0x' || hash, 1, made, made + interval '10 minutes'
       FROM generate_series(0, $1::int - 1) AS n
       -- Over most of a day: a planner that sees one time for all of them plans as for no table in use.
       CROSS JOIN LATERAL (SELECT now() - interval '1 hour' - n * (interval '20 hours' / $1::int) AS made) AS m
       CROSS JOIN LATERAL (SELECT encode(sha256(n::text::bytea), 'hex') AS hash) AS h
       CROSS JOIN (SELECT w.treasury_id, w.id, w.address, b.network, b.asset FROM wallets w
         JOIN wallet_balances b ON b.treasury_id = w.treasury_id AND b.wallet_id = w.id
         WHERE w.position = 0 LIMIT 1) AS w`,
      [payments, grants, PRICE.toString()],
    );
    await client.query(`SET LOCAL maintenance_work_mem = '512MB'`);
    for (const { definition } of indexes) await client.query(definition);
  });
  await db.query('VACUUM (ANALYZE) grants');
  await db.query('VACUUM (ANALYZE) payments');
}

/**
 * Loads a tree of so many grants: a root, its children, and below each of those as many again.
 *
 * @param place - where its ids begin; no two trees may share any.
 * @returns the root's id.
 */
export async function loadTree(db: pg.Pool, place: number, size: number): Promise<string> {
  const branches = size === 1 ? 0 : Math.floor(Math.sqrt(size - 1));
  await alone(db, (client) =>
    client.query(
      `INSERT INTO grants (treasury_id, id, parent_id, root_id, path, lineage, depth, holder, currency, budget, scope,
         starts_at, expires_at, delegation_depth, funding, labels, minted_by, created_at, alive)
       SELECT t.id, path[cardinality(path)], path[cardinality(path) - 1], path[1], path,
         array_to_string(path, '/'), cardinality(path) - 1,
         'agent', 'USDC', 1000000000000, '{}', now(), now() + interval '30 days', 8, 'shared', '{}',
         'admin:bench', now(),
         CASE WHEN n = 0 THEN $2::int WHEN n <= $3::int
           THEN 1 + (SELECT count(*) FROM generate_series($3::int + 1, $2::int - 1) AS leaf WHERE leaf % $3::int + 1 = n)
           ELSE 1 END
       FROM generate_series(0, $2::int - 1) AS n
       CROSS JOIN LATERAL (SELECT CASE
         WHEN n = 0 THEN ARRAY[${loadedId('grt', '$1::int')}]
         WHEN n <= $3::int THEN ARRAY[${loadedId('grt', '$1::int')}, ${loadedId('grt', '$1::int + n')}]
         ELSE ARRAY[${loadedId('grt', '$1::int')}, ${loadedId('grt', '$1::int + n % $3::int + 1')},
           ${loadedId('grt', '$1::int + n')}] END AS path) AS p
       CROSS JOIN (SELECT id FROM treasuries) AS t (id)`,
      [place, size, branches],
    ),
  );
  await db.query('ANALYZE grants');
  const { rows } = await db.query<{ id: string }>(`SELECT ${loadedId('grt', '$1::int')} AS id`, [
    place,
  ]);
  return rows[0]?.id ?? '';
}

/** SQL for a TypeID that sorts before every one the service makes. */
function loadedId(kind: string, number: string): string {
  return `'${kind}_00000000' || lpad(to_hex(${number}), 18, '0')`;
}

/** A transaction without foreign key lookups and without a time limit. */
async function alone(
  db: pg.Pool,
  work: (client: pg.PoolClient) => Promise<unknown>,
): Promise<void> {
  const client = await db.connect();
  try {
    await client.query('BEGIN; SET LOCAL session_replication_role = replica');
    await work(client);
    await client.query('COMMIT');
  } finally {
    client.release(true);
  }
}
