import { UsageError } from '../options.js';
import { textOrFile } from './parse.js';

/** The options of a request, as curl has them. */
export interface RequestOptions {
  readonly request?: string;
  readonly header?: readonly string[];
  readonly data?: readonly string[];
}

/** A URL as people type it: without a scheme it is https, or http on this machine. */
export function urlOfWords(text: string): string {
  const isLocal = /^(?:localhost|127\.0\.0\.1|\[::1\])(?=[:/]|$)/.test(text);
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
    ? text
    : `${isLocal ? 'http' : 'https'}://${text}`;
  if (/^[/?]/.test(text)) {
    throw new UsageError(
      `"${text}" has no host; is the variable before it unset? give a URL such as https://api.example.com/data/7`,
    );
  }
  if (!URL.canParse(url) || !/^https?:/i.test(url)) {
    throw new UsageError(
      `"${text}" is no http(s) URL; give one such as https://api.example.com/data/7`,
    );
  }
  return url;
}

/** The request that the options describe. */
export function requestOf({ request, header = [], data }: RequestOptions) {
  const headers = new Headers();
  for (const line of header) {
    const [, name, value] = /^([^:\s]+)\s*:\s*(.*)$/s.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new UsageError(`-H "${line}": give a header as "Name: value"`);
    }
    headers.append(name, value);
  }
  const parts = data?.map((each) => textOrFile('-d', each));
  const body =
    parts && Buffer.concat(parts.flatMap((part, at) => (at ? [Buffer.from('&'), part] : [part])));
  if (body && !headers.has('content-type')) {
    headers.set('content-type', 'application/x-www-form-urlencoded');
  }
  const method = request?.toUpperCase() ?? (body ? 'POST' : 'GET');
  return { method, headers, ...(body ? { body: new Uint8Array(body) } : {}) };
}

/** Says that the host of a URL does not answer. */
export function noAnswer(url: string, reason: string): string {
  return `${new URL(url).host} does not answer (${reason})`;
}

/** Makes plain that a seller could not be reached: the error of `fetch` says only "fetch failed". */
export function plainError(error: unknown, url: string): unknown {
  const { cause } = error as { cause?: Error };
  if (!(error instanceof TypeError) || !cause) return error;
  return new Error(`${noAnswer(url, cause.message || cause.name)}; nothing was paid`);
}
