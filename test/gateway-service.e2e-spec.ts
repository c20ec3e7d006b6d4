import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { Bursar } from '../clients/typescript/src/index.js';
import { toolPaymentOf, withBursar } from '../clients/typescript/src/mcp.js';
import { loadConfig } from '../src/config/config.js';
import { Database } from '../src/database/database.js';
import { type Gateway, startGateway } from '../src/gateway/start-gateway.js';
import { createLogger } from '../src/ops/logger.js';
import { readSecrets } from '../src/secrets.js';
import { wrongBesideChain } from './support/books.js';
import { environmentOf, startTestStack, type TestStack } from './support/bursar.js';
import { type Payer, signFor, startUpstream, THINGS, type UpstreamApi } from './support/gateway.js';
import { brokenInvariants } from './support/invariants.js';
import { until } from './support/until.js';

// A gateway beside a service: its own facilitator, its sales in the service's books, and refunds by the service's payments.

describe('a gateway beside a service', () => {
  let stack: TestStack;
  let upstream: UpstreamApi;
  let database: Database;
  let gateway: Gateway;
  let payer: Payer;
  let usual: UpstreamApi['answer'];

  beforeAll(async () => {
    stack = await startTestStack();
    upstream = await startUpstream();
    usual = upstream.answer;
    const account = privateKeyToAccount(generatePrivateKey());
    payer = { account, fetch };
    await stack.chain.mintUsdc(account.address, 10_000_000n);
    const facilitatorKey = generatePrivateKey();
    await stack.chain.setEther(privateKeyToAccount(facilitatorKey).address, 10n ** 18n);
    const { token } = await stack.admin.mint({ budget: '0.30', purpose: 'refunds' });
    const config = loadConfig({
      ...environmentOf(stack),
      BURSAR_FACILITATOR_KEY: facilitatorKey,
    });
    await writeFile(join(stack.dataDir, 'openapi.json'), JSON.stringify(THINGS));
    const path = join(stack.dataDir, 'gateway.yaml');
    await writeFile(
      path,
      JSON.stringify({
        openapi: './openapi.json',
        upstream: upstream.url,
        network: stack.chain.network,
        payTo: stack.seller.payTo,
        price: '0.01',
        operations: { getReport: { price: '0.25', settle: 'before' } },
        refunds: { service: stack.service.url, token: `$${'{REFUND_TOKEN}'}` },
        port: 0,
        timeoutSeconds: 5,
      }),
    );
    database = new Database(stack.databaseUrl, { maxConnections: 4 });
    gateway = await startGateway(path, {
      config,
      secrets: await readSecrets(config),
      database,
      logger: createLogger('silent'),
      environment: { REFUND_TOKEN: token },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await database?.close();
    await upstream?.stop();
    await stack?.stop();
  });

  const buy = async (path: string) => (await signFor(payer, `${gateway.url}${path}`)).send();

  it('verifies and settles by itself, several sales at once', async () => {
    const before = await stack.chain.usdcBalance(stack.seller.payTo);
    const answers = await Promise.all(['/things/1', '/things/2', '/things/3'].map(buy));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await stack.chain.usdcBalance(stack.seller.payTo)).toBe(before + 30_000n);
  });

  it('pays back what it was paid for a call that failed, once, by a payment under the refund grant', async () => {
    upstream.answer = (_call, response) => {
      response.statusCode = 500;
      response.end();
    };
    const balance = await stack.chain.usdcBalance(payer.account.address);
    const answer = await buy('/report');
    upstream.answer = usual;
    const { saleId } = (await answer.json()) as { saleId: string };
    await until('it is paid back', async () => {
      await stack.chain.mineBlocks(1);
      return (await stack.chain.usdcBalance(payer.account.address)) === balance;
    });
    const payments = await stack.admin.all<{ amount: string; payTo: string }>(
      `/v1/payments?idempotencyKey=${saleId}`,
    );
    expect(payments).toMatchObject([{ amount: '0.25', payTo: payer.account.address }]);
    const { rows } = await until('the note is closed', async () => {
      const found = await stack.db.query(
        `SELECT status, transaction FROM gateway_credit_notes WHERE sale_id = $1 AND status = 'refunded'`,
        [saleId],
      );
      return found.rows.length > 0 && found;
    });
    expect(rows[0].transaction).toMatch(/^0x/);
  });

  it('keeps a credit note where the refund grant does not suffice', async () => {
    upstream.answer = (_call, response) => {
      response.statusCode = 500;
      response.end();
    };
    const answer = await buy('/report');
    upstream.answer = usual;
    const { saleId } = (await answer.json()) as { saleId: string };
    await until('the refund was refused', async () => {
      const refused = await stack.admin.all<{ kind: string }>(
        '/v1/audit/events?kind=payment.refused',
      );
      return refused.length > 0;
    });
    const { rows } = await stack.db.query(
      'SELECT status FROM gateway_credit_notes WHERE sale_id = $1',
      [saleId],
    );
    expect(rows).toEqual([{ status: 'waiting' }]);
  });

  it('has its sales and its revenue in the books of the service', async () => {
    const sales = await stack.admin.all<{ status: string; operation: string }>('/v1/gateway/sales');
    expect(sales).toHaveLength(5);
    expect(sales.filter(({ status }) => status === 'refund_owed')).toHaveLength(2);
    const { body } = await stack.admin.get('/v1/reports/revenue?groupBy=operation,payer');
    expect(body).toEqual({
      items: [
        {
          group: { operation: 'getReport', payer: payer.account.address },
          currency: 'USDC',
          sales: 2,
          settled: 2,
          revenue: '0.50',
          owed: '0.25',
          free: 0,
          uncharged: 0,
        },
        {
          group: { operation: 'getThing', payer: payer.account.address },
          currency: 'USDC',
          sales: 3,
          settled: 3,
          revenue: '0.03',
          owed: '0.00',
          free: 0,
          uncharged: 0,
        },
      ],
      nextCursor: null,
    });
    const answer = await stack.admin.get('/v1/reports/revenue?groupBy=colour');
    expect(answer.status).toBe(400);
  });

  it('tells how many that asked for a price paid it', async () => {
    await fetch(`${gateway.url}/things/never-bought`);
    const report = await until('what was asked is written down', async () => {
      const path = '/v1/reports/conversion?groupBy=operation';
      const { body } = await stack.admin.get<{ items: { asked: number }[] }>(path);
      return body.items.some(({ asked }) => asked === 4) && body;
    });
    expect(report).toEqual({
      items: [
        { group: { operation: 'getReport' }, asked: 2, sales: 2, settled: 2 },
        { group: { operation: 'getThing' }, asked: 4, sales: 3, settled: 3 },
      ],
      nextCursor: null,
    });
    const today = new Date().toISOString().slice(0, 10);
    const all = `/v1/reports/conversion?to=${today}&groupBy=day`;
    expect((await stack.admin.get(`${all}&from=2020-01-01`)).body).toMatchObject({
      items: [{ asked: 6, sales: 5 }],
    });
    expect((await stack.admin.get('/v1/reports/conversion?to=2020-01-01')).body).toEqual({
      items: [],
      nextCursor: null,
    });
    expect((await stack.admin.get('/v1/reports/conversion?groupBy=payer')).status).toBe(400);
  });

  it('sells its operations as tools to a grant of the service', async () => {
    const { token } = await stack.admin.mint({ budget: '0.05' });
    const bursar = new Bursar({ url: stack.service.url, token });
    const client = withBursar(new Client({ name: 'agent', version: '1' }), bursar);
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`)) as Transport,
    );
    const result = await client.callTool({ name: 'getThing', arguments: { id: '7' } });
    expect(result).toMatchObject({ content: [{ text: expect.stringContaining('/things/7') }] });
    expect(toolPaymentOf(result)).toMatchObject({ amount: '0.01', remaining: '0.04' });
    await client.close();
  });

  it('leaves the books whole, and the checker tells what is charged and failed', async () => {
    expect(await brokenInvariants(stack.db)).toEqual([]);
    await stack.finalize();
    expect(await offences()).toEqual([]);
    const spoil = async (sql: string) => {
      await stack.db.query(
        `SET session_replication_role = replica; ${sql}; SET session_replication_role = DEFAULT`,
      );
    };
    const { rows } = await stack.db.query(
      `SELECT id FROM gateway_sales WHERE operation = 'getThing' ORDER BY id`,
    );
    await spoil(
      `UPDATE gateway_sales SET call = 'lost', charge = 'none' WHERE id = '${rows[0].id}'`,
    );
    await spoil(`UPDATE gateway_sales SET amount = 1 WHERE id = '${rows[1].id}'`);
    await spoil(`DELETE FROM gateway_credit_notes WHERE status = 'waiting'`);
    expect(await offences()).toEqual(
      expect.arrayContaining([
        `I6 ${rows[0].id} nothing is charged and failed`,
        `I6 ${rows[1].id} what a gateway charged for is paid on chain`,
        `I8 ${rows[1].id} a charge of a sale is what its event says`,
        expect.stringMatching(
          /^I8 sal_\w+ what was charged and failed is owed, and the log says so$/,
        ),
      ]),
    );
  });

  const offences = async () =>
    (await wrongBesideChain(stack)).map(([id, thing, what]) => `${id} ${thing} ${what}`);
});
