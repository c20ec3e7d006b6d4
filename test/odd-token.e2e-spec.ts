import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import solc from 'solc';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { receiptOf, settleCall, submit } from './support/on-chain.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

const SOURCE = new URL('../sandbox/contract/TestUsdc.sol', import.meta.url);
const NAME = 'TestUsdc';

/** The test token, except that a used nonce makes it do nothing instead of reverting (as PYUSD's does). */
async function quietToken(): Promise<string> {
  const source = await readFile(SOURCE, 'utf8');
  const quiet = source.replaceAll(
    /_requireUnused\((auth\.from|authorizer), (auth\.nonce|nonce)\);/g,
    'if (authorizationState[$1][$2]) return;',
  );
  expect(quiet).not.toBe(source);
  const output = JSON.parse(
    solc.compile(
      JSON.stringify({
        language: 'Solidity',
        sources: { [NAME]: { content: quiet } },
        settings: {
          evmVersion: 'cancun',
          outputSelection: { [NAME]: { [NAME]: ['evm.deployedBytecode.object'] } },
        },
      }),
    ),
  );
  return `0x${output.contracts[NAME][NAME].evm.deployedBytecode.object}`;
}

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack();
  await rpc(stack.chain.rpcUrl, 'anvil_setCode', [stack.chain.token.address, await quietToken()]);
  await stack.finalize();
}, 60_000);
afterAll(() => stack?.stop());

/** Sends a transaction that the token is quiet about: it succeeds, and does nothing. */
async function inVain(header: string): Promise<void> {
  const hash = await submit(stack.chain, settleCall(header));
  await until('it is mined', () => receiptOf(stack.chain, hash));
  expect(await receiptOf(stack.chain, hash)).toMatchObject({ status: '0x1' });
}

it('a token that does not revert on a used nonce: receipts that say success settle nothing', async () => {
  const { admin, chain } = stack;
  const { token, grant } = await admin.mint({ budget: '1.00' });
  const agent = admin.as(token);
  const cancelled = await agent.paid(order(chain));
  await agent.post(`/v1/payments/${cancelled.payment.id}/cancel`);
  const settled = await agent.paid(order(chain));
  const first = await submit(chain, settleCall(settled.header.value));
  await until('both are on chain', async () => {
    const { rows } = await stack.db.query('SELECT hash FROM gas_transactions');
    return (
      (await receiptOf(chain, first)) && rows[0]?.hash && (await receiptOf(chain, rows[0].hash))
    );
  });
  await inVain(settled.header.value);
  await inVain(cancelled.header.value);
  await inVain(cancelled.header.value);
  await stack.finalize();
  const end = (id: string) =>
    until('it has ended', async () => {
      const payment = await admin.payment(id);
      return payment.status !== 'authorized' && payment;
    });
  expect(await end(settled.payment.id)).toMatchObject({ status: 'settled', transaction: first });
  expect(await end(cancelled.payment.id)).toMatchObject({ status: 'cancelled' });
  expect(await admin.grant(grant.id)).toMatchObject({ reserved: '0.00', spent: '0.01' });
  expect(await brokenInvariants(stack.db)).toEqual([]);
  expect(await brokenOnChain(stack.db, chain.rpcUrl)).toEqual([]);
});
