import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Database } from '../src/database/database.js';
import { applyReleases } from '../src/ledger/settlement.js';
import type { PaymentView } from '../src/payments/payments.dto.js';
import type { Api, EventAnswer, Paid, WalletAnswer } from './support/api.js';
import { rpc, startTestStack, type TestStack } from './support/bursar.js';
import { shiftClock } from './support/clock.js';
import { brokenInvariants, brokenOnChain } from './support/invariants.js';
import { headOf, receiptOf, reorg, settleCall, submit } from './support/on-chain.js';
import { order } from './support/terms.js';
import { until } from './support/until.js';

/** One block less than finality: no reorganisation of the tests may undo what is final. */
const FINALITY = 64;
const VALIDITY_SECONDS = 300;

/** All depths with BURSAR_REORG_DEPTHS=63; a few of them otherwise. */
const DEPTHS =
  process.env.BURSAR_REORG_DEPTHS === undefined
    ? [1, 2, 17, 63]
    : Array.from({ length: Number(process.env.BURSAR_REORG_DEPTHS) }, (_, n) => n + 1);

const networkOf = (stack: { chain: { network: string; rpcUrl: string } }, finality: number) => ({
  network: stack.chain.network,
  rpcUrls: [stack.chain.rpcUrl],
  finality: { blocks: finality },
  pollMs: 100,
  maxClockSkewSeconds: 86_400,
});

async function seenOf(admin: Api, id: string) {
  const { seen, status } = await admin.payment(id);
  return { seen: seen?.transaction ?? null, status };
}

const kindsOf = async (admin: Api, id: string) => {
  const events = await admin.all<EventAnswer>(`/v1/audit/events?paymentId=${id}`);
  return events.map(({ kind }) => kind).reverse();
};

/** Waits until the service has looked at the newest block. */
async function lookedAtHead(stack: TestStack): Promise<void> {
  const { hash } = await rpc<{ hash: string }>(stack.chain.rpcUrl, 'eth_getBlockByNumber', [
    'latest',
    false,
  ]);
  await until('the head was looked at', async () => {
    const { rows } = await stack.db.query('SELECT head_hash FROM chain_cursors');
    return rows[0]?.head_hash === hash;
  });
}

describe('reorganisations above what is final', () => {
  let stack: TestStack;
  let agent: Api;

  beforeAll(async () => {
    stack = await startTestStack({
      movableClock: true,
      environment: { BURSAR_MAX_VALIDITY_SECONDS: String(VALIDITY_SECONDS) },
      network: (chain) => networkOf({ chain }, FINALITY),
    });
    const { token } = await stack.admin.mint({ budget: '100.00' });
    agent = stack.admin.as(token);
    await stack.chain.pauseMining();
    await stack.chain.mineBlocks(FINALITY + 2);
    await until('the funds are final', async () => {
      const wallets = await stack.admin.all<WalletAnswer>('/v1/wallets');
      return wallets.length > 0 && wallets.every(({ free }) => free !== '0.00');
    });
  }, 60_000);
  afterAll(() => stack?.stop());

  const long = { maxTimeoutSeconds: VALIDITY_SECONDS };
  const forgotten: Paid[] = [];

  it.each(DEPTHS)(
    'of %i blocks withdraw a sighting, and what is sent again settles',
    async (depth) => {
      const { admin, chain } = stack;
      const paid = await agent.paid(order(chain, long));
      const lost = await agent.paid(order(chain, long));
      const first = await submit(chain, settleCall(paid.header.value));
      const other = await submit(chain, settleCall(lost.header.value));
      await chain.mineBlocks(depth);
      const seen = await until('the transfer is seen', async () => {
        const payment: PaymentView = await admin.payment(paid.payment.id);
        return payment.seen?.confirmations === depth && payment;
      });
      expect(seen).toMatchObject({
        status: 'authorized',
        transaction: null,
        seen: { transaction: first },
      });
      expect(await seenOf(admin, lost.payment.id)).toEqual({ status: 'authorized', seen: other });

      await reorg(chain, depth);
      expect(await receiptOf(chain, first)).toBeNull();
      await until('the sightings are withdrawn', async () => {
        const both = [await seenOf(admin, paid.payment.id), await seenOf(admin, lost.payment.id)];
        return both.every(({ seen: now }) => now === null) && both;
      });
      expect(await seenOf(admin, paid.payment.id)).toEqual({ status: 'authorized', seen: null });

      // Anybody may send it again; the other is never sent again, and is ended by its time below.
      const again = await submit(chain, settleCall(paid.header.value));
      await chain.mineBlocks(FINALITY);
      await lookedAtHead(stack);
      expect(await seenOf(admin, paid.payment.id)).toEqual({ status: 'authorized', seen: again });
      await chain.mineBlocks(1);
      await until(
        'it is settled',
        async () => (await admin.payment(paid.payment.id)).status === 'settled',
      );
      expect(await admin.payment(paid.payment.id)).toMatchObject({
        transaction: again,
        seen: null,
      });
      expect(await kindsOf(admin, paid.payment.id)).toEqual([
        'payment.authorized',
        'payment.seen',
        'payment.sighting_withdrawn',
        'payment.seen',
        'payment.settled',
      ]);
      forgotten.push(lost);
    },
  );

  it('around the end of a payment release nothing early, and all of it in the end', async () => {
    const { admin, chain } = stack;
    const statuses = async () => {
      const all = await Promise.all(forgotten.map(({ payment }) => admin.payment(payment.id)));
      return [...new Set(all.map(({ status }) => status))];
    };
    await stack.passTime(VALIDITY_SECONDS + 5);
    await chain.mineBlocks(FINALITY - 1);
    await lookedAtHead(stack);
    expect(await statuses()).toEqual(['authorized']);
    await reorg(chain, FINALITY - 1);
    await lookedAtHead(stack);
    expect(await statuses()).toEqual(['authorized']);
    // anvil took its clock back with the blocks, and on a busy machine farther than they were apart.
    const ends = forgotten.map(({ payment }) => Date.parse(payment.validBefore) / 1000);
    const head = await rpc<{ timestamp: string }>(chain.rpcUrl, 'eth_getBlockByNumber', [
      'latest',
      false,
    ]);
    const missing = Math.max(...ends) - Number(head?.timestamp) + 5;
    await stack.passTime(Math.max(missing, VALIDITY_SECONDS + 5));
    await chain.mineBlocks(FINALITY + 2);
    await until('all are released', async () => (await statuses()).join() === 'released');
  });

  it('leave every invariant whole', async () => {
    expect(await brokenInvariants(stack.db)).toEqual([]);
    expect(await brokenOnChain(stack.db, stack.chain.rpcUrl)).toEqual([]);
  });
});

describe('a release', () => {
  let stack: TestStack;
  let database: Database;
  beforeAll(async () => {
    stack = await startTestStack({
      movableClock: true,
      network: (chain) => networkOf({ chain }, 2),
    });
    database = new Database(stack.databaseUrl, { maxConnections: 2 });
  }, 60_000);
  afterAll(async () => {
    await database?.close();
    await stack?.stop();
  });

  /** A payment, where its network is read up to, and what releases it there. */
  async function due() {
    const { admin, chain, db } = stack;
    const { token } = await admin.mint({ budget: '1.00' });
    const { payment } = await admin.as(token).paid(order(chain));
    await chain.pauseMining();
    const head = await headOf(chain);
    const { block_hash: hash, treasury_id: treasuryId } = await until('all is read', async () => {
      const { rows } = await db.query(
        'SELECT c.block_number, c.block_hash, p.treasury_id FROM chain_cursors c, payments p WHERE p.id = $1',
        [payment.id],
      );
      return BigInt(rows[0].block_number) === head - 2n && rows[0];
    });
    // The chain seems to say that the payment is over.
    const at = {
      number: head - 2n,
      hash,
      time: BigInt(Date.parse(payment.validBefore)) / 1000n + 9n,
    };
    const closing = {
      treasuryId,
      paymentId: payment.id,
      end: 'released' as const,
      paid: 0n,
      transaction: undefined,
      blockNumber: at.number,
    };
    const release = (mark = at) => applyReleases(database, chain.network, mark, [closing]);
    return { id: payment.id, at, release };
  }

  it('is written only while the network is read up to the block it was looked up at', async () => {
    const { at, release } = await due();
    try {
      expect(await release()).toEqual([]);
      expect(await release({ ...at, number: at.number - 1n })).toBeUndefined();
      expect(await release({ ...at, hash: `0x${'0'.repeat(64)}` })).toBeUndefined();
    } finally {
      await stack.chain.resumeMining();
    }
  });

  it('is refused before a payment’s end by either clock, whatever was read', async () => {
    const { id, at, release } = await due();
    try {
      // The block's time is past it, the database's is not.
      expect(await release()).toEqual([]);
      // The database's is past it, the block's is not.
      await shiftClock(stack.db, 3_600);
      expect(await release({ ...at, time: at.time - 86_400n })).toEqual([]);
      expect(await release()).toEqual([id]);
    } finally {
      await stack.chain.resumeMining();
    }
  });
});

describe('a reorganisation below what was called final', () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ network: (chain) => networkOf({ chain }, 2) });
  }, 60_000);
  afterAll(() => stack?.stop());

  it('is read again from the newest block that is still there, and loses no log', async () => {
    const { admin, chain } = stack;
    const { token } = await admin.mint({ budget: '10.00' });
    const { payment, header } = await admin.as(token).paid(order(chain));
    await chain.pauseMining();
    for (let block = 0; block < 12; block += 1) {
      await chain.mineBlocks(1);
      await stack.finalize();
    }
    const before = await headOf(chain);
    const raw = {
      from: chain.accounts[4]?.address,
      to: chain.token.address,
      data: settleCall(header.value),
      gas: '0x30d40',
    };
    // The new chain settles in its first block, far below where the old one was read up to.
    await reorg(chain, 20, [[raw, 0]]);
    await chain.mineBlocks(3);
    await until(
      'it is settled',
      async () => (await admin.payment(payment.id)).status === 'settled',
    );
    const { rows } = await stack.db.query('SELECT block_number FROM payments WHERE id = $1', [
      payment.id,
    ]);
    expect(BigInt(rows[0].block_number)).toBe(before - 19n);
    expect((await fetch(`${stack.service.url}/readyz`)).status).toBe(200);
    expect(await brokenInvariants(stack.db)).toEqual([]);
    expect(await brokenOnChain(stack.db, chain.rpcUrl)).toEqual([]);
  });
});
