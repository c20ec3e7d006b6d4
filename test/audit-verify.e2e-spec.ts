import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { auditCommand } from '../src/audit/verify-command.js';
import { EMPTY_ROOT, isConsistent } from '../src/domain/merkle.js';
import {
  isSignedBy,
  parseCheckpoint,
  parseNote,
  parseVerifierKey,
  splitNotes,
} from '../src/domain/note.js';
import type { EventAnswer, Paid } from './support/api.js';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { headOf, linesOf } from './support/log.js';
import { build, bursar } from './support/program.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** An HTTP witness that keeps to C2SP tlog-witness, for one log. */
class TestWitness {
  size = 0;
  root: Uint8Array = EMPTY_ROOT;
  isDown = false;
  readonly refused: string[] = [];
  #server: Server | undefined;

  async start(): Promise<string> {
    const server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      request.on('end', () => {
        const [status, answer] = this.answer(request.url ?? '', body);
        if (status >= 400) this.refused.push(`${status} ${answer}`);
        response.writeHead(status).end(answer);
      });
    }).listen(0, '127.0.0.1');
    this.#server = server;
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as { port: number }).port}/witness`;
  }

  stop(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  private answer(url: string, body: string): [number, string] {
    if (this.isDown) return [500, 'down'];
    if (url !== '/witness/add-checkpoint') return [404, url];
    const [head = '', note = ''] = splitOnce(body, '\n\n');
    const [old = '', ...hashes] = head.split('\n');
    const { size, root } = parseCheckpoint(parseNote(note).text);
    if (old !== `old ${this.size}`) return [409, `${this.size}\n`];
    const proof = hashes.map((hash) => Buffer.from(hash, 'base64'));
    const before = { size: this.size, root: this.root };
    if (!isConsistent(before, { size, root }, proof)) return [422, 'inconsistent'];
    this.size = size;
    this.root = root;
    return [200, ''];
  }
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return [text.slice(0, at), text.slice(at + separator.length)];
}

let stack: TestStack;
let directory: string;
let witnessFile: string;
const witness = new TestWitness();
/** Three payments that settle one after the other. */
const bought: Paid['payment'][] = [];

beforeAll(async () => {
  await build();
  directory = await mkdtemp(join(tmpdir(), 'bursar-audit-'));
  witnessFile = join(directory, 'witness.txt');
  stack = await startTestStack({
    movableClock: true,
    environment: {
      BURSAR_WITNESS_FILE: witnessFile,
      BURSAR_WITNESS_URL: await witness.start(),
      BURSAR_MAX_VALIDITY_SECONDS: '10',
    },
  });
  const { admin, chain, seller } = stack;
  const root = await admin.mint({ budget: '5.00', delegationDepth: 1 });
  const child = await admin.as(root.token).mint({ budget: '1.00' });
  const url = `${seller.url}/data/7`;
  const paymentRequired = (await fetch(url)).headers.get('payment-required');
  for (const key of ['first', 'second', 'third']) {
    const body = { paymentRequired, request: { method: 'GET', url } };
    const { payment, header } = await admin.as(child.token).paid(body, key);
    const answer = await fetch(url, { headers: { [header.name]: header.value } });
    expect(answer.status).toBe(200);
    bought.push(payment);
  }
  await stack.finalize();
  const { payment } = await admin.as(root.token).paid(order(chain));
  // A release waits for the database's clock as well as for the chain's.
  await stack.passTime(120);
  await stack.finalize();
  await until('three payments are settled, the other is released', async () => {
    const states = await Promise.all([...bought, payment].map(({ id }) => admin.payment(id)));
    return states.map(({ status }) => status).join() === 'settled,settled,settled,released';
  });
}, 120_000);

afterAll(async () => {
  await stack?.stop();
  witness.stop();
  await rm(directory, { recursive: true });
});

/** Saves what an auditor asks for. */
async function save(name: string, path: string): Promise<string> {
  const file = join(directory, name);
  await writeFile(file, (await stack.admin.get(path)).text);
  return file;
}

async function sealed(): Promise<void> {
  await until('every event is sealed', async () => {
    const events = await stack.admin.all<EventAnswer>('/v1/audit/events');
    return events.every(({ leafIndex }) => leafIndex !== null);
  });
}

const verify = (...args: string[]) => auditCommand(['verify', ...args]);

async function refusal(...args: string[]): Promise<string> {
  const outcome = await verify(...args).then(
    (text) => `it was accepted: ${text}`,
    (failure: Error) => failure,
  );
  if (typeof outcome === 'string') throw new Error(outcome);
  expect(outcome.message).not.toContain('\n');
  return outcome.message;
}

describe('bursar audit verify', () => {
  it('proves, without a database, what a log tells and that the chain agrees', async () => {
    await sealed();
    const old = await save('old.note', '/v1/audit/checkpoint');
    await stack.admin.mint({ budget: '1.00' });
    await sealed();
    const now = await save('new.note', '/v1/audit/checkpoint');
    const log = await save('log.jsonl', '/v1/audit/export');
    const key = (await stack.admin.get('/v1/audit/key')).text.trim();
    const keyFile = await save('log.key', '/v1/audit/key');
    const { rpcUrl } = stack.chain;
    const told = await verify(
      log,
      '--checkpoint',
      old,
      '--checkpoint',
      now,
      '--key',
      key,
      '--rpc',
      rpcUrl,
    );
    const size = linesOf(await readFile(log, 'utf8')).length;
    expect(told.split('\n')).toEqual([
      expect.stringMatching(new RegExp(`^ok: ${size} records of the log bursar/trs_`)),
      `ok: 2 checkpoints agree, the newest of size ${size}, signed by ${key}`,
      expect.stringMatching(
        /^ok: 3 grants and 4 payments \(3 settled, 1 released, 0 cancelled, 0 open\)/,
      ),
      'ok: 4 ended payments are on chain as the log says',
    ]);
    // The program itself, in an environment that names no database.
    expect(await bursar({}, 'audit', 'verify', log, '--checkpoint', now, '--key', key)).toMatch(
      /^ok: /,
    );
    const cut = bursar({}, 'audit', 'verify', old);
    await expect(cut).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^bursar: line 1 \(leaf 0\): .*\n$/),
    });
    // The same from files alone.
    expect(await verify(log, '--checkpoint', old, '--key', keyFile)).toMatch(
      /^note: nothing vouches/m,
    );
    expect(await verify(log)).toMatch(/^note: without --checkpoint/m);
  });

  it('agrees with the books behind it, as bursar check finds them', async () => {
    const { rpcUrl, network } = stack.chain;
    const environment = { DATABASE_URL: stack.databaseUrl };
    const at = ['--rpc', `${network}=${rpcUrl}`, '--finality', `${network}=2`];
    expect(await bursar(environment, 'check', ...at)).toMatch(/^All of it holds/m);
  });

  it('finds what a chain says otherwise', async () => {
    await sealed();
    const log = await save('log.jsonl', '/v1/audit/export');
    const lines = linesOf(await readFile(log, 'utf8'));
    const settled = lines.findIndex(
      (line) => line.includes('"kind":"payment.settled"') && line.includes(bought[0]?.id as string),
    );
    const forged = join(directory, 'forged.jsonl');
    const tell = async (told: string[]) => {
      await writeFile(forged, told.map((line) => `${withoutClaims(line)}\n`).join(''));
      return refusal(forged, '--rpc', stack.chain.rpcUrl);
    };
    const forge = (change: (line: string) => string, at = settled) =>
      tell(lines.with(at, change(lines[at] as string)));
    const [first] = bought as [Paid['payment']];
    const { transaction } = await stack.admin.payment(first.id);
    const about = new RegExp(`payment ${first.id} \\(allowed by grt_\\w+ > grt_\\w+\\): `);
    // When its signature has run out, after all else: it would be believed if nobody asked the chain.
    const released = await tell([
      ...lines.toSpliced(settled, 1),
      later(lines[settled] as string, 1)
        .replace('"kind":"payment.settled"', '"kind":"payment.released"')
        .replace(`"${transaction}"`, 'null'),
    ]);
    expect(released).toMatch(about);
    expect(released).toContain('says released, and the chain has its nonce used');
    const other = `0x${'ab'.repeat(32)}`;
    expect(await forge((line) => line.replace(transaction as string, other))).toContain(
      `the chain has no transaction ${other}`,
    );
    // The token's own deployment is a transaction too, but not this payment's.
    const { transactions } = await rpc<{ transactions: string[] }>(
      stack.chain.rpcUrl,
      'eth_getBlockByNumber',
      ['0x1', false],
    );
    expect(
      await forge((line) => line.replace(transaction as string, transactions[0] as string)),
    ).toContain('has no AuthorizationUsed of its nonce');
  });

  it('finds a payment on chain that no decision in the log allowed', async () => {
    await sealed();
    const log = await save('log.jsonl', '/v1/audit/export');
    const lines = linesOf(await readFile(log, 'utf8'));
    const [, hidden] = bought;
    const without = join(directory, 'without.jsonl');
    const kept = lines.filter((line) => !line.includes(`"paymentId":"${hidden?.id}"`));
    // The chain of counters that later records tell of would betray it at once: leave that out too.
    const told = kept.map((line) => withoutClaims(line));
    await writeFile(without, told.map((line) => `${line}\n`).join(''));
    const found = await refusal(without, '--rpc', stack.chain.rpcUrl);
    expect(found).toContain(
      `under nonce ${hidden?.nonce}, and no decision in the log has that hash`,
    );
  });
});

describe('witnesses', () => {
  const key = async () => parseVerifierKey((await stack.admin.get('/v1/audit/key')).text.trim());
  const newest = async () => headOf((await stack.admin.get('/v1/audit/checkpoint')).text).size;
  const caughtUp = () =>
    until('the witness has the newest', async () => witness.size === (await newest()));

  it('are told of every new head, with the proof that it only grew', async () => {
    await sealed();
    await caughtUp();
    const before = witness.size;
    await stack.admin.mint({ budget: '1.00' });
    await sealed();
    await caughtUp();
    expect(witness.size).toBeGreaterThan(before);
    expect(witness.refused).toEqual([]);
  });

  it('keep a file of signed heads that a log is verified against', async () => {
    await sealed();
    const log = await save('log.jsonl', '/v1/audit/export');
    const own = await key();
    const kept = await until('the file has the newest', async () => {
      const notes = splitNotes(await readFile(witnessFile, 'utf8'));
      return headOf(notes.at(-1) as string).size === (await newest()) && notes;
    });
    expect(kept.length).toBeGreaterThan(1);
    for (const note of kept) expect(isSignedBy(parseNote(note), own)).toBe(true);
    expect(await verify(log, '--checkpoint', witnessFile)).toContain(
      `ok: ${kept.length} checkpoints agree`,
    );
  });

  it('are caught up with after they were down, or set back', async () => {
    await caughtUp();
    witness.isDown = true;
    await stack.admin.mint({ budget: '1.00' });
    await sealed();
    await until('the witness was tried in vain', () => witness.refused.length > 1);
    witness.isDown = false;
    await caughtUp();
    witness.size = 0;
    witness.root = EMPTY_ROOT;
    await stack.admin.mint({ budget: '1.00' });
    await sealed();
    await caughtUp();
    expect(witness.refused.at(-1)).toBe('409 0\n');
  });

  it('find out an operator who writes history anew', async () => {
    await sealed();
    await caughtUp();
    const log = await save('log.jsonl', '/v1/audit/export');
    const kept = await until('the file has the newest', async () => {
      const text = await readFile(witnessFile, 'utf8');
      return headOf(splitNotes(text).at(-1) as string).size === (await newest()) && text;
    });
    const lines = linesOf(await readFile(log, 'utf8'));
    const at = lines.findIndex((line) => line.includes('"kind":"grant.minted"'));
    const rewritten = lines.with(
      at,
      (lines[at] as string).replace('"holder":"agent"', '"holder":"other"'),
    );
    await writeFile(log, rewritten.map((line) => `${line}\n`).join(''));
    expect(kept).toContain('bursar/trs_');
    expect(await verify(log)).toMatch(/^ok: /);
    expect(await refusal(log, '--checkpoint', witnessFile)).toMatch(
      /one was changed, dropped, added or moved/,
    );
  });
});

/** A record of some hours later. */
function later(line: string, hours: number): string {
  return line.replace(/"at":"([^"]+)"/, (_, at: string) => {
    return `"at":"${new Date(Date.parse(at) + hours * 3_600_000).toISOString()}"`;
  });
}

/** A record as it was before records told what the chain was. What opened its commitment stays, and is of nothing. */
function withoutClaims(line: string): string {
  return line.replace(/"ancestors":(?:null|"[0-9a-f]+"),/, '').replace(/"grant":\{[^}]*\},/, '');
}
