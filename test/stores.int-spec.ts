import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Database } from '../src/database/database.js';
import { postgresStore } from '../src/outbox/stores.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { until } from './support/until.js';

let test: TestDatabase;
let database: Database;

beforeAll(async () => {
  test = await createTestDatabase();
  database = new Database(test.url);
});
afterAll(async () => {
  await database.close();
  await test.drop();
});

it('a worker whose Postgres accepts and hangs up leaves the process its turns, and is given up', async () => {
  // As a pooler without its server, or another program on the port of one that is gone.
  let connections = 0;
  const deaf = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await once(deaf.listen(0, '127.0.0.1'), 'listening');
  const { port } = deaf.address() as AddressInfo;
  const complaints: string[] = [];
  const store = await postgresStore(`postgres://nobody@127.0.0.1:${port}/none`, database, (why) => {
    complaints.push(why);
    // Or this test would wait forever, as everything else would.
    if (complaints.length > 10_000) throw new Error('it complains without end');
  });
  const worker = store.worker('audit', async () => {}, 2);
  try {
    await until('it has given up', async () => complaints.length >= 50);
    expect(connections).toBeGreaterThan(0);
    const told = complaints.length;
    // Turns of the event loop come, and it uses none of them to ask again.
    await delay(200);
    expect(complaints.length).toBeLessThan(told + 10);
  } finally {
    await worker.close(true);
    store.close();
    deaf.close();
  }
});
