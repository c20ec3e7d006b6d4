import { describe, expect, it } from '@jest/globals';
import { MIN_VALIDITY_SECONDS } from '../domain/denials.js';
import { PAYMENT_STATUSES } from '../domain/payment.js';
import { Problem } from '../domain/problem.js';
import type { GrantRecord } from './grant-rows.js';
import type { PaymentRecord } from './payment-rows.js';
import { namingPayment, refuseHandOut, withPayment } from './replays.js';

const NOW = new Date('2026-11-28T10:00:00.000Z');
const NOW_SECONDS = BigInt(NOW.getTime() / 1000);
const ID = 'pay_1';

function after(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1000);
}

function grant(id: string, changes: Partial<GrantRecord> = {}): GrantRecord {
  return {
    id,
    status: 'active',
    startsAt: after(-60),
    expiresAt: after(3600),
    ...changes,
  } as unknown as GrantRecord;
}

/** A payment in some status, signed for so many seconds more where it was signed. */
function payment(changes: Partial<PaymentRecord> = {}, validFor = 60n): PaymentRecord {
  const isSigned = changes.status !== 'pending_approval' && changes.status !== 'rejected';
  return {
    id: ID,
    status: 'authorized',
    authorization: isSigned ? { validBefore: NOW_SECONDS + validFor } : undefined,
    approval: undefined,
    decidedReason: undefined,
    cancelRequestedAt: undefined,
    ...changes,
  } as unknown as PaymentRecord;
}

function pending(approvedAt: Date | undefined, lapsesAt: Date): PaymentRecord {
  return payment({
    status: 'pending_approval',
    approval: { fromAbove: 'root', approvedAt, lapsesAt },
  });
}

const CHAIN = [grant('root'), grant('agent')];
const REVOKED = [grant('root', { status: 'revoked' }), grant('agent')];

function thrownBy(act: () => unknown): Problem {
  try {
    act();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function refusalOf(given: PaymentRecord, chain = CHAIN, now = NOW): Problem {
  return thrownBy(() => refuseHandOut(given, chain, now, false));
}

describe('refuseHandOut', () => {
  it('hands out an open payment of a chain that is alive', () => {
    expect(refuseHandOut(payment(), CHAIN, NOW, false)).toBeUndefined();
  });

  it.each(['grant_revoked', 'grant_suspended', 'grant_expired', 'grant_not_started'])(
    'hands out a settled payment whatever became of its grants (%s): its header spends nothing',
    (code) => {
      const changes: Partial<GrantRecord> = {
        ...(code === 'grant_revoked' ? { status: 'revoked' } : {}),
        ...(code === 'grant_suspended' ? { status: 'suspended' } : {}),
        ...(code === 'grant_expired' ? { expiresAt: NOW } : {}),
        ...(code === 'grant_not_started' ? { startsAt: after(60) } : {}),
      };
      const settled = payment({ status: 'settled' }, -1_000n);
      expect(refuseHandOut(settled, [grant('root', changes)], NOW, false)).toBeUndefined();
    },
  );

  it.each(['released', 'cancelled'] as const)('ends the key of a payment that was %s', (status) => {
    const problem = refusalOf(payment({ status }, -10n));
    expect(problem).toMatchObject({
      code: 'payment_ended',
      detail: `payment ${ID} was ${status} without settling; pay again under a new Idempotency-Key or intent`,
    });
    // The code's own next action stands: new_key.
    expect(problem.fields).not.toHaveProperty('nextAction');
  });

  it('stops an agent whose payment was rejected, and gives the reason', () => {
    expect(refusalOf(payment({ status: 'rejected' }))).toMatchObject({
      code: 'payment_ended',
      detail: `payment ${ID} was rejected`,
      fields: { nextAction: 'stop' },
    });
    expect(refusalOf(payment({ status: 'rejected', decidedReason: 'too dear' })).detail).toBe(
      `payment ${ID} was rejected: too dear`,
    );
  });

  it.each(['released', 'cancelled', 'rejected'] as const)(
    'says that a payment was %s before it says that its grant was revoked',
    (status) => {
      expect(refusalOf(payment({ status }), REVOKED).code).toBe('payment_ended');
    },
  );

  it.each([
    ['grant_revoked', { status: 'revoked' }],
    ['grant_suspended', { status: 'suspended' }],
  ] as [string, Partial<GrantRecord>][])(
    'withholds an open payment of a chain with %s',
    (code, changes) => {
      for (const chain of [
        [grant('root', changes), grant('agent')],
        [grant('root'), grant('agent', changes)],
      ]) {
        expect(refuseHandOut(payment(), chain, NOW, false)).toMatchObject({ code });
        expect(refuseHandOut(pending(NOW, after(60)), chain, NOW, false)).toMatchObject({ code });
        // Also where its time is over: the grant is the reason that does not pass.
        expect(refuseHandOut(payment({}, 0n), chain, NOW, false)).toMatchObject({ code });
      }
    },
  );

  it('withholds whatever is not settled while the treasury is suspended', () => {
    for (const given of [payment(), pending(undefined, after(60)), pending(NOW, after(60))]) {
      expect(refuseHandOut(given, CHAIN, NOW, true)).toMatchObject({ code: 'treasury_suspended' });
    }
    expect(refuseHandOut(payment({ status: 'settled' }), CHAIN, NOW, true)).toBeUndefined();
  });

  it.each([-100n, 0n, 1n, 5n])(
    'makes an agent wait for a signature that stays valid for %d s, too short to settle',
    (validFor) => {
      const problem = refusalOf(payment({}, validFor));
      expect(problem.code).toBe('payment_expiring');
      expect(problem.detail).toContain('same Idempotency-Key');
      expect(problem.fields).not.toHaveProperty('nextAction');
    },
  );

  it('hands out a signature with exactly the seconds a facilitator wants', () => {
    const just = payment({}, BigInt(MIN_VALIDITY_SECONDS));
    expect(refuseHandOut(just, CHAIN, NOW, false)).toBeUndefined();
    expect(refuseHandOut(just, CHAIN, after(0.999), false)).toBeUndefined();
    expect(refusalOf(just, CHAIN, after(1)).code).toBe('payment_expiring');
  });

  it('waits for the chain when the grant ends with its last signature', () => {
    const ending = [grant('root', { expiresAt: after(3) }), grant('agent')];
    expect(refusalOf(payment({}, 3n), ending).code).toBe('payment_expiring');
  });

  it('makes an agent wait for a payment that is being cancelled', () => {
    const problem = refusalOf(payment({ cancelRequestedAt: after(-1) }));
    expect(problem.code).toBe('payment_expiring');
    expect(problem.detail).toContain('being cancelled');
  });

  it('names the revocation before the cancellation that came with it', () => {
    const cancelled = payment({ cancelRequestedAt: after(-1) });
    expect(refuseHandOut(cancelled, REVOKED, NOW, false)).toMatchObject({ code: 'grant_revoked' });
  });

  describe('of a payment that waits for an approval', () => {
    it('lets it wait, and be collected once it is approved', () => {
      expect(refuseHandOut(pending(undefined, after(60)), CHAIN, NOW, false)).toBeUndefined();
      expect(refuseHandOut(pending(after(-1), after(60)), CHAIN, NOW, false)).toBeUndefined();
    });

    it.each([
      ['not approved in time', undefined, `payment ${ID} was not approved in time`],
      ['not collected in time', after(-60), `payment ${ID} was approved and not collected in time`],
    ])('ends one that was %s, to the millisecond, though no sweep came by', (_what, at, detail) => {
      expect(refuseHandOut(pending(at, after(0.001)), CHAIN, NOW, false)).toBeUndefined();
      for (const lapsesAt of [NOW, after(-60)]) {
        expect(refusalOf(pending(at, lapsesAt))).toMatchObject({
          code: 'payment_ended',
          detail,
          fields: { nextAction: 'stop' },
        });
      }
    });

    it('refuses it when its grant has expired', () => {
      const expired = [grant('root'), grant('agent', { expiresAt: NOW })];
      expect(refuseHandOut(pending(undefined, after(60)), expired, NOW, false)).toMatchObject({
        code: 'grant_expired',
        grantId: 'agent',
      });
    });

    it('does not hold the time of its approval against a payment that was collected', () => {
      const collected = payment({
        approval: { fromAbove: 'root', approvedAt: after(-60), lapsesAt: after(-1) },
      });
      expect(refuseHandOut(collected, CHAIN, NOW, false)).toBeUndefined();
    });
  });

  it('has an answer for every status a payment can have', () => {
    const answers = PAYMENT_STATUSES.map((status) => {
      const given =
        status === 'pending_approval' ? pending(undefined, after(60)) : payment({ status });
      try {
        return [status, refuseHandOut(given, CHAIN, NOW, false) ?? 'handed out'];
      } catch (error) {
        return [status, (error as Problem).code];
      }
    });
    expect(Object.fromEntries(answers)).toEqual({
      pending_approval: 'handed out',
      authorized: 'handed out',
      settled: 'handed out',
      released: 'payment_ended',
      cancelled: 'payment_ended',
      rejected: 'payment_ended',
    });
  });
});

describe('withPayment', () => {
  const problem = new Problem('unavailable', 'not now', {
    retryAfterSeconds: 5,
    nextAction: 'wait',
  });

  it('adds the payment, and keeps everything else of the problem', () => {
    expect(withPayment(problem, payment())).toMatchObject({
      code: 'unavailable',
      detail: 'not now',
      fields: {
        retryAfterSeconds: 5,
        nextAction: 'wait',
        payment: { id: ID, status: 'authorized', validBefore: after(60).toISOString() },
      },
    });
    expect(problem.fields).not.toHaveProperty('payment');
  });

  it('has no validBefore while nothing is signed', () => {
    const { fields } = withPayment(problem, pending(undefined, after(60)));
    expect(fields.payment).toEqual({ id: ID, status: 'pending_approval', validBefore: null });
  });
});

describe('namingPayment', () => {
  it('gives back what the act gives', () => {
    expect(namingPayment(payment(), () => 7)).toBe(7);
  });

  it('adds the payment to a problem', () => {
    const thrown = thrownBy(() =>
      namingPayment(payment(), () => {
        throw new Problem('payment_ended', 'over');
      }),
    );
    expect(thrown).toMatchObject({ code: 'payment_ended', fields: { payment: { id: ID } } });
  });

  it('leaves any other error as it is', () => {
    const bug = new TypeError('a bug');
    expect(() =>
      namingPayment(payment(), () => {
        throw bug;
      }),
    ).toThrow(bug);
  });
});
