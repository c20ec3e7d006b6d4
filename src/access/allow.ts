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
