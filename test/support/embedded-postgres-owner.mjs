// A process that runs an embedded Postgres, for tests of what becomes of the server when it ends.
// Prints the URL; on SIGINT asks the server something, stops it and ends; on SIGTERM ends at once.
import { register } from 'node:module';
import pg from 'pg';

register('./typescript-hooks.mjs', import.meta.url);
const { startEmbeddedPostgres } = await import('../../src/database/embedded-postgres.ts');

const server = await startEmbeddedPostgres({ dataDir: process.argv[2] });
const client = new pg.Client({ connectionString: server.url });
await client.connect();
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', async () => {
  const { rows } = await client.query(`SELECT 'still there' AS answer`);
  console.log(rows[0].answer);
  await client.end();
  await server.stop();
});
console.log(server.url);
