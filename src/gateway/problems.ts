import type { ProblemCode, ProblemFields } from '../domain/problem.js';
import { PROBLEM_MEDIA_TYPE, problemBody } from '../http/problem.js';
import type { Answer } from './answers.js';
import { UpstreamFailure } from './upstream-failure.js';

/** An error of the gateway itself (RFC 9457), never cached. */
export function problemAnswer(
  code: ProblemCode,
  detail: string,
  fields: ProblemFields & { readonly members?: Readonly<Record<string, unknown>> } = {},
): Answer {
  const { members = {}, ...rest } = fields;
  const body = problemBody(code, detail, rest);
  return problemOf(body.status, { ...body, ...members }, body.retryAfter);
}

/** The answer where the upstream gave none: a failure like one of its own, which costs nothing. */
export function upstreamFailed(reason: string): Answer {
  const status = reason === 'took too long' ? 504 : 502;
  return problemOf(status, {
    type: 'urn:bursar:problem:upstream_failed',
    title: 'Upstream failed',
    status,
    detail: `the API behind this gateway ${reason}; ask again`,
    code: 'upstream_failed',
    nextAction: 'wait',
  });
}

/**
 * An answer of the upstream, or {@link upstreamFailed} where it gave none.
 *
 * @param tell - hears why it gave none; completes "the upstream".
 */
export async function orUpstreamFailed<T>(
  answer: Promise<T>,
  tell: (message: string) => void = () => {},
): Promise<T | Answer> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error;
    tell(error.message);
    return upstreamFailed(error.message);
  }
}

/** The answer to a credential whose call was lost in a crash: nobody will charge for it. */
export function callLost(): Answer {
  return problemOf(502, {
    type: 'urn:bursar:problem:call_lost',
    title: 'Call lost',
    status: 502,
    detail:
      'the answer of the API was lost when this gateway ended; you were not charged, and this payment is never settled: make a new one',
    code: 'call_lost',
    nextAction: 'new_key',
  });
}

/** The answer to a payer who was charged and got nothing: what is owed, and where to ask for it. */
export function refundOwed(saleId: string, statusUrl: string): Answer {
  return problemOf(502, {
    type: 'urn:bursar:problem:refund_owed',
    title: 'Refund owed',
    status: 502,
    detail: `the API behind this gateway failed after you were charged; sale ${saleId} is owed back to you`,
    code: 'refund_owed',
    nextAction: 'stop',
    saleId,
    statusUrl,
  });
}

/** The answer to a credential whose answer is kept no longer. */
export function answerGone(saleId: string): Answer {
  return problemOf(410, {
    type: 'urn:bursar:problem:answer_gone',
    title: 'Answer gone',
    status: 410,
    detail: `the answer of sale ${saleId} is kept no longer; ask again with a new payment`,
    code: 'answer_gone',
    nextAction: 'new_key',
    saleId,
  });
}

function problemOf(status: number, body: object, retryAfter?: number): Answer {
  return {
    status,
    headers: [
      ['content-type', PROBLEM_MEDIA_TYPE],
      ['cache-control', 'no-store'],
      ...(retryAfter === undefined ? [] : ([['retry-after', String(retryAfter)]] as const)),
    ],
    body: Buffer.from(JSON.stringify(body)),
  };
}
