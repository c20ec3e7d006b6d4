import { createPublicClient, fallback, http, type PublicClient } from 'viem';

/** How long one RPC request may take, in milliseconds; it is tried once more. */
const RPC_TIMEOUT_MS = 4_000;

/** How long an answer may be. A query for logs whose answer is longer is made again in halves. */
const RPC_MAX_BYTES = 10 * 1024 * 1024;

/** A client over some RPCs, unchecked: what it says is for showing only. */
export function connect(rpcUrls: readonly string[]): PublicClient {
  return createPublicClient({
    // Tried again at the transport, not around all of them: a silent RPC must not cost a minute.
    transport: fallback(
      rpcUrls.map((url) =>
        http(url, {
          timeout: RPC_TIMEOUT_MS,
          retryCount: 1,
          maxResponseBodySize: RPC_MAX_BYTES,
          fetchFn: fetchInTime,
        }),
      ),
      { retryCount: 0 },
    ),
    // Reads go out as they are asked: a settlement reading must not be answered from a cache.
    cacheTime: 0,
  });
}

/**
 * Fetches with a deadline for the whole answer: viem's own ends with the headers.
 *
 * The deadline is a timer and no joined signal: on Node 20 what `AbortSignal.any` makes of an `AbortSignal.timeout` never
 * aborts once the garbage collector has run, and a reading of the chain would wait for ever.
 */
function fetchInTime(
  input: string | URL | Request,
  { signal, ...init }: RequestInit = {},
): Promise<Response> {
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  const late = new DOMException('the RPC took too long to answer', 'TimeoutError');
  setTimeout(() => controller.abort(late), RPC_TIMEOUT_MS).unref();
  return fetch(input, { ...init, signal: controller.signal });
}

/** The first line of an error: viem's messages go on for many, and hold the RPC's URL with its key. */
export function shortMessage(error: unknown): string {
  const text =
    (error as { shortMessage?: string } | undefined)?.shortMessage ??
    (error instanceof Error ? error.message : String(error));
  return (text.split('\n')[0] ?? '').replace(/\.$/, '');
}
