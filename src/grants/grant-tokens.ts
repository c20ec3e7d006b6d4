import { Injectable } from '@nestjs/common';
import { type MintedToken, Tokens } from '../access/tokens.js';
import type { GrantRecord } from '../ledger/grant-rows.js';

/** The tokens of stored grants. */
@Injectable()
export class GrantTokens {
  constructor(private readonly tokens: Tokens) {}

  /** A token that identifies a grant as it is now, of its current generation. */
  mint(grant: GrantRecord): Promise<MintedToken> {
    return this.tokens.mintGrantToken(
      {
        grantId: grant.id,
        treasuryId: grant.treasuryId,
        generation: grant.tokenGeneration,
        jkt: grant.holderKeyThumbprint,
      },
      grant.expiresAt,
    );
  }
}
