import { randomBytes } from 'node:crypto';
import { type Exchange, exchange } from './exchange.js';
import { type Finding, finding, ok } from './finding.js';
import { type Entry, materialTerms, readTerms, type Terms } from './terms.js';

/** A browser's origin, for what only browsers ask. */
const ORIGIN = 'https://agent.example';

/** How a 402 is stored and shown by others than its client. */
export function transportFindings(url: string, { headers, ms }: Exchange): Finding[] {
  const { protocol, hostname } = new URL(url);
  const isLocal = /^(?:localhost|127\.|\[::1\])/.test(hostname);
  return [
    protocol === 'https:' || isLocal
      ? ok('https', isLocal && protocol === 'http:' ? 'plain http, on this machine' : 'yes')
      : finding(
          'fail',
          'https',
          'plain http',
          'serve https: whoever listens on the way can use the proof first',
        ),
    ms < 5_000
      ? ok('time to 402', `${ms} ms`)
      : finding(
          'warn',
          'time to 402',
          `${ms} ms`,
          'answer the unpaid request at once: every purchase waits for it',
        ),
    cacheFinding(headers),
    exposeFinding(headers),
  ];
}

function cacheFinding(headers: Headers): Finding {
  const check = 'caching of the 402';
  const control = headers.get('cache-control') ?? '';
  const isHit = /\bhit\b/i.test(
    `${headers.get('x-cache') ?? ''} ${headers.get('cf-cache-status') ?? ''}`,
  );
  const change =
    'send Cache-Control: no-store with the 402: a stored one asks again where the payment is there';
  if (isHit || headers.has('age')) return finding('fail', check, 'it came out of a cache', change);
  if (/no-store|no-cache|private/i.test(control)) return ok(check, `Cache-Control: ${control}`);
  if (/max-age=0*[1-9]|public|immutable/i.test(control) || headers.has('expires')) {
    return finding('fail', check, 'its headers let caches keep it', change);
  }
  return ok(check, 'not cacheable, because nothing says that it is');
}

function exposeFinding(headers: Headers): Finding {
  const check = 'CORS, reading';
  const change =
    'send Access-Control-Allow-Origin, and Access-Control-Expose-Headers: PAYMENT-REQUIRED, PAYMENT-RESPONSE, if browsers are to pay';
  if (!headers.has('access-control-allow-origin')) {
    return finding('note', check, 'browsers of other origins cannot read the 402', change);
  }
  const exposed = (headers.get('access-control-expose-headers') ?? '').toLowerCase();
  return exposed === '*' || exposed.includes('payment-required')
    ? ok(check, 'the 402 and its header can be read')
    : finding('warn', check, 'browsers see the 402 and not its PAYMENT-REQUIRED header', change);
}

/** Judges a redirect, for an agent that pays. */
export function redirectFinding(url: string, { status, headers }: Exchange): Finding | undefined {
  if (status < 300 || status >= 400) return undefined;
  const target = headers.get('location');
  const isOwn =
    target !== null &&
    URL.canParse(target, url) &&
    new URL(target, url).origin === new URL(url).origin;
  return isOwn
    ? finding(
        'note',
        'redirect',
        `${status} within the origin`,
        'publish the final URL: each purchase asks twice',
      )
    : finding(
        'fail',
        'redirect',
        `${status} to another origin`,
        'answer 402 at this URL, or publish the other one: no client pays an origin that it did not ask',
      );
}

/** Asks again, as a preflight, as HEAD, and with proofs that nobody may take. */
export async function probe(url: string, terms: Terms, stopped: AbortSignal): Promise<Finding[]> {
  const findings: Finding[] = [];
  findings.push(await stability(url, terms, stopped));
  findings.push(await preflight(url, stopped));
  findings.push(await head(url, stopped));
  for (const name of ['PAYMENT-SIGNATURE', 'X-PAYMENT']) {
    findings.push(await malformed(url, name, stopped));
  }
  for (const dialect of [2, 1] as const) {
    const entry = terms.entries.find((each) => each.dialect === dialect);
    if (entry) findings.push(await forged(url, entry, terms, stopped));
  }
  return findings;
}

async function stability(url: string, terms: Terms, stopped: AbortSignal): Promise<Finding> {
  const again = readTerms(await exchange(url, stopped));
  return materialTerms(again.entries) === materialTerms(terms.entries)
    ? ok('same terms again', 'yes')
    : finding(
        'warn',
        'same terms again',
        'another 402 asks for other terms',
        'keep amount, payTo and asset of an offer: a retried purchase is recognised by them',
      );
}

async function preflight(url: string, stopped: AbortSignal): Promise<Finding> {
  const { status, headers } = await exchange(url, stopped, {
    method: 'OPTIONS',
    headers: {
      origin: ORIGIN,
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'payment-signature,x-payment',
    },
  });
  const check = 'CORS, preflight';
  const change =
    'answer OPTIONS unpaid with 204 and Access-Control-Allow-Headers: PAYMENT-SIGNATURE, X-PAYMENT, if browsers are to pay';
  const allowed = (headers.get('access-control-allow-headers') ?? '').toLowerCase();
  if (status === 402) return finding('warn', check, 'OPTIONS is asked to pay', change);
  return status < 300 && (allowed === '*' || allowed.includes('payment-signature'))
    ? ok(check, 'browsers may send a payment')
    : finding('note', check, 'browsers of other origins cannot send a payment', change);
}

async function head(url: string, stopped: AbortSignal): Promise<Finding> {
  const { status } = await exchange(url, stopped, { method: 'HEAD' });
  if (status === 402 || status === 405 || status === 501) return ok('HEAD', `${status}`);
  if (status >= 500) return finding('warn', 'HEAD', `${status}`, 'answer 402 or 405');
  if (status < 300)
    return finding(
      'note',
      'HEAD',
      `${status}, unpaid`,
      'answer 402, if the headers of the paid answer say more than they should',
    );
  return finding('note', 'HEAD', `${status}`, 'answer 402 or 405');
}

async function malformed(url: string, name: string, stopped: AbortSignal): Promise<Finding> {
  const proofs = ['%%%', Buffer.from('{').toString('base64'), Buffer.from('{}').toString('base64')];
  let worst: Finding | undefined;
  for (const proof of proofs) {
    const { status } = await exchange(url, stopped, { headers: { [name]: proof } });
    const found = judged(`malformed ${name}`, status);
    if (!worst || GRAVITY[found.level] > GRAVITY[worst.level]) worst = found;
  }
  if (!worst) throw new Error('no malformed proof was sent');
  return worst;
}

const GRAVITY = { ok: 0, note: 1, warn: 2, fail: 3 };

/** A payment of the right form that nobody signed. */
async function forged(
  url: string,
  entry: Entry,
  terms: Terms,
  stopped: AbortSignal,
): Promise<Finding> {
  const payload = {
    signature: `0x${'11'.repeat(64)}1b`,
    authorization: {
      from: `0x${'00'.repeat(18)}dead`,
      to: entry.payTo,
      value: entry.amount,
      validAfter: '0',
      validBefore: String(Math.floor(Date.now() / 1_000) + 60),
      nonce: `0x${randomBytes(32).toString('hex')}`,
    },
  };
  const isV2 = entry.dialect === 2;
  const proof = isV2
    ? {
        x402Version: 2,
        ...(terms.resource ? { resource: terms.resource } : {}),
        accepted: entry.raw,
        payload,
      }
    : { x402Version: 1, scheme: entry.scheme, network: entry.network, payload };
  const { status } = await exchange(url, stopped, {
    headers: {
      [isV2 ? 'PAYMENT-SIGNATURE' : 'X-PAYMENT']: Buffer.from(JSON.stringify(proof)).toString(
        'base64',
      ),
    },
  });
  return judged(`forged v${entry.dialect} proof`, status);
}

function judged(check: string, status: number): Finding {
  if (status === 402) return ok(check, '402');
  if (status < 300)
    return finding(
      'fail',
      check,
      `${status}: served without a payment`,
      'verify every proof before serving',
    );
  if (status >= 500)
    return finding(
      'fail',
      check,
      `${status}`,
      'answer 402: a client takes a 5xx for a payment of unknown outcome, and asks again',
    );
  return status === 400
    ? ok(check, '400')
    : finding(
        'note',
        check,
        `${status}`,
        'answer 402 with the terms, so that the client can pay anew',
      );
}
