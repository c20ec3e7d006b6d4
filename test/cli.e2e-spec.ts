// The agents' and people's commands, run as programs against a whole stack.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type HttpService, serve } from '../sandbox/ports.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { command, commandInTerminal, shell } from './support/command.js';
import { build, deadPort, sourcesOf } from './support/program.js';

jest.setTimeout(240_000);

const ESC = '\u001b';

/** A delegation that lacks nothing. */
const CHILD = ['grants', 'delegate', '--holder', 'x', '--budget', '0.10'];

let stack: TestStack;
let plain: HttpService;
let folder: string;
/** The environments of an admin, of a root grant's holder, and of one below it. */
let admin: Record<string, string>;
let root: Record<string, string>;
let child: Record<string, string>;
let rootId: string;
let childId: string;
let page: string;
let report: string;

beforeAll(async () => {
  await build();
  stack = await startTestStack();
  plain = await serve(answerPlainly, 0);
  folder = await mkdtemp(join(tmpdir(), 'bursar-cli-'));
  const { url } = stack.service;
  // No profile of whoever runs the tests may be found.
  const base = { BURSAR_URL: url, XDG_CONFIG_HOME: join(folder, 'config') };
  admin = { ...base, BURSAR_TOKEN: stack.admin.token ?? '' };
  page = `${stack.seller.url}/data/7`;
  report = `${stack.seller.url}/report`;
  const minted = await run(
    admin,
    'grants',
    'mint',
    '--holder',
    'root',
    '--budget',
    '9.00',
    '--ttl',
    '1h',
    '--depth',
    '2',
    '--approval-above',
    '1.00',
  );
  rootId = minted.grant.id;
  root = { ...base, BURSAR_TOKEN: minted.token };
  const delegated = await run(
    root,
    'grants',
    'delegate',
    '--holder',
    'kid',
    '--budget',
    '0.50',
    '--max-per-payment',
    '0.05',
    '--label',
    'task=t-42',
  );
  childId = delegated.grant.id;
  child = { ...base, BURSAR_TOKEN: delegated.token };
}, 400_000);

afterAll(async () => {
  await plain?.stop();
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Answers as a free and hostile server: the request, as it came, or what steers terminals. */
function answerPlainly(request: IncomingMessage, response: ServerResponse): void {
  if (request.url === '/steers') {
    response.setHeader('content-type', 'text/plain').end(`safe${ESC}[31mred${ESC}[2J`);
    return;
  }
  if (request.url === '/bytes') {
    response.end(Buffer.from([0xff, 0xfe, 0x00, 0x80]));
    return;
  }
  if (request.url === '/careless') {
    const isProven = Boolean(request.headers['payment-signature'] ?? request.headers['x-payment']);
    const accepts = [{ scheme: 'exact', network: 'base', maxAmountRequired: 100, payTo: 'me' }];
    response
      .writeHead(isProven ? 200 : 402, {
        'content-type': 'application/json',
        'cache-control': 'public, max-age=60',
      })
      .end(JSON.stringify({ x402Version: 1, accepts }));
    return;
  }
  if (request.url === '/away') {
    response.writeHead(302, { location: 'https://elsewhere.example/' }).end();
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { method, headers } = request;
    response.end(JSON.stringify({ method, headers, body: Buffer.concat(chunks).toString() }));
  });
}

/** The JSON that a command prints into a pipe. */
async function run(environment: Record<string, string>, ...args: string[]) {
  const { stdout, stderr, code } = await command(environment, args);
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

async function payments(): Promise<number> {
  const { rows } = await stack.db.query('SELECT count(*)::int AS n FROM payments');
  return rows[0].n;
}

describe('bursar fetch', () => {
  it('puts the paid body on standard output, byte for byte, and the cost on standard error', async () => {
    const { code, stdout, stderr } = await command(root, ['fetch', page, '--max-amount', '0.05']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: '{"page":"7","rows":["alpha","beta","gamma"]}',
    });
    expect(stderr).toMatch(/^bursar: paid 0\.01 USDC, 8\.\d\d USDC left; pay_\w+\n$/);
  });

  it('sends what curl would: method, headers and a body', async () => {
    const args = ['fetch', plain.url, '-X', 'put', '-H', 'X-One: 1', '-d', 'a=1', '-d', '@-', '-s'];
    const { stdout, stderr } = await command(root, args, 'b=2');
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      method: 'PUT',
      body: 'a=1&b=2',
      headers: { 'x-one': '1', 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(JSON.parse(stdout).headers.authorization).toBeUndefined();
  });

  it('writes a file with -o, and the head with -i', async () => {
    const file = join(folder, 'bytes');
    expect((await command(root, ['fetch', `${plain.url}/bytes`, '-o', file])).stdout).toBe('');
    expect([...(await readFile(file))]).toEqual([0xff, 0xfe, 0x00, 0x80]);
    const { stdout } = await command(root, ['fetch', `${plain.url}/steers`, '-i']);
    expect(stdout).toMatch(/^HTTP 200 OK\n[\s\S]*content-type: text\/plain\n[\s\S]*\n\nsafe/);
    // A pipe gets the bytes as they came.
    expect(stdout).toContain(`${ESC}[31m`);
  });

  it('pays nothing for a file that it cannot write, and leaves what was in one until the answer is there', async () => {
    const before = await payments();
    for (const file of [join(folder, 'none', 'x'), folder]) {
      const { code, stderr } = await command(root, ['fetch', page, '-o', file]);
      expect({ code, stderr }).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/-o .*: cannot be written \(E\w+\); nothing was paid/),
      });
    }
    expect(await payments()).toBe(before);
    const kept = join(folder, 'kept');
    await writeFile(kept, 'kept, and longer than what comes');
    const refused = ['fetch', page, '--max-amount', '0.001', '-o'];
    expect((await command(root, [...refused, kept])).code).toBe(3);
    expect(await readFile(kept, 'utf8')).toMatch(/^kept/);
    expect((await command(root, [...refused, join(folder, 'new')])).code).toBe(3);
    await expect(readFile(join(folder, 'new'))).rejects.toThrow(/ENOENT/);
    const wrong = ['fetch', page, '--max-amount', 'much', '-o', join(folder, 'new')];
    expect((await command(root, wrong)).code).toBe(2);
    await expect(readFile(join(folder, 'new'))).rejects.toThrow(/ENOENT/);
    expect((await command(root, ['fetch', `${plain.url}/bytes`, '-o', kept])).code).toBe(0);
    expect([...(await readFile(kept))]).toEqual([0xff, 0xfe, 0x00, 0x80]);
    const full = await command(root, ['fetch', page, '-o', '/dev/full']);
    expect(full.stderr).toMatch(/the answer cannot be written \(ENOSPC\); it was paid by pay_/);
  });

  it('lets no seller steer the terminal', async () => {
    const { stdout } = await commandInTerminal(root, ['fetch', `${plain.url}/steers`]);
    expect(stdout).toContain('safe\\u001b[31mred');
    expect(stdout).not.toContain(`${ESC}[31m`);
    const bytes = await commandInTerminal(root, ['fetch', `${plain.url}/bytes`]);
    expect(bytes.stdout).toMatch(/the body is 4 bytes .* -o FILE/);
  });

  it('never pays an intent twice, from two processes', async () => {
    const before = await payments();
    const args = ['fetch', `${stack.seller.url}/data/8`, '--intent', 'page eight', '--json'];
    const first = JSON.parse((await command(root, args)).stderr);
    const again = await command(root, args);
    expect(first).toMatchObject({ status: 200, payment: { amount: '0.01', replayed: false } });
    // The seller has used the proof up and asks again: the purchase goes on with the same payment or fails.
    expect({ code: again.code, stdout: again.stdout }).toEqual({ code: 1, stdout: '' });
    expect(JSON.parse(again.stderr).error).toMatchObject({
      code: expect.stringMatching(/^(?:paid_not_delivered|payment_outcome_unknown)$/),
      payment: { id: first.payment.id },
    });
    expect(await payments()).toBe(before + 1);
  });

  it.each([
    [2, ['fetch'], /fetch needs URL/],
    [2, ['fetch', 'ftp://x/y'], /is no http\(s\) URL/],
    [2, ['fetch', '/data/7'], /has no host; is the variable before it unset/],
    [1, ['quote', 'http://127.0.0.1:9/x'], /127\.0\.0\.1:9 does not answer .*nothing was paid/],
    [2, ['fetch', 'x.example', '-H', 'nonsense'], /give a header as "Name: value"/],
    [2, ['fetch', 'x.example', '--intent', 'a', '--key', 'b'], /give one of them/],
    [2, ['fetch', 'x.example', '--intend', 'a'], /no option --intend; did you mean --intent\?/],
    [2, ['fetc', 'x.example'], /no command "fetc"; did you mean fetch\?/],
    [2, ['grants', 'lst'], /did you mean list\?/],
    [2, ['grants'], /grants takes one of: list, show/],
    [2, ['grants', 'delegate'], /--holder NAME and --budget AMOUNT missing/],
    [2, ['login', '--url', 'x', '--token-stdin'], /^bursar: --url is "x"/],
    [2, ['why', 'nonsense'], /is no payment/],
    [2, ['payments', 'pay_none'], /^bursar: PAYMENT: must be a pay_ id/],
    [2, ['payments', '--grant', 'x'], /^bursar: --grant: must be a grt_ id/],
    [2, ['payments', '--status', 'x'], /^bursar: --status: /],
    [2, ['payments', '--pay-to', 'x'], /^bursar: --pay-to: /],
    [2, ['payments', '--from', 'x'], /^bursar: --from is "x"; give a time such as 2026/],
    [2, ['payments', '--limit', '0'], /^bursar: --limit is "0"; give a whole number from 1/],
    [2, ['report', '--by', 'x'], /^bursar: --by: /],
    [2, ['watch', '--after', 'x'], /^bursar: --after: /],
    [2, ['watch', '--kind', 'x'], /^bursar: --kind: /],
    [2, ['watch', '--count', '0'], /^bursar: --count is "0"/],
    [2, [...CHILD, '--until', 'x'], /^bursar: --until is "x"/],
    [2, [...CHILD, '--until', '2999-01-01T00:00:00Z', '--ttl', '1h'], /give --ttl or --until/],
    [2, [...CHILD, '--pay-to', 'x'], /^bursar: --pay-to: /],
    [2, [...CHILD, '--network', 'x'], /^bursar: --network: /],
    [2, [...CHILD, '--resource', 'x'], /^bursar: --resource: /],
    [3, [...CHILD, '--depth', '8'], /--depth is wider than its parent's/],
    [2, ['grants', 'mint', '--holder', 'x', '--budget', '1'], /npx bursar grants delegate/],
    [3, ['fetch', '$PAGE', '--max-amount', '0.001'], /the --max-amount of 0\.001/],
    [2, ['payments', '--label', 'foo'], /give it as name=value/],
  ])('exits %i for %j', async (expected, args, message) => {
    const words = args.map((word) => word.replace('$PAGE', page));
    const { code, stderr, stdout } = await command(root, words);
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
    expect(stderr).toMatch(message);
    for (const line of stderr.trimEnd().split('\n')) expect(line).toMatch(/^bursar: /);
  });

  it('tells an admin that an admin pays nothing', async () => {
    const advice = /an admin cannot pay; mint a grant .* npx bursar grants mint/;
    const fetched = await command(admin, ['fetch', page]);
    expect(fetched).toMatchObject({ code: 3, stderr: expect.stringMatching(advice) });
    const examined = await command(admin, ['doctor', page, '--pay']);
    expect(examined).toMatchObject({ code: 2, stderr: expect.stringMatching(advice) });
  });

  it('names an address where another program answers', async () => {
    for (const url of [plain.url, stack.seller.url]) {
      for (const words of [['payments'], ['grants', 'show'], ['watch'], ['fetch', page]]) {
        const { code, stderr } = await command({ ...root, BURSAR_URL: url }, words);
        expect({ words, code }).toEqual({ words, code: 1 });
        expect(stderr).toMatch(
          /^bursar: .* (?:is no Bursar service|is that Bursar\?)\nbursar: check BURSAR_URL.*\n$/,
        );
        expect(stderr).toContain(url);
      }
    }
    const login = ['login', '--url', plain.url, '--token-stdin'];
    const { stderr } = await command({ XDG_CONFIG_HOME: folder }, login, root.BURSAR_TOKEN);
    expect(stderr).toMatch(/is no Bursar service\nbursar: check BURSAR_URL/);
  });

  it('exits 1 where nobody answers, 2 without a token, 3 for a refusal', async () => {
    const dead = await command(root, ['fetch', `http://127.0.0.1:${await deadPort()}/`]);
    expect(dead).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/does not answer .*nothing was paid/),
    });
    const { BURSAR_TOKEN: _, ...without } = root;
    expect(await command(without, ['fetch', page])).toMatchObject({
      code: 2,
      stderr: 'bursar: BURSAR_TOKEN missing; set the environment, or run: npx bursar login\n',
    });
    const refused = await command(root, ['fetch', page, '--max-amount', '0.001', '--json']);
    expect(refused.code).toBe(3);
    expect(JSON.parse(refused.stderr)).toMatchObject({
      error: { code: 'max_amount_exceeded', nextAction: 'choose_cheaper' },
    });
  });
});

describe('an approval', () => {
  it('is asked for with exit code 4, given by an admin, and collected with the printed key', async () => {
    const asked = await command(root, ['fetch', report]);
    expect(asked).toMatchObject({ code: 4, stdout: '' });
    const [, id = '', key = ''] =
      /approvals approve (pay_\w+); then repeat it with: --key (\w+)/.exec(asked.stderr) ?? [];
    expect(await run(admin, 'approvals', 'list')).toEqual([expect.objectContaining({ id })]);
    expect((await run(root, 'why', id)).outcome).toBe('waits for an approval');
    expect((await command(root, ['approvals', 'approve', id])).code).toBe(3);
    const table = await commandInTerminal(admin, ['approvals', 'list']);
    expect(table.stdout).toMatch(new RegExp(`${id}\\s+2\\.50 USDC`));
    expect((await run(admin, 'approvals', 'approve', id, '--reason', 'fine')).id).toBe(id);
    const collected = await command(root, ['fetch', report, '--key', key]);
    expect(collected).toMatchObject({
      code: 0,
      stdout: '{"title":"The full report","chapters":12}',
    });
    const why = await run(root, 'why', id);
    expect(why.outcome).toMatch(/^allowed; /);
    expect(why.checks).toContainEqual(
      expect.objectContaining({ name: 'approval', result: 'approved by admin:tester' }),
    );
  });

  it('that does not come in time is told once when it begins, and once that the time is over', async () => {
    const words = ['fetch', report, '--intent', 'a report to wait for', '--wait', '1s'];
    const { code, stderr } = await command(root, words);
    const [begins, ends, ...more] = stderr.trimEnd().split('\n');
    expect({ code, more }).toEqual({ code: 4, more: [] });
    expect(begins).toMatch(/waits for an approval; .* approve pay_\w+; waiting for 1s at most$/);
    expect(ends).toMatch(/^bursar: 1s are over, and nobody has approved it; nothing was paid; /);
    const told = (await command(root, [...words, '--json'])).stderr.trimEnd().split('\n');
    const [waiting, failed] = told.map((line) => JSON.parse(line));
    expect({ waiting, failed }).toMatchObject({
      waiting: { waiting: { status: 'pending_approval' } },
      failed: { error: { code: 'approval_required', detail: expect.stringContaining('--wait') } },
    });
  });

  it('that is rejected answers the same key with exit code 3', async () => {
    const asked = await command(root, ['fetch', report, '--intent', 'the report, dear']);
    const [id = ''] = /pay_\w+/.exec(asked.stderr) ?? [];
    await run(admin, 'approvals', 'reject', id);
    expect((await command(root, ['fetch', report, '--intent', 'the report, dear'])).code).toBe(3);
  });
});

describe('bursar quote, payments and why', () => {
  it('quotes without paying, and exits as the decision is', async () => {
    const before = await payments();
    expect(await run(child, 'quote', page)).toMatchObject({ decision: 'allow', selected: 0 });
    expect((await command(child, ['quote', report])).code).toBe(3);
    expect((await command(root, ['quote', report])).code).toBe(4);
    expect(await run(child, 'quote', plain.url)).toEqual({ decision: 'free' });
    expect(await payments()).toBe(before);
  });

  it('tells every check of every grant, the one that decided, and what would allow it', async () => {
    expect((await command(child, ['fetch', report])).code).toBe(3);
    const [refusal] = await run(child, 'payments', '--refused', '--limit', '1');
    // The holder may not see the grant above its own; an admin sees all.
    const own = await run(child, 'why', refusal.id);
    const all = await run(admin, 'why', refusal.id);
    expect(own).toMatchObject({
      outcome: 'refused: per_payment_exceeded',
      decidedBy: childId,
      price: '2.50 USDC',
    });
    const decided = (why: typeof own) =>
      why.checks.filter(({ result }: { result: string }) => result === 'refused');
    for (const why of [own, all]) {
      expect(decided(why)).toEqual([
        expect.objectContaining({
          grantId: childId,
          name: 'per payment',
          terms: 'at most 0.05 USDC',
        }),
      ]);
      expect(why.allowedBy).toEqual(
        expect.arrayContaining([
          `${childId} (kid): --max-per-payment 2.50 or more; it is 0.05`,
          `${childId} (kid): a budget of 2.50 or more; it is 0.50`,
        ]),
      );
    }
    type Judged = { name: string; result: string; remedy: string | null };
    for (const { result, remedy } of all.checks as Judged[]) {
      if (/^passed$|passes now$/.test(result)) expect(remedy).toBeNull();
      else expect(remedy).toMatch(/\w/);
    }
    const paid = await run(root, 'why', (await run(root, 'payments'))[0].id);
    const remedies = (paid.checks as Judged[]).filter(({ result }) => result === 'passed');
    expect(new Set(remedies.map(({ remedy }) => remedy))).toEqual(new Set([null]));
    const lives = (why: typeof own) =>
      why.checks
        .filter(({ name }: { name: string }) => name === 'life')
        .map((each: object) => each);
    expect(lives(own)).toMatchObject([
      { grantId: rootId, terms: 'not shown', result: 'passed' },
      { grantId: childId, result: 'passed' },
    ]);
    expect(lives(all)).toMatchObject([{ holder: 'root', result: 'passed' }, { holder: 'kid' }]);
    const order = all.checks.map(
      ({ name, holder }: { name: string; holder: string }) => `${name} ${holder}`,
    );
    expect(order.indexOf('per payment kid')).toBeLessThan(order.indexOf('per payment root'));
    // The latest one is meant where none is named.
    expect((await run(child, 'why')).at).toBe(own.at);
  });

  it('shows tables with colours on a terminal, without any for NO_COLOR, and JSON in a pipe', async () => {
    const list = await run(root, 'payments', '--status', 'rejected');
    expect(list).toEqual([expect.objectContaining({ status: 'rejected', amount: '2.50' })]);
    const coloured = await commandInTerminal(root, ['payments', '--status', 'rejected']);
    expect(coloured.stdout).toContain(`${ESC}[31mrejected`);
    const bare = await commandInTerminal({ ...root, NO_COLOR: '1' }, [
      'payments',
      '--status',
      'rejected',
    ]);
    expect(bare.stdout).not.toContain(ESC);
    expect(bare.stdout).toMatch(
      /^PAYMENT +MADE +AMOUNT +STATUS +FOR\npay_\w+ +\S+ \S+ +2\.50 USDC +rejected +127/,
    );
    expect((await commandInTerminal(root, ['payments', '--json'])).stdout).toMatch(/^\[\n/);
  });
});

describe('bursar grants', () => {
  it('lists and shows what the caller may see, and draws the tree', async () => {
    expect(await run(child, 'grants', 'show')).toMatchObject({
      id: childId,
      labels: { task: 't-42' },
    });
    expect(await run(root, 'grants', 'list', '--label', 'task=t-42')).toHaveLength(1);
    const { items, totals } = await run(root, 'grants', 'tree');
    expect(items.map(({ id }: { id: string }) => id)).toEqual([rootId, childId]);
    expect(totals.grants).toBe(2);
    const drawn = await commandInTerminal({ ...root, NO_COLOR: '1' }, ['grants', 'tree']);
    expect(drawn.stdout).toMatch(/\nroot +grt_.*\n└─ kid +grt_/);
    expect((await command(child, ['grants', 'show', rootId])).stderr).toMatch(/not_found/);
  });

  it('says before a suspension or revocation what it would stop, and does nothing then', async () => {
    const minted = await run(
      root,
      'grants',
      'delegate',
      '--holder',
      'buyer',
      '--budget',
      '1.00',
      '--depth',
      '1',
    );
    const buyer = { ...root, BURSAR_TOKEN: minted.token };
    await run(buyer, 'grants', 'delegate', '--holder', 'below', '--budget', '0.10');
    // Signed and never presented: what a revocation cannot take back.
    const agent = stack.admin.as(minted.token);
    const terms = (await fetch(page)).headers.get('payment-required') ?? '';
    const body = { paymentRequired: terms, request: { url: page } };
    const { validBefore } = (await agent.paid(body, 'unspent')).payment;
    const reach = { grants: 2, openPayments: 1, openAmount: '0.01', remaining: '0.99', waiting: 0 };
    for (const change of ['suspend', 'revoke']) {
      expect(await run(root, 'grants', change, minted.grant.id, '--dry-run')).toMatchObject({
        dryRun: true,
        change,
        ...reach,
        lastValidBefore: validBefore,
      });
    }
    expect((await run(buyer, 'grants', 'show')).status).toBe('active');
    const id = minted.grant.id;
    expect((await run(root, 'grants', 'suspend', id, '--reason', 'a look')).status).toBe(
      'suspended',
    );
    expect((await command(buyer, ['fetch', page])).code).toBe(3);
    expect((await run(root, 'grants', 'resume', id)).status).toBe('active');
    const asked = await commandInTerminal({ ...root, NO_COLOR: '1' }, [
      'grants',
      'revoke',
      id,
      '--yes',
    ]);
    expect(asked.stdout).toMatch(/is revoked, 2 grants in all\n0\.01 USDC of 1 payment/);
    expect((await run(root, 'grants', 'show', id)).status).toBe('revoked');
  });

  it('tells of a --ttl that is cut to the end of the parent', async () => {
    const ended = [...CHILD, '--token-only', '--ttl'];
    expect((await command(root, [...ended, '90d'])).stderr).toMatch(
      /^bursar: --ttl is cut: the grant ends at .*, the parent's end\n$/,
    );
    expect((await command(root, [...ended, '10s'])).stderr).toBe('');
  });

  it('exits 1 where a person answers no before a revocation', async () => {
    const line = `stty cols 200; exec '${process.execPath}' bin/bursar.mjs grants revoke ${childId}`;
    const asked = await shell(root, `echo n | script -qefc "${line}" /dev/null`);
    expect(asked.stdout).toMatch(/End it for good\? \[y\/N\][\s\S]*nothing was done/);
    expect(asked.code).toBe(1);
    expect((await run(child, 'grants', 'show')).status).toBe('active');
  });

  it('refuses a delegation that is wider, and sends nothing with --dry-run', async () => {
    const wide = [
      'grants',
      'delegate',
      '--holder',
      'x',
      '--budget',
      '1.00',
      '--max-per-payment',
      '9.00',
    ];
    const terms = await run(
      root,
      ...wide,
      '--window',
      '3600:5.00:20',
      '--resource',
      'https://a.example/*',
      '--dry-run',
    );
    expect(terms).toEqual({
      holder: 'x',
      budget: '1.00',
      maxPerPayment: '9.00',
      windows: [{ seconds: 3600, amount: '5.00', payments: 20 }],
      scope: { resources: ['https://a.example/*'] },
    });
    expect((await command(child, wide)).code).toBe(3);
    expect(await command(admin, wide)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--parent GRANT/),
    });
  });
});

describe('bursar login', () => {
  let home: { XDG_CONFIG_HOME: string };
  beforeEach(async () => {
    home = { XDG_CONFIG_HOME: await mkdtemp(join(folder, 'home-')) };
  });

  it('stores address and token for the owner alone; the environment wins', async () => {
    const token = root.BURSAR_TOKEN ?? '';
    const args = ['login', '--url', `${stack.service.url}/`, '--token-stdin'];
    const stored = await command(home, args, `${token}\n`);
    expect(stored).toMatchObject({ code: 0, stderr: '' });
    expect(stored.stdout).not.toContain(token);
    const file = join(home.XDG_CONFIG_HOME, 'bursar', 'profile.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(home.XDG_CONFIG_HOME, 'bursar'))).toEqual(['profile.json']);
    expect(await run(home, 'whoami')).toMatchObject({ grantId: rootId, source: file });
    const both = { ...home, BURSAR_URL: stack.service.url, BURSAR_TOKEN: child.BURSAR_TOKEN ?? '' };
    expect(await run(both, 'whoami')).toMatchObject({ grantId: childId, source: 'environment' });
    // The stored token goes to no other service.
    const elsewhere = await command({ ...home, BURSAR_URL: plain.url }, ['payments']);
    expect(elsewhere).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/profile's token is for/),
    });
    expect((await command(home, ['logout'])).stdout).toMatch(/ is removed; /);
    expect((await command(home, ['logout'])).stdout).toMatch(/^nobody was logged in: /);
    expect((await command(home, ['whoami'])).code).toBe(2);
  });

  it('stores nothing that the service refuses, and quotes no token of a broken profile', async () => {
    const refused = await command(
      home,
      ['login', '--url', stack.service.url, '--token-stdin'],
      'a.b.c',
    );
    expect(refused.code).toBe(1);
    expect(await readdir(home.XDG_CONFIG_HOME)).toEqual([]);
    await command(home, ['login', '--url', stack.service.url, '--token-stdin'], root.BURSAR_TOKEN);
    const file = join(home.XDG_CONFIG_HOME, 'bursar', 'profile.json');
    await writeFile(file, '{"token":"canary-token"');
    const broken = await command(home, ['payments']);
    expect(broken.code).toBe(1);
    expect(broken.stderr).toMatch(/is not a profile; run: npx bursar login/);
    expect(broken.stderr).not.toContain('canary');
  });
});

describe('bursar doctor', () => {
  type Found = { check: string; level: string };
  const levels = (report: { findings: Found[] }) =>
    Object.fromEntries(report.findings.map(({ check, level }) => [check, level]));

  it('finds a sound seller payable, and pays and replays only with --pay', async () => {
    const before = await payments();
    const report = await run(root, 'doctor', page);
    expect(report).toMatchObject({
      payable: true,
      price: { amount: '0.01', holder: 'root', decision: 'allow' },
    });
    expect(await payments()).toBe(before);
    expect(levels(report)).toMatchObject({
      'x402 v2': 'ok',
      'forged v2 proof': 'ok',
      'malformed X-PAYMENT': 'ok',
    });
    const paid = await run(root, 'doctor', page, '--pay', '--max-amount', '0.05');
    expect(levels(paid)).toMatchObject({
      'paid request': 'ok',
      receipt: 'ok',
      'replayed proof': 'ok',
      'proof at another URL': 'ok',
    });
    expect(await payments()).toBe(before + 1);
  });

  it('finds what is wrong with a careless one, without a token, and says what to change', async () => {
    const { code, stdout } = await command({ XDG_CONFIG_HOME: folder }, [
      'doctor',
      `${plain.url}/careless`,
    ]);
    const report = JSON.parse(stdout);
    expect({ code, payable: report.payable }).toEqual({ code: 1, payable: false });
    expect(levels(report)).toMatchObject({
      'caching of the 402': 'fail',
      'x402 v2': 'warn',
      'x402 v1': 'ok',
      'v1 accepts[0]': 'fail',
      'malformed PAYMENT-SIGNATURE': 'fail',
      'forged v1 proof': 'fail',
    });
    for (const { level, change } of report.findings) {
      if (level === 'fail') expect(change).toMatch(/\w{3}/);
    }
    const table = await commandInTerminal({ XDG_CONFIG_HOME: folder, NO_COLOR: '1' }, [
      'doctor',
      `${plain.url}/careless`,
    ]);
    expect(table.stdout).toMatch(
      /payable +no[\s\S]*fail +forged v1 proof +200: served without a payment[\s\S]*What to change:/,
    );
  });

  it.each([
    ['/', 'answers 402'],
    ['/away', 'redirect'],
  ])('says of %s why nobody can pay it', async (path, check) => {
    const { code, stdout } = await command({ XDG_CONFIG_HOME: folder }, [
      'doctor',
      `${plain.url}${path}`,
    ]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      payable: false,
      findings: [{ check, level: 'fail' }],
    });
  });
});

describe('a token that no longer works', () => {
  it('is told by where it came from', async () => {
    const dead = { ...root, BURSAR_TOKEN: 'a.b.c' };
    const asked = /the token in BURSAR_TOKEN no longer works; ask whoever gave it for a new one\n$/;
    expect(await command(dead, ['payments'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(asked),
    });
    const login = /no longer works; run: npx bursar login, or set BURSAR_TOKEN\n$/;
    const given = await command(dead, ['login', '--token-stdin'], 'a.b.c');
    expect(given.stderr).toMatch(login);
    const home = join(folder, 'dead');
    await mkdir(join(home, 'bursar'), { recursive: true });
    const profile = { url: stack.service.url, token: 'a.b.c' };
    await writeFile(join(home, 'bursar', 'profile.json'), JSON.stringify(profile));
    const stored = await command({ XDG_CONFIG_HOME: home }, ['payments']);
    expect(stored.stderr).toMatch(login);
  });
});

describe('examples/curl.sh', () => {
  it('tells in one line what a payment waits for, and what was refused', async () => {
    const { url } = stack.service;
    const buy = (environment: Record<string, string>) =>
      shell({ ...environment, BURSAR_URL: url }, `examples/curl.sh ${report} curl`);
    const asked = await buy(root);
    expect(asked).toMatchObject({ code: 1, stdout: '' });
    const [, id = ''] =
      /^payment (pay_\w+) waits for an approval; an admin runs: npx bursar approvals approve \1; then run this again\n$/.exec(
        asked.stderr,
      ) ?? [];
    await run(admin, 'approvals', 'approve', id);
    expect(await buy(root)).toMatchObject({
      code: 0,
      stdout: '{"title":"The full report","chapters":12}',
    });
    const refused = await buy(child);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^per_payment_exceeded: 2\.50 USDC is more than .*\n$/);
  });
});

describe('the program itself', () => {
  it.each([
    ['fetch', () => ['fetch', page]],
    ['quote', () => ['quote', page]],
    ['services', () => ['services']],
    ['payments', () => ['payments']],
    ['report', () => ['report']],
    ['why', () => ['why']],
    ['watch', () => ['watch', '--after', '0-0', '--count', '1']],
    ['doctor', () => ['doctor', page]],
    ['grants', () => ['grants', 'tree']],
    ['approvals', () => ['approvals', 'list']],
    ['raises', () => ['raises', 'list']],
    ['login', () => ['whoami']],
    ['completion', () => ['completion', 'fish']],
  ])('loads neither the service nor its libraries for %s', async (_name, args) => {
    const coverage = await mkdtemp(join(folder, 'coverage-'));
    await command({ ...root, NODE_V8_COVERAGE: coverage }, args());
    const [file = ''] = await readdir(coverage);
    const { result } = JSON.parse(await readFile(join(coverage, file), 'utf8'));
    const loaded = await sourcesOf(result.map(({ url }: { url: string }) => url));
    // It has run, and not only its help.
    expect(loaded.some((url) => /^dist\/src\/cli\/(?:output|fetch)\.js$/.test(url))).toBe(true);
    const service =
      /node_modules\/(?:@nestjs|@prisma|bullmq|fastify|ioredis|pg|viem|zod)\/|dist\/src\/(?:commands|config|ledger)/;
    expect(loaded.filter((url) => service.test(url))).toEqual([]);
  });

  it.each(['servces', 'reprot', 'gatway', 'wach', 'raizes'])(
    'knows what "%s" was to be',
    async (typo) => {
      const { code, stderr } = await command(root, [typo]);
      expect(code).toBe(2);
      const meant = {
        servces: 'services',
        reprot: 'report',
        gatway: 'gateway',
        wach: 'watch',
        raizes: 'raises',
      }[typo];
      expect(stderr).toContain(`did you mean ${meant}?`);
    },
  );

  it('checks the gateway of the examples', async () => {
    const { code, stdout } = await command({}, [
      'gateway',
      '--check',
      'examples/gateway/gateway.yaml',
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain('0.02 USDC  settled after  GET /forecast/{city}');
  });

  it('completes commands and options in bash', async () => {
    const { stdout } = await command({}, ['completion', 'bash']);
    const file = join(folder, 'completion.bash');
    const ask = (words: string, at: number) =>
      `COMP_WORDS=(bursar ${words}); COMP_CWORD=${at}; _bursar; echo "\${COMPREPLY[*]}"`;
    await writeFile(
      file,
      `${stdout}\n${ask('fe', 1)}\n${ask('grants re', 2)}\n${ask('fetch x --int', 3)}\n${ask('se', 1)}\n${ask('wat', 1)}\n${ask('report --b', 2)}\n${ask('gateway --ch', 2)}\n${ask('keys list --j', 3)}\n`,
    );
    const { execFile } = await import('node:child_process');
    const { promisify } = await import('node:util');
    const { stdout: replies } = await promisify(execFile)('bash', [file]);
    expect(replies).toBe(
      'fetch fence\nresume revoke\n--intent\nservices setup\nwatch\n--by\n--check\n--json\n',
    );
    for (const shell of ['zsh', 'fish']) {
      expect((await command({}, ['completion', shell])).stdout).toContain('grants delegate');
    }
  });

  it.each([
    ['payments > /dev/full', /^bursar: the output cannot be written \(ENOSPC\)\n$/],
    ['watch --after 0-0 > /dev/full', /^bursar: the output cannot be written \(ENOSPC\)\n$/],
    ['completion bash > /dev/full', /^bursar: the output cannot be written \(ENOSPC\)\n$/],
    ['fetch $PAGE -s > /dev/full', /^bursar: .* \(ENOSPC\); it was paid by pay_\w+, .*\n$/],
    ['payments > /dev/full 2>&1', /^$/],
  ])('fails with one line for "%s"', async (line, message) => {
    const { code, stderr } = await shell({ ...root, PAGE: page }, `bursar ${line}`);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it('is ended by a pipe that closes, without a word', async () => {
    const { execFile } = await import('node:child_process');
    const { promisify } = await import('node:util');
    const { stdout, stderr } = await promisify(execFile)('bash', [
      '-c',
      `${process.execPath} ${new URL('../bin/bursar.mjs', import.meta.url).pathname} completion bash | head -1`,
    ]);
    expect(stdout).toMatch(/^# Completions/);
    expect(stderr).toBe('');
  });
});

describe('watch', () => {
  it('prints events from a cursor on, one JSON object a line, and stops after so many', async () => {
    const args = [
      'watch',
      '--after',
      '0-0',
      '--kind',
      'grant.minted,grant.delegated',
      '--count',
      '1',
    ];
    const { code, stdout } = await command(root, args);
    expect(code).toBe(0);
    const [first] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(first).toMatchObject({
      kind: 'grant.minted',
      grantId: rootId,
      cursor: expect.stringMatching(/^0-/),
    });
    const more = await command(root, [...args, '--after', first.cursor]);
    expect(JSON.parse(more.stdout)).toMatchObject({ kind: 'grant.delegated', grantId: childId });
  });

  it('prints a line of text for people', async () => {
    const { stdout } = await commandInTerminal(root, ['watch', '--after', '0-0', '--count', '1']);
    expect(stdout).toMatch(/grant\.\S*minted\S* {2}grt_\S+ {2}by admin:tester/);
  });
});

describe('bursar grants amend and raises', () => {
  it('change a grant below, and let its holder ask for more', async () => {
    const minted = await run(
      root,
      ...['grants', 'delegate', '--holder', 'asker', '--budget', '0.10', '--max-payments', '3'],
      ...['--ttl', '10m'],
    );
    const { id } = minted.grant;
    const asker = { ...root, BURSAR_TOKEN: minted.token };
    const amended = await run(
      root,
      ...['grants', 'amend', id, '--budget', '0.20', '--max-payments', 'none', '--reason', 'more'],
    );
    expect(amended.grant).toMatchObject({ budget: '0.20', maxPayments: null });
    expect((await command(root, ['grants', 'amend', id])).code).toBe(2);
    expect((await command(asker, ['grants', 'amend', id, '--budget', '9'])).code).toBe(3);

    const asked = await run(asker, 'raises', 'ask', '0.30', '--reason', 'twice the pages');
    expect(await run(root, 'raises', 'list')).toEqual([asked]);
    const table = await commandInTerminal(root, ['raises', 'list']);
    expect(table.stdout).toContain('twice the pages');
    expect((await run(root, 'raises', 'approve', asked.id)).status).toBe('approved');
    expect(await run(root, 'raises', 'list')).toEqual([]);
    expect((await run(asker, 'grants', 'show')).budget).toBe('0.30');
    const again = await run(asker, 'raises', 'ask', '0.40', '--reason', 'still more');
    expect((await run(root, 'raises', 'reject', again.id)).status).toBe('rejected');
    await run(root, 'grants', 'revoke', id);
  });
});
