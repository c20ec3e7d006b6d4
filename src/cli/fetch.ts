import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { printable } from '../domain/printable.js';
import { UsageError } from '../options.js';
import { approvalOf } from './failure.js';
import { tell, tellJson } from './output.js';
import { given, parseAmountText, parseDuration } from './parse.js';
import { plainError, type RequestOptions, requestOf, urlOfWords } from './request.js';
import { type Bursar, keyOfIntent, type Payment } from './sdk.js';
import { openBursar } from './session.js';

/** The options of `bursar fetch`. */
export interface FetchOptions extends RequestOptions {
  readonly output?: string;
  readonly include?: boolean;
  readonly fail?: boolean;
  readonly silent?: boolean;
  readonly maxAmount?: string;
  readonly intent?: string;
  readonly key?: string;
  readonly memo?: string;
  readonly wait?: string;
  readonly json?: boolean;
}

/** `bursar fetch`: the body on standard output, what it cost on standard error. */
export async function fetchCommand(
  url: string,
  options: FetchOptions,
  stopped: AbortSignal,
): Promise<void> {
  const { intent, key, maxAmount, memo, wait, json } = options;
  if (intent !== undefined && key !== undefined) {
    throw new UsageError('--intent and --key both name the purchase; give one of them');
  }
  const request = requestOf(options);
  if (key !== undefined) request.headers.set('idempotency-key', key);
  const target = urlOfWords(url);
  const bursar = openBursar();
  // Named by us where nobody names it, so that its key is known when this process is stopped half-way.
  const name = key === undefined ? (intent ?? `bursar fetch ${randomUUID()}`) : undefined;
  const bounds = {
    maxAmount: given('--max-amount', maxAmount, parseAmountText),
    ...(wait === undefined ? {} : { waitForApproval: parseDuration('--wait', wait) * 1_000 }),
  };
  // The last that can be wrong with the command: an error before it leaves no file behind.
  const output = await openOutput(options.output);
  const response = await bursar
    .fetch(target, {
      ...request,
      ...bounds,
      signal: stopped,
      ...(name === undefined ? {} : { intent: name }),
      ...(memo === undefined ? {} : { memo }),
      onApproval: (payment) => {
        if (wait !== undefined) tellWaiting(payment, wait, json);
      },
    })
    .catch(async (error: unknown) => {
      if (stopped.aborted && !json) {
        const again = key ?? (await keyOfIntent(name ?? ''));
        tell(`stopped; if a payment was signed already, continue with it: --key ${again}`);
      }
      await output?.drop();
      throw plainError(error, target);
    });
  tellCost(bursar, response, options);
  const isFailed = options.fail === true && response.status >= 400;
  if (options.include) await writeOut(headOf(response));
  if (isFailed) {
    await response.body?.cancel();
    await output?.drop();
  } else {
    await writeBody(response, options.output === '-', output).catch(
      (error: NodeJS.ErrnoException) => {
        const payment = bursar.paymentOf(response);
        const paid = payment ? `; it was paid by ${payment.id}, so ask the seller for it` : '';
        throw new Error(`the answer cannot be written (${error.code ?? error.message})${paid}`);
      },
    );
  }
  await bursar.idle();
  if (isFailed) {
    if (!json) tell(`the seller answered ${response.status}`);
    process.exitCode = 1;
  }
  if (response.status === 402) process.exitCode = 1;
}

function tellWaiting(payment: Payment, wait: string, json: boolean | undefined): void {
  const { id, amount, currency, status } = payment;
  if (json) {
    tellJson({ waiting: { id, amount, currency, status } });
  } else {
    tell(`${approvalOf(payment)}; waiting for ${wait} at most`);
  }
}

function tellCost(bursar: Bursar, response: Response, { silent, json }: FetchOptions): void {
  const payment = bursar.paymentOf(response);
  const { status } = response;
  if (silent) return;
  if (json) {
    tellJson({ status, payment: payment ?? null });
  } else if (payment) {
    const { id, amount, currency, remaining, replayed, answered } = payment;
    const left = remaining === '' ? '' : `, ${remaining} ${currency} left`;
    const paid = replayed ? 'paid earlier:' : 'paid';
    tell(`${paid} ${amount} ${currency}${left}; ${id}`);
    if (!answered)
      tell(
        `the seller answered ${status}; whether it takes the money shows: npx bursar payments ${id}`,
      );
  } else if (status === 402) {
    tell(
      '402, but nothing was paid: its terms are no x402 of the origin that was asked; see: npx bursar doctor URL',
    );
  } else {
    tell(`free${status >= 400 ? `, status ${status}` : ''}; nothing was paid`);
  }
}

function headOf({ status, statusText, headers }: Response): Buffer {
  const lines = [...headers].map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(
    `${printable([`HTTP ${status} ${statusText}`.trimEnd(), ...lines].join('\n'))}\n\n`,
  );
}

/** The file of `-o`, open before anything is paid. */
interface Output {
  readonly handle: FileHandle;
  /** Closes it, and removes it where it was not there before. */
  drop(): Promise<void>;
}

/** @throws UsageError for a file that cannot be written. */
async function openOutput(file: string | undefined): Promise<Output | undefined> {
  if (file === undefined || file === '-') return undefined;
  const isNew = !existsSync(file);
  // Its content stays until the answer is there.
  const handle = await open(file, 'a').catch(({ code }: NodeJS.ErrnoException) => {
    throw new UsageError(`-o ${file}: cannot be written (${code}); nothing was paid`);
  });
  return {
    handle,
    async drop() {
      await handle.close();
      if (isNew) await rm(file, { force: true });
    },
  };
}

async function writeBody(
  response: Response,
  isBytes: boolean,
  output: Output | undefined,
): Promise<void> {
  const { body } = response;
  if (output) {
    // A device has no length.
    if ((await output.handle.stat()).isFile()) await output.handle.truncate();
    if (body) await body.pipeTo(Writable.toWeb(output.handle.createWriteStream()));
    else await output.handle.close();
    return;
  }
  if (!body) return;
  if (process.stdout.isTTY !== true || isBytes) {
    for await (const chunk of body) await writeOut(chunk);
    return;
  }
  // A seller's bytes must not steer the terminal. What is no text is nothing to read there either.
  const bytes = Buffer.from(await response.arrayBuffer());
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    tell(
      `the body is ${bytes.length} bytes of ${response.headers.get('content-type') ?? 'no text'}; write them with: -o FILE`,
    );
    return;
  }
  await writeOut(Buffer.from(printable(text.replaceAll('\r\n', '\n'))));
  if (!text.endsWith('\n')) await writeOut(Buffer.from('\n'));
}

function writeOut(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
