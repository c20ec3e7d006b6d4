import { describe, expect, it } from '@jest/globals';
import type { ArgumentsHost } from '@nestjs/common';
import { Problem } from '../domain/problem.js';
import { createLogger } from '../ops/logger.js';
import { ProblemFilter } from './problem.filter.js';

/** The lines that the filter logs when a request ends in an error, and the body of its answer. */
function caught(error: unknown): { lines: unknown[]; body: unknown } {
  const lines: unknown[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const url = '/v1/grants?secret=1';
  const log = createLogger('info', destination);
  const request = { id: 'request-1', method: 'GET', url, raw: { url }, headers: {}, log };
  let body: unknown;
  const reply = {
    hasHeader: () => false,
    header: () => reply,
    status: () => reply,
    type: () => reply,
    send(sent: unknown) {
      body = sent;
    },
  };
  const http = { getRequest: () => request, getResponse: () => reply };
  const host = { switchToHttp: () => http } as unknown as ArgumentsHost;
  new ProblemFilter({ publicUrl: undefined }).catch(error, host);
  return { lines, body };
}

describe('An error that the operator must hear of', () => {
  const req = { id: 'request-1', method: 'GET', path: '/v1/grants' };

  it('is logged with its request when nobody foresaw it, and tells its caller nothing', () => {
    const { lines, body } = caught(new Error('a secret of the database'));
    expect(lines).toEqual([
      expect.objectContaining({
        level: 50,
        req,
        code: 'internal_error',
        err: expect.objectContaining({ message: 'a secret of the database' }),
      }),
    ]);
    expect(body).toMatchObject({ code: 'internal_error' });
    expect(JSON.stringify(body)).not.toContain('secret');
  });

  it('is logged with its request when it was foreseen', () => {
    const { lines } = caught(new Problem('unavailable', 'the database does not answer'));
    expect(lines).toEqual([
      expect.objectContaining({ level: 40, req, msg: 'the database does not answer' }),
    ]);
  });

  it('is not a refusal, which the line of the request tells', () => {
    expect(caught(new Problem('not_found', 'no grant')).lines).toEqual([]);
  });
});
