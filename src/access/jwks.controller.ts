import { Controller, Get, Header } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Answers, Operation } from '../http/contract.js';
import { Public } from './allow.js';
import { Keys } from './keys.js';

/** The keys with which others can verify the service's tokens. */
@ApiTags('Operations')
@Controller('.well-known')
export class JwksController {
  constructor(private readonly keys: Keys) {}

  @Get('jwks.json')
  @Public()
  // No longer than a new key is published before it signs (npx bursar keys rotate).
  @Header('cache-control', 'public, max-age=60')
  @Operation('getKeySet', 'Read the keys that tokens are verified with')
  @Answers(
    200,
    z.object({ keys: z.array(z.record(z.string(), z.unknown())) }).meta({ id: 'KeySet' }),
    'The public keys tokens are verified with (RFC 7517)',
  )
  jwks() {
    return this.keys.jwks();
  }
}
