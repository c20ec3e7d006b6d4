import { ConfigError } from '../config.js';

/**
 * Ends a program that failed: says why, one line a problem, and sets the exit code. Lets whatever is
 * still open finish by itself.
 */
export function failWith(error: unknown): void {
  const lines = error instanceof ConfigError ? error.problems : [messageOf(error)];
  for (const line of lines) process.stderr.write(`bursar: ${line}\n`);
  process.exitCode = 1;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}
