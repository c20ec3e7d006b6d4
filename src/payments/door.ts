import { createParamDecorator, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Tokens } from '../access/tokens.js';
import type { LoggedRequest } from '../http/logged-request.js';
import { PROBLEM_MEDIA_TYPE, problemBody } from '../http/problem.js';
import type { Place } from '../ledger/admission.js';
import { Ledger, turnedAway } from '../ledger/ledger.js';

export type { Place } from '../ledger/admission.js';

/** The route whose requests need a place. */
const ROUTE = /^\/v1\/payments(\?|$)/;

/** Requests with a token that is not remembered: so many a second are let in while others are turned away. */
const UNREMEMBERED_PER_SECOND = 50;

/** The longest key a payment can have. */
const MAX_KEY_LENGTH = 255;

/** How often the log tells how many were turned away, in milliseconds: each of them is no news. */
const TOLD_EVERY_MS = 10_000;

interface AdmittedRequest extends FastifyRequest {
  place?: Place;
}

/** The place of the request, if it was given one. */
export const AdmittedPlace = createParamDecorator(
  (_: unknown, context: ExecutionContext): Place | undefined =>
    context.switchToHttp().getRequest<AdmittedRequest>().place,
);

/**
 * Turns requests for payments away that could not be answered in time. Nothing is parsed, verified or reserved for
 * those; at most the database is asked whether their key has a payment. Such a key is let in before new ones.
 */
@Injectable()
export class PaymentDoor {
  #second = 0;
  #unremembered = 0;
  #untold = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly ledger: Ledger,
    private readonly tokens: Tokens,
  ) {}

  /** Watches every request from here on. */
  watch(fastify: FastifyInstance): void {
    fastify.addHook('onRequest', (request, reply, done) => {
      if (request.method !== 'POST' || !ROUTE.test(request.url)) return done();
      const verdict = this.letIn(request, reply);
      if (verdict === true) return done();
      if (verdict === false) return this.turnAway(request, reply);
      verdict.then((isIn) => (isIn ? done() : this.turnAway(request, reply)), done);
    });
  }

  private letIn(request: FastifyRequest, reply: FastifyReply): boolean | Promise<boolean> {
    const token = request.headers.authorization?.split(' ')[1];
    const verified = token === undefined ? undefined : this.tokens.remembered(token);
    // The guard verifies a token that is not remembered. It refuses those of admins, which come here too.
    if (verified?.kind !== 'grant') return !this.ledger.isBusy || this.hasTurn();
    const { treasuryId, grantId } = verified.identity;
    const place = this.ledger.enter(treasuryId, grantId);
    if (place) return hold(request, reply, place);
    const key = request.headers['idempotency-key'];
    if (typeof key !== 'string' || key.length > MAX_KEY_LENGTH) return false;
    return this.ledger.knows(treasuryId, grantId, key).then((isKnown) => {
      const known = isKnown ? this.ledger.enter(treasuryId, grantId, true) : undefined;
      return known !== undefined && hold(request, reply, known);
    });
  }

  /** Whether a request with such a token may come in; counts it. */
  private hasTurn(): boolean {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#unremembered = 0;
    }
    this.#unremembered += 1;
    return this.#unremembered <= UNREMEMBERED_PER_SECOND;
  }

  private turnAway(request: LoggedRequest, reply: FastifyReply): void {
    this.ledger.note('turned_away');
    this.tell(request);
    const { code, detail, fields } = turnedAway();
    const body = problemBody(code, detail, fields, request.trace);
    void reply
      .code(body.status)
      .header('retry-after', String(body.retryAfter))
      .type(PROBLEM_MEDIA_TYPE)
      .send(JSON.stringify(body));
  }

  private tell(request: LoggedRequest): void {
    request.isQuiet = true;
    this.#untold += 1;
    const now = performance.now();
    if (now - this.#toldAt < TOLD_EVERY_MS) return;
    request.log.warn(
      { room: 'payments', turnedAway: this.#untold },
      'payments are turned away: too many are asked for',
    );
    this.#toldAt = now;
    this.#untold = 0;
  }
}

/** Keeps a place for a request. Where the request ends before it comes to the ledger, the place is left then. */
function hold(request: AdmittedRequest, reply: FastifyReply, place: Place): true {
  request.place = place;
  reply.raw.on('close', () => {
    if (!place.isTaken) place.leave();
  });
  return true;
}
