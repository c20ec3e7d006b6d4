import type { TracedRequest } from '../tracing/tracing.js';

/** A request with what its line in the log says. */
export interface LoggedRequest extends TracedRequest {
  /** Its answer gets no line of its own. */
  isQuiet?: boolean;
  /** Why it was refused. */
  refusal?: { readonly code: string; readonly why: string };
}
