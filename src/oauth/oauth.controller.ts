import { Controller, Get, Headers, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import { ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Allow, Public } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { DPOP_ALGORITHMS } from '../access/dpop.js';
import { CONFIG, type Config } from '../config/config.js';
import { Problem } from '../domain/problem.js';
import { Answers, BodyInput, Operation } from '../http/contract.js';
import { FORM } from '../http/edge.js';
import { MCP_METADATA_PATH, MCP_PATH, publicUrlOf } from '../http/public-url.js';
import {
  introspectionSchema,
  metadataSchema,
  resourceMetadataSchema,
  type TokenForm,
  tokenFormSchema,
} from './oauth.dto.js';
import { OauthService } from './oauth.service.js';

/** Introspection (RFC 7662), revocation (RFC 7009) and metadata (RFC 8414), for others' OAuth libraries. */
@ApiTags('OAuth')
@Controller()
export class OauthController {
  constructor(
    private readonly oauth: OauthService,
    @Inject(CONFIG) private readonly config: Pick<Config, 'issuer' | 'publicUrl'>,
  ) {}

  @Post('v1/introspect')
  @HttpCode(200)
  @Allow('admin', 'approver', 'auditor', 'holder')
  @ApiConsumes(FORM)
  @Operation('introspectToken', 'Introspect a token')
  @Answers(200, introspectionSchema, 'Whether a token is active now, and for what (RFC 7662)')
  introspect(
    @CurrentCaller() caller: Caller,
    @Headers('content-type') type: string | undefined,
    @BodyInput(tokenFormSchema) { token }: TokenForm,
  ) {
    requireForm(type);
    return this.oauth.introspect(caller, token);
  }

  @Post('v1/revoke')
  @HttpCode(200)
  @Allow('admin', 'approver', 'auditor', 'holder')
  @ApiConsumes(FORM)
  @Operation('revokeToken', 'Revoke a token')
  @Answers(
    200,
    z.object({}).meta({ id: 'Empty' }),
    'The token works no more; also where it never did (RFC 7009)',
  )
  async revoke(
    @CurrentCaller() caller: Caller,
    @Headers('content-type') type: string | undefined,
    @BodyInput(tokenFormSchema) { token }: TokenForm,
    @RequestId() requestId: string,
  ) {
    requireForm(type);
    await this.oauth.revoke(caller, token, requestId);
    return {};
  }

  @Get('.well-known/oauth-authorization-server')
  @Public()
  @Operation('getOauthMetadata', 'Read the OAuth metadata', ['not_found'])
  @Answers(200, metadataSchema, 'Where the endpoints are and what they take (RFC 8414)')
  metadata(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): z.infer<typeof metadataSchema> {
    const url = this.publicUrl(request, reply);
    return {
      issuer: this.config.issuer,
      jwks_uri: `${url}/.well-known/jwks.json`,
      introspection_endpoint: `${url}/v1/introspect`,
      // Both from the registry of access token types, as section 2 allows.
      introspection_endpoint_auth_methods_supported: ['Bearer', 'DPoP'],
      revocation_endpoint: `${url}/v1/revoke`,
      // Grants are minted, not asked for by a browser's redirect: there is nothing to list.
      response_types_supported: [],
      grant_types_supported: [],
      dpop_signing_alg_values_supported: [...DPOP_ALGORITHMS],
      service_documentation: `${url}/docs`,
    };
  }

  @Get(MCP_METADATA_PATH.slice(1))
  @Public()
  @Operation('getMcpResourceMetadata', "Read the MCP endpoint's metadata", ['not_found'])
  @Answers(200, resourceMetadataSchema, 'What a token for /mcp must be (RFC 9728)')
  resourceMetadata(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): z.infer<typeof resourceMetadataSchema> {
    const url = this.publicUrl(request, reply);
    return {
      resource: `${url}${MCP_PATH}`,
      resource_name: 'Bursar',
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: [...DPOP_ALGORITHMS],
      resource_documentation: `${url}/docs`,
    };
  }

  /** @throws Problem `not_found` where nobody said how the service is reached. */
  private publicUrl(request: FastifyRequest, reply: FastifyReply): string {
    const url = publicUrlOf(this.config, request);
    if (url === undefined) {
      throw new Problem(
        'not_found',
        'this service does not know the URL it is reached under; its operator sets BURSAR_PUBLIC_URL',
      );
    }
    // A cache must not hand one caller's Host to another: without the setting the answer stays no-store.
    if (this.config.publicUrl !== undefined) {
      void reply.header('cache-control', 'public, max-age=60');
    }
    return url;
  }
}

function requireForm(contentType: string | undefined): void {
  if (contentType?.split(';')[0]?.trim().toLowerCase() === FORM) return;
  throw new Problem('unsupported_media_type', `send the body as ${FORM}`);
}
