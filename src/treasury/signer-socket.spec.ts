import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getAddress } from 'viem';
import { loadConfig } from '../config/config.js';
import { type DecisionRecord, nonceOf } from '../domain/payment.js';
import { exactTypedData } from '../x402/exact.js';
import { cancelTypedData } from './cancel-authorization.js';
import { MnemonicSigner } from './signer.js';
import { SignerRules } from './signer-rules.js';
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
  server = await serveSigner(new MnemonicSigner(MNEMONIC, 2), path, new SignerRules(networks));
  remote = new SocketSigner(path);
});
afterAll(async () => {
  remote.close();
  await server.close();
  await rm(folder, { recursive: true });
});

const soon = () => BigInt(Math.floor(Date.now() / 1000) + 60);

/** A payment and the decision that allowed it. */
function payment(changes: Partial<Parameters<typeof exactTypedData>[0]> = {}) {
  const terms = {
    id: 'pay_1',
    x402Version: 2 as const,
    chainId,
    from: wallet,
    to: PAYEE,
    value: 2n ** 255n,
    validAfter: 0n,
    validBefore: soon(),
    requirementJson: '{}',
    resourceJson: undefined,
    extensionsJson: undefined,
    ...changes,
  };
  const { json: decision, nonce } = decisionOf(terms);
  const { address } = asset as NonNullable<typeof asset>;
  const data = exactTypedData({ ...terms, nonce }, asset as NonNullable<typeof asset>);
  return { data, decision, address };
}

/** The decision record for some terms, without what no signer looks at. */
function decisionOf(
  terms: { from: string; to: string; value: bigint; validAfter: bigint; validBefore: bigint },
  changes: object = {},
) {
  return nonceOf({
    version: 'bursar.decision.v1',
    network: network?.network,
    asset: asset?.address,
    from: terms.from,
    to: terms.to,
    value: terms.value.toString(),
    validAfter: terms.validAfter.toString(),
    validBefore: terms.validBefore.toString(),
    ...changes,
  } as unknown as DecisionRecord);
}

/** Answer of the signer to a raw line. */
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
    expect(await remote.sign(wallet, cancel)).toBe(await local.sign(wallet, cancel));
    const { data, decision } = payment();
    expect(await remote.sign(wallet, data, decision)).toBe(await local.sign(wallet, data));
  });

  it('answers many at once, each its own', async () => {
    const asked = Array.from({ length: 50 }, (_, n) => payment({ value: BigInt(n) }));
    const answers = await Promise.all(
      asked.map(({ data, decision }) => remote.sign(wallet, data, decision)),
    );
    expect(answers).toEqual(await Promise.all(asked.map(({ data }) => local.sign(wallet, data))));
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
    const { data, decision } = payment();
    const { message } = data;
    const request = {
      id: 1,
      method: 'sign',
      address: wallet,
      chainId,
      token: asset.address,
      decision,
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
    await expect(remote.sign(wallet, late.data, late.decision)).rejects.toThrow(
      'the signer refused: validBefore',
    );
    const other = getAddress(PAYEE);
    const theirs = payment({ from: other });
    await expect(remote.sign(other, theirs.data, theirs.decision)).rejects.toThrow(
      'no key for wallet',
    );
  });

  it('signs a payment for its decision alone, until the signature has run out', async () => {
    await remote.wallets(MAIN);
    const { data, decision } = payment();
    await expect(remote.sign(wallet, data)).rejects.toThrow('decision is missing');
    await expect(remote.sign(wallet, data, payment({ value: 1n }).decision)).rejects.toThrow(
      'the nonce is not the SHA-256 of the decision',
    );
    const past = payment({ validBefore: BigInt(Math.floor(Date.now() / 1000) - 1) });
    expect(await remote.sign(wallet, past.data)).toBe(await local.sign(wallet, past.data));
    expect(await remote.sign(wallet, data, decision)).toBe(await local.sign(wallet, data));
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
    server = await serveSigner(new MnemonicSigner(MNEMONIC, 2), path, new SignerRules(networks));
    // It signs at once, for the treasuries that it was asked about before.
    const { data, decision } = payment();
    expect(await remote.sign(wallet, data, decision)).toBe(await local.sign(wallet, data));
    expect(await remote.wallets(MAIN)).toEqual(await local.wallets(MAIN));
    await expect(serveSigner(local, path, new SignerRules(networks))).rejects.toThrow(
      'another signer already',
    );
  });
});
