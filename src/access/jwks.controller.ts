import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Answers } from '../http/contract.js';
import { Public } from './allow.js';
import { Keys } from './keys.js';

/** The keys with which others can verify the service's tokens. */
@ApiTags('operations')
@Controller('.well-known')
export class JwksController {
  constructor(private readonly keys: Keys) {}

  @Get('jwks.json')
  @Public()
  @Answers(
    200,
    z.object({ keys: z.array(z.record(z.string(), z.unknown())) }),
    'The public keys tokens are verified with (RFC 7517)',
  )
  jwks() {
    return this.keys.jwks();
  }
}
