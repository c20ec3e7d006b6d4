import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type HttpService, serve } from '../../sandbox/ports.js';
import { servicesCommand } from './services.js';

/** Queries that the service finds something for, and whether it has a catalog. */
let finds: (query: URLSearchParams) => boolean = () => false;
let hasCatalogs = false;
let service: HttpService;
const { BURSAR_URL, BURSAR_TOKEN } = process.env;
const write = process.stderr.write;
const stdout = process.stdout.write;

beforeAll(async () => {
  service = await serve(answer);
});
afterEach(() => {
  process.stderr.write = write;
  process.stdout.write = stdout;
});
afterAll(async () => {
  Object.assign(process.env, { BURSAR_URL: BURSAR_URL ?? '', BURSAR_TOKEN: BURSAR_TOKEN ?? '' });
  await service.stop();
});

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  const isAny = pathname === '/v1/catalogs' ? hasCatalogs : finds(searchParams);
  response
    .setHeader('content-type', 'application/json')
    .end(JSON.stringify({ items: isAny ? [{}] : [], nextCursor: null }));
}

/** Text on standard error of a search with a token of that subject. */
async function told(subject: string, q: string | undefined, options: object): Promise<string> {
  const claims = Buffer.from(JSON.stringify({ sub: subject })).toString('base64url');
  Object.assign(process.env, { BURSAR_URL: service.url, BURSAR_TOKEN: `x.${claims}.x` });
  let text = '';
  process.stderr.write = (chunk: string | Uint8Array) => {
    text += String(chunk);
    return true;
  };
  process.stdout.write = () => true;
  await servicesCommand(q, { limit: '20', json: true, ...options });
  return text;
}

describe('a search that finds nothing', () => {
  it('says that the filters leave out what the words find', async () => {
    finds = (query) => query.get('q') === 'rain' && !query.has('maxPrice');
    expect(await told('grt_1', 'rain', { maxPrice: '0.01' })).toMatch(
      /--max-price or --network excludes all of them/,
    );
  });

  it('says that the words match nothing', async () => {
    finds = (query) => !query.has('q');
    expect(await told('grt_1', 'rain', {})).toMatch(/none of them matches "rain"/);
    expect(await told('grt_1', 'rain', { maxPrice: '0.01' })).toMatch(/none of them matches/);
  });

  it('tells an admin whether there are catalogs, and a holder that it cannot know', async () => {
    finds = () => false;
    expect(await told('ann', 'rain', {})).toMatch(/no catalog is configured/);
    expect(await told('grt_1', undefined, {})).toMatch(/no admin has subscribed .*, or the grant/);
    hasCatalogs = true;
    expect(await told('ann', undefined, {})).toMatch(/the catalogs list nothing/);
  });
});
