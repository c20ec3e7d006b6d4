import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Account, compare, type PaymentRow } from '../faults/account.js';
import { startProxy, type TcpProxy } from '../faults/proxy.js';
import { random } from '../faults/random.js';
import { allWrong, asText, type FaultPart, merged, type Report } from '../faults/report.js';
import { noCounts, Tally } from '../faults/tally.js';
import { until } from './support/until.js';

describe('the proxy', () => {
  let server: Server;
  let proxy: TcpProxy;
  let client: Socket;
  let heard: string;
  let ends: Socket[];

  /** A server that answers every line with the line. */
  beforeEach(async () => {
    ends = [];
    server = createServer((socket) => {
      ends.push(socket);
      socket.on('error', () => {}).on('data', (chunk) => socket.write(`got ${chunk}`));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await startProxy((server.address() as AddressInfo).port);
    client = await open();
  });
  afterEach(async () => {
    client.destroy();
    await proxy.stop();
    for (const socket of ends) socket.destroy();
    server.close();
  });

  async function open(): Promise<Socket> {
    heard = '';
    const socket = connect(proxy.port, '127.0.0.1');
    socket
      .on('error', () => {})
      .on('data', (chunk) => {
        heard += chunk;
      });
    await once(socket, 'connect');
    return socket;
  }

  const hears = (text: string) => until(`"${text}" is heard`, () => heard.includes(text));

  it('lets everything pass, both ways', async () => {
    client.write('one\n');
    await hears('got one');
    expect(proxy.connections).toBe(1);
  });

  it('cuts every connection at both ends, and takes new ones', async () => {
    client.write('one\n');
    await hears('got one');
    const closed = [once(client, 'close'), once(ends[0] as Socket, 'close')];
    expect(proxy.cut()).toBe(1);
    await Promise.all(closed);
    client = await open();
    client.write('two\n');
    await hears('got two');
  });

  it('delivers late, in order, also what comes after the delay is over', async () => {
    proxy.delay(60);
    const began = performance.now();
    client.write('one\n');
    await until('it has arrived at the proxy', () => client.bytesWritten === 4);
    await hears('got one');
    expect(performance.now() - began).toBeGreaterThanOrEqual(110);
    proxy.delay(0);
    client.write('two\n');
    await hears('got two');
    expect(heard.indexOf('one')).toBeLessThan(heard.indexOf('two'));
  });

  it('is half open: connections stand, nothing passes, not even that one end is gone', async () => {
    client.write('one\n');
    await hears('got one');
    proxy.swallow(true);
    let isClosed = false;
    client.on('close', () => {
      isClosed = true;
    });
    client.write('two\n');
    const end = ends[0] as Socket;
    end.destroy();
    await once(end, 'close');
    // A second connection through the same event loop has come and gone since.
    const other = await open();
    other.write('three\n');
    other.destroy();
    await once(other, 'close');
    expect({ isClosed, heard }).toEqual({ isClosed: false, heard: '' });
    proxy.swallow(false);
    const closed = once(client, 'close');
    proxy.cut();
    await closed;
  });

  it('freezes the connections there are, and no new one', async () => {
    client.write('one\n');
    await hears('got one');
    proxy.freeze();
    client.write('two\n');
    const other = await open();
    other.write('three\n');
    await hears('got three');
    expect(heard).not.toContain('two');
    other.destroy();
  });

  it('keeps what a tap points at from the other end, and cuts there', async () => {
    proxy.tap((cut) => ({
      fromServer(chunk) {
        if (!chunk.includes('COMMIT')) return true;
        cut();
        return false;
      },
    }));
    client.write('BEGIN\n');
    await hears('got BEGIN');
    const closed = once(client, 'close');
    client.write('COMMIT\n');
    await closed;
    expect(heard).not.toContain('COMMIT');
  });

  it('leads to another place when the server has moved', async () => {
    const moved = createServer((socket) => socket.end('moved\n')).listen(0, '127.0.0.1');
    await once(moved, 'listening');
    proxy.target((moved.address() as AddressInfo).port);
    const other = await open();
    await hears('moved');
    other.destroy();
    moved.close();
  });
});

const AUTHORIZATION = {
  from: '0xAa',
  to: '0xBb',
  value: '10000',
  validAfter: '0',
  validBefore: '99',
  nonce: '0x01',
};
const headerOf = (authorization: object = AUTHORIZATION) =>
  Buffer.from(JSON.stringify({ payload: { authorization } })).toString('base64');
const RECEIVED = { paymentId: 'pay_1', grantId: 'grt_1', key: 'k', value: headerOf() };
const ROW: PaymentRow = {
  id: 'pay_1',
  grant_id: 'grt_1',
  idempotency_key: 'k',
  payer: '0xaa',
  pay_to: '0xbb',
  amount: '10000',
  nonce: '0x01',
  valid_after: '0',
  valid_before: '99',
};

describe('the clients’ own account', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bursar-account-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('holds a header against its row', () => {
    expect(compare([RECEIVED], [ROW])).toEqual([]);
  });
  it('finds a header without a row', () => {
    expect(compare([RECEIVED], [])).toEqual([expect.stringMatching(/^I4: .*no such payment/)]);
  });
  it.each([
    ['nonce', { nonce: '0x02' }],
    ['value', { amount: '10001' }],
    ['to', { pay_to: '0xcc' }],
    ['from', { payer: null }],
    ['validBefore', { valid_before: '100' }],
    ['key', { idempotency_key: 'other' }],
    ['grant', { grant_id: 'grt_2' }],
  ])('finds a row with another %s', (name, change) => {
    expect(compare([RECEIVED], [{ ...ROW, ...change }])).toEqual([
      `I4: the header of pay_1 and its row differ in ${name}`,
    ]);
  });
  it('finds a header that cannot be read', () => {
    expect(compare([{ ...RECEIVED, value: 'e30=' }], [ROW])[0]).toMatch(/differ in from, to/);
  });

  it('keeps each header in its file once, and finds a second header of one key', async () => {
    const account = new Account(join(directory, 'headers'), join(directory, 'fresh'));
    const body = (id: string, value = headerOf()) => ({
      header: { name: 'PAYMENT-SIGNATURE', value },
      payment: { id, grantId: 'grt_1', status: 'authorized' },
    });
    account.received('grt_1', 'k', body('pay_1'));
    account.received('grt_1', 'k', body('pay_1'));
    expect(account.takeWrong()).toEqual([]);
    account.received('grt_1', 'k', body('pay_1', headerOf({ ...AUTHORIZATION, nonce: '0x02' })));
    account.received('grt_1', 'k', body('pay_2'));
    account.received('grt_1', 'l', {});
    expect(account.takeWrong()).toHaveLength(3);
    const line = JSON.stringify({ header: body('pay_1').header, payment: { id: 'pay_1' } });
    expect(await readFile(account.file, 'utf8')).toBe(`${line}\n`);
    expect(await readFile(account.takeFresh(), 'utf8')).toBe(`${line}\n`);
    expect(await readFile(account.takeFresh(), 'utf8')).toBe('');
    expect(await readFile(account.file, 'utf8')).toBe(`${line}\n`);
  });
});

it('counts a request in the stretch it began in, and waits for its answer', async () => {
  const tally = new Tally();
  const window = tally.open();
  let answer = (_: { kind: 'refused' }): void => {};
  const asked = tally.count(
    new Promise<{ kind: 'refused' }>((resolve) => {
      answer = resolve;
    }),
  );
  const closed = window.close();
  await tally.count(Promise.resolve({ kind: 'lost' }));
  answer({ kind: 'refused' });
  await asked;
  expect(await closed).toEqual({ ...noCounts(), requests: 1, failures: { refused: 1 } });
});

it('makes the same choices with the same seed, and others with another', () => {
  const choices = (seed: number, purpose = 'a') => {
    const chance = random(seed, purpose);
    return Array.from({ length: 20 }, () => chance.below(1_000));
  };
  expect(choices(1)).toEqual(choices(1));
  expect(choices(1)).not.toEqual(choices(2));
  expect(choices(1)).not.toEqual(choices(1, 'b'));
  expect(new Set(choices(1)).size).toBeGreaterThan(15);
});

describe('a report', () => {
  const part = (changes: Partial<FaultPart> = {}): FaultPart => ({
    name: 'cut',
    what: '',
    pass: '',
    queues: 'redis',
    seeds: [1],
    runs: 2,
    seconds: 60,
    counts: { ...noCounts(), requests: 10, answered: 10 },
    recoverySeconds: { cut: [1, 3] },
    failures: [],
    violations: [],
    ...changes,
  });
  const report = (...faults: FaultPart[]): Report => ({
    machine: { cpus: 2, model: 'x', memoryGiB: 1, node: 'v20' },
    at: '2026-11-21T00:00:00.000Z',
    perSecond: 12,
    tookSeconds: 60,
    faults,
    overload: [],
    soak: [],
  });

  it('adds up the runs of one fault, those on the other queues apart', () => {
    const other = part({ queues: 'postgres' });
    const { faults } = merged([
      report(part()),
      report(part({ seeds: [2], recoverySeconds: { cut: [5], late: [7] } }), other),
    ]);
    expect(faults).toHaveLength(2);
    expect(faults[0]).toMatchObject({
      runs: 4,
      seeds: [1, 2],
      counts: { requests: 20 },
      recoverySeconds: { cut: [1, 3, 5], late: [7] },
    });
    expect(asText(merged([report(part())]))).toContain('Nothing was lost.');
  });

  it('keeps what was wrong in any of them', () => {
    const one = merged([report(part()), report(part({ violations: ['I4'], failures: ['late'] }))]);
    expect(allWrong(one)).toEqual(['cut (redis): I4', 'cut (redis): late']);
    expect(asText(one)).toMatch(/WRONG/);
  });

  it('tells what was not run, and never as passed', () => {
    const text = asText(report(part({ notRun: 'there is no Redis', runs: 0 })));
    expect(text).toContain('not run: there is no Redis');
    expect(text).toContain('1 fault was not run.');
    expect(text).not.toContain('Nothing was lost.');
  });
});
