import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Session } from './sessions.js';

/** Role of an admin. `auditor` only reads, `approver` decides on waiting payments. */
export const ADMIN_ROLES = ['admin', 'approver', 'auditor'] as const;
/** See {@link ADMIN_ROLES}. */
export type AdminRole = (typeof ADMIN_ROLES)[number];

/** A person or program that runs the service. */
export interface AdminCaller {
  readonly kind: 'admin';
  readonly name: string;
  readonly role: AdminRole;
  /** The treasuries it may see and act on; undefined for all. */
  readonly treasuries: readonly string[] | undefined;
  /** How events name it. */
  readonly actor: string;
}

/** An agent that holds a grant: an orchestrator or a sub-agent. */
export interface HolderCaller {
  readonly kind: 'holder';
  readonly treasuryId: string;
  readonly grantId: string;
  /** Members of the token that was presented. */
  readonly tokenGeneration: number;
  /** RFC 7638 thumbprint of the key it proved to hold; undefined for a token that is bound to none. */
  readonly keyThumbprint: string | undefined;
  readonly actor: string;
}

/** Caller, as the guard established it. */
export type Caller = AdminCaller | HolderCaller;

/** The treasuries a caller may see anything of, as a query's condition; undefined for all. */
export function treasuriesOf(caller: Caller): readonly string[] | undefined {
  return caller.kind === 'holder' ? [caller.treasuryId] : caller.treasuries;
}

/** Whether a caller may see anything of a treasury. */
export function seesTreasury(caller: Caller, treasuryId: string): boolean {
  return treasuriesOf(caller)?.includes(treasuryId) ?? true;
}

/** The request, once the guard has let it in. */
export interface AuthenticatedRequest extends FastifyRequest {
  caller?: Caller;
  /** The token that it came with: its id, and its end in Unix seconds. */
  token?: { readonly id: string; readonly expiresAt: number };
  /** The console's session that it came with, instead of a token. */
  session?: Session;
}

/** Hands a handler its caller. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext) => {
  const { caller } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!caller) throw new Error('a route without @Allow asked for its caller');
  return caller;
});

/** Hands a handler the request's id, which events and logs carry. */
export const RequestId = createParamDecorator(
  (_: unknown, context: ExecutionContext) => context.switchToHttp().getRequest<FastifyRequest>().id,
);
