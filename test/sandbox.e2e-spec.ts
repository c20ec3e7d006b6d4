import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { x402Client, x402HTTPClient } from '@x402/core/client';
import { decodePaymentRequiredHeader, HTTPFacilitatorClient } from '@x402/core/http';
import type { Network, PaymentPayload, PaymentRequirements } from '@x402/core/types';
import type { PaymentPayloadV1, PaymentRequirementsV1 } from '@x402/core/types/v1';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import {
  type Address,
  createWalletClient,
  domainSeparator,
  encodeFunctionData,
  type Hex,
  http,
  parseEventLogs,
  parseSignature,
  publicActions,
  toEventSelector,
  toFunctionSelector,
  toHex,
} from 'viem';
import { generatePrivateKey, type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { baseSepolia } from 'viem/chains';
import { type Chain, startChain } from '../sandbox/chain.js';
import {
  testUsdcAbi,
  testUsdcBytecode,
  testUsdcCompiledAbi,
} from '../sandbox/contract/testUsdc.js';
import { type Facilitator, startFacilitator } from '../sandbox/facilitator.js';
import { type Seller, startSeller } from '../sandbox/seller.js';

const CENT = 10_000n;
const START_FUNDS = 100n * CENT;
const FAR_FUTURE_SECONDS = 4_102_444_800n; // 2100-01-01

let chain: Chain;
let facilitator: Facilitator;
let seller: Seller;
let payer: PrivateKeyAccount;
let payee: Address;
let client: ReturnType<typeof connect>;

beforeAll(async () => {
  chain = await startChain({ blockTimeSeconds: 0.2 });
  const [settler, sender] = chain.accounts;
  if (settler === undefined || sender === undefined) throw new Error('no dev accounts');
  facilitator = await startFacilitator({ rpcUrl: chain.rpcUrl, privateKey: settler.privateKey });
  payee = privateKeyToAccount(generatePrivateKey()).address;
  seller = await startSeller({ facilitatorUrl: facilitator.url, payTo: payee });
  payer = privateKeyToAccount(generatePrivateKey());
  await chain.mintUsdc(payer.address, START_FUNDS);
  client = connect(sender.privateKey);
}, 60_000);

afterAll(async () => {
  await seller?.stop();
  await facilitator?.stop();
  await chain?.stop();
});

describe('the paid API, x402 v2', () => {
  it('asks an unpaid request for exactly the price of the route', async () => {
    const response = await fetch(`${seller.url}/data/7`);

    expect(response.status).toBe(402);
    const required = decodePaymentRequiredHeader(header(response, 'PAYMENT-REQUIRED'));
    expect(required).toMatchObject({
      x402Version: 2,
      resource: { url: `${seller.url}/data/7` },
      accepts: [
        {
          scheme: 'exact',
          network: 'eip155:84532',
          amount: '10000',
          asset: chain.token.address,
          payTo: payee,
          extra: { name: 'USDC', version: '2' },
        },
      ],
    });
  });

  it('prices the report above what a small limit allows', async () => {
    const response = await fetch(`${seller.url}/report`);

    const required = decodePaymentRequiredHeader(header(response, 'PAYMENT-REQUIRED'));
    expect(required.accepts[0]?.amount).toBe('2500000');
  });

  it('serves the free route without payment', async () => {
    const response = await fetch(`${seller.url}/free`);

    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ free: true });
  });

  it('sells to a stock client, and the token moves by exactly the price', async () => {
    const before = await balances();

    const { response, settlement, payload } = await buy(payer, `${seller.url}/data/7`);

    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ page: '7' });
    expect(settlement).toMatchObject({ success: true, network: 'eip155:84532' });
    expect(await balances()).toEqual({ payer: before.payer - CENT, payee: before.payee + CENT });

    const receipt = await client.getTransactionReceipt({ hash: settlement.transaction as Hex });
    const logs = parseEventLogs({ abi: testUsdcAbi, logs: receipt.logs });
    const { nonce } = (payload.payload as { authorization: { nonce: Hex } }).authorization;
    expect(receipt.status).toBe('success');
    expect(logs.map(({ address, eventName, args }) => ({ address, eventName, args }))).toEqual([
      {
        address: chain.token.address.toLowerCase(),
        eventName: 'AuthorizationUsed',
        args: { authorizer: payer.address, nonce },
      },
      {
        address: chain.token.address.toLowerCase(),
        eventName: 'Transfer',
        args: { from: payer.address, to: payee, value: CENT },
      },
    ]);
  });

  it('settles every one of many payments that arrive at once', async () => {
    const before = await balances();

    const sales = await Promise.all(
      Array.from({ length: 8 }, (_, page) => buy(payer, `${seller.url}/data/${page}`)),
    );

    expect(sales.map(({ response }) => response.status)).toEqual(sales.map(() => 200));
    expect(new Set(sales.map(({ settlement }) => settlement.transaction)).size).toBe(8);
    expect((await balances()).payee).toBe(before.payee + 8n * CENT);
  });

  it('gives a payer without funds the reason, which takes Multicall3 on the chain', async () => {
    const poor = privateKeyToAccount(generatePrivateKey());
    const { payload, response } = await buy(poor, `${seller.url}/data/7`);

    expect(response.status).toBe(402);
    expect(await verify(payload, payload.accepted)).toMatchObject({
      isValid: false,
      invalidReason: 'invalid_exact_evm_insufficient_balance',
    });
  });

  it('sells at the prices and to the payees a test asks for', async () => {
    const [firstPayee, secondPayee] = [generatePrivateKey(), generatePrivateKey()].map(
      (key) => privateKeyToAccount(key).address,
    ) as [Address, Address];
    const other = await startSeller({
      facilitatorUrl: facilitator.url,
      payTo: firstPayee,
      routes: {
        'POST /answers/:id': {
          offers: [
            { price: '$0.03', maxTimeoutSeconds: 60 },
            { price: '$0.02', payTo: secondPayee },
          ],
        },
        'GET /broken': {
          offers: [{ price: '$0.01' }],
          handler: (_request, response) => void response.status(500).json({}),
        },
      },
    });
    try {
      const unpaid = await fetch(`${other.url}/answers/1`, { method: 'POST' });
      const required = decodePaymentRequiredHeader(header(unpaid, 'PAYMENT-REQUIRED'));
      expect(required.accepts).toMatchObject([
        { amount: '30000', payTo: firstPayee, maxTimeoutSeconds: 60 },
        { amount: '20000', payTo: secondPayee },
      ]);

      const { response } = await buy(payer, `${other.url}/answers/1`, 'POST');
      expect(await response.json()).toEqual({ path: '/answers/1', params: { id: '1' } });
      expect(await chain.usdcBalance(firstPayee)).toBe(3n * CENT);

      const broken = await buy(payer, `${other.url}/broken`);
      expect(broken.response.status).toBe(500);
      expect(await chain.usdcBalance(firstPayee)).toBe(3n * CENT);
    } finally {
      await other.stop();
    }
  });
});

describe('the facilitator', () => {
  it('supports v2 and v1 of the exact scheme', async () => {
    const supported = await new HTTPFacilitatorClient({ url: facilitator.url }).getSupported();

    expect(supported.kinds).toEqual([
      { x402Version: 2, scheme: 'exact', network: 'eip155:84532' },
      { x402Version: 1, scheme: 'exact', network: 'base-sepolia' },
    ]);
    expect(supported.signers['eip155:*']).toContain(facilitator.address);
  });

  it('verifies and settles a v1 payment signed by hand', async () => {
    const { payload, requirements } = await payByHandV1(3n * CENT);
    const before = await balances();

    expect(await verify(payload, requirements)).toMatchObject({
      isValid: true,
      payer: payer.address,
    });
    expect(await settle(payload, requirements)).toMatchObject({
      success: true,
      network: 'base-sepolia',
    });

    expect((await balances()).payee).toBe(before.payee + 3n * CENT);
    expect(await verify(payload, requirements)).toMatchObject({
      isValid: false,
      invalidReason: 'invalid_exact_evm_nonce_already_used',
    });
  });

  it('answers settlement_pending to what it does not see mined, and the payment still lands', async () => {
    const [, , settler] = chain.accounts;
    if (settler === undefined) throw new Error('no dev account');
    const hasty = await startFacilitator({
      rpcUrl: chain.rpcUrl,
      privateKey: settler.privateKey,
      confirmationTimeoutMs: 100,
    });
    const { payload } = await sign(payer, `${seller.url}/data/7`);
    const before = await balances();
    await chain.pauseMining();
    try {
      const settlement = await settle(payload, payload.accepted, hasty);
      expect(settlement).toMatchObject({ success: false, errorReason: 'settlement_pending' });

      await chain.resumeMining();
      const { transaction: hash } = settlement as { transaction: Hex };
      await client.waitForTransactionReceipt({ hash });
      expect((await balances()).payee).toBe(before.payee + CENT);
    } finally {
      await chain.resumeMining();
      await hasty.stop();
    }
  });

  it('answers 400 to a body that holds no payment', async () => {
    const response = await fetch(`${facilitator.url}/verify`, { method: 'POST' });

    expect(response.status).toBe(400);
  });
});

describe('the token', () => {
  it('has the domain separator that signers compute', async () => {
    const separator = await client.readContract({ ...token(), functionName: 'DOMAIN_SEPARATOR' });

    expect(separator).toBe(domainSeparator({ domain: tokenDomain() }));
  });

  it('has everything its typed ABI names, as compiled', () => {
    const compiled = (testUsdcCompiledAbi as typeof testUsdcAbi).flatMap(selector);

    expect(compiled).toEqual(expect.arrayContaining(testUsdcAbi.flatMap(selector)));
  });

  it('pays on both forms of transferWithAuthorization', async () => {
    const before = await balances();

    const first = authorize({ value: 5n });
    expect(await transfer(first, await signTransfer(first))).toBe('success');
    const second = authorize({ value: 7n });
    expect(await transfer(second, await signTransfer(second), 'bytes')).toBe('success');

    expect((await balances()).payee).toBe(before.payee + 12n);
    expect(await isUsed(first.nonce)).toBe(true);
  });

  it('does not pay after cancelAuthorization', async () => {
    const authorization = authorize({ value: CENT });
    const signature = await signTransfer(authorization);
    expect(await simulate(authorization, signature)).toBe('ok');

    const receipt = await cancel(authorization.nonce);
    const [log] = parseEventLogs({ abi: testUsdcAbi, logs: receipt.logs });
    expect(log).toMatchObject({
      eventName: 'AuthorizationCanceled',
      args: { authorizer: payer.address, nonce: authorization.nonce },
    });

    expect(await isUsed(authorization.nonce)).toBe(true);
    await expectRefused(authorization, signature, 'authorization is used or canceled');
  });

  it('does not pay twice on one nonce', async () => {
    const authorization = authorize({ value: CENT });
    const signature = await signTransfer(authorization);
    expect(await transfer(authorization, signature)).toBe('success');

    await expectRefused(authorization, signature, 'authorization is used or canceled');
    const again = { ...authorization, value: 1n };
    await expectRefused(again, await signTransfer(again), 'authorization is used or canceled');
  });

  it('does not pay once validBefore is reached, nor until validAfter has passed', async () => {
    const { timestamp } = await client.getBlock();

    const expired = authorize({ validBefore: timestamp });
    await expectRefused(expired, await signTransfer(expired), 'authorization is expired');
    const early = authorize({ validAfter: FAR_FUTURE_SECONDS - 1n });
    await expectRefused(early, await signTransfer(early), 'authorization is not yet valid');
  });

  it("does not pay on another's signature or other terms", async () => {
    const authorization = authorize({ value: CENT });
    const signature = await signTransfer(authorization);
    const stranger = privateKeyToAccount(generatePrivateKey());

    await expectRefused({ ...authorization, value: 2n }, signature, 'invalid signature');
    await expectRefused(
      authorization,
      await signTransfer(authorization, stranger),
      'invalid signature',
    );
    await expectRefused(authorization, twin(signature), 'invalid signature s');
  });
});

describe('the chain', () => {
  it('shows its contracts to a reader at the finalized block, from the first block on', async () => {
    for (const blockTag of ['earliest', 'finalized'] as const) {
      const code = await client.getCode({ address: chain.token.address, blockTag });
      expect(code).toBe(testUsdcBytecode);
    }
  });

  it('mines on request, without moving its clock ahead', async () => {
    const before = await client.getBlock();

    await chain.mineBlocks(70);

    const after = await client.getBlock();
    expect(after.number).toBeGreaterThanOrEqual(before.number + 70n);
    expect(Number(after.timestamp)).toBeLessThanOrEqual(Math.ceil(Date.now() / 1_000));
  });

  it('holds payments back while mining is paused', async () => {
    await chain.pauseMining();
    const authorization = authorize({ value: 1n });
    const head = await client.getBlockNumber({ cacheTime: 0 });
    const hash = await send(authorization, await signTransfer(authorization));
    expect((await client.getTransaction({ hash })).blockNumber).toBeNull();
    expect(await client.getBlockNumber({ cacheTime: 0 })).toBe(head);

    await chain.resumeMining();
    expect(await client.waitForTransactionReceipt({ hash })).toMatchObject({ status: 'success' });
    expect(await isUsed(authorization.nonce)).toBe(true);
  });

  it('says in one line why it cannot start', async () => {
    const { port } = new URL(chain.rpcUrl);

    await expect(startChain({ port: Number(port) })).rejects.toThrow(
      /^anvil exited \(1\): Address already in use.*$/,
    );
    await expect(startChain({ anvilPath: '/no/such/anvil' })).rejects.toThrow(
      /^anvil could not be started: .*ENOENT$/,
    );
  });
});

// ---- What a payer does

/** The terms of EIP-3009's TransferWithAuthorization. */
interface Authorization {
  readonly from: Address;
  readonly to: Address;
  readonly value: bigint;
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly nonce: Hex;
}

function authorize(terms: Partial<Authorization>): Authorization {
  return {
    from: payer.address,
    to: payee,
    value: 1n,
    validAfter: 0n,
    validBefore: FAR_FUTURE_SECONDS,
    nonce: toHex(randomBytes(32)),
    ...terms,
  };
}

function tokenDomain() {
  const { address, name, version } = chain.token;
  return { name, version, chainId: chain.chainId, verifyingContract: address };
}

// The types are written out from EIP-3009, not taken from a package: that is what is tested.
function signTransfer(message: Authorization, signer = payer): Promise<Hex> {
  return signer.signTypedData({
    domain: tokenDomain(),
    types: {
      TransferWithAuthorization: [
        { name: 'from', type: 'address' },
        { name: 'to', type: 'address' },
        { name: 'value', type: 'uint256' },
        { name: 'validAfter', type: 'uint256' },
        { name: 'validBefore', type: 'uint256' },
        { name: 'nonce', type: 'bytes32' },
      ],
    },
    primaryType: 'TransferWithAuthorization',
    message,
  });
}

function signCancel(nonce: Hex): Promise<Hex> {
  return payer.signTypedData({
    domain: tokenDomain(),
    types: {
      CancelAuthorization: [
        { name: 'authorizer', type: 'address' },
        { name: 'nonce', type: 'bytes32' },
      ],
    },
    primaryType: 'CancelAuthorization',
    message: { authorizer: payer.address, nonce },
  });
}

/** The other signature of the same key over the same digest: n - s, and the other parity. */
function twin(signature: Hex): Hex {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const { r, s, yParity } = parseSignature(signature);
  const flipped = toHex(order - BigInt(s), { size: 32 }).slice(2);
  return `${r}${flipped}${yParity === 0 ? '1c' : '1b'}`;
}

/** The first half of what a stock client does: sign what the 402 asks. */
async function sign(account: PrivateKeyAccount, url: string, method = 'GET') {
  const signer = new x402HTTPClient(
    new x402Client().register(chain.network, new ExactEvmScheme(account)),
  );
  const unpaid = await fetch(url, { method });
  const required = signer.getPaymentRequiredResponse((name) => unpaid.headers.get(name));
  return { signer, payload: await signer.createPaymentPayload(required) };
}

/** All of it: sign, ask again, and read the receipt. */
async function buy(account: PrivateKeyAccount, url: string, method = 'GET') {
  const { signer, payload } = await sign(account, url, method);
  const headers = signer.encodePaymentSignatureHeader(payload);
  const response = await fetch(url, { method, headers });
  const settlement = response.ok
    ? signer.getPaymentSettleResponse((name) => response.headers.get(name))
    : { success: false, transaction: '' };
  return { response, settlement, payload };
}

/** A v1 payload as its specification has it, made without an x402 package. */
async function payByHandV1(value: bigint) {
  const network = 'base-sepolia' as Network;
  const authorization = authorize({ value });
  const requirements: PaymentRequirementsV1 = {
    scheme: 'exact',
    network,
    maxAmountRequired: String(value),
    resource: `${seller.url}/data/7`,
    description: '',
    mimeType: 'application/json',
    outputSchema: {},
    payTo: payee,
    maxTimeoutSeconds: 60,
    asset: chain.token.address,
    extra: { name: chain.token.name, version: chain.token.version },
  };
  const payload: PaymentPayloadV1 = {
    x402Version: 1,
    scheme: 'exact',
    network,
    payload: {
      signature: await signTransfer(authorization),
      authorization: {
        ...authorization,
        value: String(value),
        validAfter: String(authorization.validAfter),
        validBefore: String(authorization.validBefore),
      },
    },
  };
  return { payload, requirements };
}

// ---- What the facilitator is asked

type Payload = PaymentPayload | PaymentPayloadV1;
type Requirements = PaymentRequirements | PaymentRequirementsV1;

function verify(payload: Payload, requirements: Requirements) {
  return ask(`${facilitator.url}/verify`, payload, requirements);
}

function settle(payload: Payload, requirements: Requirements, by = facilitator) {
  return ask(`${by.url}/settle`, payload, requirements);
}

async function ask(url: string, paymentPayload: Payload, paymentRequirements: Requirements) {
  const { x402Version } = paymentPayload;
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ x402Version, paymentPayload, paymentRequirements }),
  });
  return response.json();
}

// ---- What anybody does on chain

function connect(privateKey: Hex) {
  return createWalletClient({
    account: privateKeyToAccount(privateKey),
    chain: baseSepolia,
    transport: http(chain.rpcUrl),
    pollingInterval: 50,
  }).extend(publicActions);
}

function token() {
  return { address: chain.token.address, abi: testUsdcAbi } as const;
}

function isUsed(nonce: Hex): Promise<boolean> {
  return client.readContract({
    ...token(),
    functionName: 'authorizationState',
    args: [payer.address, nonce],
  });
}

async function balances() {
  const [ofPayer, ofPayee] = await Promise.all([
    chain.usdcBalance(payer.address),
    chain.usdcBalance(payee),
  ]);
  return { payer: ofPayer, payee: ofPayee };
}

function encodeTransfer(authorization: Authorization, signature: Hex, form: 'vrs' | 'bytes') {
  const { from, to, value, validAfter, validBefore, nonce } = authorization;
  const terms = [from, to, value, validAfter, validBefore, nonce] as const;
  const functionName = 'transferWithAuthorization';
  if (form === 'bytes') {
    return encodeFunctionData({ abi: testUsdcAbi, functionName, args: [...terms, signature] });
  }
  const { r, s, yParity } = parseSignature(signature);
  const args = [...terms, 27 + yParity, r, s] as const;
  return encodeFunctionData({ abi: testUsdcAbi, functionName, args });
}

function send(authorization: Authorization, signature: Hex, form: 'vrs' | 'bytes' = 'vrs') {
  return client.sendTransaction({
    to: chain.token.address,
    data: encodeTransfer(authorization, signature, form),
    // Given, so that a transfer that will revert is mined rather than refused by the estimate.
    gas: 300_000n,
  });
}

/** @returns how it ended, once it is in a block */
async function transfer(...call: Parameters<typeof send>): Promise<'success' | 'reverted'> {
  const hash = await send(...call);
  return (await client.waitForTransactionReceipt({ hash })).status;
}

/** @returns 'ok', or the message it would revert with */
async function simulate(authorization: Authorization, signature: Hex): Promise<string> {
  const data = encodeTransfer(authorization, signature, 'vrs');
  return client.call({ to: chain.token.address, data }).then(
    () => 'ok',
    (error: Error) => error.message,
  );
}

async function expectRefused(authorization: Authorization, signature: Hex, reason: string) {
  const before = await balances();
  expect(await simulate(authorization, signature)).toContain(reason);
  expect(await transfer(authorization, signature)).toBe('reverted');
  expect(await balances()).toEqual(before);
}

async function cancel(nonce: Hex) {
  const { r, s, yParity } = parseSignature(await signCancel(nonce));
  const hash = await client.writeContract({
    ...token(),
    functionName: 'cancelAuthorization',
    args: [payer.address, nonce, 27 + yParity, r, s],
  });
  return client.waitForTransactionReceipt({ hash });
}

// ---- Leaves

function header(response: Response, name: string): string {
  const value = response.headers.get(name);
  if (value === null) throw new Error(`no ${name} header in a ${response.status}`);
  return value;
}

function selector(item: (typeof testUsdcAbi)[number]): string[] {
  if (item.type === 'function') return [toFunctionSelector(item)];
  if (item.type === 'event') return [toEventSelector(item)];
  return [];
}
