import { applyDecorators, SetMetadata } from '@nestjs/common';
import { ApiSecurity } from '@nestjs/swagger';
import type { Lane } from '../database/treasury-scope.js';
import type { AdminRole } from './caller.js';

/** Callers that a route lets in: admins of these roles, and grant holders where named. */
export type AllowedCaller = AdminRole | 'holder';

/** Metadata keys the guard reads. */
export const ALLOWED = 'bursar:allowed';
/** See {@link Public}. */
export const PUBLIC = 'bursar:public';

/** Lets the named callers in. A route with neither this nor {@link Public} lets nobody in. */
export function Allow(...callers: AllowedCaller[]): MethodDecorator & ClassDecorator {
  const schemes = callers.includes('holder') ? ['dpop', 'bearer'] : ['bearer'];
  return applyDecorators(
    SetMetadata(ALLOWED, callers),
    ...schemes.map((name) => ApiSecurity(name)),
  );
}

/** Lets everybody in, without a token. */
export function Public(): MethodDecorator & ClassDecorator {
  return SetMetadata(PUBLIC, true);
}

/** See {@link LedgerChecksToken}. */
export const CHECKED_UNDER_LOCK = 'bursar:checked-under-lock';

/**
 * For a route whose work looks at the caller's grant under its lock, and refuses a token that was
 * replaced or that should come with a proof: the guard need not ask the database the same before.
 */
export function LedgerChecksToken(): MethodDecorator {
  return SetMetadata(CHECKED_UNDER_LOCK, true);
}

/** See {@link TakesLane}. */
export const LANE = 'bursar:lane';

/**
 * For a route whose queries take connections of another lane than its method says: GET has those of reads, everything
 * else those of changes and workers.
 */
export function TakesLane(lane: Lane): MethodDecorator {
  return SetMetadata(LANE, lane);
}

/** See {@link NeedsConfirmation}. */
export const CONFIRMED = 'bursar:confirmed';

/**
 * For a route that a session of the console takes only shortly after its token was shown. A caller with the token itself is
 * not asked.
 */
export function NeedsConfirmation(): MethodDecorator {
  return SetMetadata(CONFIRMED, true);
}
