import { applyDecorators, SetMetadata } from '@nestjs/common';
import { ApiBearerAuth } from '@nestjs/swagger';
import type { AdminRole } from './caller.js';

/** Who a route lets in: admins of these roles, and grant holders where named. */
export type AllowedCaller = AdminRole | 'holder';

/** Metadata keys the guard reads. */
export const ALLOWED = 'bursar:allowed';
/** See {@link Public}. */
export const PUBLIC = 'bursar:public';

/** Lets the named callers in. A route with neither this nor {@link Public} lets nobody in. */
export function Allow(...callers: AllowedCaller[]): MethodDecorator & ClassDecorator {
  return applyDecorators(SetMetadata(ALLOWED, callers), ApiBearerAuth());
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
