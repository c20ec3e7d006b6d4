import { z } from 'zod';
import { idText, text } from '../http/contract.js';
import { pageOf, pageQueryOf } from '../http/paging.js';

/** Body of `POST /v1/catalogs`. */
export const catalogSchema = z
  .strictObject({
    url: text(1, 2_048).describe(
      'https: an origin (its /discovery/resources, /.well-known/x402 and /openapi.json are read), or the address of one such document',
    ),
    description: text(1, 255).optional(),
    treasuryId: idText('trs').optional().describe("whose, the main treasury's by default"),
  })
  .meta({ id: 'NewCatalog', example: { url: 'https://api.example.com' } });
/** See {@link catalogSchema}. */
export type CatalogBody = z.infer<typeof catalogSchema>;

/** A catalog as the contract shows it. */
export const catalogView = z
  .object({
    id: z.string(),
    treasuryId: z.string(),
    url: z.string(),
    description: z.string().nullable(),
    services: z.int().describe('operations that its documents list'),
    sources: z
      .array(
        z.object({
          url: z.string(),
          kind: z
            .enum(['discovery', 'well-known', 'openapi'])
            .optional()
            .describe('absent where it could not be read'),
          status: z
            .enum(['read', 'absent', 'failed'])
            .describe('failed: what it listed before is kept for 7 days'),
          reason: z.string().nullable().describe('why it failed, or what was left aside'),
          services: z.int().describe('operations that are listed'),
          skipped: z
            .int()
            .describe('entries that are not: malformed, of unknown tokens, or without a price'),
          readAt: z.iso.datetime(),
        }),
      )
      .describe('its documents, as they were read last'),
    readAt: z.iso.datetime().nullable().describe('null until it was read'),
    nextReadAt: z.iso.datetime(),
    createdAt: z.iso.datetime(),
    createdBy: z.string(),
  })
  .meta({ id: 'Catalog' });
/** See {@link catalogView}. */
export type CatalogView = z.infer<typeof catalogView>;

/** Answer of what changes a catalog, and of `GET /v1/catalogs/:id`. */
export const catalogAnswerSchema = z.object({ catalog: catalogView }).meta({ id: 'CatalogAnswer' });

/** Query of `GET /v1/catalogs`. */
export const catalogListSchema = pageQueryOf('cat');
/** See {@link catalogListSchema}. */
export type CatalogListQuery = z.infer<typeof catalogListSchema>;

/** A page of catalogs. */
export const catalogPageSchema = pageOf(catalogView);
