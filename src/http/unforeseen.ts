import { isDatabaseUnavailable } from '../database/database.js';
import { Problem } from '../domain/problem.js';
import { DEFAULT_RETRY_AFTER_SECONDS } from './problem.js';

/** The answer to an error that nobody foresaw: `unavailable` for an outage of the database, else `internal_error`. */
export function unforeseenProblem(error: unknown): Problem {
  if (isDatabaseUnavailable(error)) {
    return new Problem('unavailable', 'the database cannot be reached; try again', {
      retryAfterSeconds: DEFAULT_RETRY_AFTER_SECONDS,
    });
  }
  return new Problem('internal_error', 'something went wrong inside; the request id is in the log');
}
