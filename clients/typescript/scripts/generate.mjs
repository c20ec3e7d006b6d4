// Writes src/openapi.ts from a running service: `npm run generate -- http://127.0.0.1:4020`.
import { writeFile } from 'node:fs/promises';
import { typesOf } from './types.mjs';

const [url = 'http://127.0.0.1:4020'] = process.argv.slice(2);
const answer = await fetch(`${url}/openapi.json`);
if (!answer.ok) throw new Error(`${url}/openapi.json answered ${answer.status}; start the service`);
await writeFile(new URL('../src/openapi.ts', import.meta.url), await typesOf(await answer.json()));
