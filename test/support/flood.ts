import { request as httpRequest } from 'node:http';

/** Bytes that are surely too many: above the limit of a body, below what the kernel buffers. */
const TOO_MANY_BYTES = 128 * 1024;

/**
 * Sends a body of 100 MB to a route.
 *
 * @param isAnnounced - whether a Content-Length tells of it beforehand; chunked when not.
 * @param isPatient - whether it then waits for the answer: at once when announced, else after a few
 *   bytes too many. The impatient sender writes on as long as it can.
 * @returns what was answered, and how many bytes had been written by then. The impatient one may find
 *   its connection closed before it reads the answer: the status is undefined then.
 */
export function flood(
  url: string,
  token: string,
  { isAnnounced, isPatient }: { isAnnounced: boolean; isPatient: boolean },
): Promise<{ status: number | undefined; body: string; sent: number }> {
  const total = 100 * 2 ** 20;
  const patience = isPatient ? (isAnnounced ? 0 : TOO_MANY_BYTES) : total;
  const chunk = Buffer.alloc(64 * 1024, 'x');
  return new Promise((resolve) => {
    let sent = 0;
    let status: number | undefined;
    let body = '';
    const request = httpRequest(url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        ...(isAnnounced ? { 'content-length': String(total) } : {}),
      },
    });
    request.once('response', (response) => {
      status = response.statusCode;
      response.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      response.once('end', () => request.destroy());
    });
    request.on('error', () => {});
    request.once('close', () => resolve({ status, body, sent }));
    const send = (): void => {
      while (status === undefined && !request.destroyed && sent < patience) {
        sent += chunk.length;
        if (!request.write(chunk)) {
          request.once('drain', send);
          return;
        }
      }
    };
    request.flushHeaders();
    send();
  });
}
