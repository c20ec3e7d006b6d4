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

/** Its removal proves nothing: the compiler asks for it, because it narrows a type. */
const DOES_NOT_COMPILE = 'what follows does not compile without it';

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

const BULK = {
  test: 'test/bulk.e2e-spec.ts',
  name: 'finds nothing that has ended, or stopped by itself, already',
};

const HOOKS = 'test/webhooks.e2e-spec.ts';

const LOW = {
  test: 'test/treasury-low.e2e-spec.ts',
  name: 'counts a payment of 23 h 59 min ago, and none of 24 h 1 min ago',
};

const RANK = {
  test: 'test/catalog.e2e-spec.ts',
  name: 'rank by price and by how payments to their host ended',
};

export default [
  status(
    'a filter finds nothing that has ended',
    'src/grants/bulk.service.ts',
    "AND (a.status = 'revoked' OR a.expires_at <= now()))`",
    'AND false)`',
    BULK,
  ),
  status(
    'a filter suspends nothing that is suspended',
    'src/grants/bulk.service.ts',
    "if (act === 'suspend') conditions.always(`g.status = 'active'`);",
    '',
    BULK,
  ),
  status(
    'payments that settled count for a host',
    'src/catalog/catalog-rows.ts',
    "FILTER (WHERE h.status = 'settled')",
    "FILTER (WHERE h.status <> 'open')",
    RANK,
  ),
  status(
    'payments that were released count against a host',
    'src/catalog/catalog-rows.ts',
    "FILTER (WHERE h.status = 'released')",
    "FILTER (WHERE h.status <> 'open')",
    RANK,
  ),
  status(
    'a webhook that was paused sends no more',
    'src/events/webhook-worker.ts',
    "WHERE id = $1 AND lease = $2 AND status = 'active' RETURNING *`",
    'WHERE id = $1 AND lease = $2 RETURNING *`',
    {
      test: HOOKS,
      name: 'that is paused in the middle of a delivery sends no more, and forgets nothing',
    },
  ),
  status(
    'the oldest pending delivery comes first',
    'src/events/webhook-worker.ts',
    "AND status = 'pending' AND origin = 'log' ORDER BY leaf_index LIMIT 1) head",
    "AND origin = 'log' ORDER BY leaf_index LIMIT 1) head",
    {
      test: HOOKS,
      name: 'gets what happens from now on, in the order of the log, signed, with the record byte for byte',
    },
  ),
  status(
    'what is still to be sent is not forgotten',
    'src/events/webhook-worker.ts',
    "WHERE status <> 'pending' AND created_at",
    'WHERE created_at',
    {
      test: HOOKS,
      name: 'that is paused in the middle of a delivery sends no more, and forgets nothing',
    },
  ),
  status(
    "a holder's webhook does not end before its last delivery",
    'src/events/webhook-worker.ts',
    "AND d.webhook_id = w.id AND d.status = 'pending')`",
    "AND d.webhook_id = w.id AND d.status = 'none')`",
    {
      test: HOOKS,
      name: 'of a holder does not end before its last delivery',
    },
  ),
  status(
    "a holder's webhook ends with its grant",
    'src/events/webhook-worker.ts',
    "(a.status = 'revoked' OR a.expires_at <= now())",
    '(a.expires_at <= now())',
    {
      test: HOOKS,
      name: 'of a holder gets the events of its own tree, and ends after that of its revocation',
    },
  ),
  status(
    'a resumption touches only what waits',
    'src/events/webhooks.service.ts',
    "WHERE treasury_id = $1 AND webhook_id = $2 AND status = 'pending'`",
    'WHERE treasury_id = $1 AND webhook_id = $2`',
    {
      test: HOOKS,
      name: 'that is paused in the middle of a delivery sends no more, and forgets nothing',
    },
  ),
  status(
    'a treasury is low by the sums of what settled',
    'src/treasury/low-treasuries.ts',
    "AND h.status = 'settled'",
    "AND h.status <> 'none'",
    LOW,
  ),
  status(
    'a day of spend begins at its minute',
    'src/treasury/low-treasuries.ts',
    'p.created_at >= (SELECT since FROM day)',
    "p.created_at >= (SELECT whole - interval '1 hour' FROM day)",
    LOW,
  ),
  lock(
    'one folder of sums a treasury',
    'src/reports/spend-fold.ts',
    'WHERE treasury_id = $1 FOR NO KEY UPDATE',
    'WHERE treasury_id = $1',
    { test: 'test/reports.int-spec.ts', name: 'folds an event once, by however many workers' },
  ),
  ...['settled', 'authorized'].map((each) =>
    status(
      `a report sums up what is ${each}`,
      'src/reports/spend-query.ts',
      `STATUS('${each}')`,
      "STATUS('none')",
      {
        test: 'test/reports.int-spec.ts',
        name: 'says what the ledger has, to the atomic unit, however much of it is sealed and folded',
      },
    ),
  ),
  ...['authorized', 'pending_approval'].map((each) =>
    status(
      `a report counts what is still ${each}`,
      'src/reports/spend-query.ts',
      `p.status = '${each}'`,
      "p.status = 'none'",
      {
        test: 'test/reports.int-spec.ts',
        name: 'says what the ledger has, to the atomic unit, however much of it is sealed and folded',
      },
    ),
  ),
  status(
    'a refusal is no payment in a report',
    'src/reports/spend-query.ts',
    "(WHERE f.status <> 'refused')",
    '(WHERE true)',
    {
      test: 'test/reports.int-spec.ts',
      name: 'says what the ledger has, to the atomic unit, however much of it is sealed and folded',
    },
  ),
  status(
    'a report counts refusals',
    'src/reports/spend-query.ts',
    "(WHERE f.status = 'refused')",
    '(WHERE true)',
    {
      test: 'test/reports.int-spec.ts',
      name: 'says what the ledger has, to the atomic unit, however much of it is sealed and folded',
    },
  ),
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
    'src/ledger/read-locked-state.ts',
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
    'src/treasury/wallet-status.ts',
    "'SELECT treasury_id, address, status FROM wallets WHERE id = $1 FOR NO KEY UPDATE'",
    "'SELECT treasury_id, address, status FROM wallets WHERE id = $1'",
    INTERLEAVINGS,
  ),
  lock(
    'a wallet’s funds are locked before it retires',
    'src/treasury/wallet-status.ts',
    'ORDER BY treasury_id, wallet_id, network, asset FOR NO KEY UPDATE`',
    'ORDER BY treasury_id, wallet_id, network, asset`',
    {
      test: 'test/enrolment.int-spec.ts',
      name: 'a wallet retires only after the payments that are in the making',
    },
  ),
  lock(
    'one process enrols wallets at a time',
    'src/treasury/enrolment.ts',
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
    'a release that came too late writes nothing',
    'src/ledger/settlement.ts',
    'WHERE network = $1 AND block_number = $2 AND block_hash = $3`',
    'WHERE network = $1 AND $2::bigint IS NOT NULL AND $3::text IS NOT NULL`',
    {
      test: 'test/reorgs.e2e-spec.ts',
      name: 'is written only while the network is read up to the block it was looked up at',
    },
  ),
  status(
    'what is released is over when it is written',
    'src/ledger/settlement.ts',
    "AND (c.status <> 'released'\n         OR p.valid_before < least($6,",
    "AND (c.status <> 'released'\n         OR 0 < least($6,",
    {
      test: 'test/reorgs.e2e-spec.ts',
      name: 'is refused before a payment’s end by either clock, whatever was read',
    },
  ),
  status(
    'only what waits lapses',
    'src/ledger/approvals.ts',
    "p.id = ANY ($2::text[]) AND p.status = 'pending_approval'",
    'p.id = ANY ($2::text[])',
    INTERLEAVINGS,
  ),
  status(
    'only what waits is approved or rejected',
    'src/ledger/approvals.ts',
    "if (payment.status !== 'pending_approval') {",
    "if (payment.id === '') {",
    INTERLEAVINGS,
  ),
  status(
    'only active wallets pay',
    'src/ledger/read-locked-state.ts',
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
  lock(
    'the cancellations of a treasury are counted by one at a time',
    'src/ledger/cancellations.ts',
    "'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))'",
    "'SELECT $1::text'",
    {
      test: 'test/gas.e2e-spec.ts',
      name: 'is bounded for each treasury and day, by however many roots at once',
    },
  ),
  status(
    'a final spend stays final',
    'src/ledger/outside-spends.ts',
    "WHERE s.status IN ('seen', 'withdrawn')",
    "WHERE s.status <> 'adopted'",
    {
      test: 'test/outside-spends.int-spec.ts',
      name: 'stays final, and stays explained, whatever a lagging RPC shows again',
    },
  ),
  status(
    'a final spend holds its wallet',
    'src/ledger/outside-spends.ts',
    "AND s.status IN ('seen', 'final')) THEN",
    "AND s.status = 'seen') THEN",
    {
      test: 'test/outside-spends.int-spec.ts',
      name: 'stays final, and stays explained, whatever a lagging RPC shows again',
    },
  ),
  status(
    'a spend that came back is told',
    'src/ledger/outside-spends.ts',
    "WHERE s.status <> 'withdrawn')",
    "WHERE s.status <> 'no status')",
    {
      test: 'test/outside-spends.int-spec.ts',
      name: 'is withdrawn only by final blocks at or above its own, of its network, and may come back',
    },
  ),
  status(
    'only the final blocks’ own spends are withdrawn',
    'src/ledger/outside-spends.ts',
    "AND s.status = 'seen' AND s.block_number <= $2 RETURNING",
    "AND s.status = 'seen' AND $2 IS NOT NULL RETURNING",
    {
      test: 'test/outside-spends.int-spec.ts',
      name: 'is withdrawn only by final blocks at or above its own, of its network, and may come back',
    },
  ),
  status(
    'what the chain lost is judged anew',
    'src/ledger/outside-spends.ts',
    "WHERE network = $1 AND status = 'final' AND block_number > $2`",
    "WHERE network = $1 AND status = 'final' AND block_number < 0 * $2`",
    {
      test: 'test/outside-spends.int-spec.ts',
      name: 'is judged anew when the chain lost its final block',
    },
  ),
  status(
    'new funds of a held wallet are held',
    'src/ledger/wallet-funds.ts',
    "AND o.wallet_id = w.id AND o.status IN ('seen', 'final'))",
    "AND o.wallet_id = w.id AND o.status = 'no status')",
    {
      test: 'test/outside-spends.int-spec.ts',
      name: 'holds the wallet on a network that is configured meanwhile',
    },
  ),
  status(
    'a nonce of a released payment is a spend',
    'src/settlement/outside-spends.ts',
    "status IN ('authorized', 'settled') AND nonce",
    "status <> 'pending_approval' AND nonce",
    {
      test: 'test/outside-spends.e2e-spec.ts',
      name: 'is one of a payment whose money was given back',
    },
  ),
  lock(
    'a wallet is locked before it is held or freed',
    'src/ledger/outside-spends.ts',
    `     ORDER BY treasury_id, wallet_id, network, asset FOR NO KEY UPDATE\`,
    walletsOf(spends),`,
    `     ORDER BY treasury_id, wallet_id, network, asset\`,
    walletsOf(spends),`,
    {
      test: 'test/outside-spends.int-spec.ts',
      name: 'holds its wallet while another one of the wallet is explained',
    },
  ),
  ancestor(
    'the chain that pays is whole',
    'src/domain/charge.ts',
    `  const setAside = countSettingAside(chain);
  return chain.map((grant, place) => ({
    ...grant,
    reserved: grant.reserved + amount,`,
    `  const setAside = countSettingAside(chain);
  return chain.slice(1).map((grant, place) => ({
    ...grant,
    reserved: grant.reserved + amount,`,
    { test: 'src/domain/model.spec.ts', name: 'come to what a plain model says' },
  ),
  ancestor(
    'every ancestor learns of a settlement',
    'src/domain/charge.ts',
    `  return chain.map((grant, place) => ({
    ...grant,
    reserved: grant.reserved - held,`,
    `  return chain.slice(1).map((grant, place) => ({
    ...grant,
    reserved: grant.reserved - held,`,
    { test: 'src/domain/model.spec.ts', name: 'come to what a plain model says' },
  ),
  ancestor(
    'a revocation above counts',
    'src/domain/denials.ts',
    "    if (grant.status === 'revoked') {",
    "    if (grant === chain.at(-1) && grant.status === 'revoked') {",
    { test: 'src/domain/model.spec.ts', name: 'come to what a plain model says' },
  ),
  ancestor(
    'a suspension above counts',
    'src/domain/denials.ts',
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
    file: 'src/ops/health.service.ts',
    find: "if (this.draining.isDraining) missing.push('this process is being stopped');",
    replace:
      "if (this.draining.isDraining && missing.length > 0) missing.push('this process is being stopped');",
    test: 'test/shutdown.e2e-spec.ts',
    name: 'SIGTERM of one of two under load drops no request, and the process is out in time',
  },
  {
    row: 'queues and shutdown',
    guard: 'who leaves ends its event streams in order',
    file: 'src/events/event-streams.ts',
    find: "for (const open of this.#open) this.endOne(open, 'drain');",
    replace: "for (const open of this.#open) open.end = 'drain';",
    test: 'test/shutdown.e2e-spec.ts',
    name: 'SIGTERM ends every open event stream in order, with the time to come back, and the process is out in time',
  },
  ...[
    [
      'series of webhooks are of treasuries',
      'src/ops/webhook-gauges.ts',
      'SELECT t.name AS treasury, w.status, count',
      'SELECT max(w.url) AS treasury, w.status, count',
    ],
    [
      'times are of routes, not of paths',
      'src/http/request-times.ts',
      "request.routeOptions.url ?? 'none'",
      "request.url ?? 'none'",
    ],
    [
      'a path that nobody serves has no method of its own',
      'src/http/request-times.ts',
      "route === 'none' ? 'any' : request.method",
      "route === '' ? 'any' : request.method + request.url",
    ],
  ].map(([guard, file, find, replace]) => ({
    ...{ row: 'labels of metrics', guard, file, find, replace },
    test: 'test/metrics.e2e-spec.ts',
    name: 'have values that no caller makes, whatever grants, holders, hosts and webhooks there are',
  })),
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
    file: 'src/ops/health.service.ts',
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
  {
    row: 'starting and stopping',
    guard: 'a repeated signal finds a handler',
    file: 'src/stop-request.ts',
    find: 'process.on(signal, () => hear(signal));',
    replace: 'process.once(signal, () => hear(signal));',
    test: 'test/signals.e2e-spec.ts',
    name: 'shuts down when its process group is told to end, again and again',
  },
  {
    row: 'starting and stopping',
    guard: 'a program ends when npm is gone',
    file: 'src/stop-request.ts',
    find: 'if (!isGone) return;',
    replace: 'return;',
    test: 'test/signals.e2e-spec.ts',
    name: 'does not outlive an npx that gets SIGKILL',
  },
  {
    row: 'starting and stopping',
    guard: 'a closed pipe stops a program in order',
    file: 'src/stop-request.ts',
    find: "if (GONE.includes(error.code)) hear('SIGPIPE');\n      else fail(unwritable(error));",
    replace: 'fail(unwritable(error));',
    test: 'test/signals.e2e-spec.ts',
    name: 'ends quietly, with all cleaned up',
  },
  {
    row: 'starting and stopping',
    guard: 'one process at a time takes a server over',
    file: 'src/database/postgres-owner.ts',
    find: `await client.query('SELECT pg_advisory_lock($1)', [OWNER_LOCK]);`,
    replace: '',
    test: 'test/database.int-spec.ts',
    name: 'is taken over by one process at a time',
  },
  {
    row: 'starting and stopping',
    guard: 'a second service is refused',
    file: 'src/database/embedded-postgres.ts',
    find: `if (options.use === undefined || options.use === 'service') {`,
    replace: 'if (options.use === undefined && process.pid < 0) {',
    test: 'test/database.int-spec.ts',
    name: 'is refused to a second service, naming the first',
  },
  {
    row: 'starting and stopping',
    guard: 'the number of an owner that is gone is nobody',
    file: 'src/database/postgres-owner.ts',
    find: 'if (began && startedAt(Number(pid)) !== began) return undefined;',
    replace: '',
    test: 'test/database.int-spec.ts',
    name: 'is not refused for a process that has the number of the owner',
  },
  {
    row: 'starting and stopping',
    guard: 'a misspelt variable stops the boot',
    file: 'src/config/config.ts',
    find: 'const problems: string[] = unknownVariables(given);',
    replace: 'const problems: string[] = unknownVariables(given).slice(0, 0);',
    test: 'test/boot.e2e-spec.ts',
    name: 'a variable that nothing reads stops the boot',
  },
  {
    row: 'starting and stopping',
    guard: 'a command makes no database',
    file: 'src/open-database.ts',
    find: `if (use === 'command' && isEmbedded && !hasDatabase) {`,
    replace: `if (use === 'command' && isEmbedded && !hasDatabase && dataDir === '') {`,
    test: 'test/boot.e2e-spec.ts',
    name: 'in the wrong place makes no database either, though it has the secrets',
  },
  {
    row: 'starting and stopping',
    guard: 'an actor needs the issuer',
    file: 'src/commands.ts',
    find: 'if (config.oidc === undefined) {',
    replace: `if (config.oidc === undefined && subject === '') {`,
    test: 'test/boot.e2e-spec.ts',
    name: 'bursar actor refuses without the issuer',
  },
  {
    row: 'starting and stopping',
    guard: 'a revoked admin token is written down',
    file: 'src/access/admin-tokens.ts',
    find: 'WHERE name = $1 AND expires_at > now()',
    replace: 'WHERE name = $1 AND expires_at < now()',
    test: 'test/boot.e2e-spec.ts',
    name: 'shows what works, and ends it without having it',
  },
  {
    row: 'starting and stopping',
    guard: 'a token that was revoked before gets no second event',
    file: 'src/access/revocations.ts',
    find: 'if (ended.rowCount !== 1) return false;',
    replace: '',
    test: 'test/oauth.e2e-spec.ts',
    name: 'ends an admin’s token once, with one event, however many ask for it at once',
  },
  {
    row: 'starting and stopping',
    guard: 'a weak password is refused',
    file: 'src/treasury/password.ts',
    find: 'unguessed.length < MIN_UNGUESSED ||',
    replace: '',
    test: 'src/treasury/password.spec.ts',
    name: 'refuses what is guessed first',
  },
  {
    row: 'starting and stopping',
    guard: 'a deadlock of the queues is tried again',
    file: 'src/outbox/stores.ts',
    find: 'if (triesLeft > 0 && isDeadlock(error))',
    replace: 'if (triesLeft < 0 && isDeadlock(error))',
    test: 'test/stores.int-spec.ts',
    name: 'a statement that Postgres ended to resolve a deadlock is sent again',
  },
  {
    row: 'starting and stopping',
    guard: 'a worker has one connection',
    file: 'src/outbox/stores.ts',
    find: 'const ofWorker = { ...connection, max: 1 };',
    replace: 'const ofWorker = { ...connection, max: 3 };',
    test: 'test/stores.int-spec.ts',
    name: 'a worker uses one connection, whatever it has to do at once',
  },
  {
    row: 'answers that mislead',
    guard: 'a filter names what the caller may see',
    file: 'src/access/grant-filter.ts',
    find: 'if (!isSeen) throw',
    replace: 'if (grant === undefined) throw',
    test: 'test/inputs.e2e-spec.ts',
    name: 'tells a holder the same of what it may not see',
  },
  {
    row: 'answers that mislead',
    guard: 'a filter names a treasury that the caller may see',
    file: 'src/access/grant-filter.ts',
    find: "throw notSeen('treasuryId', ",
    replace: "void notSeen('treasuryId', ",
    test: 'test/inputs.e2e-spec.ts',
    name: '%s is refused with %s that names nothing',
  },
  {
    row: 'answers that mislead',
    guard: 'a span ends after it begins',
    file: 'src/access/grant-filter.ts',
    find: "throw new Problem('invalid_request', `from: ",
    replace: "void new Problem('invalid_request', `from: ",
    test: 'test/inputs.e2e-spec.ts',
    name: '%s is refused with %s that names nothing',
  },
];

/** Guards without a mutation, as text of the line they stand in, and why. */
export const accepted = {
  'src/catalog/catalog-rows.ts': {
    'FOR NO KEY UPDATE': 'keeps two writers of a catalog apart, as its lease does already',
    "WHERE h.status IN ('settled', 'released') AND": 'the filters above decide; it reads less',
  },
  'src/catalog/catalogs.service.ts': {
    pg_advisory_xact_lock: 'bounds a number; the unique key of the address stands behind it',
  },
  'src/gateway/gateway.service.ts': {
    "AND n.status = 'refunded')), 0) AS owed": 'a sum that is shown; nothing is decided by it',
  },
  'src/gateway/refunds.ts': {
    'FOR UPDATE SKIP LOCKED':
      "spares the service a question; one key, the sale's id, is one payment there",
  },
  'src/gateway/sale-rows.ts': {
    'FOR UPDATE SKIP LOCKED':
      'spares the facilitator a question; the token takes the nonce of an authorization once',
  },
  'src/gateway/self-facilitator.ts': {
    pg_advisory_xact_lock:
      'without it the node refuses one of two transactions of one number, and its settlement is asked for again',
  },
  'src/events/deliveries.service.ts': {
    "status = 'pending' AND origin <> 'log'`": 'without it the bound is only narrower',
  },
  'src/events/webhook-rows.ts': {
    'FOR NO KEY UPDATE': 'the meter of the treasury, to which every change adds before, is locked',
  },
  'src/events/webhook-worker.ts': {
    "WHERE w.status = 'active' AND":
      'reads candidates; "a webhook that was paused sends no more" stands behind it',
    "AND d.status = 'pending' AND d.next_at <= now())":
      'reads candidates; without it there are more jobs',
    "AND d.webhook_id = w.id AND d.status = 'pending' AND d.origin = 'log'))":
      'reads candidates; without it there are fewer, and none once everything was delivered',
    "webhook_id = $2 AND status = 'pending'":
      'a CHECK keeps next_at to pending ones; the index wants it',
    "AND d.webhook_id = webhooks.id AND d.status = 'pending' AND d.origin = 'log')`":
      'bounds what is written ahead; the order is by the oldest pending delivery',
  },
  'src/events/webhooks.service.ts': {
    "status <> 'ended'`": 'without it the bound is only narrower',
  },
  'src/treasury/low-treasuries.ts': {
    "WHERE w.status = 'active' AND b.code IS NULL":
      'warns people; what a payment may take is decided over locked balances',
  },
  'src/approval-links/approval-links.service.ts': {
    "payment.status !== 'pending_approval' || !lapsesAt":
      'shows no page; the decision itself is refused under the locks',
  },
  'src/reports/spend-query.ts': {
    'FILTER (WHERE f.status IN (': 'the two mutations of its callers take it out',
  },
  'src/ledger/approvals.ts': {
    "WHERE p.status = 'pending_approval' AND p.approval_lapses_at <= now()":
      'reads candidates; "only what waits lapses" stands behind it',
  },
  'src/access/access.guard.ts': {
    'throw invalidToken(TOKEN_FAULTS.session);':
      'only says why: a request without a session has no credential',
    'if (authorization === undefined) throw': DOES_NOT_COMPILE,
    'if (token === undefined) throw': DOES_NOT_COMPILE,
    "throw invalidProof('its key is not the one the grant is bound to');":
      'only says why: the statement below compares the key with the grant’s own',
    'if (!found) throw invalidToken(TOKEN_FAULTS.': DOES_NOT_COMPILE,
    'throw invalidProof(`iat is more than':
      'only says why: a proof that is not in time is never noted as new',
  },
  'src/grants/revocation.service.ts': {
    "AND p.status = 'authorized' AND g.path":
      'only shows: the revocation itself counts under the locks of the chain',
  },
  'src/access/caller.ts': { 'if (!caller) throw': DOES_NOT_COMPILE },
  'src/access/dpop.ts': {
    'if (proof === undefined) throw': DOES_NOT_COMPILE,
    'throw invalidProof(': DOES_NOT_COMPILE,
  },
  'src/access/keys.ts': {
    'if (!key) throw new Error': DOES_NOT_COMPILE,
    'throw new ConfigError([': DOES_NOT_COMPILE,
  },
  'src/access/master-secret.ts': { 'throw new Error': DOES_NOT_COMPILE },
  'src/access/provider-logins.ts': {
    "throw new Problem('not_found', 'no provider is set": DOES_NOT_COMPILE,
    "throw new Problem('forbidden', 'this login was not begun here": DOES_NOT_COMPILE,
    'throw unavailable();': DOES_NOT_COMPILE,
    "throw new Error('no provider is set');": DOES_NOT_COMPILE,
  },
  'src/access/oidc.ts': {
    'if (config === undefined || keys === undefined) throw': DOES_NOT_COMPILE,
    'throw new Problem(': DOES_NOT_COMPILE,
    'throw invalidToken(fault);': DOES_NOT_COMPILE,
  },
  'src/access/provider-keys.ts': { 'if (!this.#keys) throw': DOES_NOT_COMPILE },
  'src/access/tokens.ts': {
    'if (!header.success || !key) throw': DOES_NOT_COMPILE,
    'if (!claims.success) throw': DOES_NOT_COMPILE,
    'throw invalidToken(': DOES_NOT_COMPILE,
  },
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
  'src/ledger/outside-spends.ts': {
    "WHERE s.network = $1 AND s.status = 'seen' AND s.block_number <= $2`":
      'reads candidates; the update behind it has the same predicate',
    "WHERE s.transaction = $1 AND s.status = 'final' RETURNING":
      'trigger outside_spends_forward stands behind it',
    "seen_at = CASE WHEN s.status = 'withdrawn'": 'only says since when, for people',
  },
  'src/ledger/fences.ts': {
    'ORDER BY t.id FOR NO KEY UPDATE`':
      'of two that take a fence down at once, the second finds none and says nothing',
  },
  'src/treasury/treasury-settings.ts': {
    'FOR NO KEY UPDATE OF t':
      'of two changes at once the later wins either way; the lock makes its event say from what',
  },
  'src/ledger/sightings.ts': {
    'WHERE network = $1 AND block_number = $2`':
      'a look that came too late shows what the next look withdraws; it moves no money',
    "AND p.status = 'authorized'":
      'stands behind the cursor’s check above it, which lets no late look in',
  },
  'src/payments/cancel.service.ts': {
    "if (before.status !== 'authorized') {":
      'says so early; "a cancellation is asked for of what is open" stands behind it',
  },
  'src/settlement/settlement.service.ts': {
    'if (!isDatabaseUnavailable(error)) throw error;':
      'a bug that is swallowed costs a reading, which is tried again; it ends nothing',
  },
  'src/settlement/canceller.ts': {
    'if (failures.length > 0) throw failures[0];': 'the job is tried again by its schedule anyway',
    'already (known|imported)': 'a transaction that was not sent is sent again, or replaced',
    'is no longer registered on': 'it does not compile without: there is no token to cancel at',
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
    'throw disputeOf(disputed);':
      'no end-to-end test has one RPC lie about a spend; src/settlement/outside-spends.spec.ts tests the comparison',
    'throw failures[0];': 'no RPC answers: there is nothing else to return',
  },
  'src/settlement/releases.ts': {
    "status = 'authorized'": 'reads candidates; "only what is authorized ends" stands behind it',
  },
  'src/settlement/views.ts': {
    'throw error;': 'an RPC that fails is taken for one without the block: nothing ends either way',
  },
  'src/settlement/code-watch.ts': {
    "throw new RpcNonsense('the code of wallets was not answered');":
      'a shorter answer fails in slice(), with a worse message',
    'throw atHead.reason;': 'what comes behind it needs the answer: it does not compile without',
  },
  'src/settlement/token-logs.ts': {
    'throw error;': 'without it an RPC that does not answer is asked for ever shorter ranges',
  },
  'src/treasury/inspection.ts': {
    'throw error;':
      'an RPC that fails is then taken for one without tokens: it is not used either way',
  },
};
