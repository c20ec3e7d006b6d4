import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { importOpenApi } from './openapi-import.js';

const head = (version: string) => ({ openapi: version, info: { title: 'Trees', version: '1' } });

describe('the import of an OpenAPI document', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bursar-openapi-'));
  });
  afterEach(() => rm(directory, { recursive: true }));
  const file = async (name: string, content: string | object): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };

  it('reads YAML of 3.0: servers, parameters of the path and of the operation, references', async () => {
    const found = await importOpenApi(
      await file(
        'api.yaml',
        `openapi: 3.0.3
info: { title: Trees, version: "1" }
servers: [{ url: "https://{region}.example.com/v1", variables: { region: { default: eu } } }]
paths:
  /trees/{id}:
    parameters: [{ $ref: "#/components/parameters/Id" }, { name: shared, in: query, schema: { type: string } }]
    get:
      operationId: getTree
      parameters: [{ name: shared, in: query, required: true, schema: { type: integer } }]
      x-payment-info: { price: "0.05" }
      responses: { "200": { description: ok } }
    delete: { responses: { "204": { description: gone } } }
components: { parameters: { Id: { name: id, in: path, required: true, schema: { type: string } } } }
`,
      ),
    );
    expect(found).toMatchObject({ title: 'Trees', server: 'https://eu.example.com/v1' });
    expect(found.operations).toMatchObject([
      {
        id: 'getTree',
        method: 'GET',
        path: '/trees/{id}',
        parameters: [{ name: 'id' }, { name: 'shared', required: true }],
        paymentInfo: { price: '0.05' },
      },
      { id: 'DELETE /trees/{id}', method: 'DELETE' },
    ]);
  });

  it('resolves references to other files, and keeps a schema that refers to itself', async () => {
    await file('tree.json', {
      Tree: {
        type: 'object',
        properties: { children: { type: 'array', items: { $ref: '#/Tree' } } },
      },
    });
    const { document, operations } = await importOpenApi(
      await file('api.json', {
        ...head('3.1.0'),
        paths: {
          '/trees': {
            post: {
              requestBody: {
                content: { 'application/json': { schema: { $ref: 'tree.json#/Tree' } } },
              },
              responses: { 200: { description: 'ok' } },
            },
          },
        },
      }),
    );
    expect(operations).toMatchObject([
      { method: 'POST', bodySchema: { $ref: '#/components/schemas/Tree' } },
    ]);
    expect(JSON.stringify(document)).not.toContain('tree.json');
  });

  it.each([
    [
      'Swagger 2',
      { swagger: '2.0', info: {}, paths: {} },
      /is OpenAPI 2\.0, and 3\.0 and 3\.1 are read/,
    ],
    ['no OpenAPI', { hello: 1 }, /api\.json: /],
    ['no JSON', '{"openapi":', /api\.json: cannot be read: /],
  ])('refuses %s in one line', async (_what, content, message) => {
    const error = await importOpenApi(await file('api.json', content)).catch(
      (failure: Error) => failure,
    );
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain('\n');
  });

  it('refuses a file that is not there', async () => {
    await expect(importOpenApi(join(directory, 'none.yaml'))).rejects.toThrow(
      /none\.yaml: cannot be read/,
    );
  });
});
