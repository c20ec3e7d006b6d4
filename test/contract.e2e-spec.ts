import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { type Answer, Api } from './support/api.js';
import { startTestStack, type TestStack } from './support/bursar.js';
import { expectDocumented } from './support/documented.js';

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly Record<string, unknown>[];
  readonly parameters: readonly { readonly name: string; readonly schema?: { example?: string } }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: { readonly $ref: string } }>>;
  };
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: Record<string, object> }>
  >;
}

interface Document {
  readonly info: { readonly title: string };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, { example?: unknown; enum?: string[] }>>;
    readonly securitySchemes: Readonly<Record<string, unknown>>;
  };
}

let stack: TestStack;
let document: Document;
let text: string;

beforeAll(async () => {
  stack = await startTestStack();
  const answer = await stack.admin.get<Document>('/openapi.json');
  text = answer.text;
  document = answer.body;
});

afterAll(() => stack?.stop());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      ...operation,
    })),
  );

describe('the published contract', () => {
  it('passes the recommended rules of a linter, without a warning', async () => {
    const config = await createConfig({ extends: ['recommended-strict'] });
    const problems = await lintFromString({ source: text, absoluteRef: 'openapi.json', config });
    expect(problems.map(({ ruleId, message }) => ({ ruleId, message }))).toEqual([]);
  });

  it('names every route: an act as summary, an id, a section, and who may call it', () => {
    expect(document.info.title).toBe('Bursar');
    expect(document.tags.slice(0, 2).map(({ name }) => name)).toEqual(['Payments', 'Grants']);
    const known = new Set(document.tags.map(({ name }) => name));
    const ids = operations().map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(['createPayment', 'createGrant', 'listEvents']));
    for (const { path, summary, tags, security } of operations()) {
      expect({ path, summary }).toMatchObject({
        summary: expect.stringMatching(/^[A-Z][a-z-]+,? .*[^.]$/),
      });
      expect(tags.every((tag) => known.has(tag))).toBe(true);
      expect(security.length > 0).toBe(path.startsWith('/v1'));
      for (const scheme of security.flatMap((each) => Object.keys(each))) {
        expect(document.components.securitySchemes).toHaveProperty(scheme);
      }
    }
    // The sections follow one another, so that a page shows payments and grants first.
    const order = operations().map(({ tags }) =>
      document.tags.findIndex(({ name }) => name === tags[0]),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  it('lists the codes of each route with what to do about them', () => {
    const pay = operations().find(({ operationId }) => operationId === 'createPayment');
    expect(pay?.responses['403']?.description).toMatch(
      /`window_exceeded` \(`nextAction`: `wait`\)/,
    );
    expect(pay?.responses['409']?.description).toMatch(
      /`payment_ended` \(`nextAction`: `new_key`\)/,
    );
    for (const { path, responses } of operations()) {
      expect({ path, statuses: Object.keys(responses) }).toMatchObject({
        statuses: expect.arrayContaining(['400', '429', '500', '503']),
      });
    }
  });

  it('lists the kinds of events', () => {
    expect(document.components.schemas.EventKind?.enum).toEqual(
      expect.arrayContaining(['payment.authorized', 'grant.revoked', 'treasury.created']),
    );
  });

  it('has an example of every body, and each works as it is', async () => {
    const { admin } = stack;
    const send = async (id: string, path = '', caller: Api = admin): Promise<Answer<never>> => {
      const operation = operations().find(({ operationId }) => operationId === id);
      const [[type, content] = []] = Object.entries(operation?.requestBody?.content ?? {});
      const name = content?.schema.$ref.split('/').at(-1) ?? '';
      const example = document.components.schemas[name]?.example;
      expect({ id, example }).toMatchObject({ example: expect.anything() });
      const key = operation?.parameters.find((each) => each.name === 'Idempotency-Key');
      const answer = await caller.call<never>(
        operation?.method ?? '',
        (operation?.path ?? '').replace('{id}', path),
        type === 'application/json' ? example : `${new URLSearchParams(example as never)}`,
        { 'content-type': type ?? '', 'idempotency-key': key?.schema?.example ?? '' },
      );
      expect({ id, ok: answer.status < 300, text: answer.text }).toMatchObject({
        ok: true,
      });
      sent.add(id);
      return answer;
    };
    const sent = new Set<string>();
    const minted: { grant: { id: string; treasuryId: string }; token: string } = (
      await send('createGrant')
    ).body;
    const holder = admin.as(minted.token);
    await send('quotePayment', '', holder);
    const paid: { payment: { id: string } } = (await send('createPayment', '', holder)).body;
    await send('addReceipt', paid.payment.id, holder);
    for (const verdict of ['approvePayment', 'rejectPayment']) {
      const { token } = await admin.mint({ budget: '25.00', approvalAbove: '0.01' });
      const waiting: { payment: { id: string } } = (
        await send('createPayment', '', admin.as(token))
      ).body;
      await send(verdict, waiting.payment.id);
    }
    for (const verdict of ['approveGrantRequest', 'rejectGrantRequest']) {
      const { token } = await admin.mint({ budget: '25.00' });
      const asked: { request: { id: string } } = (await send('requestRaise', '', admin.as(token)))
        .body;
      await send(verdict, asked.request.id);
    }
    for (const id of ['replayPolicy', 'amendGrant', 'suspendGrant', 'resumeGrant', 'revokeGrant'])
      await send(id, minted.grant.id);
    for (const id of ['previewBulk', 'stopGrants']) await send(id);
    for (const id of ['introspectToken', 'revokeToken', 'createTreasury']) await send(id);
    await send('changeTreasury', minted.grant.treasuryId);
    for (const id of ['suspendTreasury', 'resumeTreasury']) await send(id, minted.grant.treasuryId);
    const [wallet] = await admin.all<{ id: string }>('/v1/wallets?');
    await send('setWalletStatus', wallet?.id);
    const hook: { webhook: { id: string } } = (await send('createWebhook')).body;
    const ofHook = ['changeWebhook', 'pauseWebhook', 'resumeWebhook', 'replayWebhook'];
    for (const id of ofHook) await send(id, hook.webhook.id);
    await admin.call('DELETE', `/v1/webhooks/${hook.webhook.id}`);
    const catalog: { catalog: { id: string } } = (await send('createCatalog')).body;
    await admin.call('DELETE', `/v1/catalogs/${catalog.catalog.id}`);
    const rest = operations().filter((each) => each.requestBody && !sent.has(each.operationId));
    // A cancellation needs a gas account: test/cancel.e2e-spec.ts has one.
    expect(rest.map(({ operationId }) => operationId)).toEqual(['cancelPayment']);
    const { Cancellation } = document.components.schemas;
    expect(Cancellation?.example).toEqual({ reason: expect.any(String) });
  });

  it('is what the answers of all tests are held against', async () => {
    const answer = (body: unknown, status = 200, type = 'application/json') =>
      expectDocumented(stack.service.url, {
        ...{ method: 'GET', path: '/healthz', status, contentType: `${type}; charset=utf-8` },
        body,
      });
    await answer({ status: 'ok', version: '1' });
    await expect(answer({ status: 'ok' })).rejects.toThrow(/required property 'version'/);
    await expect(answer({ status: 'ok', version: '1', more: 1 })).rejects.toThrow(/additional/);
    await expect(answer({ status: 'ok', version: '1' }, 201)).rejects.toThrow(/names no 201/);
    await expect(answer({ code: 'gone' }, 503, 'application/problem+json')).rejects.toThrow(/code/);
  });

  it('is what GET / leads to', async () => {
    const answer = await fetch(`${stack.service.url}/`, { redirect: 'manual' });
    expect(answer.status).toBe(302);
    expect(answer.headers.get('location')).toBe('/docs');
  });
});
