import type { ConfigError } from '../config/config-error.js';
import { printable } from '../domain/printable.js';
import { UsageError } from '../options.js';

/**
 * Ends a program that failed: says why, one line a problem, and sets the exit code: 2 where it was called wrongly,
 * else 1. Lets whatever is still open finish by itself.
 */
export function failWith(error: unknown, program = 'bursar'): void {
  const lines = isConfigError(error) ? error.problems : [messageOf(error)];
  for (const line of lines) process.stderr.write(`${program}: ${printable(line)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}

/** By its name: to load the configuration's schema takes half a second, which a mistyped command need not. */
function isConfigError(error: unknown): error is ConfigError {
  return error instanceof Error && error.name === 'ConfigError' && 'problems' in error;
}
