import { Controller, Get, Header, Headers, HttpCode, Inject, Post, Req } from '@nestjs/common';
import { ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Allow, Public } from '../access/allow.js';
import { type Caller, CurrentCaller, RequestId } from '../access/caller.js';
import { DPOP_ALGORITHMS } from '../access/dpop.js';
import { CONFIG, type Config } from '../config.js';
import { Problem } from '../domain/problem.js';
import { Answers, BodyInput } from '../http/contract.js';
import { FORM } from '../http/edge.js';
import { publicUrlOf } from '../http/public-url.js';
import {
  introspectionSchema,
  metadataSchema,
  type TokenForm,
  tokenFormSchema,
} from './oauth.dto.js';
import { OauthService } from './oauth.service.js';

/** Introspection (RFC 7662), revocation (RFC 7009) and metadata (RFC 8414), for others' OAuth libraries. */
@ApiTags('oauth')
@Controller()
export class OauthController {
  constructor(
    private readonly oauth: OauthService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Post('v1/introspect')
  @HttpCode(200)
  @Allow('admin', 'approver', 'auditor', 'holder')
  @ApiConsumes(FORM)
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
  @Answers(200, z.object({}), 'The token works no more; also where it never did (RFC 7009)')
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
  @Header('cache-control', 'public, max-age=60')
  @Answers(200, metadataSchema, 'Where the endpoints are and what they take (RFC 8414)')
  metadata(@Req() request: FastifyRequest): z.infer<typeof metadataSchema> {
    const url = publicUrlOf(this.config, request);
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
}

function requireForm(contentType: string | undefined): void {
  if (contentType?.split(';')[0]?.trim().toLowerCase() === FORM) return;
  throw new Problem('unsupported_media_type', `send the body as ${FORM}`);
}
