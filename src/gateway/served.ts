import type { Pool } from 'pg';
import type { Answer } from './answers.js';
import { STATUS_PATH, soldResource } from './front.js';
import { requirementsV2 } from './offers.js';
import { pricedDocument } from './priced-document.js';
import { problemAnswer } from './problems.js';
import { readSale, type Sale } from './sale-rows.js';
import type { Shop } from './shop.js';
import type { RequestTarget } from './target.js';

/** The pages of the gateway itself: its prices for programs and people, its health, what became of a sale. */
export class ServedPages {
  constructor(
    private readonly shop: () => Shop,
    private readonly pool: () => Pool,
    private readonly treasuryId: string,
    private readonly isHealthy: () => boolean,
  ) {}

  /** The page of a target; undefined where it is none of ours. */
  async find(method: string, target: RequestTarget, origin: string): Promise<Answer | undefined> {
    const page = this.pageOf(target, origin);
    if (page === undefined) return undefined;
    if (method !== 'GET' && method !== 'HEAD') {
      return problemAnswer('not_found', `${method} ${target.path} is not served here`);
    }
    return page();
  }

  private pageOf(
    { path, query }: RequestTarget,
    origin: string,
  ): (() => Answer | Promise<Answer>) | undefined {
    switch (path) {
      case '/openapi.json':
        return () => json(pricedDocument(this.shop(), origin));
      case '/.well-known/x402':
        return () => json(wellKnown(this.shop(), origin));
      case '/discovery/resources':
        return () => json(discovery(this.shop(), origin, new URLSearchParams(query)));
      case '/llms.txt':
        return () => text(llmsText(this.shop(), origin));
      case '/healthz':
        return () =>
          this.isHealthy()
            ? text('ok\n')
            : { ...text('the database does not answer\n'), status: 503 };
    }
    if (!path.startsWith(STATUS_PATH)) return undefined;
    return () => this.statusOf(path.slice(STATUS_PATH.length));
  }

  private async statusOf(id: string): Promise<Answer> {
    const sale = /^sal_[0-9a-z]{26}$/.test(id)
      ? await readSale(this.pool(), this.treasuryId, id)
      : undefined;
    return sale
      ? json(saleStatus(sale))
      : problemAnswer('not_found', `there is no sale ${id.slice(0, 40)}`);
  }
}

/** The public status of a sale, for callers that know its id. */
function saleStatus({ id, call, charge, endedAt, transaction, network }: Sale): object {
  const status =
    charge === 'settled'
      ? 'settled'
      : charge === 'refused' || endedAt !== null
        ? 'not_charged'
        : 'pending';
  const isOwed = charge === 'settled' && (call === 'failed' || call === 'lost');
  return { id, status, network, transaction, refundOwed: isOwed };
}

function wellKnown(shop: Shop, origin: string): object {
  const resources = shop.operations
    .filter(({ prices }) => prices)
    .map(({ path }) => `${origin}${path}`);
  return { version: 1, resources: [...new Set(resources)] };
}

/** `GET /discovery/resources` of the extension bazaar: one item an operation, paged by `limit` and `offset`. */
function discovery(shop: Shop, origin: string, query: URLSearchParams): object {
  const number = (name: string, fallback: number, most: number) => {
    const given = query.get(name) ?? '';
    return /^[0-9]{1,9}$/.test(given) ? Math.min(Number(given), most) : fallback;
  };
  const limit = Math.max(1, number('limit', 100, 1_000));
  const offset = number('offset', 0, 1_000_000);
  const priced = shop.operations.filter(({ prices }) => prices);
  return {
    x402Version: 2,
    items: priced.slice(offset, offset + limit).map((operation) => {
      const url = `${origin}${operation.path}`;
      const { description, mimeType, serviceName, tags, extensions } = soldResource({
        operation,
        title: shop.imported.title,
        url,
      });
      const offers = shop.quotes.offersFor(operation, { query: '', headers: {}, body: undefined });
      return {
        resource: url,
        type: 'http',
        x402Version: 2,
        accepts: offers.map(requirementsV2),
        lastUpdated: shop.openedAt,
        description,
        mimeType,
        serviceName,
        tags,
        method: operation.method,
        extensions,
      };
    }),
    pagination: { limit, offset, total: priced.length },
  };
}

/** llms.txt: what is here and what it costs, as a text. Each line of a document's text is one line here. */
function llmsText(shop: Shop, origin: string): string {
  const line = (value: string) => value.replace(/\s+/g, ' ').trim();
  const entries = shop.operations.map(
    (operation) =>
      `- ${operation.method} ${operation.path} (${shop.costOf(operation)}): ${line(operation.description)}`,
  );
  const { freePerPayer } = shop.file;
  return [
    `# ${line(shop.imported.title)}`,
    '',
    `> Paid by the request with x402: ask, read the PAYMENT-REQUIRED header of the 402, sign, and ask again with PAYMENT-SIGNATURE. Prices and schemas: ${origin}/openapi.json. The same operations are tools of the MCP server at ${origin}/mcp`,
    '',
    ...(freePerPayer > 0
      ? [
          `The first ${freePerPayer} requests of a payer a day are not charged: pay them as any other.`,
          '',
        ]
      : []),
    '## Operations',
    ...entries,
    '',
  ].join('\n');
}

function json(value: object): Answer {
  return {
    status: 200,
    headers: [
      ['content-type', 'application/json'],
      ['cache-control', 'no-cache'],
    ],
    body: Buffer.from(JSON.stringify(value)),
  };
}

function text(value: string): Answer {
  return {
    status: 200,
    headers: [
      ['content-type', 'text/plain; charset=utf-8'],
      ['cache-control', 'no-cache'],
    ],
    body: Buffer.from(value),
  };
}
