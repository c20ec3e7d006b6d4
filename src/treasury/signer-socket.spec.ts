import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getAddress } from 'viem';
import { loadConfig } from '../config.js';
import { exactTypedData } from '../x402/exact.js';
import { cancelTypedData } from './cancel-authorization.js';
import { MnemonicSigner, type SignableTypedData } from './signer.js';
import { SocketSigner, serveSigner } from './signer-socket.js';

const MNEMONIC = 'test test test test test test test test test test test junk';
const PAYEE = '0x1111111111111111111111111111111111111111';
const MAIN = { position: 0, name: 'main' };
const { networks } = loadConfig({});
const [network] = networks;
const asset = network?.assets[0];
if (!network || !asset) throw new Error('there is no default network');
const { chainId } = network;

let folder: string;
let path: string;
let server: { close(): Promise<void> };
let remote: SocketSigner;
const local = new MnemonicSigner(MNEMONIC, 2);
let wallet: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bursar-signer-'));
  path = join(folder, 'signer.sock');
  [wallet = ''] = (await local.wallets(MAIN)).addresses;
  server = await serveSigner(new MnemonicSigner(MNEMONIC, 2), path, networks);
  remote = new SocketSigner(path);
});
afterAll(async () => {
  remote.close();
  await server.close();
  await rm(folder, { recursive: true });
});

const soon = () => BigInt(Math.floor(Date.now() / 1000) + 60);

function payment(changes: Partial<Parameters<typeof exactTypedData>[0]> = {}): SignableTypedData {
  return exactTypedData(
    {
      id: 'pay_1',
      x402Version: 2,
      chainId,
      from: wallet,
      to: PAYEE,
      value: 2n ** 255n,
      validAfter: 0n,
      validBefore: soon(),
      nonce: `0x${'5a'.repeat(32)}`,
      requirementJson: '{}',
      resourceJson: undefined,
      extensionsJson: undefined,
      ...changes,
    },
    asset as NonNullable<typeof asset>,
  );
}

/** What the signer answers to a raw line. */
function raw(line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(`${line}\n`));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
      if (answer.endsWith('\n')) socket.destroy();
    });
    socket.on('close', () => resolve(answer.trim()));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // Cut off while it was still writing.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
  });
}

describe('a signer behind a socket', () => {
  it('gives the same wallets and the same bytes as the keys do', async () => {
    expect(await remote.wallets(MAIN)).toEqual(await local.wallets(MAIN));
    const cancel = cancelTypedData(wallet, `0x${'5a'.repeat(32)}`, chainId, asset);
    for (const data of [payment(), cancel]) {
      expect(await remote.sign(wallet, data)).toBe(await local.sign(wallet, data));
    }
  });

  it('answers many at once, each its own', async () => {
    const asked = Array.from({ length: 50 }, (_, n) => payment({ value: BigInt(n) }));
    const answers = await Promise.all(asked.map((data) => remote.sign(wallet, data)));
    expect(answers).toEqual(await Promise.all(asked.map((data) => local.sign(wallet, data))));
  });

  it('is open to its owner alone', async () => {
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['a token that is not registered', { token: getAddress(PAYEE) }, 'is not in BURSAR_NETWORKS'],
    ['another chain', { chainId: 1 }, 'is not in BURSAR_NETWORKS'],
    ['another wallet than the payer', { address: getAddress(PAYEE) }, 'from is not the wallet'],
    ['types of its own', { types: {} }, 'Unrecognized key'],
    ['a permit', { data: { primaryType: 'Permit', message: {} } }, 'data.primaryType'],
    ['a method there is none of', { method: 'export' }, 'method'],
  ])('refuses %s', async (_what, change, reason) => {
    const { message } = payment();
    const request = {
      id: 1,
      method: 'sign',
      address: wallet,
      chainId,
      token: asset.address,
      data: { primaryType: 'TransferWithAuthorization', message },
      ...change,
    };
    const line = JSON.stringify(request, (_, value) =>
      typeof value === 'bigint' ? value.toString() : value,
    );
    expect(JSON.parse(await raw(line))).toEqual({ id: 1, error: expect.stringContaining(reason) });
  });

  it('refuses a signature that would live long, and one of a wallet it has not', async () => {
    const late = payment({ validBefore: soon() + 3_600n });
    await expect(remote.sign(wallet, late)).rejects.toThrow('the signer refused: validBefore');
    const other = getAddress(PAYEE);
    await expect(remote.sign(other, payment({ from: other }))).rejects.toThrow('no key for wallet');
  });

  it('answers what is no request, and cuts off what never ends', async () => {
    expect(JSON.parse(await raw('{'))).toMatchObject({ id: null, error: expect.any(String) });
    expect(await raw('x'.repeat(100_000))).toBe('');
    expect(await remote.wallets(MAIN)).toBeDefined();
  });

  it('is found again by its services after it was away, and says so while it is', async () => {
    await server.close();
    await expect(remote.wallets(MAIN)).rejects.toThrow(
      /^BURSAR_SIGNER_SOCKET: .*npx bursar signer/,
    );
    server = await serveSigner(new MnemonicSigner(MNEMONIC, 2), path, networks);
    expect(await remote.wallets(MAIN)).toEqual(await local.wallets(MAIN));
    await expect(serveSigner(local, path, networks)).rejects.toThrow('another signer already');
  });
});
