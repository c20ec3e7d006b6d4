/** An answer with as much of its body as a 402 may have. */
export interface Exchange {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  readonly ms: number;
}

/** How much of a body is read, in bytes: no 402 is longer, and of others only equality counts. */
const MAX_BODY_BYTES = 262_144;

const TIMEOUT_MS = 20_000;

/** Sends one request and reads its answer. Follows no redirect. */
export async function exchange(
  url: string,
  stopped: AbortSignal,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Exchange> {
  const began = performance.now();
  const response = await fetch(url, {
    method,
    headers,
    redirect: 'manual',
    signal: AbortSignal.any([stopped, AbortSignal.timeout(TIMEOUT_MS)]),
  });
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (response.body) {
    for await (const chunk of response.body) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_BODY_BYTES) break;
    }
  }
  return {
    status: response.status,
    headers: response.headers,
    body: Buffer.concat(chunks).toString('utf8'),
    ms: Math.round(performance.now() - began),
  };
}
