// Generates the Prisma client into src/database/generated. Generating reads only schema.prisma, but
// Prisma's CLI insists on a schema engine binary first and would download one; pointing it at any
// program that exists keeps this step offline.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';

const cli = createRequire(import.meta.url).resolve('prisma/build/index.js');
execFileSync(process.execPath, [cli, 'generate'], {
  stdio: ['ignore', 'ignore', 'inherit'],
  env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath },
});
