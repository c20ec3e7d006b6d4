import { z } from 'zod';
import { ADMIN_ROLES } from '../access/caller.js';

/** Body of both endpoints, as a form. The hint is taken and not needed: a token says what it is. */
export const tokenFormSchema = z
  .strictObject({
    token: z.string().min(1).max(16_384),
    token_type_hint: z.string().max(64).optional(),
  })
  .meta({ id: 'TokenForm', example: { token: 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln' } });
/** See {@link tokenFormSchema}. */
export type TokenForm = z.infer<typeof tokenFormSchema>;

/** Answer of `POST /v1/introspect` (RFC 7662, section 2.2), with Bursar's own members at the end. */
export const introspectionSchema = z
  .object({
    active: z.boolean(),
    token_type: z.enum(['Bearer', 'DPoP']).optional(),
    scope: z
      .string()
      .optional()
      .describe(
        'what a grant allows, with spaces between: "pay", "delegate", and where it is narrowed ' +
          '"network:<CAIP-2>", "payto:<address>", "resource:<pattern>"',
      ),
    sub: z.string().optional().describe("the grant's id, or the admin's name"),
    username: z.string().optional().describe('who holds the grant, as its minter said'),
    iss: z.string().optional(),
    aud: z.string().optional(),
    jti: z.string().optional(),
    iat: z.int().optional(),
    exp: z.int().optional(),
    cnf: z.object({ jkt: z.string() }).optional().describe('RFC 7800: the key it is bound to'),
    remaining: z
      .string()
      .optional()
      .describe('what the grant could spend now, ancestors included, in currency units'),
    currency: z.string().optional(),
    treasuryId: z.string().optional(),
    role: z.enum(ADMIN_ROLES).optional(),
  })
  .meta({ id: 'Introspection' });
/** See {@link introspectionSchema}. */
export type Introspection = z.infer<typeof introspectionSchema>;

/** Answer of `GET /.well-known/oauth-authorization-server` (RFC 8414, section 2; RFC 9449, 5.1). */
export const metadataSchema = z
  .object({
    issuer: z.string(),
    jwks_uri: z.string(),
    introspection_endpoint: z.string(),
    introspection_endpoint_auth_methods_supported: z.array(z.string()),
    revocation_endpoint: z.string(),
    response_types_supported: z.array(z.string()),
    grant_types_supported: z.array(z.string()),
    dpop_signing_alg_values_supported: z.array(z.string()),
    service_documentation: z.string(),
  })
  .meta({ id: 'OauthMetadata' });

/** Answer of `GET /.well-known/oauth-protected-resource/mcp` (RFC 9728, section 2). */
export const resourceMetadataSchema = z
  .object({
    resource: z.string(),
    resource_name: z.string(),
    bearer_methods_supported: z
      .array(z.string())
      .describe('no authorization server gives tokens: grants are minted'),
    dpop_signing_alg_values_supported: z
      .array(z.string())
      .describe('for grants that are bound to a key'),
    resource_documentation: z.string(),
  })
  .meta({ id: 'McpResourceMetadata' });
