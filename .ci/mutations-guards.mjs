// The guards of the ledger and of everything that runs beside another, and how each is taken out: row
// locks, advisory locks, predicates on a status, checks of ancestors, and what a shutdown and a hung worker
// meet. The CHECKs, triggers, primary and unique keys of the database are not here: each is taken out once
// in every run of test/schema.int-spec.ts ("with one wall taken out").
//
// As in mutations-list.mjs, `find` stands exactly once in `file`. A new lock or predicate must come with an
// entry here (or in `accepted`, with the reason): guards-inventory.mjs looks for them.
const INTERLEAVINGS = {
  test: 'test/interleavings.int-spec.ts',
  name: 'keep every invariant in whatever order their steps fall',
  env: { BURSAR_INTERLEAVINGS: '150', BURSAR_INTERLEAVINGS_SEED: '1' },
};

const of = (row) => (guard, file, find, replace, by) => ({
  row,
  guard,
  file,
  find,
  replace,
  ...by,
});
const lock = of('row locks');
const status = of('status predicates');
const ancestor = of('ancestor checks');

export default [
  lock(
    'one sealer a treasury',
    'src/audit/sealer.ts',
    "'SELECT 1 FROM treasuries WHERE id = $1 FOR NO KEY UPDATE'",
    "'SELECT 1 FROM treasuries WHERE id = $1'",
    { test: 'test/audit-log.int-spec.ts', name: 'gives no place twice, however many seal at once' },
  ),
  lock(
    'a chain is locked before it is changed',
    'src/ledger/grant-rows.ts',
    '     ORDER BY g.id FOR NO KEY UPDATE`',
    '     ORDER BY g.id`',
    INTERLEAVINGS,
  ),
  lock(
    'a chain is locked before it pays',
    'src/ledger/grant-rows.ts',
    "'k.id')} FOR NO KEY UPDATE) g",
    "'k.id')}) g",
    INTERLEAVINGS,
  ),
  lock(
    'wallets are locked before they pay',
    'src/ledger/ledger.ts',
    'ORDER BY b.wallet_id, b.network, b.asset FOR NO KEY UPDATE OF b`',
    'ORDER BY b.wallet_id, b.network, b.asset`',
    INTERLEAVINGS,
  ),
  lock(
    'the receipts of a payment are counted by one at a time',
    'src/ledger/receipts.ts',
    'WHERE treasury_id = $1 AND id = $2 FOR NO KEY UPDATE',
    'WHERE treasury_id = $1 AND id = $2',
    {
      test: 'test/receipts.e2e-spec.ts',
      name: 'is eight of them and no more, however many are handed in at once',
    },
  ),
  lock(
    'a waiting payment is locked before it is decided',
    'src/ledger/approvals.ts',
    'p.id = $2 FOR NO KEY UPDATE OF p`',
    'p.id = $2`',
    INTERLEAVINGS,
  ),
  lock(
    'an approved payment is locked before it is handed over',
    'src/ledger/ledger.ts',
    'ORDER BY p.id FOR NO KEY UPDATE OF p`',
    'ORDER BY p.id`',
    INTERLEAVINGS,
  ),
  lock(
    'payments that lapse are locked',
    'src/ledger/approvals.ts',
    ' FOR NO KEY UPDATE OF p SKIP LOCKED`',
    '`',
    INTERLEAVINGS,
  ),
  lock(
    'refusals that others count are passed over',
    'src/ledger/refusals.ts',
    'LIMIT 1000 FOR UPDATE SKIP LOCKED) o',
    'LIMIT 1000) o',
    {
      test: 'test/audit-log.int-spec.ts',
      name: 'does not wait for those that somebody is counting',
    },
  ),
  lock(
    'a wallet is locked before its status changes',
    'src/treasury/wallets.ts',
    "'SELECT treasury_id, address, status FROM wallets WHERE id = $1 FOR NO KEY UPDATE'",
    "'SELECT treasury_id, address, status FROM wallets WHERE id = $1'",
    INTERLEAVINGS,
  ),
  lock(
    'a wallet’s funds are locked before it retires',
    'src/treasury/wallets.ts',
    'ORDER BY treasury_id, wallet_id, network, asset FOR NO KEY UPDATE`',
    'ORDER BY treasury_id, wallet_id, network, asset`',
    {
      test: 'test/enrolment.int-spec.ts',
      name: 'a wallet retires only after the payments that are in the making',
    },
  ),
  lock(
    'one process enrols wallets at a time',
    'src/treasury/wallets.ts',
    "'SELECT 1 FROM treasuries WHERE id = $1 FOR NO KEY UPDATE', [treasury.id]",
    "'SELECT 1 FROM treasuries WHERE id = $1', [treasury.id]",
    {
      test: 'test/enrolment.int-spec.ts',
      name: 'wallets are enrolled once, in their order, however many processes start at once',
    },
  ),
  lock(
    'one mint a key at a time',
    'src/grants/minting.service.ts',
    "'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))'",
    "'SELECT $1::text'",
    INTERLEAVINGS,
  ),
  lock(
    'one process makes signing keys at a time',
    'src/access/keys.ts',
    "'SELECT pg_advisory_xact_lock($1)'",
    "'SELECT $1::bigint'",
    {
      test: 'test/enrolment.int-spec.ts',
      name: 'one signing key is made, however many processes start at once',
    },
  ),
  lock(
    'one migration at a time',
    'prisma/migrate.ts',
    "'SELECT pg_advisory_lock($1)'",
    "'SELECT $1::bigint'",
    {
      test: 'test/schema.int-spec.ts',
      name: 'waits for another that is in the middle of it, and touches nothing of it',
    },
  ),
  status(
    'a signature that has run out is not cancelled',
    'src/settlement/canceller.ts',
    'AND p.valid_before > $2\n',
    'AND p.valid_before > 0 * $2::numeric\n',
    {
      test: 'test/cancel.e2e-spec.ts',
      name: 'costs no gas once the signature has run out, though that is not final yet',
    },
  ),
  status(
    'a reading that came too late writes nothing',
    'src/ledger/settlement.ts',
    'WHERE network = $1 AND block_number = $5 AND block_number < $2`',
    'WHERE network = $1 AND $5::bigint IS NOT NULL`',
    {
      test: 'test/payments.e2e-spec.ts',
      name: 'hears of a reading once: of two workers that read the same blocks, the later one writes nothing',
    },
  ),
  status(
    'only what waits lapses',
    'src/ledger/approvals.ts',
    "WHERE p.status = 'pending_approval' AND p.approval_lapses_at <= now()",
    'WHERE p.approval_lapses_at <= now()',
    INTERLEAVINGS,
  ),
  status(
    'only what waits is approved or rejected',
    'src/ledger/approvals.ts',
    "if (payment.status !== 'pending_approval') {",
    'if (false) {',
    INTERLEAVINGS,
  ),
  status(
    'only active wallets pay',
    'src/ledger/ledger.ts',
    "WHERE b.treasury_id = $1 AND w.status = 'active'",
    'WHERE b.treasury_id = $1',
    {
      test: 'test/treasuries.e2e-spec.ts',
      name: 'drains it: it pays no more, settles what is open, and only then retires, for good',
    },
  ),
  status(
    'a cancellation is asked for of what is open',
    'src/ledger/cancellations.ts',
    "WHERE p.treasury_id = $1 AND p.status = 'authorized'",
    'WHERE p.treasury_id = $1',
    INTERLEAVINGS,
  ),
  ancestor(
    'the chain that pays is whole',
    'src/domain/charge.ts',
    `  const setAside = grantsSettingAside(chain);
  return chain.map((grant, place) => ({
    ...grant,
    reserved: grant.reserved + amount,`,
    `  const setAside = grantsSettingAside(chain);
  return chain.slice(1).map((grant, place) => ({
    ...grant,
    reserved: grant.reserved + amount,`,
    { test: 'src/domain/model.spec.ts', name: 'come to what a plain model says' },
  ),
  ancestor(
    'every ancestor learns of a settlement',
    'src/domain/charge.ts',
    `  return chain.map((grant) => ({
    ...grant,
    reserved: grant.reserved - amount,
    spent: grant.spent + amount,`,
    `  return chain.slice(1).map((grant) => ({
    ...grant,
    reserved: grant.reserved - amount,
    spent: grant.spent + amount,`,
    { test: 'src/domain/model.spec.ts', name: 'come to what a plain model says' },
  ),
  ancestor(
    'a revocation above counts',
    'src/domain/policy.ts',
    "    if (grant.status === 'revoked') {",
    "    if (grant === chain.at(-1) && grant.status === 'revoked') {",
    { test: 'src/domain/model.spec.ts', name: 'come to what a plain model says' },
  ),
  ancestor(
    'a suspension above counts',
    'src/domain/policy.ts',
    "    if (grant.status === 'suspended') {",
    "    if (grant === chain.at(-1) && grant.status === 'suspended') {",
    { test: 'src/domain/model.spec.ts', name: 'come to what a plain model says' },
  ),
  ancestor(
    'the locks reach up to the root',
    'src/ledger/grant-rows.ts',
    'g.id IN (SELECT unnest(path) FROM grants',
    'g.id IN (SELECT unnest(path[2:]) FROM grants',
    INTERLEAVINGS,
  ),
  ancestor(
    'nothing below a revoked grant is resumed',
    'src/grants/life.service.ts',
    "const revoked = chain.find(({ status }) => status === 'revoked');",
    "const revoked = chain.slice(-1).find(({ status }) => status === 'revoked');",
    {
      test: 'test/grant-life.e2e-spec.ts',
      name: 'is final: nothing of it can be suspended or resumed, nor of what is below',
    },
  ),
  {
    row: 'queues and shutdown',
    guard: 'who leaves says so',
    file: 'src/ops/health.controller.ts',
    find: "if (this.draining.isDraining) missing.push('this process is being stopped');",
    replace: 'if (this.draining === undefined) return;',
    test: 'test/shutdown.e2e-spec.ts',
    name: 'SIGTERM of one of two under load drops no request, and the process is out in time',
  },
  {
    row: 'queues and shutdown',
    guard: 'a queue that does not close is given up',
    file: 'src/outbox/queues.ts',
    find: 'if (await within(closed, CLOSE_TIMEOUT_MS)) return;',
    replace: 'await closed;\n    if (await within(closed, CLOSE_TIMEOUT_MS)) return;',
    test: 'test/shutdown.e2e-spec.ts',
    name: 'SIGTERM while Redis is frozen, so that no queue closes: out in time all the same',
  },
  {
    row: 'queues and shutdown',
    guard: 'a silent worker is told',
    file: 'src/ops/health.controller.ts',
    find: 'for (const { queue, seconds } of this.queues.hung()) {',
    replace: 'for (const { queue, seconds } of [] as { queue: string; seconds: number }[]) {',
    test: 'test/workers.e2e-spec.ts',
    name: 'sees workers that hang, says which, replaces them, and loses nothing',
  },
  {
    row: 'queues and shutdown',
    guard: 'canaries are passed on to whom they are for',
    file: 'src/outbox/queues.ts',
    find: 'if (worker === this.#id || hops === 0) return;',
    replace: 'return;',
    test: 'test/workers.e2e-spec.ts',
    name: 'says that all is well while jobs flow, however little there is to do',
  },
];

/** Guards without a mutation, as text of the line they stand in, and why. */
export const accepted = {
  'src/ledger/settlement.ts': {
    'ORDER BY treasury_id, wallet_id, network, asset FOR NO KEY UPDATE`':
      'only orders locks: without it two transactions deadlock now and then, and Postgres tells one to try again',
    'WHERE network = $1 AND block_number = $5`':
      'a rewind that came too late reads some blocks once more; what has ended stays ended',
  },
  'src/ledger/wallet-code.ts': {
    'ORDER BY treasury_id, wallet_id, network, asset FOR NO KEY UPDATE`':
      'only orders locks, as in settlement.ts; of two looks at once, both write what they saw',
  },
  'src/ledger/sightings.ts': {
    'WHERE network = $1 AND block_number = $2`':
      'a look that came too late shows what the next look withdraws; it moves no money',
    "AND p.status = 'authorized'":
      'stands behind the cursor’s check above it, which lets no late look in',
  },
  'src/ledger/ledger.ts': {
    "AND status = 'pending_approval'":
      'counts for a bound of 100 that protects the approvers’ list, no money',
  },
  'src/payments/cancel.controller.ts': {
    "if (before.status !== 'authorized') {":
      'says so early; "a cancellation is asked for of what is open" stands behind it',
  },
  'src/settlement/canceller.ts': {
    'pg_advisory_xact_lock(hashtextextended($1, 0))':
      'the primary key of gas_transactions stands behind it: the second of two takes its turn again',
    "status = 'open'": 'trigger gas_transactions_forward stands behind it',
    "p.status = 'authorized'":
      'a cancellation of what has ended is refused by the token, at the price of its gas',
    "p.status <> 'authorized'": 'tidies up: a cancellation that stays open sends nothing more',
    'NOT is_over': 'asks whether there is work; too much of it finds none',
    'NOT c.is_over': 'as above: what is over has a payment that is no longer open',
  },
  'src/settlement/chain-reader.ts': {
    "status = 'authorized'": 'reads candidates; "only what is authorized ends" stands behind it',
  },
};
